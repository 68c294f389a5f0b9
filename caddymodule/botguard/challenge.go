package botguard

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/pow"
	"github.com/caddy-tickets/caddy-tickets/internal/problem"
	"github.com/caddy-tickets/caddy-tickets/internal/rediskey"
)

// The endpoints of this directive. Both take the room as a query parameter.
const (
	challengePath = "/.botguard/challenge"
	answerPath    = "/.botguard/answer"
)

// challenge is what a client is asked for. Package pow documents the token.
type challenge struct {
	Token   string `json:"token"`
	Puzzles int    `json:"puzzles"`
	Bits    int    `json:"bits"`
	Wait    int    `json:"wait"` // seconds until the token with ".wait" is an answer
	Life    int    `json:"life"` // seconds until nothing is
}

// issue makes a challenge for the visitor, who is given an id if there is none.
func (h *Handler) issue(w http.ResponseWriter, v *visit) (challenge, error) {
	tok, err := h.app.VisitorOf(w, v.r, v.room)
	if err != nil {
		return challenge{}, err
	}
	// An answer that came too early is worth something in a moment: it stays the
	// challenge, and the time that has passed is not lost.
	if left, ok := h.left(v, tok); ok {
		return h.form(pow.TokenOf(v.answer), left), nil
	}
	token, err := h.issuer.Issue(pow.Binding{Room: v.room, Action: pow.Join, Visitor: tok.Visitor}, h.work)
	if err != nil {
		return challenge{}, err
	}
	h.state.issued.Inc()
	return h.form(token, h.work.Wait), nil
}

// left is how long the answer of the request is too early.
func (h *Handler) left(v *visit, tok place.Token) (time.Duration, bool) {
	if !pow.Waited(v.answer) {
		return 0, false
	}
	left := h.issuer.Remaining(pow.TokenOf(v.answer), pow.Binding{Room: v.room, Action: pow.Join, Visitor: tok.Visitor})
	return left, left > 0
}

func (h *Handler) form(token string, wait time.Duration) challenge {
	return challenge{
		Token: token, Puzzles: h.work.Count, Bits: h.work.Bits,
		Wait: wholeSeconds(wait), Life: wholeSeconds(h.work.Life),
	}
}

// wholeSeconds rounds up: asking too early helps nobody.
func wholeSeconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// serveChallenge gives a challenge before it is needed, so that a page can have
// it solved by the time its visitor wants to join.
func (h *Handler) serveChallenge(w http.ResponseWriter, v *visit) error {
	if v.r.Method != http.MethodGet {
		return refuseMethod(w, http.MethodGet)
	}
	// A GET gives a cookie here, which no page of another site shall cause.
	if v.r.Header.Get("Sec-Fetch-Site") == "cross-site" {
		return refuse(w, problemCrossOrigin)
	}
	if !v.roomFromQuery() {
		return refuse(w, problemNoRoom)
	}
	c, err := h.issue(w, v)
	if err != nil {
		return err
	}
	noStore(w)
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(c)
}

// serveAnswer tries an answer without joining: 204 if it holds. Nothing is used up.
func (h *Handler) serveAnswer(w http.ResponseWriter, v *visit) error {
	switch {
	case v.r.Method != http.MethodPost:
		return refuseMethod(w, http.MethodPost)
	case h.cross.Check(v.r) != nil:
		return refuse(w, problemCrossOrigin)
	case !v.roomFromQuery():
		return refuse(w, problemNoRoom)
	}
	v.action = actionJoin
	tok, known := v.place()
	err := v.readForm()
	if err == nil && v.answer != "" {
		err = pow.ErrForeign
		if known {
			err = h.issuer.Verify(v.answer, pow.Binding{Room: v.room, Action: pow.Join, Visitor: tok.Visitor})
		}
	}
	switch {
	case err != nil:
		return h.refuse(w, v, h.notEarned(v, err))
	case v.answer == "":
		return h.refuse(w, v, verdict{decision: challenged})
	}
	noStore(w)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (v *visit) roomFromQuery() bool {
	v.room = v.r.URL.Query().Get("room")
	return rediskey.CheckName(v.room) == nil
}

func noStore(w http.ResponseWriter) { w.Header().Set("Cache-Control", "no-store") }

// refuse answers what may not go on: a person with a page, a script with a problem.
func (h *Handler) refuse(w http.ResponseWriter, v *visit, got verdict) error {
	switch got.decision {
	case throttled:
		if v.wantsPage() {
			return showPage(w, http.StatusTooManyRequests, page{Busy: true, Seconds: wholeSeconds(got.retry), Action: v.r.URL.RequestURI(), Answer: v.answer}, got.retry)
		}
		return refuse(w, problemTooMany.After(got.retry))
	case crossOrigin:
		return refuse(w, problemCrossOrigin)
	case challenged, failed, passed:
	}
	c, err := h.issue(w, v)
	if err != nil {
		return err
	}
	if v.wantsPage() {
		return showPage(w, http.StatusForbidden, page{
			Early: errors.Is(got.err, pow.ErrTooEarly), Failed: got.decision == failed, Expired: errors.Is(got.err, pow.ErrExpired),
			Seconds: c.Wait, Action: v.r.URL.RequestURI(), Answer: pow.WaitAnswer(c.Token),
		}, 0)
	}
	return refuse(w, problemFor(got.err, c).With("challenge", c))
}

// problemFor says what is wrong with an answer, or that there is none.
func problemFor(err error, c challenge) *problem.Problem {
	switch {
	case err == nil:
		return problemRequired
	case errors.Is(err, pow.ErrTooEarly):
		return problemEarly.After(time.Duration(c.Wait) * time.Second)
	case errors.Is(err, pow.ErrExpired):
		return problemExpired
	}
	return problemFailed
}
