package botguard

import (
	"net/http"

	"github.com/caddy-tickets/caddy-tickets/internal/problem"
)

// The refusals of this directive. Clients branch on the codes.
var (
	problemRequired = &problem.Problem{
		Code: "challenge-required", Status: http.StatusForbidden, Title: "A little work first",
		Detail: "Solve the challenge and send the request again with the answer in the header Botguard-Answer.",
	}
	problemFailed = &problem.Problem{
		Code: "challenge-failed", Status: http.StatusForbidden, Title: "The answer does not hold",
		Detail: "This answer is wrong or was made for another visitor. Keep the cookie that comes with this reply and solve the new challenge.",
	}
	problemExpired = &problem.Problem{
		Code: "challenge-expired", Status: http.StatusForbidden, Title: "The answer came too late",
		Detail: "This challenge has run out. Solve the new one.",
	}
	problemEarly = &problem.Problem{
		Code: "challenge-early", Status: http.StatusForbidden, Title: "The answer came too early",
		Detail: "Waiting is an answer only when the time is up. Send the same answer again then.",
	}
	problemTooMany = &problem.Problem{
		Code: "too-many-requests", Status: http.StatusTooManyRequests, Title: "Too many attempts",
		Detail: "There have been too many attempts from your network or browser. Please wait and try again; a place that you have already is safe.",
	}
	problemCrossOrigin = &problem.Problem{
		Code: "cross-origin", Status: http.StatusForbidden, Title: "Not from another site",
		Detail: "This request came from a page of another site. Open the ticket site itself.",
	}
	problemNoRoom = &problem.Problem{
		Code: "no-such-room", Status: http.StatusNotFound, Title: "No such room",
		Detail: "Say which room it is for, such as ?room=arena.",
	}
	problemMethod = &problem.Problem{
		Code: "method-not-allowed", Status: http.StatusMethodNotAllowed, Title: "Not this way",
	}
)

func refuse(w http.ResponseWriter, p *problem.Problem) error {
	problem.Write(w, p)
	return nil
}

func refuseMethod(w http.ResponseWriter, allowed string) error {
	w.Header().Set("Allow", allowed)
	return refuse(w, problemMethod.Because("Use "+allowed+" here."))
}
