package queue

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

// operator is somebody who gives orders.
var operator = By{User: "ada", Host: "ops-1", Address: "127.0.0.1:50000", Edge: "edge-1:7", Reason: "the site is slow"}

func give(t testing.TB, q *Queue, o Order) *Record {
	t.Helper()
	r, err := q.Give(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// entries is the whole log, which has to be unbroken.
func entries(t testing.TB, q *Queue) []Record {
	t.Helper()
	l, err := q.Log(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	records, faults := l.Check()
	if len(faults) > 0 {
		t.Fatalf("the chain is broken: %q", faults)
	}
	return records
}

func TestEveryOrderIsInTheLogWithWhatWasBeforeAndWho(t *testing.T) {
	q, _ := setup(t, fast)
	began := tick(t, q, 0).Now
	give(t, q, Order{What: WhatPause, By: operator})
	give(t, q, Order{What: WhatRate, Rate: 20, Per: time.Second, By: operator})
	give(t, q, Order{What: WhatMessage, Message: "Back at nine.", By: operator})
	give(t, q, Order{What: WhatMessage, By: operator})
	give(t, q, Order{What: WhatResume, By: operator})
	give(t, q, Order{What: WhatResume, By: operator}) // changes nothing, and was ordered all the same
	give(t, q, Order{What: "invitations", Note: map[string]string{"count": "100"}, By: operator})

	type line struct{ what, before, after string }
	want := []line{
		{"began", "map[]", "map[log:begins here; orders from before, if there were any, are not in it]"},
		{"settings", "map[]", "map[abandon_after:1m0s active:1000000 admit:1000000/s burst:1000 claim_within:1m0s max_queue:0 session:1m0s]"},
		{"pause", "map[]", "map[paused:true]"},
		{"rate", "map[admit:1000000/s burst:1000]", "map[admit:20/s burst:20]"},
		{"message", "map[message:]", "map[message:Back at nine.]"},
		{"message", "map[message:Back at nine.]", "map[message:]"},
		{"resume", "map[paused:true]", "map[paused:false]"},
		{"resume", "map[paused:false]", "map[paused:false]"},
		{"invitations", "map[]", "map[count:100]"},
	}
	got := entries(t, q)
	if len(got) != len(want) {
		t.Fatalf("%d entries instead of %d: %+v", len(got), len(want), got)
	}
	for i, w := range want {
		r := got[i]
		if has := (line{string(r.What), fmt.Sprint(r.Before), fmt.Sprint(r.After)}); has != w {
			t.Errorf("entry %d is\n%v, not\n%v", i+1, has, w)
		}
		if i >= 2 && r.By != operator {
			t.Errorf("entry %d is by %+v", i+1, r.By)
		}
		if r.Number != int64(i+1) || i >= 2 && (r.At.Before(began) || r.At.Sub(began) > time.Minute) {
			t.Errorf("entry %d has the number %d and the time %v", i+1, r.Number, r.At)
		}
	}
}

func TestSettingsThatAreInForceAlreadyLeaveNoEntry(t *testing.T) {
	q, _ := setup(t, fast)
	before := len(entries(t, q))
	if r := give(t, q, Order{What: WhatSettings, Settings: fast}); r != nil {
		t.Errorf("a reload without a change is an order: %+v", r)
	}
	if got := len(entries(t, q)); got != before {
		t.Errorf("a reload without a change left %d entries", got-before)
	}
}

// An order and its entry belong together: neither is there without the other.
func TestAnOrderThatCannotBeWrittenDownIsRefused(t *testing.T) {
	q, server := setup(t, fast)
	rdb := server.Client()
	if err := errors.Join(rdb.Del(t.Context(), q.first().keys.Log).Err(), rdb.Set(t.Context(), q.first().keys.Log, "not a list", 0).Err()); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Give(t.Context(), Order{What: WhatPause, By: operator}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("the order was taken without its entry: %v", err)
	}
	if tick(t, q, 0).Paused {
		t.Error("the room is paused, and nobody knows by whom")
	}
}

// Whatever one changes in what is there, the check says where.
func TestAChangedLogIsNoticed(t *testing.T) {
	q, _ := setup(t, fast)
	for i := range 8 {
		give(t, q, Order{What: WhatMessage, Message: fmt.Sprintf("Message %d.", i), By: operator})
	}
	whole, err := q.Log(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, faults := whole.Check(); len(faults) > 0 || len(whole.Lines) != 10 {
		t.Fatalf("%d lines, %q", len(whole.Lines), faults)
	}
	rehashed := func(line string, change func(*Record)) string {
		r, _, err := parseLine(line)
		if err != nil {
			t.Fatal(err)
		}
		change(&r)
		out, err := r.line()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for name, tc := range map[string]struct {
		change func(l *Log)
		says   string
	}{
		"a word":                        {func(l *Log) { l.Lines[4] = strings.Replace(l.Lines[4], "Message 2", "Message X", 1) }, "entry 5 was changed"},
		"who":                           {func(l *Log) { l.Lines[9] = strings.Replace(l.Lines[9], `"ada"`, `"bob"`, 1) }, "entry 10 was changed"},
		"a word, with a fitting hash":   {func(l *Log) { l.Lines[4] = rehashed(l.Lines[4], func(r *Record) { r.By.User = "bob" }) }, "entry 6 does not follow this entry 5"},
		"the last, with a fitting hash": {func(l *Log) { l.Lines[9] = rehashed(l.Lines[9], func(r *Record) { r.By.User = "bob" }) }, "the room says that its last entry is 10"},
		"one in the middle is gone":     {func(l *Log) { l.Lines = slices.Delete(l.Lines, 4, 5) }, "after entry 4 comes entry 6"},
		"the first are gone":            {func(l *Log) { l.Lines = l.Lines[3:] }, "the entries before entry 4 are missing"},
		"the last are gone":             {func(l *Log) { l.Lines = l.Lines[:7] }, "here it is 7"},
		"all are gone":                  {func(l *Log) { l.Lines = nil }, "here it is 0"},
		"two change places":             {func(l *Log) { l.Lines[4], l.Lines[5] = l.Lines[5], l.Lines[4] }, "after entry 4 comes entry 6"},
		"one is put in between":         {func(l *Log) { l.Lines = slices.Insert(l.Lines, 4, l.Lines[2]) }, "after entry 4 comes entry 3"},
		"one is added": {func(l *Log) {
			l.Lines = append(l.Lines, rehashed(l.Lines[9], func(r *Record) { r.Number, r.Prev = 11, l.Lines[9][:64] }))
		}, "here it is 11"},
		"the beginning is renamed": {func(l *Log) { l.Lines = []string{rehashed(l.Lines[9], func(r *Record) { r.Number = 1 })} }, "entry 1 is not a beginning"},
		"rubbish":                  {func(l *Log) { l.Lines[4] = "rubbish" }, "the line after entry 4 cannot be read"},
		"rubbish with a hash":      {func(l *Log) { l.Lines[4] = l.Lines[4][:64] + " {" }, "the line after entry 4 cannot be read"},
		"the room forgot its head": {func(l *Log) { l.Head = "" }, "its last entry is none"},
	} {
		l := Log{Whole: true, Head: whole.Head, Lines: slices.Clone(whole.Lines)}
		tc.change(&l)
		if _, faults := l.Check(); !strings.Contains(strings.Join(faults, "\n"), tc.says) {
			t.Errorf("%s: the check does not say %q: %q", name, tc.says, faults)
		}
	}
	part, err := q.Log(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	if records, faults := part.Check(); len(faults) > 0 || len(records) != 3 || records[2].Number != 10 {
		t.Errorf("the last three are %+v, %q", records, faults)
	}
}

func TestTheLogIsBoundedAndStaysWhole(t *testing.T) {
	q, server := setup(t, fast)
	give(t, q, Order{What: WhatPause, By: operator})
	l, err := q.Log(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	// As if 10,000 orders had been given.
	head, _ := parseHead(l.Head)
	w := writer{head: head, at: time.Now(), by: operator}
	for range MaxLog {
		w.add(WhatPause, nil, nil, nil)
	}
	rdb := server.Client()
	if err := errors.Join(rdb.RPush(t.Context(), q.first().keys.Log, w.lines).Err(), rdb.HSet(t.Context(), q.first().keys.Room, "log", w.head.String()).Err()); err != nil {
		t.Fatal(err)
	}
	give(t, q, Order{What: WhatResume, By: operator})
	got := entries(t, q)
	if len(got) != MaxLog || got[MaxLog-1].What != WhatResume || got[0].Number != 5 {
		t.Errorf("%d entries from %d to %+v", len(got), got[0].Number, got[len(got)-1])
	}
}

// A log that was lost with Redis says so in its first entry, with what was lost if the
// one who writes it knows.
func TestALogThatWasLostBeginsAnewAndSaysSo(t *testing.T) {
	q, server := setup(t, fast)
	lost := give(t, q, Order{What: WhatPause, By: operator})
	if err := server.Client().FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	give(t, q, Order{What: WhatPause, By: operator})
	got := entries(t, q)
	if len(got) != 2 || got[0].What != whatBegan || !strings.Contains(got[0].Before["log"], fmt.Sprintf("entry %d %s, which Redis has lost", lost.Number, lost.Hash)) {
		t.Errorf("the first entry is %+v", got[0])
	}
}

func TestALogThatWentBackInTimeSaysSo(t *testing.T) {
	q, server := setup(t, fast)
	rdb := server.Client()
	before, err := rdb.HGet(t.Context(), q.first().keys.Room, "log").Result()
	if err != nil {
		t.Fatal(err)
	}
	lost := give(t, q, Order{What: WhatPause, By: operator})
	// A replica that had not heard of the order takes over.
	if err := errors.Join(rdb.RPop(t.Context(), q.first().keys.Log).Err(), rdb.HSet(t.Context(), q.first().keys.Room, "log", before).Err()); err != nil {
		t.Fatal(err)
	}
	give(t, q, Order{What: WhatPause, By: operator})
	got := entries(t, q)
	if n := len(got); n != 4 || got[2].What != whatLost || !strings.Contains(got[2].Before["log"], lost.Hash) {
		t.Errorf("the log is %+v", got)
	}
}

// Orders from everywhere at once are all taken and all written, one after the other.
func TestOrdersAtOnceFollowEachOther(t *testing.T) {
	q, server := setup(t, fast)
	const edges, each = 8, 3 // each retry means that another came through, so 20 tries are enough for these
	var all sync.WaitGroup
	for e := range edges {
		mine := Open(server.Client(), "arena")
		all.Go(func() {
			for i := range each {
				_, err := mine.Give(t.Context(), Order{What: WhatMessage, Message: fmt.Sprintf("%d-%d", e, i)})
				for errors.Is(err, ErrBusy) {
					_, err = mine.Give(t.Context(), Order{What: WhatMessage, Message: fmt.Sprintf("%d-%d", e, i)})
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	got := entries(t, q)
	if len(got) != 2+edges*each {
		t.Fatalf("%d entries", len(got))
	}
	for i := 3; i < len(got); i++ {
		if got[i].Before["message"] != got[i-1].After["message"] {
			t.Errorf("entry %d: before it was %q, and the entry before says %q", i+1, got[i].Before["message"], got[i-1].After["message"])
		}
	}
	if got := tick(t, q, 0).Message; got != entries(t, q)[len(entries(t, q))-1].After["message"] {
		t.Errorf("in force is %q", got)
	}
}

// An answer that was lost on the way does not make a second entry when go-redis asks again.
func TestAnOrderWhoseAnswerWasLostIsTakenOnce(t *testing.T) {
	q, _ := setup(t, fast)
	now, err := q.standing(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w := writer{head: now.head, at: now.at}
	w.add(WhatPause, nil, nil, nil)
	for range 3 {
		if done, err := q.take(t.Context(), now, w, []any{"paused", 1}); err != nil || !done {
			t.Fatal(done, err)
		}
	}
	if got := entries(t, q); len(got) != 3 {
		t.Errorf("%d entries", len(got))
	}
}

func TestWhatIsWrittenIsBoundedAndFitForATerminal(t *testing.T) {
	q, _ := setup(t, fast)
	long := strings.Repeat("é", 4000)
	give(t, q, Order{What: WhatPause, Note: map[string]string{"note\x1b[2J": long}, By: By{User: long, Host: "a\x00b\u202ec\nd", Address: "\xff", Reason: strings.Repeat("r", MaxReason)}})
	got := entries(t, q)[2]
	if len(got.By.User) > maxBy || got.By.Host != "a b c d" || got.By.Address != "?" || len(got.After["note [2J"]) > maxBy {
		t.Errorf("%+v", got)
	}
	for _, o := range []Order{
		{What: WhatPause, By: By{Reason: strings.Repeat("r", MaxReason+1)}},
		{What: WhatMessage, Message: strings.Repeat("m", MaxMessage+1)},
		{What: ""}, {What: What(strings.Repeat("w", maxBy+1))}, {What: whatBegan}, {What: whatLost},
	} {
		if _, err := q.Give(t.Context(), o); err == nil {
			t.Errorf("%.60q is taken", o.What)
		}
	}
	if got := len(entries(t, q)); got != 3 {
		t.Errorf("what was refused left entries: %d", got)
	}
}

// Fans write nothing into the log, whatever they do.
func TestFansLeaveNoTraceInTheLog(t *testing.T) {
	q, _ := setup(t, fast)
	before, err := q.Log(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range crowd(t, q, 5) {
		tick(t, q, NoLimit)
		_, _ = q.Claim(t.Context(), p.Visitor, Vouch{})
		_, releaseErr := q.Release(t.Context(), p.Visitor)
		if err := errors.Join(releaseErr, q.Leave(t.Context(), p.Visitor), q.Away(t.Context(), []place.Visitor{p.Visitor})); err != nil {
			t.Fatal(err)
		}
	}
	after, err := q.Log(t.Context(), 0)
	if err != nil || after.Head != before.Head || len(after.Lines) != len(before.Lines) {
		t.Errorf("the log was at %q and is at %q (%v)", before.Head, after.Head, err)
	}
}
