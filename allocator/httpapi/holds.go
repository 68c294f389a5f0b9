package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/caddy-tickets/caddy-tickets/allocator"
	"github.com/caddy-tickets/caddy-tickets/allocator/sale"
)

func (a *api) getEvent(w http.ResponseWriter, r *http.Request) {
	e, err := a.Sale.Event(r.Context(), r.PathValue("event"))
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	prices, err := a.Sale.Categories(r.Context(), e)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	send(w, http.StatusOK, eventReply{
		Event: e.Slug, Name: e.Name, Phase: e.Phase, Currency: e.Currency, Capacity: e.Capacity, Categories: prices,
		Layout:      fmt.Sprintf("/v1/events/%s/layout@%s", e.Slug, e.LayoutHash),
		HoldSeconds: int64(e.HoldTTL.Seconds()), PaySeconds: int64(e.PayTTL.Seconds()), MaxPerPass: e.MaxPerPass,
	})
}

// holdRequest asks for seats, or for places in a standing area.
type holdRequest struct {
	Cells []string `json:"cells"`
	Area  *struct {
		ID       string `json:"id"`
		Quantity int    `json:"quantity"`
	} `json:"area"`
}

// want checks a request before it costs anything.
func (h holdRequest) want() (sale.Want, error) {
	switch {
	case (len(h.Cells) > 0) == (h.Area != nil):
		return sale.Want{}, malformed("Ask for cells or for an area, one of them.")
	case len(h.Cells) > maxCells || h.Area != nil && h.Area.Quantity > maxCells:
		return sale.Want{}, problemHoldLimit.Because(fmt.Sprintf("At most %d seats can be asked for at once.", maxCells))
	case h.Area != nil && (h.Area.Quantity < 1 || !cellName(h.Area.ID)):
		return sale.Want{}, malformed("An area has an id, and the quantity is 1 or more.")
	}
	for _, cell := range h.Cells {
		if !cellName(cell) {
			return sale.Want{}, problemCellUnknown
		}
	}
	if h.Area != nil {
		return sale.Want{Area: h.Area.ID, Quantity: h.Area.Quantity}, nil
	}
	return sale.Want{Cells: h.Cells}, nil
}

// cellName says whether a text can be a cell's id at all. Braces would move a key
// to another node of a cluster.
func cellName(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7f || c == '{' || c == '}' {
			return false
		}
	}
	return true
}

func (a *api) postHold(w http.ResponseWriter, r *http.Request) {
	slug := r.PathValue("event")
	e, err := a.Sale.Event(r.Context(), slug)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	who, err := a.holder(r, e.Room)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	key, err := keyOf(r)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	var ask holdRequest
	if _, err := read(w, r, &ask); err != nil {
		a.refuse(w, r, err)
		return
	}
	want, err := ask.want()
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	want.Limit = who.Limit
	held, err := a.Sale.Hold(r.Context(), slug, who.Visitor, key, want)
	if errors.Is(err, allocator.ErrAllHeld) {
		err = a.allHeld(r.Context(), slug)
	}
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	w.Header().Set("Location", "../../holds/"+held.ID) // right below /api, too
	send(w, http.StatusCreated, holdOf(held, a.Clock.Now()))
}

// summaryWithin bounds the look at the map for an answer that is right without it.
const summaryWithin = 100 * time.Millisecond

// allHeld says when it is worth to come again, if the map knows.
func (a *api) allHeld(ctx context.Context, slug string) error {
	ctx, cancel := context.WithTimeout(ctx, summaryWithin)
	defer cancel()
	known, err := a.Maps.Summary(ctx, slug)
	if err != nil || known.NextReleaseAt == nil {
		return problemAllHeld
	}
	return problemAllHeld.With("nextReleaseAt", known.NextReleaseAt.UTC())
}

func (a *api) getHold(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("hold")
	who, err := a.holderOf(r, id)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	held, err := a.Sale.GetHold(r.Context(), id, who.Visitor)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	send(w, http.StatusOK, holdOf(held, a.Clock.Now()))
}

func (a *api) deleteHold(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("hold")
	who, err := a.holderOf(r, id)
	if err == nil {
		err = a.Sale.Release(r.Context(), id, who.Visitor)
	}
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
