package room

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	stockEvery   = time.Second
	stockTimeout = 800 * time.Millisecond // below the interval, so polls never pile up
	maxStockBody = 64 << 10

	// stockTrust is how old a count may be and still hold admission back. The seat
	// service being away must not stop a sale; a sold-out is kept however old.
	stockTrust = 30 * time.Second

	maxCategories = 32 // shown to waiting fans
)

// What the seat service says about an event.
const (
	StockAvailable = "available"
	StockAllHeld   = "all-held"
	StockSoldOut   = "sold-out"
	StockNotOpen   = "not-open"
)

// Stock is the last answer of the seat service's summary.
type Stock struct {
	State         string          `json:"state"`
	Capacity      int             `json:"capacity"`
	Free          int             `json:"free"`
	Held          int             `json:"held"`
	Booked        int             `json:"booked"`
	NextReleaseAt *time.Time      `json:"nextReleaseAt,omitempty"`
	Currency      string          `json:"currency,omitempty"`
	Categories    []StockCategory `json:"categories,omitempty"`

	At time.Time `json:"-"` // when it was read, by the room's clock
}

// StockCategory is one price.
type StockCategory struct {
	Name     string `json:"name"`
	Price    int64  `json:"price"` // minor units
	Capacity int    `json:"capacity"`
	Free     int    `json:"free"`
	Held     int    `json:"held"`
}

// Sellable is how many tickets can still be sold: held ones may come back.
func (s *Stock) Sellable() int { return s.Free + s.Held }

// inventory reads the stock of one event.
type inventory struct{ client *http.Client }

func (i inventory) read(ctx context.Context, base, event string) (*Stock, error) {
	ctx, cancel := context.WithTimeout(ctx, stockTimeout)
	defer cancel()
	address := strings.TrimSuffix(base, "/") + "/v1/events/" + url.PathEscape(event) + "/summary"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("asking for the stock: %w", err)
	}
	resp, err := i.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking for the stock: %w", err)
	}
	defer func() { _ = resp.Body.Close() }() // read to its limit below
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxStockBody+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the stock: %w", err)
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("asking for the stock: the answer was %s", resp.Status)
	case len(body) > maxStockBody:
		return nil, fmt.Errorf("reading the stock: longer than %d bytes", maxStockBody)
	}
	var s Stock
	if err := json.Unmarshal(body, &s); err != nil {
		return nil, fmt.Errorf("reading the stock: %w", err)
	}
	return &s, s.check()
}

// check refuses an answer that cannot be true: one misread page saying "sold
// out" would send everybody home.
func (s *Stock) check() error {
	switch s.State {
	case StockAvailable, StockAllHeld, StockSoldOut, StockNotOpen:
	default:
		return errors.New("reading the stock: unknown state")
	}
	if s.Capacity < 0 || s.Free < 0 || s.Held < 0 || s.Booked < 0 || s.Sellable() > s.Capacity {
		return errors.New("reading the stock: the counts do not add up")
	}
	if s.State == StockSoldOut && s.Sellable() > 0 {
		return errors.New("reading the stock: sold out with seats left")
	}
	if len(s.Categories) > maxCategories {
		s.Categories = s.Categories[:maxCategories]
	}
	return nil
}

// pollStock reads the stock once. A failure keeps the last known one.
func (r *Room) pollStock(ctx context.Context) {
	cfg := r.cfg.Load()
	if cfg.Inventory == "" {
		return
	}
	s, err := r.inventory.read(ctx, cfg.Inventory, cfg.InventoryEvent)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		if r.stockErr == nil && ctx.Err() == nil { // once per outage, not once a second
			r.log.Warn("the seat service does not say what is left; the last known stock stays in force", "error", err)
		}
		r.stockErr = err
		return
	}
	if r.stockErr != nil {
		r.log.Info("the seat service answers again")
	}
	s.At, r.stockErr = r.deps.Clock.Now(), nil
	r.tookStockLocked(s)
	r.publishLocked()
}

func (r *Room) tookStockLocked(s *Stock) {
	cfg, inside := r.cfg.Load(), r.last.Active+r.last.Turns
	r.stock = s
	r.sales.note(s.At, s.Booked)
	if r.ticked {
		r.conversion.note(s, r.last.AdmittedTotal, inside)
	}
	r.demand = r.conversion.demand(s, cfg, inside)
}
