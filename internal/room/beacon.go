package room

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/caddy-tickets/caddy-tickets/internal/draw"
	"github.com/caddy-tickets/caddy-tickets/internal/queue"
)

// Why a beacon cannot be taken.
var (
	ErrNoBeacon    = errors.New("this room's draw has no beacon")
	ErrBeaconEarly = errors.New("the lobby is not over yet: a beacon counts only if nobody could know it before")
	ErrBeaconLate  = errors.New("the draw is over, or as long as was announced it has waited for its beacon")
)

// SetBeacon takes the value that an operator announces. It may be given again; another
// value than the first changes nothing.
func (r *Room) SetBeacon(ctx context.Context, text []byte) error {
	cfg := r.cfg.Load()
	d := &r.drawing
	d.mu.Lock()
	record, stage := d.record, d.stage
	d.mu.Unlock()
	switch {
	case !cfg.Draws() || stage != queue.NoDraw && record.Beacon.Source == "":
		return ErrNoBeacon
	case stage < queue.Frozen:
		return ErrBeaconEarly
	case stage == queue.Drawn:
		return ErrBeaconLate
	}
	// From the announced end on the draw goes on without it. Who could still give it then
	// could compute both orders first.
	if deadline := record.Beacon.Deadline(record.Opens); !deadline.IsZero() && !r.Now().Before(deadline) {
		return ErrBeaconLate
	}
	value, err := record.Beacon.ValueOf(text)
	if err != nil {
		return err
	}
	return r.finishWith(ctx, cfg, record, value, r.Now())
}

// fetchBeacon asks where the beacon is published; nil while it is not there.
func (r *Room) fetchBeacon(ctx context.Context, b draw.Beacon) ([]byte, error) {
	d := &r.drawing
	now := r.deps.Clock.Now()
	d.mu.Lock()
	due := b.URL != "" && now.Sub(d.asked) >= beaconEvery
	if due {
		d.asked = now
	}
	d.mu.Unlock()
	if !due {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, beaconPatience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.URL, nil)
	if err != nil {
		return nil, fmt.Errorf("asking for the beacon: %w", err)
	}
	res, err := r.deps.HTTP.Do(req)
	if err != nil {
		return nil, nil // it is asked again
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBeaconBody))
	if err != nil || res.StatusCode != http.StatusOK {
		return nil, nil // likewise: a round that has not come yet is a 404 or a 425
	}
	value, err := b.ValueOf(bytes.TrimSpace(body))
	if err != nil {
		return nil, fmt.Errorf("reading the beacon: %w", err)
	}
	return value, nil
}
