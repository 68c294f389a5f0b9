package sale

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-tickets/caddy-tickets/allocator"
	"github.com/caddy-tickets/caddy-tickets/allocator/payment"
)

// Payment is how a fan pays for a hold.
type Payment struct {
	Method string // the provider's token
	Buyer  allocator.Buyer
}

// BookingID is the id of the booking that a holder makes of a hold with an
// idempotency key. It is known before the claim, so that a commit whose answer was
// lost can be looked up.
func BookingID(holdID, holder, key string) string {
	return "b_" + derived("booking", holdID, holder, key)
}

// Checkout pays for a hold and books it. The booking it returns is Booked or
// Captured when all went well, Declined when the provider refused (the hold goes
// on), and Authorising when nobody knows yet: ask for it again, it is being
// finished. Repeating it with the same key goes on where the first try stopped.
// Errors: those of Locks.BeginPayment, *ConflictError, ErrPaymentUnderWay, *BookedError
// if another checkout has bought the cells, and ErrKeyMismatch if the key was used to
// pay otherwise.
func (s *Sale) Checkout(ctx context.Context, holdID, holder, key string, p Payment) (*allocator.Booking, error) {
	e, err := s.eventOf(ctx, holdID)
	if err != nil {
		return nil, err
	}
	id := BookingID(holdID, holder, key)
	b, err := s.deps.Store.Booking(ctx, id)
	if errors.Is(err, allocator.ErrBookingUnknown) {
		b, err = s.claim(ctx, e, id, holdID, holder, p)
	}
	if err != nil {
		return nil, err
	}
	if b.Method != p.Method || b.Buyer != p.Buyer {
		return nil, allocator.ErrKeyMismatch
	}
	until := b.Deadline
	b, err = s.resume(ctx, b)
	if b != nil && b.State == allocator.Declined {
		// The refusal may have come to another try with this key, before this one
		// began to pay: nobody else would end that.
		s.endPayment(ctx, e, holdID, until)
	}
	if b != nil {
		s.metrics.checkouts.WithLabelValues(string(b.State)).Inc()
	}
	return b, err
}

// claim makes the cells ours while money moves. After it the database decides.
func (s *Sale) claim(ctx context.Context, e *allocator.Event, id, holdID, holder string, p Payment) (*allocator.Booking, error) {
	deadline := s.deps.Clock.Now().Add(e.PayTTL)
	var h allocator.Hold
	err := s.withLocks(ctx, e, func(current *allocator.Event) (err error) {
		h, err = s.deps.Locks.BeginPayment(ctx, current, holdID, holder, deadline)
		return err
	})
	if err != nil {
		return nil, s.over(ctx, holdID, holder, err)
	}
	if err := s.deps.Step("paying"); err != nil {
		return nil, err
	}
	held, err := s.priced(ctx, e, h)
	if err != nil {
		s.endPayment(ctx, e, holdID, deadline)
		return nil, err
	}
	now := s.deps.Clock.Now()
	b := &allocator.Booking{
		ID: id, EventID: e.ID, Event: e.Slug, HoldID: holdID, Holder: holder, Buyer: p.Buyer,
		Cells: slices.Sorted(slices.Values(h.Cells)), Fence: h.Fence, State: allocator.Claimed, Amount: held.Total,
		Method: p.Method, Deadline: deadline, CreatedAt: now, UpdatedAt: now,
	}
	err = s.deps.Store.Claim(ctx, b)
	var conflict *allocator.ConflictError
	switch {
	case errors.As(err, &conflict):
		return nil, s.conflict(ctx, e, b, conflict)
	case err != nil:
		// If it was committed all the same, recovery will find it; the hold goes on.
		s.endPayment(ctx, e, holdID, deadline)
		return nil, err
	}
	return b, s.deps.Step("claimed")
}

// conflict corrects the locks where the database knows better. No money was
// asked for. A claim of the very same hold is another checkout of it: the hold
// stays with that one.
func (s *Sale) conflict(ctx context.Context, e *allocator.Event, b *allocator.Booking, conflict *allocator.ConflictError) error {
	taken, err := s.deps.Store.Taken(ctx, e.ID)
	if err != nil {
		s.endPayment(ctx, e, b.HoldID, b.Deadline)
		return err
	}
	var booked []string
	for _, t := range taken {
		if !slices.Contains(conflict.Cells, t.Cell) {
			continue
		}
		if t.HoldID == b.HoldID {
			return s.sold(ctx, b.HoldID, b.Holder, ErrPaymentUnderWay)
		}
		if t.Booked {
			booked = append(booked, t.Cell)
		}
	}
	s.metrics.conflicts.Inc()
	s.deps.Log.Warn("the database refused cells that the locks had given; the locks were corrected", "event", e.Slug, "cells", conflict.Cells)
	s.endPayment(ctx, e, b.HoldID, b.Deadline)
	if len(booked) > 0 {
		if err := s.withLocks(ctx, e, func(e *allocator.Event) error { return s.deps.Locks.Book(ctx, e, "", booked) }); err != nil {
			s.deps.Log.Warn("the locks could not be corrected", "event", e.Slug, "error", err)
		}
	}
	return conflict
}

