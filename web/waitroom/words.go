package waitroompage

import (
	"fmt"
	"strconv"

	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

// Words say how things stand: a headline and one honest sentence.
type Words struct {
	Title string `json:"title"` // of the tab
	Head  string `json:"head"`
	Text  string `json:"text"`
}

// words by state of the page. The script has no others.
var words = map[string]Words{
	"joining": {"Joining the queue", "Joining the queue …",
		"Your browser is doing a small calculation that keeps bots out. It takes a second or two."},
	"scheduled": {"Not open yet", "The doors are still closed",
		"You can come in when the countdown ends. Coming earlier gives no better place."},
	"lobby": {"You are here in time", "You are here in time",
		"Everybody who is here when the countdown ends gets a place by lot. It does not matter when you came, and reloading changes nothing."},
	"waiting": {"In the queue", "You are in the queue",
		"Keep this page open and you will be let in automatically. If you close it, come back in this browser within a minute or two: your place is kept that long."},
	"paused": {"Paused", "The queue is paused for a moment",
		"Nobody is being let in right now. Your place is safe, and nobody overtakes you."},
	"degraded": {"Your place is safe", "We are having a technical problem",
		"Your place is safe. Please stay on this page; it goes on by itself."},
	"admitted": {"It is your turn!", "It is your turn!",
		"You are being let in."},
	"missed": {"Your turn has passed", "Your turn has passed",
		"It was your turn, but it was not taken in time, so it went to the next in line. You can join again at the end of the queue."},
	"sold-out": {"Sold out", "Sold out",
		"All tickets are sold. Thank you for waiting. There is nothing more to wait for on this page."},
	"closed": {"The sale is over", "The sale is over", "This sale has ended."},
	"left": {"You have left the queue", "You have left the queue",
		"Your place went to the people behind you. You can join again at the end of the queue."},
	"full": {"The queue is full", "The queue is full",
		"More people are waiting than there can be tickets for. Please try again later."},
	"challenge": {"We could not let you join", "We could not let you join",
		"Your browser's answer was not accepted. Please try again."},
	"busy": {"A moment, please", "A moment, please",
		"Too many requests came from your network. We try again by ourselves in a moment."},
	"offline": {"Trying again …", "The connection is lost",
		"Your place is safe. We are trying to reach the queue again."},
}

// chances says what a position is worth, in words.
var chances = map[room.Chance]string{
	room.ChanceLikely:   "There should still be tickets when it is your turn.",
	room.ChanceUnlikely: "Tickets may be gone before it is your turn. Some people ahead of you may not buy.",
	room.ChanceNone:     "All tickets are sold.",
	room.ChanceUnknown:  "",
}

// grouped writes 1204331 as 1,204,331.
func grouped(n int) string {
	s := strconv.Itoa(n)
	for at := len(s) - 3; at > 0; at -= 3 {
		s = s[:at] + "," + s[at:]
	}
	return s
}

// between writes an estimate as people say it; page.js does the same.
func between(low, high int64) string {
	const minute, hour = 60, 3600
	switch {
	case high < minute:
		return "less than a minute"
	case high < 2*hour:
		a, b := low/minute, (high+minute-1)/minute
		if a == b {
			return fmt.Sprintf("about %s", plural(b, "minute"))
		}
		if a < 1 {
			return fmt.Sprintf("up to %s", plural(b, "minute"))
		}
		return fmt.Sprintf("%d to %s", a, plural(b, "minute"))
	}
	a, b := low/hour, (high+hour-1)/hour
	if a < 1 {
		return fmt.Sprintf("up to %s", plural(b, "hour"))
	}
	if a == b {
		return fmt.Sprintf("about %s", plural(b, "hour"))
	}
	return fmt.Sprintf("%d to %s", a, plural(b, "hour"))
}

func plural(n int64, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}
