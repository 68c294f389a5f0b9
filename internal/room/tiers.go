package room

import (
	"slices"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

// MaxTiers is how many tiers a room can have beside that of everybody else and the
// last one, which nobody is shown.
const MaxTiers = place.Tiers - 2

// Tier is a part of the order.
type Tier struct {
	Name string
	Rule string // who is in it, for whoever decides that; two rules are the same or they are not
}

// TierNamed is the tier of a name.
func (c *Config) TierNamed(name string) (place.Tier, bool) {
	i := slices.IndexFunc(c.Tiers, func(t Tier) bool { return t.Name == name })
	return place.Tier(max(i, 0)), i >= 0
}

// Everybody is the tier of those who are in no other.
func (c *Config) Everybody() place.Tier { return place.Tier(len(c.Tiers)) }
