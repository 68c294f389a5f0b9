package rehearse

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-tickets/caddy-tickets/internal/mapframe"
	"github.com/caddy-tickets/caddy-tickets/internal/pow"
)

const (
	// maxPicks bounds how often a fan whose seats were taken picks others.
	maxPicks = 60
	// maxPolls bounds the waiting for a payment that is pending: a minute.
	maxPolls = 120
	pollPay  = 500 * time.Millisecond
)

// Words of our own for ways to end that no server has a code for.
const (
	gaveUp   = "gave-up" // picked maxPicks times and never got a seat
	walked   = "walked-away"
	deadline = "deadline"
	noAnswer = "no-answer"
	odd      = "unexpected-reply"
	soldOut  = "sold-out"
)

// fan is one virtual fan. It is used by one goroutine.
type fan struct {
	sale   *sale
	client *Client
	dice   *rand.Rand
	seen   int    // the last position it was shown, for Q2
	lastID string // of the stream, sent when it is opened again
	inside bool   // the page let it straight through, or it has a pass already
}

func newFan(s *sale, i int) *fan {
	return &fan{sale: s, client: NewClient(s.site, sourceAddress(s.cfg, i)), dice: fanRand(s.cfg.Seed, i)}
}

// sourceAddress gives each fan on this machine a network of its own, as fans
// have in life: limits count by /24.
func sourceAddress(cfg Config, i int) net.IP {
	if cfg.AllowRemote {
		return nil
	}
	return net.IPv4(127, byte(1+i/250%250), byte(1+i%250), byte(1+i/62500))
}

func (f *fan) close() { f.client.Close() }

// live is the whole way. Every return is an ending that the report names.
func (f *fan) live(ctx context.Context) outcome {
	t := f.sale.tally
	for _, step := range []func(context.Context) error{f.page, f.join, f.wait, f.claim} {
		if err := step(ctx); err != nil {
			return outcome{code: ending(ctx, err)}
		}
	}
	t.count(&t.admitted)
	defer f.leave(ctx)
	hold, err := f.hold(ctx)
	if err != nil {
		return outcome{code: ending(ctx, err)}
	}
	t.count(&t.held)
	if f.dice.Float64() < f.sale.cfg.Abandon {
		return outcome{code: walked}
	}
	cells, err := f.checkout(ctx, hold)
	if err != nil {
		return outcome{code: ending(ctx, err)}
	}
	return outcome{cells: cells}
}

// ended is an ending that is no server's refusal.
type ended string

func (e ended) Error() string { return string(e) }

func ending(ctx context.Context, err error) string {
	var refusal *Refusal
	var own ended
	switch {
	case errors.As(err, &own):
		return string(own)
	case errors.As(err, &refusal):
		return refusal.Code
	case ctx.Err() != nil:
		return deadline
	case errors.Is(err, errLost):
		return noAnswer
	default:
		return odd
	}
}

func (f *fan) room(path string) string { return "/.waitroom/" + f.sale.cfg.Room + "/" + path }

// timed makes a call and counts its time under the step.
func (f *fan) timed(ctx context.Context, step string, call Call, into any) (Reply, error) {
	reply, err := f.client.Do(ctx, call, into)
	if reply.Took > 0 {
		f.sale.tally.took(step, reply.Took)
	}
	return reply, err
}

func (f *fan) page(ctx context.Context) error {
	_, err := f.timed(ctx, "page", Call{Method: http.MethodGet, Path: "/", Accept: "text/html"}, nil)
	return err
}

func (f *fan) join(ctx context.Context) error {
	call := Call{Method: http.MethodPost, Path: f.room("join"), Header: http.Header{}}
	var s standing
	_, err := f.timed(ctx, "join", call, &s)
	var refusal *Refusal
	if errors.As(err, &refusal) && refusal.Challenge != nil {
		answer, solveErr := f.solve(ctx, refusal.Challenge.Token)
		if solveErr != nil {
			return solveErr
		}
		call.Header.Set("Botguard-Answer", answer)
		_, err = f.timed(ctx, "join", call, &s)
	}
	if err == nil {
		f.inside = s.State == "active"
		f.sale.tally.count(&f.sale.tally.joined)
	}
	return err
}

