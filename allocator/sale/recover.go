package sale

import (
	"context"
	"errors"
	"fmt"

	"github.com/caddy-tickets/caddy-tickets/allocator"
	"github.com/caddy-tickets/caddy-tickets/allocator/payment"
)

const (
	// recoverBatch is how many bookings one round of recovery looks at.
	recoverBatch = 50
	// recoverWorkers are looked at at once: a provider that hangs for one booking
	// must not keep all others waiting.
	recoverWorkers = 8
)

// Recover takes on every booking that stands still: whoever was working on it is
// gone. It returns how many it looked at. Any number of processes may run it.
func (s *Sale) Recover(ctx context.Context) (int, error) {
	stuck, err := s.deps.Store.Unfinished(ctx, s.deps.Clock.Now().Add(-resumeAfter), recoverBatch)
	if err != nil {
		return 0, err
	}
	return len(stuck), sideBySide(recoverWorkers, stuck, func(b *allocator.Booking) error {
		if ctx.Err() != nil {
			return nil // the process ends; the next one goes on
		}
		after, err := s.resume(ctx, b)
		if err != nil {
			return fmt.Errorf("recovering %s: %w", b.ID, err)
		}
		if after.State != b.State {
			s.metrics.recovered.WithLabelValues(string(after.State)).Inc()
			s.deps.Log.Info("a booking that stood still was taken on", "booking", b.ID, "from", b.State, "to", after.State)
		}
		return nil
	})
}

// ask reads the payment of a booking.
func (s *Sale) ask(ctx context.Context, b *allocator.Booking) (payment.Payment, error) {
	call, cancel := context.WithTimeout(ctx, providerTimeout)
	defer cancel()
	return s.deps.Provider.Get(call, b.PaymentID)
}

// expire ends a booking whose time is over: the payment is cancelled first, and
// if that comes too late because it succeeded, the booking is completed instead.
func (s *Sale) expire(ctx context.Context, b *allocator.Booking) (*allocator.Booking, error) {
	if b.State == allocator.Claimed {
		// No provider was called, and none can be any more: the call follows only
		// from this state, which is left here.
		next := *b
		next.Reason = "deadline"
		moved, err := s.advance(ctx, &next, allocator.Expired, allocator.Claimed)
		if err != nil || !moved {
			return s.reread(ctx, b, err)
		}
		return &next, nil
	}
	call, cancel := context.WithTimeout(ctx, providerTimeout)
	defer cancel()
	id := b.PaymentID
	if id == "" {
		// The call may have been lost, or may still be on its way. Repeating it
		// makes the payment known for sure, and a known one can be cancelled.
		p, err := s.authorise(ctx, b, true)
		if err != nil {
			return s.settle(ctx, b, p, err)
		}
		if p.Status == payment.Declined || p.Status == payment.Cancelled {
			return s.settle(ctx, b, p, nil)
		}
		id = p.ID
	}
	p, err := s.deps.Provider.Cancel(call, id, fmt.Sprintf("b:%s:cancel", b.ID))
	if errors.Is(err, payment.ErrTooLate) {
		p, err = s.deps.Provider.Get(call, id)
	}
	return s.settle(ctx, b, p, err)
}

// ErrWebhookEarly says that the booking of a webhook is not known yet: it is to
// be sent again.
var ErrWebhookEarly = errors.New("webhook for a booking that is not known yet")

// Webhook takes in what a provider sent. It is only a hint to look: the payment is
// read again, and what follows is a compare-and-set, so that webhooks may come
// twice, late and in any order. Errors: payment.ErrSignature, ErrWebhookEarly,
// and whatever a later try may mend.
func (s *Sale) Webhook(ctx context.Context, body []byte, signature string) error {
	event, err := s.deps.Provider.ParseWebhook(body, signature, s.deps.Clock.Now())
	if err != nil {
		s.metrics.webhooks.WithLabelValues("refused").Inc()
		return err
	}
	b, err := s.deps.Store.Booking(ctx, event.Booking)
	if errors.Is(err, allocator.ErrBookingUnknown) {
		s.metrics.webhooks.WithLabelValues("early").Inc()
		return ErrWebhookEarly
	}
	if err != nil {
		return err
	}
	if err := s.hinted(ctx, b, event.Payment); err != nil {
		s.metrics.webhooks.WithLabelValues("failed").Inc()
		return err
	}
	fresh, err := s.deps.Webhooks.NoteWebhook(ctx, s.deps.Provider.Name(), event.ID)
	if err != nil {
		return err
	}
	if fresh {
		s.metrics.webhooks.WithLabelValues("done").Inc()
	} else {
		s.metrics.webhooks.WithLabelValues("again").Inc()
	}
	return nil
}

// hinted looks at a booking because a payment of it is said to have changed.
func (s *Sale) hinted(ctx context.Context, b *allocator.Booking, id string) error {
	switch {
	case ended(b):
		return s.letGo(ctx, b, id)
	case b.State != allocator.Claimed && b.State != allocator.Authorising:
		return nil // sold: what is left to do is in the outbox
	case s.deps.Clock.Now().After(b.Deadline):
		_, err := s.resume(ctx, b) // as recovery would, and no sooner
		return err
	}
	call, cancel := context.WithTimeout(ctx, providerTimeout)
	defer cancel()
	p, err := s.deps.Provider.Get(call, id)
	if err != nil {
		return fmt.Errorf("reading the payment of a webhook: %w", err)
	}
	_, err = s.settle(ctx, b, p, nil)
	return err
}

// ended says that nothing came of a booking.
func ended(b *allocator.Booking) bool {
	return b.State == allocator.Declined || b.State == allocator.Expired
}

// letGo cancels a payment that came to life after its booking had ended, so that no
// money stays reserved for nothing.
func (s *Sale) letGo(ctx context.Context, b *allocator.Booking, id string) error {
	call, cancel := context.WithTimeout(ctx, providerTimeout)
	defer cancel()
	p, err := s.deps.Provider.Get(call, id)
	if err != nil {
		return fmt.Errorf("reading the payment of a booking that has ended: %w", err)
	}
	if p.Booking != b.ID || p.Status == payment.Cancelled || p.Status == payment.Declined {
		return nil
	}
	if p.Status != payment.Succeeded {
		_, err = s.deps.Provider.Cancel(call, id, fmt.Sprintf("b:%s:cancel", b.ID))
	}
	switch {
	case p.Status == payment.Succeeded, errors.Is(err, payment.ErrTooLate):
		// We capture only what is sold, so it was captured by hand, or elsewhere.
		s.metrics.attention.Inc()
		s.deps.Log.Error("money was taken for a booking that has ended; give it back", "booking", b.ID, "payment", id)
		return nil
	case err != nil:
		return fmt.Errorf("cancelling the payment of a booking that has ended: %w", err)
	}
	s.deps.Log.Warn("a payment came after its booking had ended and was cancelled", "booking", b.ID, "payment", id)
	return nil
}
