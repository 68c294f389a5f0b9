package waitroompage

import (
	"strconv"

	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

// Words say how things stand: a headline and one honest sentence. They must be
// true with and without scripts.
type Words struct {
	Title  string `json:"title"` // of the tab
	Head   string `json:"head"`
	Text   string `json:"text"`
	Button string `json:"button,omitempty"` // of joining, where that is offered
}

// States of the page that are not states of a fan.
const (
	pageJoining  = "joining"
	pageDegraded = "degraded"
	pageMissed   = "missed"
	pageNoRoom   = "no-room"
	sceneEarly   = "early" // the lobby of a room whose order is that of arrival
)

// pageDrawing is the state of a room between the end of its lobby and the end of
// its draw. It may last: a draw waits for its public random number.
const pageDrawing = "drawing"

const lobbyRule = "Everybody who is here when the countdown ends gets a place by draw. The order of arrival does not matter, and reloading changes nothing."

// words by state of the page. The script has no others.
var words = map[string]Words{
	pageJoining: {"Joining the queue", "Joining the queue",
		"Your browser is doing a small calculation that keeps bots out. It takes a few seconds, and longer on an old phone.", "Join the queue"},
	"scheduled": {"Not open yet", "The doors are still closed",
		"You can come in when the countdown ends. Coming earlier gives no better place.", ""},
	sceneEarly: {"You are in the queue", "You are in the queue, and the sale opens soon",
		"Places are given in the order of arrival, and you have yours. When the countdown ends, people are let in from the front. Please keep this page open.", ""},
	"lobby": {"You are here in time", "You are here in time", lobbyRule + " Please keep this page open.", ""},
	pageDrawing: {"The draw is being made", "The draw is being made",
		"Everybody who was here when the countdown ended takes part; whoever came later is placed behind them. Please keep this page open: your place appears here as soon as it is known. If the draw waits for its public random number, that can take a few minutes.", ""},
	"waiting": {"In the queue", "You are in the queue",
		"Keep this page open: it tells you when it is your turn.", ""},
	"paused": {"The queue is paused", "The queue is paused for a moment",
		"Nobody is being let in right now, and your place is safe.", ""},
	pageDegraded: {"Your place is safe", "Your place is safe",
		"We are having a technical problem. Please stay on this page; the queue goes on by itself.", ""},
	"admitted": {"It is your turn!", "It is your turn!",
		"You are being let in. If nothing happens within a few seconds, press the button.", ""},
	pageMissed: {"Your turn has passed", "Your turn has passed",
		"It was your turn, but it was not taken in time, so it went to the next in line. You can join again at the end of the queue.", "Join again"},
	"sold-out": {"Sold out", "Sold out",
		"All tickets are sold. Thank you for waiting; we are sorry that there was none left for you. You can close this page.", ""},
	"closed": {"The sale is over", "The sale is over", "This sale has ended. You can close this page.", ""},
	"left": {"You have left the queue", "You have left the queue",
		"Your place went to the people behind you. You can join again at the end of the queue.", "Join again"},
	"lost": {"You are not in the queue", "You are not in the queue any more",
		"This browser has no place: it was given up, perhaps in another tab, or its turn has passed. You can join again at the end of the queue.", "Join again"},
	"full": {"The queue is full", "The queue is full",
		"More people are waiting than there can be tickets for, so nobody else can join right now. You can try again later.", "Try again"},
	pageNoRoom: {"No room right now", "There is no room right now",
		"Nobody else can be let in at this moment. There is no queue here, so there is no place to lose: this page looks again by itself, and you are in if there is room then.", ""},
	"refused": {"We could not let you join", "We could not let you join",
		"Your browser could not take a place. Please try again; if it keeps failing, try another browser.", "Try again"},
	"cookies": {"Please allow cookies", "Please allow cookies",
		"Your place is kept in a cookie of this site, and your browser refuses it. Please allow cookies for this site and try again.", "Try again"},
}

// textBeforeScript is what joining says until the script has started, if it does.
const textBeforeScript = "Your browser takes your place by itself. If nothing happens within a few seconds, press the button."

// chances says what a position is worth, in words.
var chances = map[room.Chance]string{
	room.ChanceLikely:   "There should still be tickets when it is your turn.",
	room.ChanceUnlikely: "Tickets may be gone before it is your turn. Some people ahead of you may not buy, so waiting can still be worth it.",
	room.ChanceNone:     "All tickets are sold.",
}

// links says how fresh the page is.
var links = map[string]string{
	"live":    "Live",
	"polling": "Updated every few seconds",
	"lost":    "Connection lost. Your place is safe. Trying again …",
	"offline": "Connection lost. Trying again …", // of a fan without a place
	"busy":    "Many people are here right now. Your request is sent again in a moment; nothing is lost.",
}

// openings say what the countdown leads to.
var openings = map[string]string{"scheduled": "The sale opens in", sceneEarly: "The sale opens in", "lobby": "The draw is in", pageDrawing: "The countdown ended"}

// unread is said of what a fan wanted to see and did not come.
const unread = "This could not be loaded. Please close this and open it again in a moment."

// what says how much of a price category is left.
var what = map[string]string{
	"left": "left", "held": "all in baskets", "gone": "sold out",
	"allHeld": "Every ticket is in somebody's basket right now. Some usually come back.",
	"next":    "The next one may come back in",
	"tickets": "tickets left",
	"unread":  unread,
}

// drawWords are what checking a draw can find: check.js has no others. Of a pair
// the first is said if it holds, the second if not. What stands in braces is
// filled in.
var drawWords = map[string]any{
	"checking":   "Your browser is checking it …",
	"place":      []string{"This is about your own place: the number is the one that this browser was given.", "This is about somebody else's place, not about yours."},
	"commitment": []string{"The secret is the one that was promised in advance.", "The secret is not the one that was promised in advance."},
	"member": []string{"You took part: your number is one of the {count} that were fixed before the draw.",
		"Your number does not belong to the {count} that were fixed before the draw."},
	"seed": []string{"The result was made from the secret, the public random number and the list of everybody who took part, and from nothing else.",
		"The result does not follow from the secret, the public random number and the list of everybody who took part."},
	"seedAlone": []string{"The result was made from the secret and the list of everybody who took part, and from nothing else.",
		"The result does not follow from the secret and the list of everybody who took part."},
	"score": []string{"Your place follows from this result and your number.", "Your place is not the one that this result gives to your number."},
	"tier": []string{"Your place follows from this result, your number and your group, which is number {tier}. It was fixed before the draw, too.",
		"Your place is not the one that this result gives to your number and your group, which is number {tier}."},
	"holds":  "All of this holds. Your place was drawn by lot, and your browser has checked it itself.",
	"wrong":  "This does not hold. Please save both files below and your number, {visitor}, and tell the organiser.",
	"beacon": "What your browser cannot look up: the public random number is “{source}”, and has to be {value}.",
	"missed": "The public random number, “{source}”, did not come in time, so the draw was made without it, as was announced. Whoever could hold it back could choose between two orders.",
	"alone":  "This draw had no public random number. It rests on the secret alone, which the organiser knew.",
	"before": "That the secret was promised before anybody came is known to whoever kept the record from then.",
	"without": map[string]string{ // by the code of the refusal
		"not-in-draw": "You came after the draw had begun, so your place is behind those who were drawn, in the order of arrival.",
		"not-drawn":   "The draw is not finished yet. Please try again in a moment.",
		"no-draw":     "Nothing was drawn here: places are given in the order of arrival.",
		"not-queued":  "This browser has no place any more, so there is nothing to check for it.",
	},
	"busy": unread,
	"insecure": "Your browser can check this only on a secure page, one whose address begins with https. " +
		"The two files below are enough to check it elsewhere.",
}

// outcomes tell a browser without scripts what became of a form it sent: the
// answer leads back to the page, with the code of the refusal as fragment.
var outcomes = []struct{ ID, Text string }{
	{"turn-missed", words[pageMissed].Head + ". " + words[pageMissed].Text},
	{"not-queued", words["lost"].Head + ". " + words["lost"].Text},
	{"queue-full", words["full"].Head + ". " + words["full"].Text},
	{"room-full", words[pageNoRoom].Head + ". " + words[pageNoRoom].Text},
	{"left", words["left"].Head + ". " + words["left"].Text},
	{"not-yet", "It is not your turn yet. Your place is safe."},
	{"unavailable", "We are having a technical problem. Nothing is lost; please try again in a few seconds."},
}

// grouped writes 1204331 as 1,204,331.
func grouped(n int) string {
	s := strconv.Itoa(n)
	for at := len(s) - 3; at > 0; at -= 3 {
		s = s[:at] + "," + s[at:]
	}
	return s
}

const minute, hour, day = 60, 3600, 24 * 3600 // in seconds

// between writes an estimate as people say it, and no finer than it is known:
// the longer the wait, the coarser the step, always rounded outwards. The script
// does the same.
func between(low, high int64) string {
	switch {
	case low >= day:
		return "more than a day"
	case high < minute:
		return "less than a minute"
	case high <= 20*minute:
		return span(low, high, minute, "minute", func(s int64) string { return strconv.FormatInt(s/minute, 10) })
	case high <= 90*minute:
		return span(low, high, 5*minute, "minute", func(s int64) string { return strconv.FormatInt(s/minute, 10) })
	}
	return span(low, high, hour/2, "hour", halves)
}

func span(low, high, step int64, unit string, write func(int64) string) string {
	from, to := low/step*step, (high+step-1)/step*step
	end := write(to) + " " + unit
	if write(to) != "1" {
		end += "s"
	}
	switch from {
	case to:
		return "about " + end
	case 0:
		return "up to " + end
	}
	return "about " + write(from) + " to " + end
}

// halves writes seconds as hours: 1½.
func halves(seconds int64) string {
	s := strconv.FormatInt(seconds/hour, 10)
	switch {
	case seconds%hour == 0:
		return s
	case seconds < hour:
		return "½"
	}
	return s + "½"
}
