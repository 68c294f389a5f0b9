package lockstest

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-tickets/caddy-tickets/allocator"
)

// model says in a few lines what the locks must do when time stands still.
type model struct {
	owner  map[string]string // cell -> hold
	booked map[string]bool
	bought map[string]int // by holder
	holds  map[string]*modelHold
	limit  int
	cells  int // for sale
}

type modelHold struct {
	holder string
	cells  []string
	paying bool
	ended  bool
}

func (m *model) held(holder string) (n int) {
	for _, h := range m.holds {
		if h.holder == holder && !h.ended {
			n += len(h.cells)
		}
	}
	return n
}

func (m *model) hold(id, holder string, cells []string) (want error) {
	if h := m.holds[id]; h != nil {
		switch {
		case h.holder != holder:
			return allocator.ErrHoldNotYours
		case h.ended:
			return allocator.ErrHoldExpired
		}
		return nil
	}
	for _, c := range cells {
		if m.booked[c] || m.owner[c] != "" {
			switch {
			case len(m.booked) == m.cells:
				return allocator.ErrSoldOut
			case len(m.booked)+len(m.owner) == m.cells:
				return allocator.ErrAllHeld
			}
			return &allocator.ConflictError{}
		}
	}
	if m.held(holder)+m.bought[holder]+len(cells) > m.limit {
		return allocator.ErrHoldLimit
	}
	m.holds[id] = &modelHold{holder: holder, cells: cells}
	for _, c := range cells {
		m.owner[c] = id
	}
	return nil
}

func (m *model) end(id string) {
	h := m.holds[id]
	if h == nil || h.ended {
		return
	}
	h.ended = true
	maps.DeleteFunc(m.owner, func(_, owner string) bool { return owner == id })
}

func (m *model) book(id string, cells []string) {
	for _, c := range cells {
		if other := m.holds[m.owner[c]]; other != nil {
			other.cells = slices.DeleteFunc(slices.Clone(other.cells), func(cell string) bool { return cell == c })
			if len(other.cells) == 0 {
				other.ended = true
			}
		}
		delete(m.owner, c)
		if h := m.holds[id]; h != nil && !m.booked[c] {
			m.bought[h.holder]++
		}
		m.booked[c] = true
	}
	m.end(id)
}

func againstModel(t *testing.T, b Backend) {
	rapid.Check(t, func(rt *rapid.T) {
		const seats = 8
		h := NewHall(t, b.Locks, seats, 0)
		m := &model{owner: map[string]string{}, booked: map[string]bool{}, bought: map[string]int{}, holds: map[string]*modelHold{}, limit: h.MaxPerPass, cells: seats}
		id := rapid.SampledFrom([]string{"h0", "h1", "h2", "h3", "h4", "h5", "h6"})
		holder := rapid.SampledFrom([]string{"ann", "bob", "cid"})
		some := rapid.Custom(func(rt *rapid.T) []string {
			n := rapid.SliceOfNDistinct(rapid.IntRange(0, seats-1), 1, 4, rapid.ID).Draw(rt, "seats")
			slices.Sort(n)
			return Seats(n...)
		})
		rt.Repeat(map[string]func(*rapid.T){
			"hold": func(rt *rapid.T) {
				req := allocator.HoldRequest{Event: h.Event, HoldID: id.Draw(rt, "id"), Holder: holder.Draw(rt, "holder"), Cells: some.Draw(rt, "cells")}
				want := m.hold(req.HoldID, req.Holder, req.Cells)
				got, err := b.Locks.Hold(t.Context(), req)
				if !same(err, want) {
					rt.Fatalf("holding: got %v, want %v", err, want)
				}
				if err == nil && !slices.Equal(got.Cells, m.holds[req.HoldID].cells) {
					rt.Fatalf("got %v, want %v", got.Cells, m.holds[req.HoldID].cells)
				}
			},
			"release": func(rt *rapid.T) {
				i := id.Draw(rt, "id")
				if hold := m.holds[i]; hold != nil {
					if err := b.Locks.Release(t.Context(), h.Event, i, hold.holder); err != nil {
						rt.Fatal(err)
					}
					if !hold.paying {
						m.end(i)
					}
				}
			},
			"pay": func(rt *rapid.T) {
				i := id.Draw(rt, "id")
				hold, want := m.holds[i], allocator.ErrHoldUnknown
				if hold != nil && hold.ended {
					want = allocator.ErrHoldExpired
				} else if hold != nil {
					want, hold.paying = nil, true
				}
				name := "ann"
				if hold != nil {
					name = hold.holder
				}
				if _, err := b.Locks.BeginPayment(t.Context(), h.Event, i, name, time.Now().Add(time.Minute)); !same(err, want) {
					rt.Fatalf("paying: got %v, want %v", err, want)
				}
			},
			"refuse": func(rt *rapid.T) {
				i := id.Draw(rt, "id")
				if err := b.Locks.EndPayment(t.Context(), h.Event, i, time.Time{}); err != nil {
					rt.Fatal(err)
				}
				if hold := m.holds[i]; hold != nil {
					hold.paying = false
				}
			},
			"book": func(rt *rapid.T) {
				i, cells := id.Draw(rt, "id"), some.Draw(rt, "cells")
				if err := b.Locks.Book(t.Context(), h.Event, i, cells); err != nil {
					rt.Fatal(err)
				}
				m.book(i, cells)
			},
			"free": func(rt *rapid.T) {
				i := id.Draw(rt, "id")
				if err := b.Locks.Free(t.Context(), h.Event, i, nil); err != nil {
					rt.Fatal(err)
				}
				m.end(i)
			},
			"": func(rt *rapid.T) {
				c, err := b.Locks.Counts(t.Context(), h.Event)
				if err != nil || c.Booked != len(m.booked) || c.Held != len(m.owner) || c.Free != seats-c.Booked-c.Held {
					rt.Fatalf("counts %+v, %v; want %d booked and %d held", c, err, len(m.booked), len(m.owner))
				}
			},
		})
		b.Check(rt, h.Event)
	})
}

func same(got, want error) bool {
	var a, b *allocator.ConflictError
	if errors.As(want, &b) {
		return errors.As(got, &a)
	}
	return errors.Is(got, want) && (want != nil || got == nil)
}
