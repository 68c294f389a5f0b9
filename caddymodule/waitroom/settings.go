package waitroom

import (
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-tickets/caddy-tickets/internal/queue"
	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

// Settings are the knobs of a room. A handler without any only names a room
// that is set elsewhere in the config.
type Settings struct {
	// Admit is the admission rate: 500/m, 20/s, 3000/h. Required.
	Admit string `json:"admit,omitempty"`
	// Burst is how many may be admitted at one moment; default one second's worth.
	Burst int `json:"burst,omitempty"`
	// Active is the cap of passes at once. Default: what the rate fills in a
	// session, which means that only the rate limits.
	Active int `json:"active,omitempty"`
	// Session is the life of a pass; default 10m.
	Session caddy.Duration `json:"session,omitempty"`
	// SessionSliding is how long a session may become: the pass of a fan who uses the site
	// is renewed up to it. Default 0: no pass is renewed.
	SessionSliding caddy.Duration `json:"session_sliding,omitempty"`
	// ClaimWithin is how long a turn waits for its fan; default 2m.
	ClaimWithin caddy.Duration `json:"claim_within,omitempty"`
	// AbandonAfter is how long a place is kept for a fan who is gone; default 2m.
	AbandonAfter caddy.Duration `json:"abandon_after,omitempty"`
	// MaxQueue is the most places that wait; default no limit.
	MaxQueue int `json:"max_queue,omitempty"`
	// Tickets is the ticket limit in the pass; default 0, which leaves it to the event.
	Tickets int `json:"tickets,omitempty"`
	// Opens and Closes are times with zone, see parseTime; default always open.
	Opens  string `json:"opens,omitempty"`
	Closes string `json:"closes,omitempty"`
	// Lobby is how long before Opens fans may come in.
	Lobby caddy.Duration `json:"lobby,omitempty"`
	// Method is lottery, fifo or reject; default lottery with a lobby, else fifo.
	Method room.Method `json:"method,omitempty"`
	// QueueAll makes everybody queue, also while there is room to go straight through.
	QueueAll bool `json:"queue_all,omitempty"`
	// Beacon is the public randomness of the draw; default none.
	Beacon *Beacon `json:"beacon,omitempty"`
	// Shards is how many parts the queue is split into; default 1. It is the same on every
	// edge, and cannot change while anybody waits.
	Shards int `json:"shards,omitempty"`
	// Tiers are those who come before everybody else, the first tier first.
	Tiers []Tier `json:"tiers,omitempty"`
	// Inventory is the base URL of the seat service, Event the event there.
	Inventory string `json:"inventory,omitempty"`
	Event     string `json:"event,omitempty"`
	// Health watches the site behind the room; default not at all.
	Health *Health `json:"health,omitempty"`
}

// Defaults of Settings.
const (
	defaultSession      = 10 * time.Minute
	defaultClaimWithin  = 2 * time.Minute
	defaultAbandonAfter = 2 * time.Minute
)

// config turns the settings into the room's own form; nil if there are none.
func (s Settings) config(name string, drawKey []byte) (*room.Config, error) {
	if reflect.ValueOf(s).IsZero() {
		return nil, nil //nolint:nilnil // no settings are a valid answer
	}
	if s.Admit == "" {
		return nil, errors.New(`admit is missing: say how many may go in, such as "admit 500/m"`)
	}
	rate, per, err := queue.ParseRate(s.Admit)
	if err != nil {
		return nil, fmt.Errorf("admit %w", err)
	}
	c := &room.Config{
		Name:           name,
		Lobby:          time.Duration(s.Lobby),
		Method:         s.Method,
		QueueAll:       s.QueueAll,
		DrawKey:        drawKey,
		Inventory:      s.Inventory,
		InventoryEvent: s.Event,
		TicketLimit:    s.Tickets,
		Sliding:        time.Duration(s.SessionSliding),
		Health:         s.Health.config(),
		Queue: queue.Settings{
			Rate: rate, Per: per, Burst: s.Burst, Active: s.Active, MaxQueue: s.MaxQueue,
			Session:      orDefault(s.Session, defaultSession),
			ClaimWithin:  orDefault(s.ClaimWithin, defaultClaimWithin),
			AbandonAfter: orDefault(s.AbandonAfter, defaultAbandonAfter),
			Shards:       s.Shards,
		},
	}
	if c.Queue.Active == 0 {
		c.Queue.Active = filledBy(c.Queue, c.Sliding)
	}
	if c.Opens, err = parseTime("opens", s.Opens); err != nil {
		return nil, err
	}
	if c.Closes, err = parseTime("closes", s.Closes); err != nil {
		return nil, err
	}
	if c.Tiers, err = tiersOf(s.Tiers); err != nil {
		return nil, err
	}
	c.Beacon = s.Beacon.announced(c.Opens)
	return c, errors.Join(c.Queue.Check(), checkBurst(s), checkSession(c.Queue.Session), checkSliding(c), checkSchedule(c), checkMethod(c), checkTiers(c),
		s.Beacon.check(c.Draws(), c.Opens), checkInventory(s.Inventory, s.Event), checkLimit(s.Tickets), s.Health.check())
}

// filledBy is the most passes and turns there can be at a rate.
func filledBy(q queue.Settings, sliding time.Duration) int {
	seconds := (max(q.Session, sliding) + q.ClaimWithin).Seconds()
	return int(float64(q.Rate)/q.Per.Seconds()*seconds) + max(q.Burst, q.DefaultBurst())
}

func orDefault(d caddy.Duration, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return time.Duration(d)
}

// checkBurst refuses a burst that the cap never lets in.
func checkBurst(s Settings) error {
	if s.Active > 0 && s.Burst > s.Active {
		return blame("burst", fmt.Errorf("burst %d can never come in at once with active %d: lower burst, or raise active", s.Burst, s.Active))
	}
	return nil
}

func checkInventory(base, event string) error {
	if base == "" && event == "" {
		return nil
	}
	u, err := url.Parse(base)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || event == "" {
		return errors.New(`inventory needs the seat service and its event, such as "inventory http://127.0.0.1:7100 arena"`)
	}
	return nil
}

// maxTickets is the most a pass may allow; above it a limit is a slip.
const maxTickets = 1000

func checkLimit(tickets int) error {
	if tickets < 0 || tickets > maxTickets {
		return blame("tickets", fmt.Errorf("tickets must be between 0 (the event decides) and %d", maxTickets))
	}
	return nil
}

// checkOrigin refuses a stream_origin that is more or less than an origin.
func checkOrigin(origin string) error {
	if origin == "" {
		return nil
	}
	u, err := url.Parse(origin)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.Path != "" || u.RawQuery != "" {
		return fmt.Errorf("stream_origin %q is not an origin: write scheme, host and port alone, such as https://tickets.example.com:8443", origin)
	}
	return nil
}

// checkShards refuses more parts than are worth their cost.
func checkShards(n int) error {
	if n > queue.MaxShards {
		return fmt.Errorf("shards must be %d or less, not %d: each costs every edge a call a tick", queue.MaxShards, n)
	}
	return nil
}
