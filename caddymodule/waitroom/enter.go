package waitroom

import (
	"crypto/rand"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/queue"
	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

// enter begins a session for a visitor who opens a page while nobody waits and there
// is room inside. Nil means the waiting room; made is then the visitor that was made
// for the attempt, if one was: should Redis' answer have been lost, the session is
// found by joining as this one.
func (h *Handler) enter(r *http.Request) (in *inside, made place.Token) {
	if !h.room.PassesThrough() || h.room.View().State != room.Open || !h.comesIn(r) {
		return nil, place.Token{}
	}
	who, known := h.placeOf(r)
	if !known {
		v, err := place.NewVisitor(rand.Reader)
		if err != nil {
			return nil, place.Token{}
		}
		who.Visitor, made.Visitor = v, v
	}
	session, token, err := h.begin(r, who)
	if err != nil {
		return nil, made
	}
	return &inside{token: token, visitor: who.Visitor.String(), fresh: &handover{
		place: unplaced(who), life: session.Expires.Sub(session.Issued),
	}}, made
}

// begin begins a session without a turn, and makes its pass.
func (h *Handler) begin(r *http.Request, who place.Token) (session room.Claim, token string, err error) {
	if session, err = h.room.Enter(r.Context(), who); err == nil {
		token, err = h.sign(r, who.Visitor, session)
	}
	h.app.Count(h.Room, "enter", entering(err, session.Again))
	return session, token, err
}

// comesIn says whether a request is one that a session begins with: a page that
// somebody opens. A HEAD opens none; monitors that send it would fill the site.
// Whoever is suspected stands in the queue, where there is one.
func (h *Handler) comesIn(r *http.Request) bool {
	suspect, _ := caddyhttp.GetVar(r.Context(), deprioritiseVar).(bool)
	return (!suspect || h.rejects()) && r.Method != http.MethodHead && opensPage(r)
}

// entering names what became of it, for the metrics.
func entering(err error, again bool) string {
	switch {
	case err == nil && again:
		return "again"
	case err == nil:
		return "passed"
	case errors.Is(err, queue.ErrNoRoom):
		return "queued"
	case errors.Is(err, queue.ErrNotYet):
		return "placed"
	}
	return "unavailable"
}

// handover gives a pass to its visitor, with whatever answer is sent.
type handover struct {
	place place.Token // of a session that begins: without a place, none is needed inside
	life  time.Duration
}

func (o *handover) give(i *inside) {
	if o.place != (place.Token{}) {
		i.h.setPlace(i.ResponseWriter, i.r, o.place)
	}
	i.h.setPass(i.ResponseWriter, i.r, i.token, o.life)
	keepPrivate(i.Header())
}

// keepPrivate keeps an answer that carries a pass out of caches that others are
// answered from: they would be let in with it.
func keepPrivate(header http.Header) {
	for _, name := range []string{"Expires", "Surrogate-Control", "CDN-Cache-Control", "Cloudflare-CDN-Cache-Control"} {
		header.Del(name)
	}
	said := strings.ToLower(strings.Join(header.Values("Cache-Control"), ","))
	if !strings.Contains(said, "no-store") {
		header.Set("Cache-Control", "private, no-cache")
	}
}
