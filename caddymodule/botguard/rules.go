package botguard

import (
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/velocity"
)

// rule is a limit in force.
type rule struct {
	*velocity.Rule
	key string
}

// Names of the limits that every challenge has.
const (
	ruleWaited   = "waited answers {botguard.prefix}"
	ruleFailures = "failed answers {botguard.prefix}"
)

func (h *Handler) makeRules() error {
	secret := h.app.Secret("botguard velocity")
	limiter := h.state.limiter
	h.rules = make(map[string][]rule)
	for _, v := range h.Velocity {
		r, err := limiter.Rule(v.name(), v.Limit, time.Duration(v.Window), secret)
		if err != nil {
			return err
		}
		h.rules[v.Action] = append(h.rules[v.Action], rule{Rule: r, key: v.Key})
	}
	var err error
	if h.waited, err = limiter.Rule(ruleWaited, waitedPerMinute, time.Minute, secret); err != nil {
		return err
	}
	h.failures, err = limiter.Local(ruleFailures, failuresPerMinute, time.Minute)
	return err
}

// within counts the request against the rules of its action, in their order, up to
// the first that refuses it.
func (h *Handler) within(v *visit) verdict {
	for _, r := range h.rules[v.action] {
		if got := h.take(v, r.Rule, v.key(r.key)); got.decision != passed {
			return got
		}
	}
	return verdict{decision: passed}
}

func (h *Handler) take(v *visit, r *velocity.Rule, key string) verdict {
	got := r.Take(v.r.Context(), key)
	if got.Allowed {
		return verdict{decision: passed}
	}
	h.state.limited.WithLabelValues(r.Name(), string(got.By)).Inc()
	return verdict{decision: throttled, retry: got.RetryAfter}
}
