package httpapi

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/mail"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/caddy-tickets/caddy-tickets/allocator"
	"github.com/caddy-tickets/caddy-tickets/allocator/sale"
	"github.com/caddy-tickets/caddy-tickets/internal/pass"
	"github.com/caddy-tickets/caddy-tickets/internal/problem"
)

// checkoutLock is how long a try may take before another with the same key takes
// over: longer than the provider is waited for.
const checkoutLock = 30 * time.Second

// checkoutRequest is how a fan pays.
type checkoutRequest struct {
	Method string          `json:"method"`
	Buyer  allocator.Buyer `json:"buyer"`
}

func (c *checkoutRequest) check() error {
	c.Buyer.Name, c.Buyer.Email = strings.TrimSpace(c.Buyer.Name), strings.TrimSpace(c.Buyer.Email)
	address, err := mail.ParseAddress(c.Buyer.Email)
	switch {
	case !plain(c.Method, 64) || strings.Contains(c.Method, " "):
		return malformed("The method must be the payment provider's token.")
	case !plain(c.Buyer.Name, maxText):
		return malformed("The buyer's name must have 1 to 200 bytes, without line breaks.")
	case err != nil || address.Address != c.Buyer.Email || len(c.Buyer.Email) > maxText:
		return malformed("The buyer's email is no address such as ada@example.org.")
	}
	return nil
}

func plain(s string, most int) bool {
	return s != "" && len(s) <= most && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

func (a *api) postCheckout(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("hold")
	who, err := a.holderOf(r, id)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	key, err := keyOf(r)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	var ask checkoutRequest
	body, err := read(w, r, &ask)
	if err == nil {
		err = ask.check()
	}
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	once := allocator.IdempotencyKey{
		Scope: who.Visitor, Key: key, Fingerprint: fingerprint(http.MethodPost, "/v1/holds/"+id+"/checkout", body),
	}
	a.once(w, r, once, func(ctx context.Context) (int, any, error) {
		b, err := a.Sale.Checkout(ctx, id, who.Visitor, key, sale.Payment{Method: ask.Method, Buyer: ask.Buyer})
		if err != nil {
			return 0, nil, err
		}
		switch b.State {
		case allocator.Declined:
			return 0, nil, problemDeclined.With("reason", b.Reason).With("bookingId", b.ID)
		case allocator.Expired:
			return 0, nil, problemPaymentExpired.With("bookingId", b.ID)
		case allocator.Claimed, allocator.Authorising:
			w.Header().Set("Retry-After", "1")
			return http.StatusAccepted, bookingOf(b), nil
		case allocator.BookedState, allocator.Captured, allocator.Attention:
		}
		return http.StatusCreated, bookingOf(b), nil
	})
}

// fingerprint tells two requests with one key apart.
func fingerprint(method, path string, body []byte) [32]byte {
	h := sha256.New()
	for _, part := range [][]byte{[]byte(method), {0}, []byte(path), {0}, body} {
		_, _ = h.Write(part) // a hash does not fail
	}
	return [32]byte(h.Sum(nil))
}

// once does something once for a key, and answers every repeat with the first
// answer. What may be different in a moment (not decided yet, or a server missing) is
// not kept.
func (a *api) once(w http.ResponseWriter, r *http.Request, k allocator.IdempotencyKey, do func(ctx context.Context) (int, any, error)) {
	stored, err := a.Idempotency.Reserve(r.Context(), k, checkoutLock)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	if stored != nil {
		w.Header().Set("Idempotent-Replayed", "true")
		if stored.Status >= http.StatusBadRequest {
			w.Header().Set("Content-Type", problem.ContentType)
		}
		sendBody(w, stored.Status, stored.Body)
		return
	}
	// A fan who closes the page must not stop a payment in the middle.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), checkoutLock)
	defer cancel()
	status, doc, err := do(ctx)
	if err != nil {
		a.refused(ctx, w, r, k, err)
		return
	}
	body, err := json.Marshal(doc)
	if err != nil {
		a.refused(ctx, w, r, k, err)
		return
	}
	if status == http.StatusAccepted {
		a.forget(ctx, k)
	} else {
		a.keep(ctx, k, allocator.StoredReply{Status: status, Body: body})
	}
	sendBody(w, status, body)
}

// refused answers with a problem, and keeps it if it is final.
func (a *api) refused(ctx context.Context, w http.ResponseWriter, r *http.Request, k allocator.IdempotencyKey, err error) {
	p := refusal(err)
	if p.RetryAfter > 0 || p.Status >= http.StatusInternalServerError {
		a.forget(ctx, k)
		a.refuse(w, r, err)
		return
	}
	kept := &recorder{header: make(http.Header)}
	problem.Write(kept, p)
	a.keep(ctx, k, allocator.StoredReply{Status: kept.status, Body: kept.body})
	a.refuse(w, r, err)
}

// keep and forget may fail: then the lock ends by itself, and a repeat goes on
// where this try stopped, with the same outcome.
func (a *api) keep(ctx context.Context, k allocator.IdempotencyKey, reply allocator.StoredReply) {
	if err := a.Idempotency.Finish(ctx, k, reply); err != nil {
		a.Log.Warn("an answer could not be kept for a repeat", "error", err)
	}
}

func (a *api) forget(ctx context.Context, k allocator.IdempotencyKey) {
	if err := a.Idempotency.Abandon(ctx, k); err != nil {
		a.Log.Warn("a try could not be given up; it ends by itself", "error", err)
	}
}

// recorder keeps a problem document as it is written.
type recorder struct {
	header http.Header
	status int
	body   []byte
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(b []byte) (int, error) { r.body = append(r.body, b...); return len(b), nil }

func (a *api) getBooking(w http.ResponseWriter, r *http.Request) {
	// The room is not known before the booking is, so the pass is verified against
	// the booking's event; whose it is decides the visitor in it. Nobody learns
	// whether a booking exists without a pass that was good for its room.
	if !hasPass(r) {
		a.refuse(w, r, pass.ErrMissing)
		return
	}
	b, err := a.Sale.Find(r.Context(), r.PathValue("booking"))
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	who, err := a.holderOf(r, b.HoldID)
	if err == nil && who.Visitor != b.Holder || refusal(err) == problemPassRequired {
		err = allocator.ErrBookingUnknown
	}
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	send(w, http.StatusOK, bookingOf(b))
}

func (a *api) postWebhook(w http.ResponseWriter, r *http.Request) {
	if r.PathValue("provider") != a.Provider {
		problem.Write(w, problemNotFound)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		err = problemTooLarge
	case err != nil:
		err = malformed("The body ended early.")
	default:
		err = a.Sale.Webhook(r.Context(), body, r.Header.Get("Webhook-Signature"))
	}
	if err != nil {
		a.refuse(w, r, err) // 5xx and 409 make the provider send it again
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
