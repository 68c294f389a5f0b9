package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// What is the kind of an order.
type What string

// The kinds of orders, as they are in the log. Others may be noted: they have a Note
// and change no setting.
const (
	WhatPause    What = "pause"    // stops admission; places, joins and passes stay as they are
	WhatResume   What = "resume"   // undoes it
	WhatRate     What = "rate"     // changes the rate alone, until the next settings
	WhatMessage  What = "message"  // shows a text to everybody who waits; an empty one takes it away
	WhatSettings What = "settings" // a config was loaded; the last one wins, whichever edge loads it

	whatBegan What = "began" // the log's own first entry
	whatLost  What = "lost"  // Redis has lost entries that the writer knows of
)

// Order is what is to change in a room, and who wants it. It changes every edge on
// the same Redis with its next tick.
type Order struct {
	What     What
	Rate     int           // of a rate
	Per      time.Duration // of a rate
	Message  string        // of a message
	Settings Settings      // of settings
	Note     map[string]string

	// Schedule is of settings, too: when the room opens and how. Each edge goes by its own
	// file; here it is only written down, so that changes are in the log, and an edge
	// whose file says otherwise can see it.
	Schedule map[string]string

	By By
}

// By is who gave an order. User and Host are what the command that gave it says of
// itself; Address is what the edge saw.
type By struct {
	User    string `json:"user,omitempty"`    // of the operating system
	Host    string `json:"host,omitempty"`    // its name
	Address string `json:"address,omitempty"` // from which the admin endpoint was asked
	Edge    string `json:"edge,omitempty"`    // that took the order
	Reason  string `json:"reason,omitempty"`
}

// MaxMessage bounds what an operator can tell every fan, MaxReason what the log is
// told about why, both in bytes. The rest of By and of notes is cut where it is longer.
const (
	MaxMessage = 500
	MaxReason  = 300

	maxBy    = 100
	maxNotes = 16
)

// maxTries bounds how often an order is written anew because another came first. A
// fleet that loads a config at once is the most there is, and there the first changes
// something and the others find nothing to change.
const maxTries = 20

// ErrBusy says that other orders came in between, again and again.
var ErrBusy = errors.New("too many orders at once; nothing was changed, give it again")

// Give puts an order in force and writes it into the room's log, both or neither.
// Settings that are in force already are no order, and leave no entry: the record is
// nil then. After ErrUnavailable the order may have been taken; giving it again is safe.
func (q *Queue) Give(ctx context.Context, o Order) (*Record, error) {
	record, err := q.give(ctx, o)
	if err == nil && o.What == WhatSettings {
		err = q.share(ctx, o.Settings)
	}
	return record, err
}

func (q *Queue) give(ctx context.Context, o Order) (*Record, error) {
	fields, err := o.fields()
	if err != nil {
		return nil, err
	}
	o.By, o.Note = o.By.bounded(), bounded(o.Note)
	for range maxTries {
		known := q.logged.Load() // before Redis is asked, or it could be newer than the answer
		now, err := q.standing(ctx)
		if err != nil {
			return nil, err
		}
		if o.What == WhatSettings && now.has(fields) {
			return nil, nil //nolint:nilnil // nothing to do is a valid answer
		}
		w := writer{head: now.head, at: now.at, by: o.By}
		w.begin(known)
		r := w.add(o.What, now.values.shown(fields), now.values.with(fields).shown(fields), o.Note)
		if w.err != nil {
			return nil, w.err
		}
		switch done, err := q.take(ctx, now, w, fields); {
		case err != nil:
			return nil, err
		case done:
			q.remember(w.head)
			return r, nil
		}
	}
	return nil, fmt.Errorf("ordering %s: %w", o.What, ErrBusy)
}

// take writes; it says false if another order came in between.
func (q *Queue) take(ctx context.Context, now standing, w writer, fields []any) (bool, error) {
	args := []any{now.head.String(), w.head.String(), MaxLog, len(w.lines)}
	for _, line := range w.lines {
		args = append(args, line)
	}
	reply, err := q.eval(ctx, orderScript, []string{q.first().keys.Room, q.first().keys.Log}, append(args, fields...)...).Int()
	if err != nil {
		return false, unavailable("ordering", err)
	}
	return reply != 0, nil
}

// fields are the settings that an order changes, as they are in Redis.
func (o Order) fields() ([]any, error) {
	if len(o.By.Reason) > MaxReason {
		return nil, fmt.Errorf("ordering %s: the reason has %d bytes, more than %d", o.What, len(o.By.Reason), MaxReason)
	}
	switch o.What {
	case WhatPause:
		return []any{"paused", 1}, nil
	case WhatResume:
		return []any{"paused", 0}, nil
	case WhatRate:
		if o.Rate <= 0 || o.Per <= 0 {
			return nil, errors.New("setting the rate: it must be above zero; to stop admission, pause the room")
		}
		burst := Settings{Rate: o.Rate, Per: o.Per}.DefaultBurst()
		return []any{"rate", o.Rate, "per", o.Per.Milliseconds(), "burst", burst}, nil
	case WhatMessage:
		if len(o.Message) > MaxMessage {
			return nil, fmt.Errorf("setting the message: it has %d bytes, more than %d", len(o.Message), MaxMessage)
		}
		return []any{"message", o.Message}, nil
	case WhatSettings:
		if err := o.Settings.Check(); err != nil {
			return nil, fmt.Errorf("configuring: %w", err)
		}
		fields := o.Settings.fields()
		if len(o.Schedule) > 0 {
			text, err := json.Marshal(bounded(o.Schedule))
			if err != nil {
				return nil, fmt.Errorf("configuring: %w", err)
			}
			fields = append(fields, "schedule", string(text))
		}
		return fields, nil
	}
	if len(o.What) == 0 || len(o.What) > maxBy || o.What == whatBegan || o.What == whatLost {
		return nil, fmt.Errorf("there is no order %.80q", o.What)
	}
	return nil, nil
}

