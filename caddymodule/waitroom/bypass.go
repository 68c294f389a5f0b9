package waitroom

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-tickets/caddy-tickets/internal/rediskey"
)

// Bypass lets requests past the queue without a pass: files, a webhook, the
// address of a monitor. It belongs to the handler and not to the room: what
// needs no pass at one site may need one at another.
type Bypass struct {
	// Name is counted with every request that goes this way.
	Name string `json:"name"`
	// MatcherSetsRaw says which requests. A set matches if all of its matchers do;
	// one set that matches is enough. An empty set would let everybody in and is refused.
	MatcherSetsRaw caddyhttp.RawMatcherSets `json:"match" caddy:"namespace=http.matchers"`

	matchers caddyhttp.MatcherSets
}

// parseBypass reads one line or block:
//
//	bypass <matcher> <arguments…>
//	bypass [<name>] {
//		<matcher> <arguments…>
//	}
//
// Without a name it is called after its matchers.
func parseBypass(d *caddyfile.Dispenser) (Bypass, error) {
	var b Bypass
	if d.CountRemainingArgs() == 1 && blockFollows(d) {
		d.NextArg()
		b.Name = d.Val()
		if _, err := caddy.GetModule("http.matchers." + b.Name); err == nil {
			// "bypass not { path /buy }" would mean the opposite of what it says.
			return b, d.Errf(`%[1]q is a matcher, and a bypass cannot be called like one: write "bypass <name> {" and the line "%[1]s …" inside`, b.Name)
		}
	}
	set, err := caddyhttp.ParseCaddyfileNestedMatcherSet(d)
	if err != nil {
		return b, err
	}
	if b.Name == "" {
		b.Name = strings.Join(slices.Sorted(maps.Keys(set)), "-")
	}
	b.MatcherSetsRaw = caddyhttp.RawMatcherSets{set}
	return b, wrap(d, b.check())
}

// blockFollows says whether a block opens behind the arguments of this line.
func blockFollows(d *caddyfile.Dispenser) bool {
	ahead := *d
	ahead.RemainingArgs()
	return ahead.NextBlock(d.Nesting())
}

// check refuses a bypass that would let everybody in.
func (b *Bypass) check() error {
	switch {
	case len(b.MatcherSetsRaw) == 0 || slices.ContainsFunc(b.MatcherSetsRaw, func(set caddy.ModuleMap) bool { return len(set) == 0 }):
		return errors.New(`a bypass without matchers would let everybody in: say who goes past the queue, such as "bypass path /assets/*"`)
	case rediskey.CheckName(strings.ReplaceAll(b.Name, "_", "-")) != nil:
		return fmt.Errorf("a bypass is called by lower-case letters, digits, inner hyphens and underscores, unlike %.80q", b.Name)
	}
	return nil
}

func (b *Bypass) provision(ctx caddy.Context) error {
	if err := b.check(); err != nil {
		return err
	}
	loaded, err := ctx.LoadModule(b, "MatcherSetsRaw")
	if err != nil {
		return fmt.Errorf("loading the matchers of bypass %s: %w", b.Name, err)
	}
	return b.matchers.FromInterface(loaded)
}

// bypassed is the name of the bypass that a request may take. A matcher that fails
// lets nobody in.
func (h *Handler) bypassed(r *http.Request) (name string, ok bool) {
	if len(h.Bypass) == 0 || twoFaced(r.URL.Path) {
		return "", false
	}
	for i := range h.Bypass {
		b := &h.Bypass[i]
		match, err := b.matchers.AnyMatchWithError(r)
		if err != nil {
			h.app.Count(h.Room, "bypass", "failed")
			h.log.Warn("a bypass could not be decided; the visitor needs a pass", "room", h.Room, "bypass", b.Name, "error", err)
			continue
		}
		if match {
			return b.Name, true
		}
	}
	return "", false
}

// twoFaced says whether sites may read a path otherwise than the matchers do:
// "/assets/..;/buy" is a file to one and a shop to another.
func twoFaced(path string) bool {
	return strings.Contains(path, "/..") || strings.ContainsAny(path, `\%`)
}

// pastQueue passes a request on as one that no pass was asked of.
func (h *Handler) pastQueue(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, name string) error {
	h.app.Count(h.Room, "bypass", name)
	dropHeaders(r)
	dropCookies(r, h.Room)
	return next.ServeHTTP(w, r)
}
