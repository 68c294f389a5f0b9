package room

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/hub"
	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

// Picture implements hub.Renderer.
func (r *Room) Picture() hub.Picture { return r.view.Load() }

// Append implements hub.Picture: the server-sent events of one fan's line. It is
// written without encoding/json because it runs for every fan every few seconds;
// what is the same for all of them was encoded once.
func (v *View) Append(buf []byte, fan hub.Fan) (out []byte, shown uint32, last bool) {
	score := place.Score(fan.Score)
	buf = append(buf, v.changes...)
	switch {
	case v.State == SoldOut:
		return v.event(buf, "soldout", string(SoldOut)), 0, true
	case v.State == Closed:
		return v.event(buf, "state", string(Closed)), 0, true
	case v.Passed(score):
		buf = append(buf, "event: admitted\ndata: {\"state\":\"admitted\",\"claimBy\":"...)
		buf = appendTime(buf, v.Now.Add(v.Settings.ClaimWithin))
		return append(buf, "}\n\n"...), 0, true
	}
	position := clamp(v.Position(score), int(fan.Shown))
	buf = append(buf, "event: position\n"...)
	if position > 0 {
		buf = append(buf, "id: "...)
		buf = strconv.AppendInt(buf, int64(position), 10)
		buf = append(buf, '\n')
	}
	buf = append(buf, `data: {"state":"`...)
	buf = append(buf, v.fanState(score)...)
	buf = append(buf, `","position":`...)
	buf = strconv.AppendInt(buf, int64(position), 10)
	buf = append(buf, `,"ahead":`...)
	buf = strconv.AppendInt(buf, int64(max(0, position-1)), 10)
	buf = append(buf, `,"eta":`...)
	if low, high, known := v.ETA(position); known {
		buf = append(buf, `{"low":`...)
		buf = strconv.AppendInt(buf, wholeSeconds(low), 10)
		buf = append(buf, `,"high":`...)
		buf = strconv.AppendInt(buf, wholeSeconds(high), 10)
		buf = append(buf, '}')
	} else {
		buf = append(buf, "null"...)
	}
	buf = append(buf, `,"chance":"`...)
	buf = append(buf, v.Chance(position)...)
	buf = append(buf, '"')
	buf = append(buf, v.common...)
	return append(buf, "}\n\n"...), uint32(position), false
}

// event is a line that is the same for every fan.
func (v *View) event(buf []byte, name, state string) []byte {
	buf = append(buf, "event: "...)
	buf = append(buf, name...)
	buf = append(buf, "\ndata: {\"state\":\""...)
	buf = append(buf, state...)
	buf = append(buf, '"')
	buf = append(buf, v.common...)
	return append(buf, "}\n\n"...)
}

// commonMembers is the part of a line that no fan differs in, from a comma on.
func commonMembers(v *View) []byte {
	buf := append([]byte(nil), `,"waiting":`...)
	buf = strconv.AppendInt(buf, int64(v.Waiting), 10)
	buf = append(buf, `,"message":`...)
	buf = appendJSON(buf, v.message())
	buf = append(buf, `,"stock":`...)
	buf = appendJSON(buf, v.Stock)
	if v.Degraded {
		buf = append(buf, `,"degraded":true`...)
	}
	buf = append(buf, `,"opens":`...)
	if v.Opens.IsZero() {
		return append(buf, "null"...)
	}
	return appendTime(buf, v.Opens)
}

// changeEvents tells everybody, once, what has just changed.
func changeEvents(old, v *View) []byte {
	if old == nil {
		return nil
	}
	var buf []byte
	if old.State != v.State && v.State != SoldOut && v.State != Closed { // those are the line itself
		buf = v.event(append(buf, "retry: 3000\n"...), "state", string(v.State))
	}
	if old.message() != v.message() {
		buf = append(buf, "event: message\ndata: {\"message\":"...)
		buf = appendJSON(buf, v.message())
		buf = append(buf, "}\n\n"...)
	}
	return buf
}

// messageDegraded is what fans read while Redis is away and the operator is silent.
const messageDegraded = "We are having a technical problem. Your place is safe; please stay on this page."

// messageUnwell is what they read while the site behind the room takes nobody.
const messageUnwell = "The ticket site needs a moment. Your place is safe and the queue goes on by itself."

func (v *View) message() string {
	switch {
	case v.Message != "":
		return v.Message
	case v.Degraded:
		return messageDegraded
	case v.Unwell && v.State == Open:
		return messageUnwell
	}
	return ""
}

// appendJSON encodes what cannot fail to encode: strings and stock.
func appendJSON(buf []byte, value any) []byte {
	out, err := json.Marshal(value)
	if err != nil {
		return append(buf, "null"...)
	}
	return append(buf, out...)
}

func appendTime(buf []byte, t time.Time) []byte {
	buf = append(buf, '"')
	buf = t.UTC().Truncate(time.Second).AppendFormat(buf, time.RFC3339)
	return append(buf, '"')
}

// wholeSeconds rounds up: a fan is rather early than late.
func wholeSeconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

// clamp keeps what is shown from going up. A board a second old, a fan who was
// re-entered or an edge that reads a newer board may each compute a higher one.
func clamp(position, seen int) int {
	if seen > 0 && (position <= 0 || position > seen) {
		return seen
	}
	return position
}

var _ hub.Renderer = (*Room)(nil)