// fields are all settings, as they are in Redis.
func (s Settings) fields() []any {
	if s.Burst == 0 {
		s.Burst = s.DefaultBurst()
	}
	return []any{"rate", s.Rate, "per", s.Per.Milliseconds(), "burst", s.Burst, "cap", s.Active,
		"session", s.Session.Milliseconds(), "claim", s.ClaimWithin.Milliseconds(),
		"abandon", s.AbandonAfter.Milliseconds(), "max_queue", s.MaxQueue, "shards", max(s.Shards, 1)}
}

// standing is how a room stands just before an order.
type standing struct {
	at     time.Time // by Redis' clock
	head   head
	values values
}

// has says whether every field has its value already.
func (s standing) has(fields []any) bool {
	for i := 0; i < len(fields); i += 2 {
		if s.values[fields[i].(string)] != fmt.Sprint(fields[i+1]) {
			return false
		}
	}
	return true
}

func (q *Queue) standing(ctx context.Context) (standing, error) {
	got, err := q.eval(ctx, standingScript, []string{q.first().keys.Room}).Slice()
	if err != nil {
		return standing{}, unavailable("reading the settings", err)
	}
	r := reply{values: got}
	s := standing{at: r.time(), values: values{}}
	head, known := parseHead(r.text())
	s.head = head
	for _, name := range settingNames {
		s.values[name] = r.text()
	}
	if r.bad || !known {
		return standing{}, unavailable("reading the settings", errReply)
	}
	return s, nil
}

// settingNames are the fields of the room that orders change, as standing.lua has them.
var settingNames = []string{"rate", "per", "burst", "cap", "session", "claim", "abandon", "max_queue", "shards", "schedule", "paused", "message"}

// values are settings as they are in Redis, "" where one is not set.
type values map[string]string

// with is the values after an order.
func (v values) with(fields []any) values {
	after := make(values, len(v))
	for name, value := range v {
		after[name] = value
	}
	for i := 0; i < len(fields); i += 2 {
		after[fields[i].(string)] = fmt.Sprint(fields[i+1])
	}
	return after
}

// shown are those values that an order is about, by their names in the config and as they
// are written there.
func (v values) shown(fields []any) map[string]string {
	out := make(map[string]string)
	for i := 0; i < len(fields); i += 2 {
		name := fields[i].(string)
		if v[name] == "" && name != "message" {
			continue // not set before
		}
		switch name {
		case "rate":
			rate, per := v.int("rate"), time.Duration(v.int("per"))*time.Millisecond
			out["admit"] = FormatRate(int(rate), per)
		case "per":
		case "shards":
			if v[name] != "1" {
				out[name] = v[name]
			}
		case "schedule":
			maps.Copy(out, parseSchedule(v[name]))
		case "cap":
			out["active"] = v[name]
		case "session", "claim", "abandon":
			out[map[string]string{"session": "session", "claim": "claim_within", "abandon": "abandon_after"}[name]] =
				(time.Duration(v.int(name)) * time.Millisecond).String()
		case "paused":
			out["paused"] = strconv.FormatBool(v[name] == "1")
		default:
			out[name] = v[name]
		}
	}
	return out
}

// parseSchedule reads a schedule as it is in Redis; what cannot be read was not written
// by this program, and is none.
func parseSchedule(text string) map[string]string {
	var schedule map[string]string
	_ = json.Unmarshal([]byte(text), &schedule)
	return schedule
}

func (v values) int(name string) int64 {
	n, _ := strconv.ParseInt(v[name], 10, 64) // what cannot be read was not written by this program, and shows as 0
	return n
}

// bounded cuts what is too long and takes away what could disturb a terminal.
func (b By) bounded() By {
	for _, s := range []*string{&b.User, &b.Host, &b.Address, &b.Edge} {
		*s = clean(*s, maxBy)
	}
	b.Reason = clean(b.Reason, MaxReason)
	return b
}

func bounded(notes map[string]string) map[string]string {
	if len(notes) == 0 {
		return nil
	}
	out := make(map[string]string)
	for name, value := range notes {
		if len(out) < maxNotes {
			out[clean(name, maxBy)] = clean(value, maxBy)
		}
	}
	return out
}

func clean(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "")
	}
	return s
}

// Shown are the settings by their names in the config, as they are written there.
func (s Settings) Shown() map[string]string {
	return values{}.with(s.fields()).shown(s.fields())
}
