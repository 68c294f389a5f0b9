package waitroom

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

// Health says how the site behind the room is watched: while it is unwell, nobody is
// admitted.
type Health struct {
	// URL is asked; every 2xx and 3xx is a good answer.
	URL string `json:"url"`
	// Every is the time between two questions; default 2s.
	Every caddy.Duration `json:"every,omitempty"`
	// Timeout is what one may take; default 1s, or Every if that is less.
	Timeout caddy.Duration `json:"timeout,omitempty"`
	// Fails bad answers in a row stop admission; default 3.
	Fails int `json:"fails,omitempty"`
	// Passes good answers in a row let it go on; default 2.
	Passes int `json:"passes,omitempty"`
}

// parseHealth reads:
//
//	health <url> [<interval>] {
//		every   <duration>
//		timeout <duration>
//		fails   <n>
//		passes  <n>
//	}
func (h *Handler) parseHealth(d *caddyfile.Dispenser) error {
	health := new(Health)
	args := d.RemainingArgs()
	if len(args) == 0 || len(args) > 2 {
		return d.Err(`health needs the address of the site's health check, such as "health http://127.0.0.1:8080/healthz"`)
	}
	health.URL = args[0]
	if err := health.check(); err != nil {
		return d.WrapErr(err)
	}
	seen := make(map[string]bool)
	if len(args) == 2 {
		every, err := caddy.ParseDuration(args[1])
		if err != nil || every <= 0 {
			return d.Errf("health asks every so often, such as 2s, not every %q", args[1])
		}
		health.Every, seen["every"] = caddy.Duration(every), true
	}
	for d.NextBlock(1) {
		option := d.Val()
		if seen[option] {
			return d.Errf("health: %s is set twice", option)
		}
		seen[option] = true
		var err error
		switch option {
		case "every":
			err = durationArg(d, &health.Every)
		case "timeout":
			err = durationArg(d, &health.Timeout)
		case "fails":
			err = countArg(d, &health.Fails)
		case "passes":
			err = countArg(d, &health.Passes)
		default:
			err = d.Errf("unrecognized subdirective %q: health knows every, timeout, fails and passes", option)
		}
		if err != nil {
			return err
		}
	}
	h.Health = health
	return wrap(d, health.check())
}

const (
	leastHealthEvery = 500 * time.Millisecond // each edge asks by itself: below it, a fleet is a load of its own
	mostHealthEvery  = time.Minute            // above it, an outage is long over before it is noticed
	mostHealthCount  = 100
)

// check refuses what cannot work, before anything starts.
func (h *Health) check() error {
	if h == nil {
		return nil
	}
	u, err := url.Parse(h.URL)
	every := orDefault(h.Every, room.DefaultHealthEvery)
	timeout := orDefault(h.Timeout, min(room.DefaultHealthTimeout, every))
	switch {
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "":
		return errors.New(`health needs an address with http:// or https:// and a host, such as "health http://127.0.0.1:8080/healthz"`)
	case every < leastHealthEvery || every > mostHealthEvery:
		return fmt.Errorf("health: every must be between %v and %v, not %v", leastHealthEvery, mostHealthEvery, every)
	case timeout <= 0 || timeout > every:
		return fmt.Errorf("health: timeout must not be longer than every (%v), and it is %v: questions would pile up", every, timeout)
	case h.Fails < 0 || h.Fails > mostHealthCount || h.Passes < 0 || h.Passes > mostHealthCount:
		return fmt.Errorf("health: fails and passes must be between 1 and %d", mostHealthCount)
	}
	return nil
}

func (h *Health) config() room.Health {
	if h == nil {
		return room.Health{}
	}
	return room.Health{URL: h.URL, Every: time.Duration(h.Every), Timeout: time.Duration(h.Timeout), Fails: h.Fails, Passes: h.Passes}
}
