package waitroom

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

// Tier is a part of the order: its fans are let in before those of the tiers after
// it, and before everybody else. A tier is no secret: its name is shown to all.
type Tier struct {
	// Name is what fans read.
	Name string `json:"name"`
	// MatcherSetsRaw says whose join is in it. A set matches if all of its matchers do;
	// one set that matches is enough.
	MatcherSetsRaw caddyhttp.RawMatcherSets `json:"match" caddy:"namespace=http.matchers"`

	matchers caddyhttp.MatcherSets
}

// maxTierName bounds a tier's name, in characters; it also has to fit into an invitation.
const maxTierName = 40

// parseTier reads one line or block:
//
//	tier <name> <matcher> <arguments…>
//	tier <name> {
//		<matcher> <arguments…>
//	}
func parseTier(d *caddyfile.Dispenser) (Tier, error) {
	if !d.NextArg() {
		return Tier{}, d.Err(`a tier needs a name that fans read, and who is in it, such as "tier Members header X-Member yes"`)
	}
	t := Tier{Name: d.Val()}
	set, err := caddyhttp.ParseCaddyfileNestedMatcherSet(d)
	if err != nil {
		return t, err
	}
	t.MatcherSetsRaw = caddyhttp.RawMatcherSets{set}
	return t, wrap(d, t.check())
}

func (t *Tier) check() error {
	switch {
	case t.Name == "" || t.Name != strings.TrimSpace(t.Name) || len(t.Name) > room.MaxTierName || utf8.RuneCountInString(t.Name) > maxTierName ||
		strings.ContainsFunc(t.Name, func(c rune) bool { return !unicode.IsPrint(c) }):
		return fmt.Errorf("a tier's name is shown to fans: it has 1 to %d printable characters, unlike %.80q", maxTierName, t.Name)
	case len(t.MatcherSetsRaw) == 0 || slices.ContainsFunc(t.MatcherSetsRaw, func(set caddy.ModuleMap) bool { return len(set) == 0 }):
		return fmt.Errorf("tier %s has no matchers, so everybody would be in it: say who is, such as \"tier %[1]s header X-Member yes\"", t.Name)
	}
	return nil
}

// tiersOf are the tiers in the room's own form.
func tiersOf(tiers []Tier) ([]room.Tier, error) {
	if len(tiers) > room.MaxTiers {
		return nil, blame("tier", fmt.Errorf("a room has %d tiers at most beside that of everybody else, not %d", room.MaxTiers, len(tiers)))
	}
	out := make([]room.Tier, 0, len(tiers))
	for i := range tiers {
		t := &tiers[i]
		if err := t.check(); err != nil {
			return nil, blame("tier", err)
		}
		if slices.ContainsFunc(out, func(other room.Tier) bool { return other.Name == t.Name }) {
			return nil, blame("tier", fmt.Errorf("tier %s is there twice: put all of its matchers into one", t.Name))
		}
		rule, err := json.Marshal(t.MatcherSetsRaw)
		if err != nil {
			return nil, fmt.Errorf("reading the matchers of tier %s: %w", t.Name, err)
		}
		out = append(out, room.Tier{Name: t.Name, Rule: string(rule)})
	}
	return slices.Clip(out), nil
}

// checkTiers refuses tiers where there is no order.
func checkTiers(c *room.Config) error {
	if c.Method == room.Reject && len(c.Tiers) > 0 {
		return blame("tier", errors.New("method reject gives no places, so tiers order nobody: take one of the two away"))
	}
	return nil
}

// provisionTiers loads the matchers, for all handlers of the room: one that only names
// it takes joins as well.
func (h *Handler) provisionTiers(ctx caddy.Context) error {
	for i := range h.Tiers {
		t := &h.Tiers[i]
		loaded, err := ctx.LoadModule(t, "MatcherSetsRaw")
		if err != nil {
			return fmt.Errorf("loading the matchers of tier %s: %w", t.Name, err)
		}
		if err := t.matchers.FromInterface(loaded); err != nil {
			return err
		}
	}
	if len(h.Tiers) > 0 {
		h.app.Share(h.Room, h.Tiers)
	}
	return nil
}

// tierOf is the tier that a join belongs to: the last one for whoever is suspected,
// else the first that matches. One that cannot be decided is passed over.
func (h *Handler) tierOf(r *http.Request) place.Tier {
	if suspect, _ := caddyhttp.GetVar(r.Context(), deprioritiseVar).(bool); suspect {
		return place.Deprioritised
	}
	tiers, _ := h.app.Shared(h.Room).([]Tier)
	for i := range tiers {
		match, err := tiers[i].matchers.AnyMatchWithError(r)
		if err != nil {
			h.app.Count(h.Room, "tier", "failed")
			h.log.Warn("it could not be decided whether a fan is in a tier", "room", h.Room, "tier", tiers[i].Name, "error", err)
			continue
		}
		if match {
			return place.Tier(i)
		}
	}
	return place.Tier(len(tiers))
}

// tierNamed is the room's tier of a name.
func (h *Handler) tierNamed(name string) (place.Tier, bool) {
	c := h.room.Config()
	return c.TierNamed(name)
}
