package room

import (
	"maps"
	"slices"
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

// Differences are the settings that another edge or an operator has changed since this
// edge loaded its config.
func (r *Room) Differences() []Difference {
	here, inForce := r.cfg.Load().Queue.Shown(), r.View().Settings.Shown()
	all := []Difference{}
	for _, name := range slices.Sorted(maps.Keys(here)) {
		if here[name] != inForce[name] {
			all = append(all, Difference{name, here[name], inForce[name]})
		}
	}
	return all
}
