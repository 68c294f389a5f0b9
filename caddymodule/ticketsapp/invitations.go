package ticketsapp

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-tickets/caddy-tickets/internal/invite"
	"github.com/caddy-tickets/caddy-tickets/internal/queue"
	"github.com/caddy-tickets/caddy-tickets/internal/rediskey"
	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

func init() { caddy.RegisterModule(invitationsAPI{}) }

// invitationsAPI makes invitations on Caddy's admin endpoint: this process has the
// key that signs them.
type invitationsAPI struct{}

// CaddyModule implements caddy.Module.
func (invitationsAPI) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.tickets_invitations", New: func() caddy.Module { return new(invitationsAPI) }}
}

// Routes implements caddy.AdminRouter.
func (invitationsAPI) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{{Pattern: invitationsPath, Handler: caddy.AdminHandlerFunc(serveInvitations)}}
}

const invitationsPath = "/tickets/invitations/"

// Invitations signs and opens the invitations of a room.
func (a *App) Invitations(room string) *invite.Signer {
	return invite.NewSigner(a.Secret("invite "+room), room)
}

// InvitationOrder asks for invitations. The rest of it is what is said of an Order.
type InvitationOrder struct {
	Count        int    `json:"count"`
	ValidSeconds int64  `json:"validSeconds"`
	Tier         string `json:"tier,omitempty"` // empty: straight in
	Name         string `json:"name,omitempty"` // what they are counted under

	User   string `json:"user,omitempty"`
	Host   string `json:"host,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// Invitations are links, each good for one guest. Their paths are to be put behind
// the address of any site that names the room.
type Invitations struct {
	Paths   []string  `json:"paths"`
	Expires time.Time `json:"expires"`
}

// InvitationsUsed says how many invitations guests have used, by their names.
type InvitationsUsed struct {
	Used   int            `json:"used"`
	ByName map[string]int `json:"byName"`
}

// Unnamed is what invitations without a name are counted under.
const Unnamed = "unnamed"

const (
	maxInvitations = 1000
	longestValid   = 90 * 24 * time.Hour
	guestsPatience = 500 * time.Millisecond
)

// serveInvitations takes POST /tickets/invitations/{room}, which makes some, and GET,
// which tells how many were used.
func serveInvitations(w http.ResponseWriter, r *http.Request) error {
	app, err := inForce()
	if err != nil {
		return err
	}
	name := strings.TrimPrefix(r.URL.Path, invitationsPath)
	at := slices.IndexFunc(app.Rooms(), func(one *room.Room) bool { return one.Name() == name })
	if at < 0 {
		return caddy.APIError{HTTPStatus: http.StatusNotFound, Err: fmt.Errorf("this config has no room %.80q", name)}
	}
	ctx, cancel := context.WithTimeout(r.Context(), orderPatience)
	defer cancel()
	var doc any
	switch r.Method {
	case http.MethodGet:
		doc, err = used(ctx, app.Rooms()[at])
	case http.MethodPost:
		var order InvitationOrder
		body := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxOrder))
		body.DisallowUnknownFields()
		if err := body.Decode(&order); err != nil {
			return caddy.APIError{HTTPStatus: http.StatusBadRequest, Err: fmt.Errorf("reading the order: %w", err)}
		}
		doc, err = app.invite(ctx, app.Rooms()[at], order, r.RemoteAddr)
	default:
		return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: errors.New("invitations are made with POST and counted with GET")}
	}
	if err != nil {
		return refused(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	return json.NewEncoder(w).Encode(doc)
}

func used(ctx context.Context, r *room.Room) (InvitationsUsed, error) {
	byName, err := r.Guests(ctx)
	if err != nil {
		return InvitationsUsed{}, err
	}
	sum := 0
	for n := range maps.Values(byName) {
		sum += n
	}
	return InvitationsUsed{sum, byName}, nil
}

// guests is what a report says of invitations; nil while Redis is away.
func guests(ctx context.Context, r *room.Room) map[string]int {
	if r.View().Degraded {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, guestsPatience)
	defer cancel()
	byName, err := r.Guests(ctx)
	if err != nil {
		return nil
	}
	return byName
}

// invite makes invitations. That they were made goes into the room's log first: they
// let people past everybody who waits. The links themselves are written down nowhere.
func (a *App) invite(ctx context.Context, r *room.Room, o InvitationOrder, address string) (Invitations, error) {
	if err := o.check(r.Config().Tiers); err != nil {
		return Invitations{}, err
	}
	valid := time.Duration(o.ValidSeconds) * time.Second
	expires := r.Now().Add(valid).Truncate(time.Second).UTC()
	note := map[string]string{"count": strconv.Itoa(o.Count), "until": expires.Format(time.RFC3339)}
	if o.Tier != "" {
		note["tier"] = o.Tier
	}
	if o.Name != "" {
		note["name"] = o.Name
	}
	_, err := r.Give(ctx, queue.Order{
		What: "invite", Note: note,
		By: queue.By{User: o.User, Host: o.Host, Address: address, Reason: o.Reason},
	})
	if err != nil {
		return Invitations{}, fmt.Errorf("no invitation was made, because it could not be written into the log: %w", err)
	}
	signer := a.Invitations(r.Name())
	out := Invitations{Expires: expires}
	for range o.Count {
		id, err := invite.NewID(rand.Reader)
		if err != nil {
			return Invitations{}, err
		}
		token, err := signer.Invitation(invite.Invitation{ID: id, Expires: expires, Tier: o.Tier, Name: o.Name})
		if err != nil {
			return Invitations{}, err
		}
		out.Paths = append(out.Paths, "/.waitroom/"+r.Name()+"/invite?t="+url.QueryEscape(token))
	}
	return out, nil
}

func (o *InvitationOrder) check(tiers []room.Tier) error {
	names := make([]string, 0, len(tiers))
	for _, t := range tiers {
		names = append(names, t.Name)
	}
	switch {
	case o.Count < 1 || o.Count > maxInvitations:
		return fmt.Errorf("between 1 and %d invitations can be made at once, not %d", maxInvitations, o.Count)
	case o.ValidSeconds < 60 || o.ValidSeconds > int64(longestValid.Seconds()):
		return errors.New("an invitation is valid for a minute at least and for 90 days at most, such as 24h")
	case o.Name != "" && rediskey.CheckName(o.Name) != nil:
		return fmt.Errorf("the name of invitations has lower-case letters, digits and inner hyphens, unlike %.80q", o.Name)
	case o.Tier != "" && len(names) == 0:
		return fmt.Errorf("the room has no tier %.80q, and no others: leave the tier out for invitations straight in", o.Tier)
	case o.Tier != "" && !slices.Contains(names, o.Tier):
		return fmt.Errorf("the room has no tier %.80q; its tiers are %q", o.Tier, names)
	}
	return nil
}

var _ caddy.AdminRouter = invitationsAPI{}
