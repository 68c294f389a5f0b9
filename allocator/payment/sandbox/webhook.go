package sandbox

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-tickets/caddy-tickets/allocator/payment"
)

const (
	// tolerance is how old a webhook may be: what stripe-go allows, 300 s.
	tolerance = 300 * time.Second
	// maxWebhook bounds the body.
	maxWebhook = 64 << 10
	// webhookTries and webhookPause: a webhook that is not taken comes again.
	webhookTries = 8
	webhookPause = 500 * time.Millisecond
	// webhookSenders bounds those that are on their way at once. One that is not
	// taken keeps its sender, as it would keep a connection.
	webhookSenders = 16
	// webhookQueue bounds those that wait to be sent; beyond it they are lost, as
	// webhooks may be.
	webhookQueue = 10_000
)

// hint is the body of a webhook. It says that something changed, not what to do.
type hint struct {
	ID      string `json:"id"`
	Payment string `json:"payment"`
	Booking string `json:"booking"`
	Status  string `json:"status"`
}

// Sign makes the signature of a body: "t=<unix>,v1=<hex HMAC-SHA256 of t.body>".
func Sign(secret, body []byte, at time.Time) string {
	t := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, secret)
	_, _ = fmt.Fprintf(mac, "%s.%s", t, body) // a hash does not fail
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

// ParseWebhook implements payment.Provider.
func (p *Provider) ParseWebhook(body []byte, signature string, now time.Time) (payment.Event, error) {
	if len(p.o.Secret) == 0 || len(body) > maxWebhook { // without a secret anybody could sign
		return payment.Event{}, payment.ErrSignature
	}
	t, _, ok := strings.Cut(strings.TrimPrefix(signature, "t="), ",")
	seconds, err := strconv.ParseInt(t, 10, 64)
	if !ok || err != nil {
		return payment.Event{}, payment.ErrSignature
	}
	at := time.Unix(seconds, 0)
	if !hmac.Equal([]byte(signature), []byte(Sign(p.o.Secret, body, at))) {
		return payment.Event{}, payment.ErrSignature
	}
	if age := now.Sub(at); age > tolerance || age < -tolerance {
		return payment.Event{}, payment.ErrSignature
	}
	var h hint
	if err := json.Unmarshal(body, &h); err != nil || h.ID == "" || h.Payment == "" || h.Booking == "" {
		return payment.Event{}, payment.ErrSignature
	}
	return payment.Event{ID: h.ID, Payment: h.Payment, Booking: h.Booking}, nil
}

// webhooks sends hints in goroutines of its own, and looks after pending payments
// that decide themselves.
type webhooks struct {
	provider *Provider
	queue    chan queued
	stop     context.CancelFunc
	running  sync.WaitGroup

	mu   sync.Mutex
	held *queued // the first of a pair, with Options.Reversed; guarded by mu
}

// queued is a hint that is not sent before its time.
type queued struct {
	hint hint
	due  time.Time
}

func newWebhooks(p *Provider) *webhooks {
	ctx, stop := context.WithCancel(context.Background())
	w := &webhooks{provider: p, queue: make(chan queued, webhookQueue), stop: stop}
	if p.o.Deliver != nil {
		for range webhookSenders {
			w.running.Go(func() { w.send(ctx) })
		}
		w.running.Go(func() { w.watch(ctx) })
	}
	return w
}

func (w *webhooks) close() {
	w.stop()
	w.running.Wait()
}

// note queues the hint of a change. It never waits.
func (w *webhooks) note(p payment.Payment) {
	if w == nil || w.provider.o.Deliver == nil {
		return
	}
	next := queued{
		hint: hint{ID: "ev_" + uuid.NewString(), Payment: p.ID, Booking: p.Booking, Status: string(p.Status)},
		due:  w.provider.o.Clock.Now().Add(w.provider.o.Late),
	}
	for _, q := range w.order(next) {
		for range w.copies() {
			select {
			case w.queue <- q:
			default:
			}
		}
	}
}

// order is what is to be sent now that another hint is there.
func (w *webhooks) order(next queued) []queued {
	if !w.provider.o.Reversed {
		return []queued{next}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.held == nil {
		w.held = &next
		return nil
	}
	first := *w.held
	w.held = nil
	return []queued{next, first}
}

func (w *webhooks) copies() int {
	if w.provider.o.Twice {
		return 2
	}
	return 1
}

func (w *webhooks) send(ctx context.Context) {
	for {
		select {
		case q := <-w.queue:
			if wait := q.due.Sub(w.provider.o.Clock.Now()); wait > 0 && w.provider.wait(ctx, wait) != nil {
				return
			}
			w.deliver(ctx, q.hint)
		case <-ctx.Done():
			return
		}
	}
}

func (w *webhooks) deliver(ctx context.Context, h hint) {
	body, err := json.Marshal(h)
	if err != nil {
		return // strings only; it cannot be
	}
	for try := range webhookTries {
		signature := Sign(w.provider.o.Secret, body, w.provider.o.Clock.Now())
		if w.provider.o.Deliver(ctx, body, signature) == nil || w.provider.wait(ctx, webhookPause<<try) != nil {
			return
		}
	}
}

// watch decides pending payments in time, so that their webhooks are sent although
// nobody asks.
func (w *webhooks) watch(ctx context.Context) {
	for w.provider.wait(ctx, time.Second) == nil {
		w.provider.mu.Lock()
		for _, r := range w.provider.payments {
			if r.Status == payment.Pending {
				w.provider.ripeLocked(r)
			}
		}
		w.provider.mu.Unlock()
	}
}
