package sale

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/caddy-tickets/caddy-tickets/allocator"
	"github.com/caddy-tickets/caddy-tickets/allocator/payment"
)

const (
	outboxBatch = 32
	// outboxWorkers of a batch are done at once: no seat waits to be shown as sold
	// until the provider has taken the money of another.
	outboxWorkers = 16
	// outboxLease is longer than the slowest batch takes: two calls to the provider.
	outboxLease = time.Minute
	// captureTries is after how many refusals a person has to look: with the pauses
	// of retryAfter about an hour.
	captureTries = 16
)

// WorkOutbox does what committed changes have ordered, up to a batch, and says
// how many tasks it took. Each is done at least once and harmless to repeat.
func (s *Sale) WorkOutbox(ctx context.Context) (int, error) {
	tasks, err := s.deps.Outbox.Lease(ctx, outboxBatch, outboxLease)
	if err != nil {
		return 0, err
	}
	return len(tasks), sideBySide(outboxWorkers, tasks, func(task allocator.Task) error { return s.work(ctx, task) })
}

// sideBySide does something with each, some at once, and says all that failed.
func sideBySide[T any](atOnce int, all []T, do func(T) error) error {
	errs := make([]error, len(all))
	var workers errgroup.Group
	workers.SetLimit(atOnce)
	for i, one := range all {
		workers.Go(func() error {
			errs[i] = do(one)
			return nil
		})
	}
	_ = workers.Wait() // the errors are in errs, all of them
	return errors.Join(errs...)
}

// work does one task and removes it, or puts it back.
func (s *Sale) work(ctx context.Context, task allocator.Task) error {
	err := s.do(ctx, task)
	if err == nil {
		s.metrics.tasks.WithLabelValues(string(task.Kind), "done").Inc()
		return s.deps.Outbox.Done(ctx, task.ID)
	}
	if ctx.Err() != nil {
		return err // it is taken again when its lease ends
	}
	s.metrics.tasks.WithLabelValues(string(task.Kind), "failed").Inc()
	s.deps.Log.Warn("an ordered task failed and is tried again", "task", task.Kind, "booking", task.Booking, "tries", task.Attempts+1, "error", err)
	return s.deps.Outbox.Retry(ctx, task.ID, retryAfter(task.Kind, task.Attempts), err.Error())
}

// retryAfter doubles from one second to five minutes, or to two seconds where the
// map is wrong until the task is done.
func retryAfter(kind allocator.TaskKind, tries int) time.Duration {
	most := 2 * time.Second
	if kind == allocator.TaskCapture {
		most = 5 * time.Minute
	}
	return min(most, time.Second<<min(tries, 10))
}

func (s *Sale) do(ctx context.Context, task allocator.Task) error {
	b, err := s.deps.Store.Booking(ctx, task.Booking)
	if err != nil {
		return err
	}
	if task.Kind == allocator.TaskCapture {
		return s.capture(ctx, b, task.Attempts)
	}
	e, err := s.Event(ctx, b.Event)
	if err != nil {
		return err
	}
	return s.withLocks(ctx, e, func(e *allocator.Event) error {
		switch task.Kind {
		case allocator.TaskMark:
			return s.deps.Locks.Book(ctx, e, b.HoldID, b.Cells)
		case allocator.TaskUnpay:
			return s.deps.Locks.EndPayment(ctx, e, b.HoldID, b.Deadline)
		case allocator.TaskFree:
			return s.deps.Locks.Free(ctx, e, b.HoldID, b.Cells)
		default:
			return fmt.Errorf("unknown task %q", task.Kind)
		}
	})
}

// capture takes the money of a booking. The seat stays sold whatever comes of it:
// if the money cannot be had, a person decides.
func (s *Sale) capture(ctx context.Context, b *allocator.Booking, tries int) error {
	if b.State != allocator.BookedState {
		return nil // captured, or with a person, already
	}
	call, cancel := context.WithTimeout(ctx, providerTimeout)
	defer cancel()
	p, err := s.deps.Provider.Capture(call, b.PaymentID, fmt.Sprintf("b:%s:capture", b.ID))
	if stepErr := s.deps.Step("captured"); stepErr != nil {
		return stepErr
	}
	next := *b
	switch {
	case err == nil && p.Status == payment.Succeeded:
		_, err = s.advance(ctx, &next, allocator.Captured, allocator.BookedState)
		return err
	case err == nil && (p.Status == payment.Cancelled || p.Status == payment.Declined):
		next.Reason = "capture-refused"
	case tries+1 >= captureTries:
		next.Reason = "capture-failed"
	case err == nil:
		return fmt.Errorf("the payment is %s", p.Status)
	default:
		return err
	}
	s.metrics.attention.Inc()
	s.deps.Log.Error("a sold seat is not paid for and needs a person", "booking", b.ID, "payment", b.PaymentID, "reason", next.Reason)
	_, err = s.advance(ctx, &next, allocator.Attention, allocator.BookedState)
	return err
}