// endPayment gives a hold back to its holder, unless a payment with a later
// deadline has begun. If it fails the hold ends by itself.
func (s *Sale) endPayment(ctx context.Context, e *allocator.Event, holdID string, until time.Time) {
	ctx = context.WithoutCancel(ctx) // the fan may be gone; their seats must not wait for that
	err := s.withLocks(ctx, e, func(e *allocator.Event) error { return s.deps.Locks.EndPayment(ctx, e, holdID, until) })
	if err != nil {
		s.deps.Log.Warn("a hold could not be given back to its holder; it ends by itself", "hold", holdID, "error", err)
	}
}

// resume takes a booking on from wherever it stands, as far as it can now. It is
// what a first try, a repeated one and recovery all do.
func (s *Sale) resume(ctx context.Context, b *allocator.Booking) (*allocator.Booking, error) {
	now := s.deps.Clock.Now()
	switch {
	case b.State != allocator.Claimed && b.State != allocator.Authorising:
		return b, nil
	case now.After(b.Deadline.Add(cancelGrace)):
		return s.expire(ctx, b)
	case now.After(b.Deadline):
		return b, nil // what was begun in time may still end well; nothing is begun
	case b.PaymentID == "":
		return s.pay(ctx, b)
	}
	p, err := s.ask(ctx, b)
	return s.settle(ctx, b, p, err)
}

// pay asks the provider, once the database knows that it will be asked.
func (s *Sale) pay(ctx context.Context, b *allocator.Booking) (*allocator.Booking, error) {
	repeated := b.State == allocator.Authorising
	if b.State == allocator.Claimed {
		next := *b
		next.Attempt = 1
		if moved, err := s.advance(ctx, &next, allocator.Authorising, allocator.Claimed); err != nil || !moved {
			return s.reread(ctx, b, err)
		}
		b = &next
		if err := s.deps.Step("authorising"); err != nil {
			return nil, err
		}
	}
	if b.State != allocator.Authorising {
		return b, nil
	}
	p, err := s.authorise(ctx, b, repeated)
	if err := s.deps.Step("authorised"); err != nil {
		return nil, err
	}
	return s.settle(ctx, b, p, err)
}

// errRefused says that the provider took no notice of an authorisation, now or
// before: there is no payment, and none can come.
var errRefused = errors.New("the provider refused the request")

// authorise makes the one call of an attempt. An error wraps errRefused only if the
// attempt cannot have had an effect: that a repetition had none says nothing of the
// call before, whose answer may have been lost.
func (s *Sale) authorise(ctx context.Context, b *allocator.Booking, repeated bool) (payment.Payment, error) {
	call, cancel := context.WithTimeout(ctx, providerTimeout)
	defer cancel()
	p, err := s.deps.Provider.Authorise(call, request(b))
	if err == nil || unknown(err) {
		return p, err
	}
	if repeated {
		made, findErr := s.deps.Provider.Find(call, b.ID)
		switch {
		case findErr != nil:
			return p, errors.Join(err, findErr)
		case len(made) == 1:
			return made[0], nil
		case len(made) > 1:
			return p, fmt.Errorf("there are %d payments for one attempt: %w", len(made), err)
		}
	}
	return p, fmt.Errorf("%w: %w", errRefused, err)
}

// request is the one call of an attempt. It is the same however often it is made.
func request(b *allocator.Booking) payment.Request {
	return payment.Request{
		Key:     fmt.Sprintf("b:%s:auth:%d", b.ID, b.Attempt),
		Booking: b.ID, Amount: b.Amount.Amount, Currency: b.Amount.Currency, Method: b.Method,
	}
}

