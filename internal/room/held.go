package room

import (
	"maps"
	"slices"
	"time"
)

// Held says why nobody is let in at the moment.
type Held string

// The reasons, as operators see them; beside these, every State but Open is one.
const (
	NotHeld        Held = ""
	HeldRedisAway  Held = "redis-away" // Redis does not answer this edge
	HeldSettling   Held = "settling"   // Redis lost its data, and places are being entered again
	HeldUnwell     Held = "site-unwell"
	HeldNoStock    Held = "nothing-free"   // all that is left is held
	HeldSpokenFor  Held = "all-spoken-for" // those inside want all that is left
	HeldFull       Held = "full"           // the cap of passes and turns is reached
	HeldNobodyHere Held = "nobody-waits"
)

// Held is the first reason for which nobody is let in, as this edge knows it.
func (r *Room) Held() Held {
	v := r.View()
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case v.State != Open:
		return Held(v.State)
	case v.Degraded:
		return HeldRedisAway
	case !r.settledLocked():
		return HeldSettling
	case v.Unwell:
		return HeldUnwell
	case r.limitLocked() == 0 && v.Stock != nil && v.Stock.Free == 0:
		return HeldNoStock
	case r.limitLocked() == 0 && v.Stock != nil:
		return HeldSpokenFor
	case v.Settings.Active > 0 && v.Turns+v.Active >= v.Settings.Active:
		return HeldFull
	case v.Waiting == 0:
		return HeldNobodyHere
	}
	return NotHeld
}

// Difference is a setting that this edge's own config has otherwise than what is in force.
type Difference struct {
	Setting string `json:"setting"`
	Here    string `json:"here"`
	InForce string `json:"inForce"`
}

// schedule is when the room opens and how, as it is written in a config.
func (c *Config) schedule() map[string]string {
	at := func(t time.Time, otherwise string) string {
		if t.IsZero() {
			return otherwise
		}
		return t.UTC().Format(time.RFC3339)
	}
	s := map[string]string{"opens": at(c.Opens, "always"), "closes": at(c.Closes, "never"), "lobby": c.Lobby.String(), "method": string(c.Method)}
	if c.QueueAll {
		s["queue"] = "all"
	}
	if c.InventoryEvent != "" {
		s["event"] = c.InventoryEvent
	}
	return s
}

// Differences are the settings that another edge or an operator has changed since this
// edge loaded its config.
func (r *Room) Differences() []Difference {
	cfg := r.cfg.Load()
	here, inForce := cfg.Queue.Shown(), r.View().Settings.Shown()
	if loaded := r.Orders().schedule; loaded != nil {
		maps.Copy(here, cfg.schedule())
		maps.Copy(inForce, loaded)
	}
	all := []Difference{}
	for _, name := range slices.Sorted(maps.Keys(here)) {
		if here[name] != inForce[name] {
			all = append(all, Difference{name, here[name], inForce[name]})
		}
	}
	return all
}
