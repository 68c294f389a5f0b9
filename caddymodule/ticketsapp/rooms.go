package ticketsapp

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-tickets/caddy-tickets/internal/queue"
	"github.com/caddy-tickets/caddy-tickets/internal/rediskey"
	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

// rooms keeps rooms, with everybody parked in them, alive over reloads.
var rooms = caddy.NewUsagePool()

// closing bounds the goodbye to the fans of a room that no config has any more.
const closing = 5 * time.Second

func roomKey(address, name string) string { return address + " " + name }

// use is a room as one config has it.
type use struct {
	entry  *entry
	set    bool        // some directive gave settings
	config room.Config // what they are
	mine   *settings   // config, once this config's app has started
	before *settings   // what mine replaced, nil if nothing
	common any         // see App.Share
}

// Room finds the room that a directive guards with. Settings is nil for a
// directive that only names a room set elsewhere in the config. Two directives
// that set one room differently are an error: nobody could say which is meant.
// The settings come into force when the config starts.
func (a *App) Room(name string, settings *room.Config) (*room.Room, error) {
	if err := rediskey.CheckName(name); err != nil {
		return nil, fmt.Errorf("waitroom: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	u := a.rooms[name]
	if u == nil {
		e, err := a.acquireRoom(name)
		if err != nil {
			return nil, err
		}
		u = &use{entry: e}
		a.rooms[name] = u
	}
	switch {
	case settings == nil:
	case u.set && !reflect.DeepEqual(u.config, *settings):
		return nil, fmt.Errorf("waitroom %[1]s is set in two places, and differently: keep the settings at one and write only \"waitroom %[1]s\" at the other", name)
	default:
		u.set, u.config = true, *settings
	}
	return u.entry.room, nil
}

func (a *App) acquireRoom(name string) (*entry, error) {
	v, _, err := rooms.LoadOrNew(roomKey(a.address, name), func() (caddy.Destructor, error) {
		// The room outlives this config and its logger's context, not its output.
		log := slog.New(a.log.Handler())
		if _, err := acquire(a.address); err != nil { // the room keeps its own hold on Redis
			return nil, err
		}
		r := room.New(room.Deps{Queue: queue.Open(a.shared.redis, name), Log: log}, room.Config{Name: name})
		return &entry{room: r, address: a.address}, nil
	})
	if err != nil {
		return nil, err
	}
	return v.(*entry), nil
}

func (a *App) list() []*room.Room {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := make([]*room.Room, 0, len(a.rooms))
	for _, u := range a.rooms {
		all = append(all, u.entry.room)
	}
	slices.SortFunc(all, func(x, y *room.Room) int { return strings.Compare(x.Name(), y.Name()) })
	return all
}

// Drain asks everybody who waits here to come back to another edge, spread over
// time. It is called when the process ends, before the HTTP server waits for
// its streams: those never end by themselves.
func (a *App) Drain() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, u := range a.rooms {
		go u.entry.close()
	}
}

// settings are those of one start. Two starts with the same values are still two:
// the pointer says whose settings are in force.
type settings struct{ room.Config }

// entry is a room in the pool with the settings in force.
type entry struct {
	room    *room.Room
	address string

	mu      sync.Mutex
	applied *settings // nil before the first start
	once    sync.Once
}

// apply puts settings in force and returns those they replace, nil if none.
func (e *entry) apply(mine *settings) (before *settings) {
	e.mu.Lock()
	defer e.mu.Unlock()
	before = e.applied
	e.applied = mine
	e.room.Apply(mine.Config) // also when nothing changed here: the last config loaded anywhere wins
	e.room.Start()
	return before
}

// restore puts back what mine replaced, unless a newer config took over.
func (e *entry) restore(mine, before *settings) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.applied == mine {
		e.applied = before
		e.room.Apply(before.Config)
	}
}

func (e *entry) close() {
	e.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), closing)
		defer cancel()
		_ = e.room.Close(ctx) // the process or the room ends anyway; fans come back by themselves
	})
}

// Destruct implements caddy.Destructor: no config has the room any more.
func (e *entry) Destruct() error {
	e.close()
	return release(e.address)
}
