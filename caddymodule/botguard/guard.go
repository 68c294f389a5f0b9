package botguard

import (
	"errors"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-tickets/caddy-tickets/internal/pow"
)

// proofVar is set on a join that may go on, to how it earned that: "solved",
// "waited", or "place" for a visitor who has one. Whoever comes after may read
// it; a second botguard asks for no second answer.
const proofVar = "botguard.proof"

// The values of proofVar.
const (
	proofSolved = "solved"
	proofWaited = "waited"
	proofPlace  = "place"
)

// decision is what becomes of a guarded request.
type decision string

const (
	passed      decision = "passed"
	challenged  decision = "challenged" // has brought no answer yet
	failed      decision = "failed"     // has brought one that does not hold
	throttled   decision = "throttled"
	crossOrigin decision = "cross-origin"
)

// verdict is a decision with its reasons.
type verdict struct {
	decision decision
	err      error         // why the answer does not hold
	retry    time.Duration // when to come back
}

// guard decides about a join or a claim.
func (h *Handler) guard(w http.ResponseWriter, v *visit, next caddyhttp.Handler) error {
	got := h.judge(v)
	mode := modeEnforce
	if !h.enforces() {
		mode = modeMonitor
	}
	h.state.decisions.WithLabelValues(v.action, string(got.decision), mode).Inc()
	logDecision(v.r, got, mode)
	if got.decision == passed || !h.enforces() {
		return next.ServeHTTP(w, v.r)
	}
	return h.refuse(w, v, got)
}

// judge changes nothing that a visitor could see, so that monitoring is harmless.
// What costs us least is looked at first; limits come last, because only what
// goes on counts.
func (h *Handler) judge(v *visit) verdict {
	if v.action == actionJoin && h.challenges() && caddyhttp.GetVar(v.r.Context(), proofVar) == nil {
		if got := h.earned(v); got.decision != passed {
			return got
		}
	}
	return h.within(v)
}

// earned says whether a join has earned to go on.
func (h *Handler) earned(v *visit) verdict {
	if h.cross.Check(v.r) != nil {
		return verdict{decision: crossOrigin} // another site's page would be handed a visitor and a challenge
	}
	tok, known := v.place()
	if tok.Placed() { // it paid for this place before, and joining again finds it
		caddyhttp.SetVar(v.r.Context(), proofVar, proofPlace)
		return verdict{decision: passed}
	}
	if err := v.readForm(); err != nil {
		return verdict{decision: failed, err: pow.ErrMalformed}
	}
	if v.answer == "" {
		return verdict{decision: challenged}
	}
	err := pow.ErrForeign // an answer is for a visitor, and there is none
	if known {
		err = h.issuer.Verify(v.answer, pow.Binding{Room: v.room, Action: pow.Join, Visitor: tok.Visitor})
	}
	proof := proofSolved
	if pow.Waited(v.answer) {
		proof = proofWaited
	}
	if err != nil {
		return h.notEarned(v, err)
	}
	if proof == proofWaited {
		if got := h.take(v, h.waited, v.prefix()); got.decision != passed {
			return got
		}
	}
	h.state.solved.WithLabelValues(proof).Inc()
	caddyhttp.SetVar(v.r.Context(), proofVar, proof)
	return verdict{decision: passed}
}

// notEarned counts an answer that does not hold. Whoever sends many is not told
// what was wrong with the next ones.
func (h *Handler) notEarned(v *visit, err error) verdict {
	h.state.failed.WithLabelValues(reason(err)).Inc()
	if errors.Is(err, pow.ErrTooEarly) { // impatience is no attack
		return verdict{decision: challenged, err: err}
	}
	if got := h.take(v, h.failures, v.prefix()); got.decision != passed {
		return got
	}
	return verdict{decision: failed, err: err}
}

// reason names why an answer does not hold, for the metrics. What is not known
// counts as forged: nothing goes on because an error is new.
func reason(err error) string {
	for _, r := range []struct {
		err  error
		name string
	}{
		{pow.ErrMalformed, "malformed"},
		{pow.ErrForeign, "foreign"},
		{pow.ErrExpired, "expired"},
		{pow.ErrTooEarly, "early"},
		{pow.ErrWrong, "wrong"},
	} {
		if errors.Is(err, r.err) {
			return r.name
		}
	}
	return "forged"
}

// logDecision leaves the decision in the access log. The visitor and the address
// are not added: the log has what its operator chose of them.
func logDecision(r *http.Request, got verdict, mode string) {
	extra, ok := r.Context().Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields)
	if !ok {
		return
	}
	extra.Set(zap.String("botguard", string(got.decision)))
	if mode == modeMonitor {
		extra.Set(zap.String("botguard_mode", mode))
	}
	if got.err != nil {
		extra.Set(zap.String("botguard_reason", reason(got.err)))
	}
}
