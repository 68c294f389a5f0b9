package room

import (
	"slices"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/draw"
	"github.com/caddy-tickets/caddy-tickets/internal/hub"
	"github.com/caddy-tickets/caddy-tickets/internal/queue"
)

// Defaults of Config.
const (
	DefaultTick           = 250 * time.Millisecond
	DefaultSettle         = 5 * time.Second
	DefaultTicketsPerPass = 2
)

// Config says what a room is. Everything but Name can be changed live by Apply.
type Config struct {
	Name  string
	Queue queue.Settings

	// Opens is when admission begins; zero means the room is always open.
	// Closes ends it; zero means never.
	Opens, Closes time.Time

	// Lobby is how long before Opens fans may come in. The order in which they do
	// does not matter. 0 refuses everybody until Opens.
	Lobby time.Duration

	// Method says how those who come are ordered; default DefaultMethod.
	Method Method

	// QueueAll makes everybody queue, also while there is room to go straight
	// through. A room that opens at a time always queues.
	QueueAll bool

	// DrawKey is what the secret of each draw is made from, the same on every edge. It
	// is never published; the secret of a draw is, when the draw is over.
	DrawKey []byte

	// Beacon is the public randomness of the draw, announced before the lobby.
	Beacon draw.Beacon

	// Inventory is the base URL of the seat service, without /v1, and
	// InventoryEvent the event there. Empty means that stock is not known.
	Inventory, InventoryEvent string

	// Health watches the site behind the room.
	Health Health

	// TicketsPerPass is how many tickets a buyer takes on average. It turns seats
	// into people when the end is near: too low and fans are let in for seats
	// that are gone, too high and the last seats sell slowly. Default 2.
	TicketsPerPass int

	// TicketLimit is the most tickets a pass allows; 0 leaves it to the event.
	TicketLimit int

	// Tiers are those fans who come before the others, the first tier first.
	// Everybody else is in the tier after the last. The names are public.
	Tiers []Tier

	// Sliding is how long a session may become by being used; 0 keeps it at
	// Queue.Session, from the claim on.
	Sliding time.Duration

	// Tick is how often this edge calls for admission and looks at the room.
	Tick time.Duration

	// Pace is the time between two lines on a waiting fan's stream.
	Pace time.Duration

	// Settle is how long admission waits after Redis lost its data, so that the
	// fans of every edge are back in their old order first. It waits longer for fans who
	// poll: until each of them was to ask again.
	Settle time.Duration

	// Drain is the time over which fans are asked to reconnect when this process ends.
	Drain time.Duration
}

// withDefaults returns a copy that shares nothing with the caller's.
func (c Config) withDefaults() *Config {
	c.DrawKey = slices.Clone(c.DrawKey)
	c.Opens = c.Opens.Truncate(time.Second) // a draw is named by it, and published with it
	if c.Method == "" {
		c.Method = DefaultMethod(c.Lobby > 0)
	}
	if c.TicketsPerPass <= 0 {
		c.TicketsPerPass = DefaultTicketsPerPass
	}
	c.Health = c.Health.withDefaults()
	if c.Tick <= 0 {
		c.Tick = DefaultTick
	}
	if c.Pace <= 0 {
		c.Pace = hub.DefaultPace
	}
	if c.Settle <= 0 {
		c.Settle = DefaultSettle
	}
	if c.Drain <= 0 {
		c.Drain = hub.DefaultSpread
	}
	return &c
}

// Draws says whether the order of the lobby is drawn.
func (c *Config) Draws() bool {
	lottery := c.Method == Lottery || c.Method == "" && DefaultMethod(c.Lobby > 0) == Lottery
	return lottery && c.Lobby > 0 && !c.Opens.IsZero()
}

// lobbyOpens is when fans may first come in.
func (c *Config) lobbyOpens() time.Time {
	if c.Opens.IsZero() {
		return time.Time{}
	}
	return c.Opens.Add(-c.Lobby)
}

// inForce is what settings are once Redis has them.
func inForce(s queue.Settings) queue.Settings {
	if s.Burst == 0 && s.Per > 0 {
		s.Burst = s.DefaultBurst()
	}
	return s
}
