package room

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/queue"
)

// maxUsed bounds the invitations that an edge remembers: 5,000 × about 150 B. Telling
// Redis about that many takes a second or two.
const maxUsed = 5_000

// used are invitations that were used here. Redis knows of all, until it loses
// everything: then each edge says again what it knows, or every invitation that has
// not ended would be good once more. Links to another device end too soon to matter.
type used struct {
	mu    sync.Mutex
	links map[string]usedLink // by id; guarded by mu
}

type usedLink struct {
	by      place.Visitor
	expires time.Time
}

func (u *used) note(l queue.Link, by place.Visitor, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.links == nil {
		u.links = make(map[string]usedLink)
	}
	if len(u.links) >= maxUsed {
		u.forgetLocked(now)
	}
	if len(u.links) < maxUsed {
		u.links[l.ID] = usedLink{by, l.Expires}
	}
}

// forgetLocked drops links whose time is over: nobody can use them anyway.
func (u *used) forgetLocked(now time.Time) {
	maps.DeleteFunc(u.links, func(_ string, l usedLink) bool { return !now.Before(l.expires) })
}

// byOther says whether another visitor used a link here.
func (u *used) byOther(id string, v place.Visitor) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	l, known := u.links[id]
	return known && l.by != v
}

func (u *used) list(now time.Time) map[string]usedLink {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.forgetLocked(now)
	return maps.Clone(u.links)
}

// useAgain tells a Redis that lost its data which invitations were used here, before
// anybody is admitted. It says whether it could.
func (r *Room) useAgain(ctx context.Context) bool {
	for id, l := range r.used.list(r.Now()) {
		call, cancel := context.WithTimeout(ctx, reentryTimeout)
		err := r.queue.Spend(call, queue.Link{ID: id, Expires: l.expires}, l.by)
		cancel()
		if away(err) || ctx.Err() != nil {
			return false
		}
	}
	return true
}
