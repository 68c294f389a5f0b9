package waitroom

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-tickets/caddy-tickets/internal/pass"
	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

// Headers between the edge and the site behind.
const (
	headerVisitor = "Waitroom-Visitor" // to the site: who it is
	headerPass    = "Waitroom-Pass"    // to the site: the pass itself
	headerRelease = "Waitroom-Release" // from the site: "1" ends the session
)

// releasePatience bounds the end of a session: the visitor's answer waits for it.
const releasePatience = 500 * time.Millisecond

// guardedVar marks a request that a gate has let in, and with a room's name behind
// it one that the gate of this room has.
const guardedVar = "waitroom.guarded"

// dropHeaders takes away what only the edge may say, unless a gate before this
// handler has just said it.
func dropHeaders(r *http.Request) {
	if caddyhttp.GetVar(r.Context(), guardedVar) == nil {
		r.Header.Del(headerVisitor)
		r.Header.Del(headerPass)
	}
	keepHeaders(r)
}

// keepHeaders takes away a client's other ways to meddle with them: what it names
// in Connection is dropped by every proxy, and trailers come after all was looked at.
func keepHeaders(r *http.Request) {
	r.Trailer = nil
	for _, line := range r.Header["Connection"] {
		if strings.Contains(strings.ToLower(line), "waitroom-") {
			r.Header.Del("Connection")
			return
		}
	}
}

// gate lets a visitor with a valid pass through, and nobody else.
func (h *Handler) gate(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	mine := guardedVar + "." + h.Room
	if caddyhttp.GetVar(r.Context(), mine) != nil {
		return next.ServeHTTP(w, r) // an outer gate of this room has just looked
	}
	token, claims, err := h.pass(r)
	if err == nil {
		h.app.Count(h.Room, "pass", "valid")
		in := &inside{token: token, visitor: claims.Visitor}
		h.renew(r, &claims, in)
		return h.through(w, r, next, in)
	}
	dropHeaders(r)
	h.app.Count(h.Room, "pass", outcome(err))
	entered, tok := h.enter(r)
	if entered != nil {
		return h.through(w, r, next, entered)
	}
	return h.outside(w, r, err, tok)
}

// through hands the request of a visitor with a session to what is guarded.
func (h *Handler) through(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, in *inside) error {
	caddyhttp.SetVar(r.Context(), guardedVar, true)
	caddyhttp.SetVar(r.Context(), guardedVar+"."+h.Room, true)
	dropCookies(r, h.Room)
	r.Header.Set(headerVisitor, in.visitor)
	r.Header.Set(headerPass, in.token)
	keepHeaders(r)
	in.ResponseWriterWrapper, in.h, in.r = &caddyhttp.ResponseWriterWrapper{ResponseWriter: w}, h, r
	err := next.ServeHTTP(in, r)
	if err != nil { // the error's own page is written past this one, with the same headers
		in.begin()
	}
	return err
}

// pass is the pass of a request, if it holds here and now. No Redis call is made.
func (h *Handler) pass(r *http.Request) (string, pass.Claims, error) {
	c, err := r.Cookie(passCookie(h.Room, r))
	if err != nil {
		return "", pass.Claims{}, pass.ErrMissing
	}
	claims, err := h.app.Verifier().Verify(c.Value, h.Room)
	switch {
	case err != nil:
		return "", pass.Claims{}, err
	case claims.Binding != binding(r):
		return "", pass.Claims{}, errStolen
	case h.room.Revoked(claims.Visitor, claims.IssuedAt):
		return "", pass.Claims{}, errEnded
	}
	h.room.Inside(claims.Visitor, claims.IssuedAt, claims.Expires)
	return c.Value, claims, nil
}

var (
	errStolen = errors.New("pass used by another client than it was given to")
	errEnded  = errors.New("session ended")
)

// outcome names why a pass was refused, for the metrics.
func outcome(err error) string {
	for _, o := range []struct {
		err  error
		name string
	}{
		{pass.ErrMissing, "missing"},
		{pass.ErrExpired, "expired"},
		{pass.ErrForeign, "foreign"},
		{pass.ErrForged, "forged"},
		{pass.ErrNotYet, "not-yet"},
		{errStolen, "stolen"},
		{errEnded, "ended"},
	} {
		if errors.Is(err, o.err) {
			return o.name
		}
	}
	return "malformed"
}

// binding ties a pass to the kind of browser that claimed it. It is no proof, it
// only makes a pass that was copied elsewhere useless without copying this too.
func binding(r *http.Request) string {
	sum := sha256.Sum256([]byte(r.UserAgent()))
	return base64.RawURLEncoding.EncodeToString(sum[:9]) // 72 bits
}

// inside watches the answer to a visitor with a pass: a session that begins here is
// handed over with it, and the site behind may end the session with it.
type inside struct {
	*caddyhttp.ResponseWriterWrapper
	h       *Handler
	r       *http.Request
	visitor string
	token   string    // the pass
	fresh   *handover // nil for a pass that the visitor has already
	begun   bool
}

// WriteHeader takes the release out of the headers before they are sent.
func (i *inside) WriteHeader(status int) {
	if status >= http.StatusOK || status == http.StatusSwitchingProtocols {
		i.begin()
	}
	i.ResponseWriterWrapper.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (i *inside) Write(b []byte) (int, error) {
	i.begin()
	return i.ResponseWriterWrapper.Write(b)
}

// ReadFrom implements io.ReaderFrom; the wrapper's own would pass by Write.
func (i *inside) ReadFrom(from io.Reader) (int64, error) {
	i.begin()
	return i.ResponseWriterWrapper.ReadFrom(from)
}

// Flush sends the headers, if they are not sent yet.
func (i *inside) Flush() {
	i.begin()
	_ = http.NewResponseController(i.ResponseWriter).Flush() // a writer that cannot flush sends later
}

func (i *inside) begin() {
	if i.begun {
		return
	}
	i.begun = true
	if i.fresh != nil {
		i.fresh.give(i)
	}
	asked, ok := i.Header()[headerRelease]
	if !ok {
		return
	}
	i.Header().Del(headerRelease)
	if len(asked) == 1 && asked[0] == "1" {
		i.h.release(i.ResponseWriter, i.r, i.visitor)
	}
}

// release ends a session: its slot goes to the next in line.
func (h *Handler) release(w http.ResponseWriter, r *http.Request, visitor string) {
	h.setPass(w, r, "", 0)
	v, err := place.ParseVisitor(visitor)
	if err != nil {
		return // our own signature is on it; it cannot be
	}
	h.setPlace(w, r, place.Token{Visitor: v}) // the place is used up
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), releasePatience)
	defer cancel()
	if err := h.room.Release(ctx, v); err != nil {
		// The slot comes free when the session would have ended anyway.
		h.log.Warn("a session could not be ended early", "room", h.Room, "error", err)
		h.app.Count(h.Room, "release", "failed")
		return
	}
	h.app.Count(h.Room, "release", "done")
}
