package waitroom

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/caddy-tickets/caddy-tickets/caddymodule/ticketsapp"
	"github.com/caddy-tickets/caddy-tickets/internal/invite"
	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/problem"
	"github.com/caddy-tickets/caddy-tickets/internal/queue"
	page "github.com/caddy-tickets/caddy-tickets/web/waitroom"
)

// The refusals of an invitation. A guest has no other way to learn what is the matter.
var (
	problemInviteInvalid = &problem.Problem{
		Code: "invite-invalid", Status: http.StatusNotFound, Title: "This invitation is not valid",
		Detail: "The link is not complete, or not for this sale. Please open it exactly as it was sent to you.",
	}
	problemInviteExpired = &problem.Problem{
		Code: "invite-expired", Status: http.StatusGone, Title: "This invitation has expired",
		Detail: "Its time is over. Please ask whoever sent it to you for a new one.",
	}
	problemInviteUsed = &problem.Problem{
		Code: "invite-used", Status: http.StatusGone, Title: "This invitation has been used",
		Detail: "It was good for one person and one visit. If that was not you, please ask whoever sent it to you for a new one.",
	}
	problemInviteVoid = &problem.Problem{
		Code: "invite-void", Status: http.StatusGone, Title: "This invitation is void",
		Detail: "The queue that it is for does not exist any more. Please ask whoever sent it to you for a new one.",
	}
	problemGuestsFull = &problem.Problem{
		Code: "room-full", Status: http.StatusServiceUnavailable, Title: "No room right now",
		Detail: "As many people are inside as there may be. Your invitation is not used up: please try again in a minute.", RetryAfter: time.Minute,
	}
	problemGuestsPaused = &problem.Problem{
		Code: "paused", Status: http.StatusServiceUnavailable, Title: "Nobody is let in right now",
		Detail: "Nobody is let in for the moment. Your invitation is not used up: please try again in a few minutes.", RetryAfter: time.Minute,
	}
)

// errVoid says that an invitation is for a tier that the room does not have.
var errVoid = errors.New("an invitation to a tier that does not exist")

// inviteProblem is what a guest is told.
func inviteProblem(err error) *problem.Problem {
	for _, known := range []struct {
		err     error
		problem *problem.Problem
	}{
		{invite.ErrInvalid, problemInviteInvalid},
		{invite.ErrExpired, problemInviteExpired},
		{queue.ErrLinkOver, problemInviteExpired},
		{queue.ErrSpent, problemInviteUsed},
		{errVoid, problemInviteVoid},
		{queue.ErrCap, problemGuestsFull},
		{queue.ErrPaused, problemGuestsPaused},
	} {
		if errors.Is(err, known.err) {
			return known.problem
		}
	}
	p := refusal(err)
	if p == problemUnavailable {
		p = p.Because("We are having a technical problem. Nothing is used up; please try again in a few seconds.")
	}
	return p
}

// invitation is the one that a request brings along.
func (h *Handler) invitation(r *http.Request) (invite.Invitation, error) {
	return h.app.Invitations(h.Room).OpenInvitation(r.URL.Query().Get("t"), h.room.Now())
}

// showInvitation says what an invitation is good for. It uses nothing up: mail
// scanners and previews come here first, and often.
func (h *Handler) showInvitation(w http.ResponseWriter, r *http.Request) error {
	i, err := h.invitation(r)
	if err == nil {
		_, err = h.visitorOf(w, r) // now, so that a reply that is lost on the way back can be asked for again
	}
	if err != nil {
		return h.refuseGuest(w, r, "invite", inviteProblem, err)
	}
	h.app.Count(h.Room, "invite", "shown")
	if wantsPage(r) {
		session := h.room.View().Settings.Session
		return h.showNote(w, r, http.StatusOK, page.InvitationNote(i.Tier, i.Expires, session, r.URL.RequestURI()))
	}
	return answer(w, http.StatusOK, struct {
		Room    string    `json:"room"`
		Tier    string    `json:"tier,omitempty"`
		Expires time.Time `json:"expires"`
	}{h.Room, i.Tier, i.Expires})
}

// redeem uses an invitation up: for a session, or for a place in a tier. A guest who
// asks again finds what it got.
func (h *Handler) redeem(w http.ResponseWriter, r *http.Request) error {
	i, err := h.invitation(r)
	if err != nil {
		return h.refuseGuest(w, r, "invite", inviteProblem, err)
	}
	tok, err := h.visitorOf(w, r)
	if err != nil {
		return h.refuseGuest(w, r, "invite", inviteProblem, err)
	}
	link := queue.Link{ID: i.ID.String(), Expires: i.Expires, Name: i.Name}
	if link.Name == "" {
		link.Name = ticketsapp.Unnamed
	}
	if i.Tier == "" {
		err = h.letIn(w, r, tok, link)
	} else {
		err = h.placeIn(w, r, tok, link, i.Tier)
	}
	if err != nil {
		return h.refuseGuest(w, r, "invite", inviteProblem, err)
	}
	return nil
}

// letIn gives a guest a session and its pass.
func (h *Handler) letIn(w http.ResponseWriter, r *http.Request, tok place.Token, link queue.Link) error {
	got, err := h.room.Invite(r.Context(), tok, link)
	if err != nil {
		return err
	}
	if err := h.givePass(w, r, tok.Visitor, got); err != nil {
		return err
	}
	h.setPlace(w, r, unplaced(tok)) // a place it had was given up for the session
	h.countGuest("invite", !got.Again)
	return h.in(w, r, got.Expires)
}

// placeIn gives a guest a place in a tier.
func (h *Handler) placeIn(w http.ResponseWriter, r *http.Request, tok place.Token, link queue.Link, name string) error {
	tier, ok := h.tierNamed(name)
	if !ok {
		return errVoid
	}
	joined, err := h.room.InviteTo(r.Context(), tok, link, tier)
	if err != nil {
		return err
	}
	h.countGuest("invite", joined.Fresh)
	return h.placed(w, r, joined)
}

func (h *Handler) countGuest(action string, fresh bool) {
	if fresh {
		h.app.Count(h.Room, action, "done")
	} else {
		h.app.Count(h.Room, action, "again")
	}
}

// showNote sends a small page for one person.
func (h *Handler) showNote(w http.ResponseWriter, r *http.Request, status int, n page.Note) error {
	noStore(w)
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", page.CSP(""))
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "strict-origin") // never the address of the page: it is a key
	header.Add("Vary", "Accept")
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return nil
	}
	return page.RenderNote(w, n)
}

// refuseGuest sends the problem that an error is, to a browser as a page. What may work
// later offers its button again.
func (h *Handler) refuseGuest(w http.ResponseWriter, r *http.Request, action string, problemOf func(error) *problem.Problem, err error) error {
	p := problemOf(err)
	h.app.Count(h.Room, action, p.Code)
	if p.Code == problemUnavailable.Code {
		h.log.Warn("a request could not be served", "room", h.Room, "action", action, "error", err)
	}
	if !wantsPage(r) {
		return refuse(w, p)
	}
	n := page.Note{Head: p.Title, Texts: []string{p.Detail}, Home: "/"}
	if again := p.RetryAfter > 0 || p.Code == problemNotOpen.Code; again && r.Method == http.MethodPost {
		n.Button, n.Action = "Try again", (&url.URL{Path: r.URL.Path, RawQuery: r.URL.RawQuery}).RequestURI()
	}
	if p.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(p.RetryAfter.Seconds())))
	}
	return h.showNote(w, r, p.Status, n)
}
