package room

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/queue"
)

const (
	livenessBatch   = 512
	livenessTimeout = 2 * time.Second
	maxLiveness     = 200_000 // visitors in each list below; 16 B each and the map's own
	maxAwayLooked   = 5000    // longest away first: those who would be swept soonest
	longestPeriod   = time.Minute
)

// liveness tells Redis who left and who is back, and nothing else (D4): a fan
// who stays costs no write.
//
// Two things can go wrong with notes from many edges. Another edge may notice late that it
// lost a connection, and report its fan away after the fan is parked here: so this
// edge looks through those who are away and takes its own back. And a fan who
// polls has no connection to be found by: so its word is repeated once a period. A
// period is at most half of the time after which an away place is swept.
type liveness struct {
	mu     sync.Mutex
	gone   map[place.Visitor]struct{}    // to be told away
	backs  map[place.Visitor]place.Score // to be told back; with a score, the place may have been swept
	recent map[place.Visitor]struct{}    // told back in this period already
	turned time.Time                     // when the period began
}

func (l *liveness) init() {
	l.gone = make(map[place.Visitor]struct{})
	l.backs = make(map[place.Visitor]place.Score)
	l.recent = make(map[place.Visitor]struct{})
}

// gone is the hub's word that visitors left. It only takes notes.
func (r *Room) gone(visitors [][16]byte) {
	l := &r.liveness
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, v := range visitors {
		if len(l.gone) == maxLiveness {
			return // what is not told away is a ghost that its unclaimed turn removes
		}
		l.gone[v] = struct{}{}
		delete(l.backs, v)
		delete(l.recent, v)
	}
}

// back notes that a visitor is here. A place older than the time after which an
// absent one is swept is put back as well: the token proves it.
func (r *Room) back(tok place.Token) {
	v, view := tok.Visitor, r.View()
	tok = r.drawn(tok)
	if tok.Score == 0 || view.Passed(tok.Score) {
		return
	}
	score := tok.Score
	if r.Now().Sub(tok.Joined) < view.Settings.AbandonAfter {
		score = 0
	}
	l := &r.liveness
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, leaving := l.gone[v]; leaving { // nobody was told yet
		delete(l.gone, v)
	}
	if _, told := l.recent[v]; told {
		return
	}
	if len(l.backs) < maxLiveness {
		l.backs[v] = score
	}
}

// flushLiveness tells Redis what changed since the last tick.
func (r *Room) flushLiveness(ctx context.Context) {
	gone, backs, lookThrough := r.takeLiveness()
	if len(gone)+len(backs) == 0 && !lookThrough {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, livenessTimeout)
	defer cancel()
	for batch := range slices.Chunk(gone, livenessBatch) {
		if r.queue.Away(ctx, batch) != nil {
			return // ghosts: their turn passes unclaimed
		}
	}
	for batch := range slices.Chunk(backs, livenessBatch) {
		if r.tellBack(ctx, batch) != nil {
			r.tellAgain(backs) // these are here: their place is at stake
			return
		}
	}
	if lookThrough {
		r.findOwnAmongAway(ctx)
	}
}

// findOwnAmongAway takes back fans who are parked here and reported away elsewhere.
func (r *Room) findOwnAmongAway(ctx context.Context) {
	away, err := r.queue.AwayNow(ctx, maxAwayLooked)
	if err != nil {
		return // the next period looks again
	}
	here := slices.DeleteFunc(away, func(v place.Visitor) bool { return !r.hub.Has(v) })
	if len(here) > 0 {
		_ = r.queue.Back(ctx, here) // likewise
	}
}

func (r *Room) tellBack(ctx context.Context, batch []queue.Place) error {
	visitors := make([]place.Visitor, 0, len(batch))
	var swept []queue.Place
	for _, p := range batch {
		visitors = append(visitors, p.Visitor)
		if p.Score != 0 {
			swept = append(swept, p)
		}
	}
	if err := r.queue.Back(ctx, visitors); err != nil || len(swept) == 0 {
		return err
	}
	_, err := r.queue.Reenter(ctx, swept)
	return err
}

func (r *Room) takeLiveness() (gone []place.Visitor, backs []queue.Place, lookThrough bool) {
	period := min(longestPeriod, r.View().Settings.AbandonAfter/2)
	now := r.deps.Clock.Now()
	l := &r.liveness
	l.mu.Lock()
	defer l.mu.Unlock()
	for v := range l.gone {
		gone = append(gone, v)
	}
	for v, score := range l.backs {
		backs = append(backs, queue.Place{Visitor: v, Score: score})
		if len(l.recent) < maxLiveness {
			l.recent[v] = struct{}{}
		}
	}
	clear(l.gone)
	clear(l.backs)
	if now.Sub(l.turned) >= period {
		l.turned = now
		clear(l.recent)
		lookThrough = true
	}
	return gone, backs, lookThrough
}

func (r *Room) tellAgain(places []queue.Place) {
	l := &r.liveness
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range places {
		delete(l.recent, p.Visitor)
		if len(l.backs) < maxLiveness {
			l.backs[p.Visitor] = p.Score
		}
	}
}