// solve does the fan's own work. Real fans bring a processor each; here they share
// the machine with the servers, so few work at once, and only the work is timed.
func (f *fan) solve(ctx context.Context, token string) (string, error) {
	select {
	case f.sale.desks <- struct{}{}:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	defer func() { <-f.sale.desks }()
	begun := time.Now()
	answer, err := pow.Solve(ctx, token)
	f.sale.tally.took("challenge", time.Since(begun))
	return answer, err
}

// standing is the part of the status object that a fan acts on.
type standing struct {
	State     string `json:"state"`
	Position  int    `json:"position"`
	PollAfter int    `json:"pollAfter"`
}

// wait follows the stream until the fan's turn, and polls while there is none.
func (f *fan) wait(ctx context.Context) error {
	if f.inside {
		return nil
	}
	begun := time.Now()
	for ctx.Err() == nil {
		over, why, retry := f.listen(ctx)
		if !over && retry == 0 { // no stream to be had
			over, why = f.poll(ctx)
		}
		if over {
			if why == nil {
				f.sale.tally.took("wait", time.Since(begun))
			}
			return why
		}
		sleep(ctx, retry)
	}
	return ctx.Err()
}

// listen reads one stream to its end. It says whether the waiting is over and
// why; if not, when to open the next stream, 0 if there was none at all.
func (f *fan) listen(ctx context.Context) (over bool, why error, retry time.Duration) {
	retry, err := f.client.Stream(ctx, f.room("stream"), f.lastID, func(e Event) bool {
		if e.ID != "" {
			f.lastID = e.ID
		}
		over, why = f.hear(e)
		return !over
	})
	if err != nil && !over {
		return false, nil, 0
	}
	return over, why, max(retry, 200*time.Millisecond)
}

// hear says whether an event ends the waiting, and how.
func (f *fan) hear(e Event) (done bool, why error) {
	switch e.Name {
	case "admitted":
		return true, nil
	case "soldout":
		return true, ended(soldOut)
	}
	var s standing
	if json.Unmarshal(e.Data, &s) != nil {
		return false, nil
	}
	return f.stand(s)
}

func (f *fan) poll(ctx context.Context) (done bool, why error) {
	var s standing
	_, err := f.client.Do(ctx, Call{Method: http.MethodGet, Path: f.room("status")}, &s)
	if err != nil {
		var refusal *Refusal
		return errors.As(err, &refusal), err
	}
	if done, why = f.stand(s); done {
		return done, why
	}
	sleep(ctx, time.Duration(max(s.PollAfter, 1))*time.Second)
	return false, nil
}

// stand checks that the position never goes up (Q2) and says whether the
// waiting is over.
func (f *fan) stand(s standing) (done bool, why error) {
	if f.seen > 0 && s.Position > f.seen {
		f.sale.tally.violation("a position went up from %d to %d", f.seen, s.Position)
	}
	if s.Position > 0 {
		f.seen = s.Position
	}
	switch s.State {
	case "admitted", "active":
		return true, nil
	case "sold-out":
		return true, ended(soldOut)
	case "closed":
		return true, ended("closed")
	}
	return false, nil
}

func (f *fan) claim(ctx context.Context) error {
	for {
		_, err := f.timed(ctx, "claim", Call{Method: http.MethodPost, Path: f.room("claim")}, nil)
		var refusal *Refusal
		if errors.As(err, &refusal) && refusal.Code == "not-yet" && sleep(ctx, max(refusal.RetryAfter, 250*time.Millisecond)) {
			continue
		}
		return err
	}
}

type holdReply struct {
	HoldID string   `json:"holdId"`
	Cells  []string `json:"cells"`
}

// hold looks at the map and locks seats, again with others if they were taken.
func (f *fan) hold(ctx context.Context) (holdReply, error) {
	api := "/api/v1/events/" + f.sale.cfg.Event
	var event struct {
		Layout string `json:"layout"`
	}
	if _, err := f.client.Do(ctx, Call{Method: http.MethodGet, Path: api}, &event); err != nil {
		return holdReply{}, err
	}
	layout, err := f.sale.plan.get(ctx, f.client, "/api"+event.Layout)
	if err != nil {
		return holdReply{}, err
	}
	want := 1 + f.dice.IntN(f.sale.cfg.Tickets)
	for range maxPicks {
		body, err := f.pick(ctx, api, layout, want)
		if err != nil {
			return holdReply{}, err
		}
		var got holdReply
		_, err = f.timed(ctx, "hold", Call{Method: http.MethodPost, Path: api + "/holds", Body: body, Header: idempotent()}, &got)
		if err == nil {
			return got, nil
		}
		var refusal *Refusal
		if !errors.As(err, &refusal) || refusal.Status != http.StatusConflict {
			return holdReply{}, err
		}
		if refusal.Code == "all-held" {
			sleep(ctx, min(max(refusal.RetryAfter, 500*time.Millisecond), 5*time.Second))
		}
		want = max(1, want-1) // the room is filling up: be content with less
	}
	return holdReply{}, ended(gaveUp)
}

// pick reads the map and says what to ask for. When nothing is free it asks
// for the first seat all the same: the allocator says whether all is held or sold.
func (f *fan) pick(ctx context.Context, api string, layout *plan, want int) (any, error) {
	reply, err := f.timed(ctx, "map", Call{Method: http.MethodGet, Path: api + "/availability", Accept: mapframe.ContentType}, nil)
	if err != nil {
		return nil, err
	}
	frame, err := mapframe.Decode(reply.Body)
	if err != nil || frame.Kind != mapframe.KindSnapshot {
		return nil, ended(odd)
	}
	state, err := mapframe.NewMap(frame.Snapshot)
	if err != nil {
		return nil, ended(odd)
	}
	if cells := layout.choose(state, want, f.dice); cells != nil {
		return map[string]any{"cells": cells}, nil
	}
	if len(layout.areas) > 0 {
		a := layout.areas[f.dice.IntN(len(layout.areas))]
		return map[string]any{"area": map[string]any{"id": a.ID, "quantity": want}}, nil
	}
	r := layout.rows[f.dice.IntN(len(layout.rows))]
	return map[string]any{"cells": r.ids[:1]}, nil
}

type bookingReply struct {
	BookingID string   `json:"bookingId"`
	State     string   `json:"state"`
	Cells     []string `json:"cells"`
}

// checkout pays, a second time if the first card is declined, and waits for
// payments that take a while. It returns the cells that were booked.
func (f *fan) checkout(ctx context.Context, hold holdReply) ([]string, error) {
	method := "tok_ok"
	if f.dice.Float64() < f.sale.cfg.Declined {
		method = "tok_declined"
	}
	for {
		body := map[string]any{"method": method, "buyer": map[string]string{"name": "Virtual Fan", "email": "fan@example.org"}}
		var b bookingReply
		_, err := f.timed(ctx, "checkout", Call{
			Method: http.MethodPost, Path: "/api/v1/holds/" + hold.HoldID + "/checkout", Body: body, Header: idempotent(),
		}, &b)
		var refusal *Refusal
		if errors.As(err, &refusal) && refusal.Code == "payment-declined" && method == "tok_declined" {
			method = "tok_ok"
			continue
		}
		if err != nil {
			return nil, err
		}
		return f.settled(ctx, b)
	}
}

func (f *fan) settled(ctx context.Context, b bookingReply) ([]string, error) {
	for range maxPolls {
		switch b.State {
		case "booked", "captured", "attention":
			return b.Cells, nil
		case "declined", "expired":
			return nil, ended("payment-" + b.State)
		}
		if !sleep(ctx, pollPay) {
			return nil, ctx.Err()
		}
		if _, err := f.client.Do(ctx, Call{Method: http.MethodGet, Path: "/api/v1/bookings/" + b.BookingID}, &b); err != nil {
			return nil, err
		}
	}
	return nil, ended("payment-pending")
}

// leave tells the site that the fan is done, which frees the slot for the next.
func (f *fan) leave(ctx context.Context) {
	_, _ = f.client.Do(ctx, Call{Method: http.MethodGet, Path: "/done", Accept: "text/html"}, nil)
}

func idempotent() http.Header { return http.Header{"Idempotency-Key": {`"` + uuid.NewString() + `"`}} }
