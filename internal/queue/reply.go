package queue

import (
	"strconv"
	"time"
)

// reply reads a script's mixed reply in order. Once something is not as
// expected it is bad and everything reads as zero.
type reply struct {
	values []any
	bad    bool
}

func (r *reply) more() bool { return !r.bad && len(r.values) > 0 }

func (r *reply) next() any {
	if len(r.values) == 0 {
		r.bad = true
		return nil
	}
	v := r.values[0]
	r.values = r.values[1:]
	return v
}

func (r *reply) int() int64 {
	n, ok := r.next().(int64)
	r.bad = r.bad || !ok
	return n
}

func (r *reply) text() string {
	s, ok := r.next().(string)
	r.bad = r.bad || !ok
	return s
}

// number reads a number that Redis keeps as text; an empty one is 0.
func (r *reply) number() int64 {
	s := r.text()
	if s == "" {
		return 0
	}
	n, err := strconv.ParseInt(s, 10, 64)
	r.bad = r.bad || err != nil
	return n
}

func (r *reply) time() time.Time { return time.UnixMilli(r.int()).UTC() }

func (r *reply) duration() time.Duration { return time.Duration(r.int()) * time.Millisecond }
