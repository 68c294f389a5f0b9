// Package botguard is the Caddy directive `botguard`: it stands before the
// waiting room and makes taking a place cost something. It looks at two requests,
// POST /.waitroom/{room}/join and …/claim, and lets everything else pass
// without a call to Redis. It needs no waitroom on its site, and waitroom needs
// no botguard; what it found out it leaves in request variables.
//
//	join ──► from our own pages? ──► challenge answered? ──► within the limits? ──► next
//	claim ─────────────────────────────────────────────────► within the limits? ──► next
//
// What must hold: a join goes on only with an answer made for this room, this
// action and this visitor, or with a place that the visitor has already; only
// what goes on counts against a limit; and a Redis that is away refuses nobody,
// because new visitors are to be given a signed place then too.
package botguard

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/redis/go-redis/v9"

	"github.com/caddy-tickets/caddy-tickets/caddymodule/ticketsapp"
	"github.com/caddy-tickets/caddy-tickets/internal/clock"
	"github.com/caddy-tickets/caddy-tickets/internal/pow"
	"github.com/caddy-tickets/caddy-tickets/internal/velocity"
)

func init() { caddy.RegisterModule(new(Handler)) }

// Handler guards the entrance of every room behind it.
type Handler struct {
	Settings

	app      *ticketsapp.App
	log      *slog.Logger
	cross    *http.CrossOriginProtection
	redis    redis.UniversalClient // remembered: at clean-up the app may be gone already
	state    *state
	issuer   *pow.Issuer
	work     pow.Work
	rules    map[string][]rule // by action
	waited   *velocity.Rule    // answers that waited, by network
	failures *velocity.Rule    // answers that do not hold, by network
}

// CaddyModule implements caddy.Module.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.botguard", New: func() caddy.Module { return new(Handler) }}
}

// wallClock is a variable so that tests need not wait.
var wallClock = clock.System()

// Provision makes the rules. Nothing is dialled.
func (h *Handler) Provision(ctx caddy.Context) error {
	h.log = ctx.Slogger()
	h.cross = http.NewCrossOriginProtection()
	if err := h.check(); err != nil {
		return fmt.Errorf("botguard: %w", err)
	}
	if err := checkProxies(ctx); err != nil {
		return fmt.Errorf("botguard: %w", err)
	}
	var err error
	if h.app, err = ticketsapp.Find(ctx, "botguard"); err != nil {
		return err
	}
	h.work = h.Settings.work()
	h.issuer = pow.NewIssuer(wallClock, pow.Key{ID: challengeKeyID, Secret: [32]byte(h.app.Secret("botguard challenge"))})
	h.redis = h.app.Redis()
	if h.state, err = acquire(h.redis, h.log); err != nil {
		return fmt.Errorf("botguard: %w", err)
	}
	if err := h.makeRules(); err != nil {
		return fmt.Errorf("botguard: %w", err)
	}
	return h.state.register(ctx.GetMetricsRegistry())
}

// challengeKeyID tells challenges of this master key from those of a later one.
const challengeKeyID = 1

// Cleanup gives back what was taken. It also runs after a failed Provision.
func (h *Handler) Cleanup() error {
	if h.state == nil {
		return nil
	}
	h.state = nil
	return release(h.redis)
}

// checkProxies refuses a server that believes the first address in
// X-Forwarded-For: behind a proxy that appends to the header, which is what
// proxies do, that one is whatever the client wrote.
func checkProxies(ctx caddy.Context) error {
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok {
		return nil
	}
	// The list has been made into a field that is not exported by the time that
	// handlers are provisioned. Whether it is there can be seen all the same; a test
	// holds that it still can.
	list := reflect.ValueOf(server).Elem().FieldByName("trustedProxies")
	trusting := server.TrustedProxiesUnix || (list.IsValid() && !list.IsNil())
	if trusting && server.TrustedProxiesStrict == 0 {
		return errors.New("trusted_proxies without trusted_proxies_strict lets every client choose its own address: " +
			`add the line "trusted_proxies_strict" beside it, in the servers block of the global options`)
	}
	return nil
}

// ServeHTTP guards the entrance and passes on everything else.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	answer := takeHeaders(r.Header)
	v := &visit{h: h, r: r, answer: answer}
	v.room, v.action = target(r)
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		repl.Map(v.placeholder)
		v.repl = repl
	}
	switch {
	case v.action != "":
		return h.guard(w, v, next)
	case !h.challenges():
	case r.URL.Path == challengePath:
		return h.serveChallenge(w, v)
	case r.URL.Path == answerPath:
		return h.serveAnswer(w, v)
	}
	return next.ServeHTTP(w, r)
}

// The headers of this directive. Clients send the answer; a copy of any other
// that comes from outside is somebody's attempt to speak for the edge.
const (
	headerPrefix = "Botguard-"
	headerAnswer = headerPrefix + "Answer"
)

// takeHeaders removes every header of ours and returns the answer.
func takeHeaders(header http.Header) (answer string) {
	for name, values := range header {
		if len(name) < len(headerPrefix) || !strings.EqualFold(name[:len(headerPrefix)], headerPrefix) {
			continue
		}
		if name == headerAnswer {
			answer = strings.Join(values, ",") // two answers are none that holds
		}
		delete(header, name)
	}
	return answer
}

var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.CleanerUpper          = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
