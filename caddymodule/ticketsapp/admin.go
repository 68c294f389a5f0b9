package ticketsapp

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-tickets/caddy-tickets/internal/queue"
	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

func init() { caddy.RegisterModule(adminAPI{}) }

// adminAPI shows the rooms on Caddy's admin endpoint. It is made before the apps
// of a config and never again, so it holds nothing and asks for the app in force.
type adminAPI struct{}

// CaddyModule implements caddy.Module.
func (adminAPI) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.tickets", New: func() caddy.Module { return new(adminAPI) }}
}

// Routes implements caddy.AdminRouter.
func (adminAPI) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{
		{Pattern: "/tickets/rooms", Handler: caddy.AdminHandlerFunc(serveRooms)},
		{Pattern: "/tickets/rooms/", Handler: caddy.AdminHandlerFunc(serveRoom)},
	}
}

// Report is what an operator sees of a room.
type Report struct {
	Room              string  `json:"room"`
	State             string  `json:"state"`
	Degraded          bool    `json:"degraded"`
	SettingsDiffer    bool    `json:"settingsDiffer"`
	Waiting           int     `json:"waiting"`
	Turns             int     `json:"turns"`
	Active            int     `json:"active"`
	ActiveCap         int     `json:"activeCap"`
	Rate              int     `json:"rate"`
	RatePerSeconds    float64 `json:"ratePerSeconds"` // the rate is per so many seconds
	AdmittedTotal     int64   `json:"admittedTotal"`
	AdmittedPerMinute float64 `json:"admittedPerMinute"`
	NoShowsTotal      int64   `json:"noShowsTotal"`
	Streams           int     `json:"streams"` // at this edge
	Message           string  `json:"message"`

	// InvitationsUsed is by their names. Null where nobody asked Redis, or it is away.
	InvitationsUsed map[string]int `json:"invitationsUsed"`

	Inventory bool        `json:"inventory"` // a seat service is configured
	Stock     *room.Stock `json:"stock"`     // its last word; null without one

	SiteWatched bool   `json:"siteWatched"` // a health check is configured
	SiteUnwell  bool   `json:"siteUnwell"`  // and this edge sees it fail
	SiteWhy     string `json:"siteWhy"`     // how

	Edges       int `json:"edges"`       // of the fleet
	EdgesUnwell int `json:"edgesUnwell"` // those of them that see the site fail

	Draw *room.DrawState `json:"draw"` // null in a room that draws nothing

	Stranded int `json:"stranded,omitempty"` // came into a lobby whose draw this edge's file does not make

	Held        room.Held         `json:"held"`        // why nobody is let in, "" if somebody is
	Differences []room.Difference `json:"differences"` // of this edge's file from what is in force
	Notes       []Note            `json:"notes"`       // what is unusual, in words

	Orders    []queue.Record `json:"orders"`    // the last ones, newest last
	LogFaults []string       `json:"logFaults"` // what is wrong with their chain
}

// ReportOn reads a room for an operator.
func ReportOn(r *room.Room) Report {
	v, hub, orders, site := r.View(), r.Hub(), r.Orders(), r.Site()
	rep := Report{
		Room: v.Room, State: string(v.State), Degraded: v.Degraded, SettingsDiffer: len(r.Differences()) > 0,
		Waiting: v.Waiting, Turns: v.Turns, Active: v.Active, ActiveCap: v.Settings.Active,
		Rate: v.Settings.Rate, RatePerSeconds: v.Settings.Per.Seconds(),
		AdmittedTotal: v.AdmittedTotal, AdmittedPerMinute: v.AdmittedPerMinute, NoShowsTotal: v.NoShowsTotal,
		Streams: hub.Parked + hub.Streams, Message: v.Message,
		Inventory: r.Config().Inventory != "", Stock: v.Stock,
		SiteWatched: site.Watched, SiteUnwell: site.Unwell, SiteWhy: site.Why,
		Edges: v.Edges, EdgesUnwell: v.EdgesUnwell, Draw: r.DrawState(), Stranded: r.Stranded(),
		Held: r.Held(), Differences: r.Differences(),
		Orders: orders.Records, LogFaults: orders.Faults,
	}
	rep.Notes = notes(&rep, time.Now())
	return rep
}

func serveRooms(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet {
		return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: errors.New("rooms can only be read here: use GET")}
	}
	app, err := inForce()
	if err != nil {
		return err
	}
	reports := []Report{}
	for _, one := range app.Rooms() {
		report := ReportOn(one)
		report.InvitationsUsed = guests(r.Context(), one)
		reports = append(reports, report)
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(reports)
}

// inForce is the app of the config that serves now.
func inForce() (*App, error) {
	loaded, err := caddy.ActiveContext().AppIfConfigured(Name)
	if err != nil {
		return nil, caddy.APIError{HTTPStatus: http.StatusNotFound, Err: fmt.Errorf("this config has no tickets: %w", err)}
	}
	return loaded.(*App), nil
}

var _ caddy.AdminRouter = adminAPI{}
