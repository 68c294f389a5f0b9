package waitroom

import (
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/invite"
	"github.com/caddy-tickets/caddy-tickets/internal/problem"
	"github.com/caddy-tickets/caddy-tickets/internal/queue"
	page "github.com/caddy-tickets/caddy-tickets/web/waitroom"
)

// deviceLife is how long a fan has to open the link on the other device. It is a
// place in the open, so it is short.
const deviceLife = 10 * time.Minute

// The refusals of a link to another device. In all of them the place stays where it is.
var (
	problemLinkInvalid = &problem.Problem{
		Code: "link-invalid", Status: http.StatusNotFound, Title: "This link is not valid",
		Detail: "The link is not complete, or not for this sale. Your place stays on the other device: make a new link there.",
	}
	problemLinkExpired = &problem.Problem{
		Code: "link-expired", Status: http.StatusGone, Title: "This link has expired",
		Detail: "It was good for 10 minutes. Your place stays on the other device: make a new link there.",
	}
	problemLinkUsed = &problem.Problem{
		Code: "link-used", Status: http.StatusGone, Title: "This link has been used",
		Detail: "A link takes a place to one device only. If that was not yours, leave the queue on the device that made it, and join again.",
	}
)

// deviceProblem is what a fan is told.
func deviceProblem(err error) *problem.Problem {
	switch {
	case errors.Is(err, invite.ErrInvalid):
		return problemLinkInvalid
	case errors.Is(err, invite.ErrExpired), errors.Is(err, queue.ErrLinkOver):
		return problemLinkExpired
	case errors.Is(err, queue.ErrSpent):
		return problemLinkUsed
	}
	return refusal(err)
}

func (h *Handler) devices() *invite.Signer {
	return invite.NewSigner(h.app.Secret("device "+h.Room), h.Room)
}

func (h *Handler) handover(r *http.Request) (invite.Handover, error) {
	return h.devices().OpenHandover(r.URL.Query().Get("t"), h.room.Now())
}

// deviceLink is the answer to who asks for a link.
type deviceLink struct {
	Link    string    `json:"link"`
	Expires time.Time `json:"expires"`
}

// makeDeviceLink gives a fan a link that takes its place to another device, once. It
// writes nothing: what was not used need not be remembered.
func (h *Handler) makeDeviceLink(w http.ResponseWriter, r *http.Request) error {
	tok, err := h.known(w, r)
	if err != nil {
		return h.refuse(w, r, "device", err)
	}
	id, err := invite.NewID(rand.Reader)
	if err != nil {
		return h.refuse(w, r, "device", err)
	}
	expires := h.room.Now().Add(deviceLife).Truncate(time.Second).UTC()
	link := url.URL{Scheme: "http", Host: r.Host, Path: h.paths.base + "device"}
	if r.TLS != nil {
		link.Scheme = "https"
	}
	link.RawQuery = url.Values{"t": {h.devices().Handover(invite.Handover{ID: id, Expires: expires, Place: tok})}}.Encode()
	h.app.Count(h.Room, "device", "made")
	if wantsPage(r) {
		return h.showNote(w, r, http.StatusOK, page.DeviceLinkNote(link.String(), expires, localPath(r)))
	}
	return answer(w, http.StatusOK, deviceLink{link.String(), expires})
}

// showDevice says what such a link does. It uses nothing up.
func (h *Handler) showDevice(w http.ResponseWriter, r *http.Request) error {
	link, err := h.handover(r)
	if err != nil {
		return h.refuseGuest(w, r, "device", deviceProblem, err)
	}
	own, err := h.visitorOf(w, r) // now, so that a reply that is lost on the way back can be asked for again
	if err != nil {
		return h.refuseGuest(w, r, "device", deviceProblem, err)
	}
	h.app.Count(h.Room, "device", "shown")
	if wantsPage(r) {
		take := h.paths.base + "device/take?" + r.URL.RawQuery
		other := own.Placed() && own.Visitor != link.Place.Visitor
		return h.showNote(w, r, http.StatusOK, page.DeviceNote(other, link.Expires, take))
	}
	return answer(w, http.StatusOK, struct {
		Room    string    `json:"room"`
		Expires time.Time `json:"expires"`
	}{h.Room, link.Expires})
}

// takePlace brings the place to this device and uses the link up. The other device
// keeps it, too: it stays one visitor, with one place, one turn and one session (Q4).
func (h *Handler) takePlace(w http.ResponseWriter, r *http.Request) error {
	link, err := h.handover(r)
	if err != nil {
		return h.refuseGuest(w, r, "device", deviceProblem, err)
	}
	own, err := h.visitorOf(w, r)
	if err != nil {
		return h.refuseGuest(w, r, "device", deviceProblem, err)
	}
	if own.Visitor == link.Place.Visitor { // the place is here, or the link was opened where it was made
		h.countGuest("device", false)
		return h.taken(w, r)
	}
	err = h.room.Spend(r.Context(), own.Visitor, queue.Link{ID: link.ID.String(), Expires: link.Expires})
	if err != nil {
		return h.refuseGuest(w, r, "device", deviceProblem, err)
	}
	h.setPlace(w, r, link.Place)
	h.countGuest("device", true)
	return h.taken(w, r)
}

func (h *Handler) taken(w http.ResponseWriter, r *http.Request) error {
	if wantsPage(r) {
		return h.back(w, r, "")
	}
	noStore(w)
	w.WriteHeader(http.StatusNoContent)
	return nil
}
