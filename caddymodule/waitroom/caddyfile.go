package waitroom

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-tickets/caddy-tickets/internal/queue"
	"github.com/caddy-tickets/caddy-tickets/internal/rediskey"
)

func init() {
	httpcaddyfile.RegisterDirective("waitroom", parseDirective)
	// Before encode: compressing a stream costs a megabyte for every fan.
	httpcaddyfile.RegisterDirectiveOrder("waitroom", httpcaddyfile.Before, "encode")
}

// parseDirective makes the guard and, if it has a matcher, a second handler
// for the room's own endpoints, which lie outside of what it matches. It stands at two
// places: at the endpoints' own path, because Caddy sorts a single path before
// everything broader, and so before the gate of another room that guards the whole
// site; and at the end, where it keeps clients from saying what only the edge may.
func parseDirective(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	if !h.Next() {
		return nil, h.ArgErr()
	}
	at := h.Token()
	matcher, err := h.ExtractMatcherSet()
	if err != nil {
		return nil, err
	}
	handler := new(Handler)
	if err := handler.UnmarshalCaddyfile(h.Dispenser); err != nil {
		return nil, err
	}
	if err := setOnce(h, handler, at); err != nil {
		return nil, err
	}
	values := h.NewRoute(matcher, handler)
	if matcher != nil {
		endpoints := *handler
		endpoints.EndpointsOnly, endpoints.Bypass = true, nil
		base := caddy.ModuleMap{"path": h.JSON(caddyhttp.MatchPath{newPaths(handler.Room).base + "*"})}
		values = append(values, h.NewRoute(base, &endpoints)...)
		values = append(values, h.NewRoute(nil, &endpoints)...)
	}
	return values, nil
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens:
//
//	waitroom [<matcher>] <room> {
//		admit         <n>/s|m|h
//		burst         <n>
//		active        <n>
//		session       <duration> [sliding <duration>]
//		claim_within  <duration>
//		abandon_after <duration>
//		max_queue     <n>
//		shards        <n>
//		tickets       <n>
//		opens         <time> | <date> <time> <zone>
//		closes        <time> | <date> <time> <zone>
//		lobby         <duration>
//		beacon        <source> [<url>] [<duration>]
//		method        lottery|fifo|reject
//		queue         all
//		inventory     <url> <event>
//		health        <url> [<interval>] { every|timeout <duration>, fails|passes <n> }
//		stream_origin <origin>
//		status        200|202|429|503
//		tier          <name> <matcher> | <name> { <matchers> }
//		bypass        <matcher> | [<name>] { <matchers> }
//	}
//
// A room that is set at one place can be named at others without a block.
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive
	if !d.NextArg() {
		return d.Err(`waitroom needs the name of a room, such as "waitroom arena { admit 500/m }"`)
	}
	h.Room = d.Val()
	if err := rediskey.CheckName(h.Room); err != nil {
		return d.WrapErr(err)
	}
	if d.NextArg() {
		return d.ArgErr()
	}
	seen := make(where)
	for d.NextBlock(0) {
		option := d.Val()
		if _, twice := seen[option]; twice && option != "bypass" && option != "tier" {
			return d.Errf("%s is set twice", option)
		}
		seen[option] = d.Token()
		if err := h.option(d, option); err != nil {
			return err
		}
	}
	c, err := h.config(h.Room, nil)
	err = errors.Join(h.check(), err)
	if err == nil && c != nil && validating() {
		err = checkLobby(c, time.Now())
	}
	return seen.name(d, err)
}

// option reads one line of the block. What a value means is checked at once, so
// that the error names its line.
func (h *Handler) option(d *caddyfile.Dispenser, name string) error {
	switch name {
	case "admit":
		if !d.AllArgs(&h.Admit) {
			return d.ArgErr()
		}
		if _, _, err := queue.ParseRate(h.Admit); err != nil {
			return d.WrapErr(fmt.Errorf("admit %w", err))
		}
		return nil
	case "opens":
		return timeArg(d, &h.Opens)
	case "closes":
		return timeArg(d, &h.Closes)
	case "session":
		return sessionArg(d, &h.Session, &h.SessionSliding)
	case "method":
		return methodArg(d, &h.Method)
	case "queue":
		return queueArg(d, &h.QueueAll)
	case "inventory":
		if !d.AllArgs(&h.Inventory, &h.Event) {
			return d.ArgErr()
		}
		return wrap(d, checkInventory(h.Inventory, h.Event))
	case "health":
		return h.parseHealth(d)
	case "shards":
		if err := countArg(d, &h.Shards); err != nil {
			return err
		}
		return wrap(d, checkShards(h.Shards))
	case "beacon":
		var err error
		h.Beacon, err = parseBeacon(d)
		return err
	case "stream_origin":
		if !d.AllArgs(&h.StreamOrigin) {
			return d.ArgErr()
		}
		return wrap(d, checkOrigin(h.StreamOrigin))
	case "tier":
		t, err := parseTier(d)
		h.Tiers = append(h.Tiers, t)
		return err
	case "bypass":
		b, err := parseBypass(d)
		h.Bypass = append(h.Bypass, b)
		return err
	}
	if n, ok := map[string]*int{
		"burst": &h.Burst, "active": &h.Active, "max_queue": &h.MaxQueue, "tickets": &h.Tickets, "status": &h.Status,
	}[name]; ok {
		return countArg(d, n)
	}
	if t, ok := map[string]*caddy.Duration{
		"claim_within": &h.ClaimWithin, "abandon_after": &h.AbandonAfter, "lobby": &h.Lobby,
	}[name]; ok {
		return durationArg(d, t)
	}
	return d.Errf("unrecognized subdirective %q", name)
}

func wrap(d *caddyfile.Dispenser, err error) error {
	if err == nil {
		return nil
	}
	return d.WrapErr(err)
}

func countArg(d *caddyfile.Dispenser, into *int) error {
	option := d.Val()
	var text string
	if !d.AllArgs(&text) {
		return d.ArgErr()
	}
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 {
		return d.Errf("%s must be a whole number above zero, not %q", option, text)
	}
	*into = n
	return nil
}

func durationArg(d *caddyfile.Dispenser, into *caddy.Duration) error {
	option := d.Val()
	var text string
	if !d.AllArgs(&text) {
		return d.ArgErr()
	}
	return duration(d, option, text, into)
}

func duration(d *caddyfile.Dispenser, option, text string, into *caddy.Duration) error {
	t, err := caddy.ParseDuration(text)
	if err != nil || t <= 0 {
		return d.Errf("%s must be a time above zero such as 90s, 10m or 1h, not %q", option, text)
	}
	*into = caddy.Duration(t)
	return nil
}

var _ caddyfile.Unmarshaler = (*Handler)(nil)
