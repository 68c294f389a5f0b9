package room

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/queue"
)

const (
	tickTimeout  = 400 * time.Millisecond
	boardEvery   = time.Second
	boardTimeout = 2 * time.Second

	// failuresBeforeDegraded keeps one slow answer from alarming 100,000 fans.
	failuresBeforeDegraded = 2
)

// tick calls for admission once and takes in what Redis says. Any number of
// edges do the same; the script makes the sum right.
func (r *Room) tick(ctx context.Context) {
	r.mu.Lock()
	in := queue.TickInput{Limit: r.limitLocked(), RevokedSince: r.revoked.since(), Edge: r.edge, Unwell: r.unwellLocked(), Hold: r.holdLocked()}
	r.mu.Unlock()

	began := r.deps.Clock.Now()
	call, cancel := context.WithTimeout(ctx, tickTimeout)
	t, err := r.queue.Tick(call, in)
	cancel()
	ended := r.deps.Clock.Now()
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		r.missed(err)
		return
	}
	r.revoked.add(t.Revoked, t.Now)
	slack := ended.Sub(began) / 2 // anywhere on the way the answer may have been made
	r.mu.Lock()
	r.slack = slack
	r.mu.Unlock()
	r.took(t, began.Add(slack))
	r.configure(ctx) // after the tick, which tells whether the queue was lost
	r.readOrders(ctx)
	r.flushLiveness(ctx)
	r.flushSessions(ctx)
}

// missed notes a tick without an answer.
func (r *Room) missed(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures++
	if r.failures == failuresBeforeDegraded {
		r.log.Warn("the queue in Redis does not answer; fans keep their places and joins are signed here", "error", err)
	}
	r.publishLocked()
}

// took takes in an answer that was made when this machine's clock stood at made.
func (r *Room) took(t queue.Tick, made time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failures >= failuresBeforeDegraded {
		r.log.Info("the queue in Redis answers again", "waiting", t.Waiting)
	}
	lost := r.ticked && !slices.Equal(t.Generations, r.generations)
	if lost {
		r.lostLocked(t)
	}
	moved := t.Now
	if !r.lostAt.IsZero() && (lost || t.Settings.Rate == 0) {
		// What other edges know of the fronts: nobody is admitted in a new life before it
		// has settings, so these places had their turn before the loss.
		moved = r.lostAt.Add(-time.Millisecond)
	}
	if r.orphans.any() {
		r.reentryDue = true
	}
	switch settled := t.LostAt.Add(r.cfg.Load().Settle); {
	case !r.ticked && !t.LostAt.IsZero() && t.Now.Before(settled):
		r.settleUntil = settled // the others are at it, and this edge would let in whoever is back first
	case r.ticked && t.Settings.Rate == 0 && !r.unconfigured:
		// Another edge has found out that the data this one took for new are those of a loss.
		r.unconfigured, r.settleUntil = true, t.Now.Add(r.cfg.Load().Settle)
	}
	if t.Settings.Rate == 0 { // not configured yet, or lost
		t.Settings = inForce(r.cfg.Load().Queue)
		t.Paused, t.Message = r.wasPaused, r.wasMessage
	}
	if old := r.last.Settings; old.Rate != t.Settings.Rate || old.Per != t.Settings.Per {
		r.unmeasureLocked() // what was measured says nothing about the new rate
	}
	t.Settings.Shards = r.cfg.Load().Queue.Shards // 0 and 1 are the same
	started := !r.ticked
	r.last, r.ticked, r.failures = t, true, 0
	r.ticks++
	r.offset = t.Now.Sub(made)
	r.generations = t.Generations
	if r.fronts.Raise(t.Fronts) || started {
		r.passed.note(moved, r.fronts, t.Settings.ClaimWithin)
	}
	r.pulse.note(t.Now, t.AdmittedTotal)
	r.measureLocked(&t)
	r.publishLocked()
}

// lostLocked: Redis lost everything, or came back as it was some time ago, and began a
// new life. Its settings are gone
// too, and without settings no edge can admit anybody. That is what keeps Q5: they
// are pushed again only when the fans had the time to be back in their order. A
// fan who joins the empty queue in between would else be admitted, and would move
// the front past everybody who waits.
func (r *Room) lostLocked(t queue.Tick) {
	r.log.Warn("Redis came back without the queue; places are re-entered from the fans' tokens", "generations", t.Generations)
	r.unconfigured, r.reentryDue = true, true
	r.wasPaused, r.wasMessage = r.last.Paused || r.wasPaused, r.last.Message
	r.wasOpen = t.Paused && !r.wasPaused
	r.lostAt = t.Now
	r.sessions.forget()
	r.settleUntil = t.Now.Add(max(r.cfg.Load().Settle, r.polls.left(r.deps.Clock.Now())))
	r.pulse.reset()
	r.unmeasureLocked()
}

// settledLocked says whether the order in Redis is the whole order.
func (r *Room) settledLocked() bool {
	return !r.reentryDue && !r.nowLocked().Before(r.settleUntil)
}

// holdLocked is until when no edge may admit anybody: fans of this one are not back yet.
// Other edges have none of them, and would be done before.
func (r *Room) holdLocked() time.Time {
	if r.reentryDue {
		return r.nowLocked().Add(reentryTimeout)
	}
	return r.settleUntil
}

// configure pushes the settings until Redis has taken them, and after a loss the
// operator's pause and message with them: a room must not open by itself.
func (r *Room) configure(ctx context.Context) {
	r.mu.Lock()
	due, settings := r.unconfigured && r.settledLocked(), r.cfg.Load().Queue
	was := putBack{r.wasPaused, r.wasOpen, r.wasMessage}
	var life uint32
	if len(r.generations) > 0 {
		life = r.generations[0]
	}
	r.unconfigured = r.unconfigured && !due
	r.mu.Unlock()
	if !due {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, tickTimeout)
	defer cancel()
	was, err := r.stillDue(ctx, was, life)
	if err == nil {
		err = r.push(ctx, settings, was)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err == nil:
		r.wasPaused, r.wasMessage, r.wasOpen = false, "", false
	case errors.Is(err, queue.ErrUnavailable):
		r.unconfigured = true
	case ctx.Err() == nil: // settings that make no sense are not made better by trying again
		r.log.Error("the room's settings are refused; those before stay in force", "error", err)
	}
}

// push sets the pause before the settings, for without those nobody is admitted.
func (r *Room) push(ctx context.Context, s queue.Settings, was putBack) error {
	again := queue.By{Reason: "put back after Redis lost it"}
	if was.paused {
		if err := r.give(ctx, queue.Order{What: queue.WhatPause, By: again}); err != nil {
			return err
		}
	}
	if was.open {
		if err := r.give(ctx, queue.Order{What: queue.WhatResume, By: again}); err != nil {
			return err
		}
	}
	if was.message != "" {
		if err := r.give(ctx, queue.Order{What: queue.WhatMessage, Message: was.message, By: again}); err != nil {
			return err
		}
	}
	return r.give(ctx, queue.Order{What: queue.WhatSettings, Settings: s, Schedule: r.cfg.Load().schedule(), By: queue.By{Reason: "this edge loaded its config"}})
}

// readBoard reads the order of the queue. A failure keeps the last one, and so does
// a queue that is being filled again: positions in half a queue are promises that
// cannot be kept.
func (r *Room) readBoard(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, boardTimeout)
	defer cancel()
	b, err := r.queue.Board(ctx)
	if err != nil {
		return // the tick tells about Redis
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.board != nil && !r.settledLocked() {
		return
	}
	r.board = b
	r.publishLocked()
}