// settle does what follows from the provider's answer. Cells are given back only
// when it says that there will be no payment; whatever else went wrong, the booking
// stays as it is, and recovery asks again.
func (s *Sale) settle(ctx context.Context, b *allocator.Booking, p payment.Payment, err error) (*allocator.Booking, error) {
	next := *b
	if p.ID != "" {
		next.PaymentID = p.ID
	}
	switch {
	case err != nil && unknown(err):
		return s.undecided(ctx, &next) // nobody knows: recovery asks again, with the same key
	case errors.Is(err, errRefused):
		s.deps.Log.Error("the provider refused a request; this is a mistake in it or in us", "booking", b.ID, "error", err)
		next.Reason = "provider-error"
		return s.refused(ctx, &next, allocator.Declined)
	case err != nil:
		return s.unclear(ctx, b, err)
	case p.Booking != b.ID || p.Amount != b.Amount.Amount || p.Currency != b.Amount.Currency:
		return s.unclear(ctx, b, fmt.Errorf("payment %s is for another booking or amount", p.ID))
	}
	switch p.Status {
	case payment.Authorised, payment.Succeeded:
		return s.booked(ctx, &next)
	case payment.Declined:
		next.Reason = p.Reason
		return s.refused(ctx, &next, allocator.Declined)
	case payment.Cancelled:
		next.Reason = "payment-cancelled"
		return s.refused(ctx, &next, allocator.Expired)
	case payment.Pending:
	}
	return s.undecided(ctx, &next)
}

// undecided notes that a booking was looked at, and its payment if that is known:
// recovery asks for the longest not looked at first.
func (s *Sale) undecided(ctx context.Context, b *allocator.Booking) (*allocator.Booking, error) {
	moved, err := s.advance(ctx, b, allocator.Authorising, allocator.Authorising)
	if err != nil || !moved {
		return s.reread(ctx, b, err)
	}
	return b, nil
}

// unclear is for answers that nothing may be concluded from. It moves the booking
// behind the others that wait for recovery, so that it does not stand in their way.
func (s *Sale) unclear(ctx context.Context, b *allocator.Booking, cause error) (*allocator.Booking, error) {
	next := *b
	if _, err := s.undecided(ctx, &next); err != nil {
		return nil, errors.Join(cause, err)
	}
	return nil, fmt.Errorf("nothing was done about booking %s: %w", b.ID, cause)
}

// unknown says that a call may have had an effect.
func unknown(err error) bool {
	return errors.Is(err, payment.ErrUnknown) || errors.Is(err, payment.ErrKeyInUse) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// booked is the moment of sale: committed together with the orders to show it and
// to take the money.
func (s *Sale) booked(ctx context.Context, b *allocator.Booking) (*allocator.Booking, error) {
	moved, err := s.advance(ctx, b, allocator.BookedState, allocator.Claimed, allocator.Authorising)
	if err != nil || !moved {
		now, err := s.reread(ctx, b, err)
		if err == nil && ended(now) { // somebody had given up on this payment
			err = s.letGo(ctx, now, b.PaymentID)
		}
		return now, err
	}
	if err := s.deps.Step("booked"); err != nil {
		return nil, err
	}
	return b, nil
}

// refused ends a booking without a sale: Declined gives the cells back to the
// hold, Expired to everybody. The outbox tells the locks.
func (s *Sale) refused(ctx context.Context, b *allocator.Booking, to allocator.BookingState) (*allocator.Booking, error) {
	moved, err := s.advance(ctx, b, to, allocator.Claimed, allocator.Authorising)
	if err != nil || !moved {
		return s.reread(ctx, b, err)
	}
	if err := s.deps.Step(string(to)); err != nil {
		return nil, err
	}
	if to == allocator.Declined { // at once, for the fan who waits; the outbox repeats it
		if e, err := s.Event(ctx, b.Event); err == nil {
			s.endPayment(ctx, e, b.HoldID, time.Time{})
		}
	}
	return b, nil
}

// advance moves a booking and, if it was moved, its copy here.
func (s *Sale) advance(ctx context.Context, b *allocator.Booking, to allocator.BookingState, from ...allocator.BookingState) (bool, error) {
	b.UpdatedAt = s.deps.Clock.Now()
	moved, err := s.deps.Store.Advance(ctx, b, to, from...)
	if moved {
		b.State = to
	}
	return moved, err
}

// reread is the booking after somebody else has moved it.
func (s *Sale) reread(ctx context.Context, b *allocator.Booking, err error) (*allocator.Booking, error) {
	if err != nil {
		return nil, err
	}
	return s.deps.Store.Booking(ctx, b.ID)
}

// Find returns a booking, whoever's it is. Errors: ErrBookingUnknown, ErrUnavailable.
func (s *Sale) Find(ctx context.Context, id string) (*allocator.Booking, error) {
	if !strings.HasPrefix(id, "b_") || uuid.Validate(id[2:]) != nil {
		return nil, allocator.ErrBookingUnknown
	}
	return s.deps.Store.Booking(ctx, id)
}
