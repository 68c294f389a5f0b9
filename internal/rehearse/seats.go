package rehearse

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"

	"github.com/caddy-tickets/caddy-tickets/internal/mapframe"
)

// plan is the published layout, as far as a fan needs it to point at seats.
type plan struct {
	rows  []row
	areas []area
	seats int
}

type row struct {
	first int
	ids   []string
}

type area struct {
	ID       string `json:"id"`
	Capacity int    `json:"capacity"`
}

// planCache fetches the layout once for all fans, as the cache of a browser or
// a CDN would: the document never changes under its address.
type planCache struct {
	mu   sync.Mutex
	plan *plan
}

func (p *planCache) get(ctx context.Context, c *Client, path string) (*plan, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.plan != nil {
		return p.plan, nil
	}
	var doc struct {
		Zones []struct {
			Rows []struct {
				First int      `json:"first"`
				IDs   []string `json:"ids"`
			} `json:"rows"`
		} `json:"zones"`
		Areas []area `json:"areas"`
	}
	reply, err := c.Do(ctx, Call{Method: http.MethodGet, Path: path}, nil)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(reply.Body, &doc); err != nil {
		return nil, fmt.Errorf("reading the layout: %w", err)
	}
	got := &plan{areas: doc.Areas}
	for _, zone := range doc.Zones {
		for _, r := range zone.Rows {
			got.rows = append(got.rows, row{r.First, r.IDs})
			got.seats += len(r.IDs)
		}
	}
	p.plan = got
	return got, nil
}

// choose picks up to n free seats side by side from a random row on, the way a
// person clicks on what looks free. It returns nil when no seat is free.
func (p *plan) choose(state *mapframe.Map, n int, dice *rand.Rand) []string {
	if len(p.rows) == 0 {
		return nil
	}
	var single []string
	start := dice.IntN(len(p.rows))
	for i := range p.rows {
		r := p.rows[(start+i)%len(p.rows)]
		begin := dice.IntN(len(r.ids))
		run := make([]string, 0, n)
		for j := range r.ids {
			at := (begin + j) % len(r.ids)
			if at == 0 || state.State(r.first+at) != mapframe.Free {
				run = run[:0] // a taken seat or the end of the row parts neighbours
			}
			if state.State(r.first+at) != mapframe.Free {
				continue
			}
			if run = append(run, r.ids[at]); len(run) == n {
				return run
			}
			if single == nil {
				single = []string{r.ids[at]}
			}
		}
	}
	return single
}
