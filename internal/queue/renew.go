package queue

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

// ErrOver says that a session has ended, or that Redis does not know it.
var ErrOver = errors.New("the session is over")

// Renewal asks for a session to go on.
type Renewal struct {
	Visitor place.Visitor
	Issued  time.Time     // the pass that it is asked with
	Began   time.Time     // the session
	Longest time.Duration // of a session, from then
}

// Renew prolongs a session by the room's Session, up to its longest; Again says that
// nothing was left to add. Its errors are ErrOver and ErrUnavailable. When the answer
// was lost, asking again adds what has passed since.
func (q *Queue) Renew(ctx context.Context, r Renewal) (Claim, error) {
	s := q.of(r.Visitor)
	keys := []string{s.keys.Room, s.keys.Active, s.keys.Revoked, s.keys.Begun}
	got, err := ints(q.eval(ctx, renewScript, keys, r.Visitor[:], r.Issued.UnixMilli(), r.Began.UnixMilli(), r.Longest.Milliseconds()), 3)
	if err != nil {
		return Claim{}, unavailable("renewing a session", err)
	}
	if got[0] == 3 {
		return Claim{}, ErrOver
	}
	return Claim{At: time.UnixMilli(got[2]).UTC(), Expires: time.UnixMilli(got[1]).UTC(), Again: got[0] == 2}, nil
}

// Began is when a session began that has been renewed; false for one that has not.
func (q *Queue) Began(ctx context.Context, v place.Visitor) (began time.Time, renewed bool, err error) {
	ms, err := q.rdb.ZScore(ctx, q.of(v).keys.Begun, string(v[:])).Result()
	if errors.Is(err, redis.Nil) {
		return time.Time{}, false, nil
	}
	if err != nil {
		return time.Time{}, false, unavailable("reading when a session began", err)
	}
	return time.UnixMilli(int64(ms)).UTC(), true, nil
}
