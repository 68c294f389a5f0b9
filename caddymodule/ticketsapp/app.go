// Package ticketsapp is the Caddy app `tickets`: what the directives of one
// process share. It opens Redis, keeps the keys, holds the rooms over reloads,
// and shows them to metrics and to the admin API.
//
// What must hold: provisioning dials nothing, so a config loads while Redis is
// away; nothing a fan waits on belongs to one config, so a reload drops nobody;
// and a config that fails to load changes no room.
package ticketsapp

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/redis/go-redis/v9"

	"github.com/caddy-tickets/caddy-tickets/internal/clock"
	"github.com/caddy-tickets/caddy-tickets/internal/pass"
	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

// Name is the app's module id and its global option.
const Name = "tickets"

func init() { caddy.RegisterModule(new(App)) }

// App is shared by every directive of one config.
type App struct {
	// RedisURL is where the queues are; see package redisconn for its forms.
	// Placeholders such as {env.TICKETS_REDIS} are resolved.
	RedisURL string `json:"redis,omitempty"`
	// KeyFolder keeps the keys in a folder instead of Caddy's storage.
	KeyFolder string `json:"keys,omitempty"`

	log     *slog.Logger
	address string // RedisURL, resolved; identifies the shared state
	shared  *shared
	keys    *keys
	places  *place.Sealer
	signer  *pass.Signer
	checker *pass.Verifier

	mu      sync.Mutex
	holds   bool // the shared state is to be released
	rooms   map[string]*use
	servers map[onServer]bool
}

// CaddyModule implements caddy.Module.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: Name, New: func() caddy.Module { return new(App) }}
}

// Provision reads the keys and takes hold of what outlives this config.
func (a *App) Provision(ctx caddy.Context) error {
	a.log = ctx.Slogger()
	a.rooms, a.servers = make(map[string]*use), make(map[onServer]bool)
	if a.RedisURL == "" {
		return errors.New(`tickets: no Redis is set; add "redis redis://127.0.0.1:6379/0" to the tickets block of the global options`)
	}
	replacer := caddy.NewReplacer()
	address, err := replacer.ReplaceOrErr(a.RedisURL, true, true)
	if err != nil {
		return fmt.Errorf("tickets: redis: %w", err)
	}
	folder, err := replacer.ReplaceOrErr(a.KeyFolder, true, true)
	if err != nil {
		return fmt.Errorf("tickets: keys: %w", err)
	}
	store, err := a.storage(ctx, folder)
	if err != nil {
		return fmt.Errorf("tickets: keys: %w", err)
	}
	if a.keys, err = loadKeys(ctx, store); err != nil {
		return fmt.Errorf("tickets: %w", err)
	}
	a.places = place.NewSealer(a.keys.place())
	a.signer = pass.NewSigner(a.keys.ring, clock.System())
	a.checker = pass.NewVerifier(a.signer, clock.System())
	if a.shared, err = acquire(address); err != nil {
		return fmt.Errorf("tickets: %w", err)
	}
	a.address, a.holds = address, true
	return a.register(ctx.GetMetricsRegistry())
}

// Start puts the settings of this config in force. Caddy calls it only when
// every module of the config was provisioned, so a bad config changes nothing.
func (a *App) Start() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for name, u := range a.rooms {
		if !u.set {
			return fmt.Errorf(`tickets: waitroom %[1]s has no settings anywhere: write "waitroom %[1]s { admit 500/m }" at one of its places`, name)
		}
	}
	for _, u := range a.rooms {
		u.mine = &settings{u.config}
		u.before = u.entry.apply(u.mine)
	}
	return nil
}

// Stop undoes Start if no newer config took over, which is the case when another
// app of this config failed to start. In a reload it does nothing.
func (a *App) Stop() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, u := range a.rooms {
		if u.mine != nil && u.before != nil {
			u.entry.restore(u.mine, u.before)
		}
	}
	return nil
}

// Cleanup gives back what was taken. It also runs after a failed Provision.
func (a *App) Cleanup() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	var errs []error
	for name := range a.rooms {
		_, err := rooms.Delete(roomKey(a.address, name))
		errs = append(errs, err)
	}
	clear(a.rooms)
	if a.holds {
		errs = append(errs, release(a.address))
		a.holds = false // shared stays: streams of this config go on, and count what they do
	}
	return errors.Join(errs...)
}

// Redis is the client everybody uses. It is open for as long as a config is.
func (a *App) Redis() redis.UniversalClient { return a.shared.redis }

// Places seals and opens place cookies.
func (a *App) Places() *place.Sealer { return a.places }

// Signer signs passes.
func (a *App) Signer() *pass.Signer { return a.signer }

// Verifier checks passes that this fleet signed.
func (a *App) Verifier() *pass.Verifier { return a.checker }

// Secret is a 32-byte key for one purpose, the same on every edge that shares
// the keys. Nothing can be concluded from one purpose's about another's.
func (a *App) Secret(purpose string) []byte { return a.keys.derive(purpose) }

// Count counts what became of a request of a fan.
func (a *App) Count(room, action, outcome string) {
	a.shared.requests.WithLabelValues(room, action, outcome).Inc()
}

// FirstOn says whether a directive asks for the first time about a server, for
// what it needs once on each.
func (a *App) FirstOn(directive string, server any) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	asked := onServer{directive, server}
	first := !a.servers[asked]
	a.servers[asked] = true
	return first
}

type onServer struct {
	directive string
	server    any
}

// Rooms lists the rooms of this config by name.
func (a *App) Rooms() []*room.Room { return a.list() }

var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
