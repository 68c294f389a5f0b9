package room

import (
	"slices"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

// MaxTiers is how many tiers a room can have beside that of everybody else and the
// last one, which nobody is shown.
const MaxTiers = place.Tiers - 2

// MaxTierName bounds a tier's name, in bytes.
const MaxTierName = 64

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

// tier says which tier a place is in and which ones are let in before it. Everybody
// else is in none, and so are those whom nobody is told about.
func (v *View) tier(s place.Score) (name string, ahead []string) {
	if s == 0 {
		return "", nil
	}
	mine := int(s.Tier())
	for i, t := range v.Tiers {
		switch {
		case i == mine:
			name = t.Name
		case i < mine:
			ahead = append(ahead, t.Name)
		}
	}
	return name, ahead
}

// WaitingIn is how many wait in a tier, as exact as the board is. Places that nobody is
// told about are not in any.
func (v *View) WaitingIn(t place.Tier) int {
	if v.Board == nil {
		return 0
	}
	return max(0, v.Board.Position(t.Base()+1<<50)-v.Board.Position(t.Base()))
}

// Everybody is the tier of those who are in no other.
func (c *Config) Everybody() place.Tier { return place.Tier(len(c.Tiers)) }
