package redislock

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/caddy-tickets/caddy-tickets/allocator"
	"github.com/caddy-tickets/caddy-tickets/internal/mapframe"
)

// rebuildBatch is the number of cells written by one call: about 1 ms each.
const rebuildBatch = 1000

// Rebuild implements allocator.Locks. Of two rebuilds at once the one with the
// higher epoch wins; the other gets ErrEpoch and has nothing left to do.
func (l *Locks) Rebuild(ctx context.Context, e *allocator.Event, cells []allocator.Cell, taken []allocator.Taken) error {
	r := rebuild{Locks: l, ctx: ctx, event: e, meta: []string{metaKey(e.Slug)}}
	p, err := plan(cells, taken)
	if err != nil {
		return err
	}
	code, _, err := l.ask(ctx, "rebuild_begin", r.meta, e.Epoch)
	if err != nil {
		return err
	}
	if code != codeOK {
		return refusal(code, nil)
	}
	r.clear()
	r.batches("rebuild_cells", p.cells, 2)
	for _, area := range p.areas {
		r.units(area, p.units[area])
	}
	r.batches("rebuild_booked", p.booked, 3)
	for _, hold := range p.paying {
		r.paying(hold)
	}
	r.step("rebuild_end", r.meta, append([]any{len(cells), len(p.counts), string(p.bits)}, p.fields()...)...)
	return r.err
}

// rebuild runs the steps of one rebuild until one fails.
type rebuild struct {
	*Locks
	ctx   context.Context //nolint:containedctx // lives as long as the one call of Rebuild
	event *allocator.Event
	meta  []string
	err   error
}

func (r *rebuild) step(name string, keys []string, args ...any) (code string) {
	if r.err != nil {
		return ""
	}
	code, rest, err := r.ask(r.ctx, name, keys, append([]any{r.event.Epoch}, args...)...)
	if err == nil {
		err = refusal(code, rest)
	}
	r.err = err
	return code
}

func (r *rebuild) clear() {
	for r.step("rebuild_clear", r.meta, rebuildBatch) == codeMore {
	}
}

// batches sends a flat list of arguments, that many to each cell.
func (r *rebuild) batches(name string, args []any, each int) {
	for batch := range slices.Chunk(args, rebuildBatch*each) {
		r.step(name, r.meta, batch...)
	}
}

func (r *rebuild) units(area string, units []any) {
	r.step("rebuild_units", r.meta, area) // an area without free units exists too
	for batch := range slices.Chunk(units, rebuildBatch) {
		r.step("rebuild_units", r.meta, append([]any{area}, batch...)...)
	}
}

func (r *rebuild) paying(h *payingHold) {
	args := []any{h.id, h.holder, h.until, payGrace.Milliseconds(), strings.Join(h.categories, " ")}
	r.step("rebuild_paying", holdKeys(r.event, h.id), append(args, h.cells...)...)
}

// rebuildPlan is what the database says, in the form the functions take.
type rebuildPlan struct {
	cells  []any // id and info in turn
	booked []any // id, hold and holder in turn
	areas  []string
	units  map[string][]any // free ones
	paying []*payingHold
	counts []allocator.Counts
	bits   []byte
}

type payingHold struct {
	id, holder string
	until      int64
	cells      []any
	categories []string
}

func plan(cells []allocator.Cell, taken []allocator.Taken) (*rebuildPlan, error) {
	p := &rebuildPlan{units: make(map[string][]any), bits: make([]byte, mapframe.BitsLen(len(cells)))}
	claims := make(map[string]*allocator.Taken, len(taken))
	for i := range taken {
		claims[taken[i].Cell] = &taken[i]
	}
	holds := make(map[string]*payingHold)
	for i := range cells {
		c := &cells[i]
		if c.Ordinal != i {
			return nil, fmt.Errorf("cell %q has ordinal %d in place %d", c.ID, c.Ordinal, i)
		}
		for len(p.counts) <= c.Category {
			p.counts = append(p.counts, allocator.Counts{})
		}
		p.cells = append(p.cells, c.ID, info(c))
		if c.Area != "" {
			if _, known := p.units[c.Area]; !known {
				p.areas, p.units[c.Area] = append(p.areas, c.Area), nil
			}
		}
		claim := claims[c.ID]
		delete(claims, c.ID)
		p.place(c, claim, holds)
	}
	for cell := range claims {
		return nil, fmt.Errorf("%w: %q is claimed", allocator.ErrCellUnknown, cell)
	}
	return p, nil
}

// place puts one cell where its claim says.
func (p *rebuildPlan) place(c *allocator.Cell, claim *allocator.Taken, holds map[string]*payingHold) {
	count, state := &p.counts[c.Category], allocator.Free
	switch {
	case claim != nil && claim.Booked:
		state = allocator.Booked
		count.Booked++
		p.booked = append(p.booked, c.ID, claim.HoldID, claim.Holder)
	case claim != nil:
		state = allocator.Held
		count.Held++
		h := holds[claim.HoldID]
		if h == nil {
			h = &payingHold{id: claim.HoldID, holder: claim.Holder, until: claim.Until.UnixMilli()}
			holds[claim.HoldID], p.paying = h, append(p.paying, h)
		}
		h.cells, h.categories = append(h.cells, c.ID), append(h.categories, strconv.Itoa(c.Category))
	case c.Blocked:
		state = allocator.Blocked
	default:
		count.Free++
		if c.Area != "" {
			p.units[c.Area] = append(p.units[c.Area], c.ID)
		}
	}
	p.bits[c.Ordinal/4] |= byte(state) << (c.Ordinal % 4 * 2)
}

func (p *rebuildPlan) fields() []any {
	fields := make([]any, 0, len(p.counts)*6)
	for i, c := range p.counts {
		n := strconv.Itoa(i)
		fields = append(fields, "free:"+n, c.Free, "held:"+n, c.Held, "booked:"+n, c.Booked)
	}
	return fields
}

// info is what the functions know of a cell; the function of the same name in
// lua/state.lua reads it.
func info(c *allocator.Cell) string {
	x := ""
	if c.Blocked {
		x = "x"
	}
	return strconv.Itoa(c.Ordinal) + ":" + strconv.Itoa(c.Category) + ":" + x + ":" + c.Area
}
