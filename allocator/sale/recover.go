package sale

import (
	"context"
	"errors"
	"fmt"

	"github.com/caddy-tickets/caddy-tickets/allocator"
	"github.com/caddy-tickets/caddy-tickets/allocator/payment"
)

// recoverBatch is how many bookings one round of recovery looks at.
const recoverBatch = 50

// Recover takes on every booking that stands still: whoever was working on it is
// gone. It returns how many it looked at. Any number of processes may run it.
func (s *Sale) Recover(ctx context.Context) (int, error) {
	stuck, err := s.deps.Store.Unfinished(ctx, s.deps.Clock.Now().Add(-resumeAfter), recoverBatch)
	if err != nil {
		return 0, err
	}
	var errs []error
	for _, b := range stuck {
		if ctx.Err() != nil {
			break
		}
		after, err := s.resume(ctx, b)
		if err != nil {
			errs = append(errs, fmt.Errorf("recovering %s: %w", b.ID, err))
			continue
		}
		if after.State != b.State {
			s.metrics.recovered.WithLabelValues(string(after.State)).Inc()
			s.deps.Log.Info("a booking that stood still was finished", "booking", b.ID, "from", b.State, "to", after.State)
		}
	}
	return len(stuck), errors.Join(errs...)
}

func (s *Sale) resume(ctx context.Context, b *allocator.Booking) (*allocator.Booking, error) {
	if s.deps.Clock.Now().After(b.Deadline) {
		return s.expire(ctx, b)
	}
	if b.PaymentID == "" {
		return s.pay(ctx, b)
	}
	p, err := s.ask(ctx, b)
	return s.settle(ctx, b, p, err)
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
	if b.State == allocator.Claimed || b.State == allocator.Authorising {
		call, cancel := context.WithTimeout(ctx, providerTimeout)
		defer cancel()
		p, err := s.deps.Provider.Get(call, event.Payment)
		if err != nil {
			return fmt.Errorf("reading the payment of a webhook: %w", err)
		}
		if _, err := s.settle(ctx, b, p, nil); err != nil {
			return err
		}
	}
	if b.State == allocator.Declined || b.State == allocator.Expired {
		if err := s.letGo(ctx, b, event.Payment); err != nil {
			return err
		}
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

// letGo cancels a payment that came to life after its booking had ended, so that no
// money stays reserved for nothing.
func (s *Sale) letGo(ctx context.Context, b *allocator.Booking, id string) error {
	call, cancel := context.WithTimeout(ctx, providerTimeout)
	defer cancel()
	p, err := s.deps.Provider.Get(call, id)
	if err != nil {
		return fmt.Errorf("reading the payment of a webhook: %w", err)
	}
	if p.Booking != b.ID || p.Status != payment.Authorised && p.Status != payment.Pending {
		return nil
	}
	s.deps.Log.Warn("a payment came after its booking had ended and is cancelled", "booking", b.ID, "payment", id)
	if _, err := s.deps.Provider.Cancel(call, id, fmt.Sprintf("b:%s:cancel", b.ID)); err != nil {
		return fmt.Errorf("cancelling a late payment: %w", err)
	}
	return nil
}
