package waitroom

import (
	"errors"
	"net/http"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/draw"
	"github.com/caddy-tickets/caddy-tickets/internal/hub"
	"github.com/caddy-tickets/caddy-tickets/internal/problem"
	"github.com/caddy-tickets/caddy-tickets/internal/queue"
	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

// The refusals of this directive. Clients branch on the codes.
var (
	problemPassRequired = &problem.Problem{
		Code: "pass-required", Status: http.StatusUnauthorized, Title: "Waiting room",
		Detail: "A visitor needs a pass to come in here. Open the site in a browser and wait for your turn.",
	}
	problemNotQueued = &problem.Problem{
		Code: "not-queued", Status: http.StatusNotFound, Title: "Not in the queue",
		Detail: "This visitor has no place. Join first.",
	}
	problemNotYet = &problem.Problem{
		Code: "not-yet", Status: http.StatusConflict, Title: "Not your turn yet",
		Detail: "Your place is safe. You are let in as soon as it is your turn.",
	}
	problemTurnMissed = &problem.Problem{
		Code: "turn-missed", Status: http.StatusGone, Title: "The turn has passed",
		Detail: "It was your turn, but it was not taken in time. Leave and join again for a new place.",
	}
	problemSoldOut = &problem.Problem{
		Code: "sold-out", Status: http.StatusGone, Title: "Sold out",
		Detail: "All tickets are sold. Thank you for waiting.",
	}
	problemClosed = &problem.Problem{
		Code: "closed", Status: http.StatusGone, Title: "The sale is over",
		Detail: "This sale has ended.",
	}
	problemNotOpen = &problem.Problem{
		Code: "not-open", Status: http.StatusForbidden, Title: "Not open yet",
		Detail: "The waiting room is not open yet. Coming early gives no better place.",
	}
	problemQueueFull = &problem.Problem{
		Code: "queue-full", Status: http.StatusServiceUnavailable, Title: "The queue is full",
		Detail: "More people are waiting than there can be tickets for. Please try again later.", RetryAfter: time.Minute,
	}
	problemRoomFull = &problem.Problem{
		Code: "room-full", Status: http.StatusServiceUnavailable, Title: "No room right now",
		Detail: "Nobody else can be let in at this moment, and this site keeps no queue. Please try again later.",
	}
	problemUnavailable = &problem.Problem{
		Code: "unavailable", Status: http.StatusServiceUnavailable, Title: "A moment, please",
		Detail: "We are having a technical problem. Your place is safe; please try again in a few seconds.", RetryAfter: 3 * time.Second,
	}
	problemNoStream = &problem.Problem{
		Code: "no-stream", Status: http.StatusServiceUnavailable, Title: "No live updates right now",
		Detail: "Your place is safe. Ask for the status instead.",
	}
	problemNoAsset = &problem.Problem{
		Code: "not-found", Status: http.StatusNotFound, Title: "Nothing is here",
		Detail: "This file belongs to another version of the page. Reload the page.",
	}
	problemNoDraw = &problem.Problem{
		Code: "no-draw", Status: http.StatusNotFound, Title: "Nothing is drawn here",
		Detail: "This room has no draw: places are given in the order of arrival.",
	}
	problemNotDrawn = &problem.Problem{
		Code: "not-drawn", Status: http.StatusNotFound, Title: "Not drawn yet",
		Detail: "The draw is not over yet. Its record says how far it is.", RetryAfter: 5 * time.Second,
	}
	problemNotInDraw = &problem.Problem{
		Code: "not-in-draw", Status: http.StatusNotFound, Title: "Not in the draw",
		Detail: "This visitor was not in the lobby when it ended, and so did not take part in the draw.",
	}
	problemCrossOrigin = &problem.Problem{
		Code: "cross-origin", Status: http.StatusForbidden, Title: "Not from another site",
		Detail: "This request came from a page of another site. Open the ticket site itself.",
	}
	problemTooLarge = &problem.Problem{
		Code: "too-large", Status: http.StatusRequestEntityTooLarge, Title: "Too large",
		Detail: "This request needs no body.",
	}
	problemMethod = &problem.Problem{
		Code: "method-not-allowed", Status: http.StatusMethodNotAllowed, Title: "Not this way",
	}
)

// refusals says which problem an answer of the room is.
var refusals = []struct {
	err     error
	problem *problem.Problem
}{
	{room.ErrNotOpenYet, problemNotOpen},
	{room.ErrSoldOut, problemSoldOut},
	{room.ErrClosed, problemClosed},
	{room.ErrQueueFull, problemQueueFull},
	{queue.ErrNoRoom, problemRoomFull.After(time.Minute)},
	{room.ErrNotDrawn, problemNotDrawn},
	{draw.ErrNotInCohort, problemNotInDraw},
	{queue.ErrNotYet, problemNotYet.After(time.Second)},
	{queue.ErrTurnMissed, problemTurnMissed},
	{queue.ErrNotQueued, problemNotQueued},
	{queue.ErrUnavailable, problemUnavailable},
	{hub.ErrFull, problemNoStream},
	{hub.ErrTooMany, problemNoStream},
	{hub.ErrDraining, problemNoStream},
}

// refusal turns an error into what the client is told. What is not known is an
// outage: the details are for the log.
func refusal(err error) *problem.Problem {
	if p, ok := errors.AsType[*problem.Problem](err); ok {
		return p
	}
	for _, r := range refusals {
		if errors.Is(err, r.err) {
			return r.problem
		}
	}
	return problemUnavailable
}

func refuse(w http.ResponseWriter, p *problem.Problem) error {
	problem.Write(w, p)
	return nil
}

func refuseMethod(w http.ResponseWriter, allowed string) error {
	w.Header().Set("Allow", allowed)
	return refuse(w, problemMethod.Because("Use "+allowed+" here."))
}
