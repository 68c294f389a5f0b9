package ticketsapp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
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
		{Pattern: "/tickets/rooms/", Handler: caddy.AdminHandlerFunc(serveOrder)},
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

	Inventory bool        `json:"inventory"` // a seat service is configured
	Stock     *room.Stock `json:"stock"`     // its last word; null without one
}

// ReportOn reads a room for an operator.
func ReportOn(r *room.Room) Report {
	v, hub := r.View(), r.Hub()
	return Report{
		Room: v.Room, State: string(v.State), Degraded: v.Degraded, SettingsDiffer: v.Differs,
		Waiting: v.Waiting, Turns: v.Turns, Active: v.Active, ActiveCap: v.Settings.Active,
		Rate: v.Settings.Rate, RatePerSeconds: v.Settings.Per.Seconds(),
		AdmittedTotal: v.AdmittedTotal, AdmittedPerMinute: v.AdmittedPerMinute, NoShowsTotal: v.NoShowsTotal,
		Streams: hub.Parked + hub.Streams, Message: v.Message,
		Inventory: r.Config().Inventory != "", Stock: v.Stock,
	}
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
		reports = append(reports, ReportOn(one))
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

// Order is what an operator tells a room; which members count depends on the path.
type Order struct {
	Message string `json:"message,omitempty"`
	Rate    string `json:"rate,omitempty"`
}

const (
	maxOrder      = 8 << 10
	orderPatience = 5 * time.Second
)

// serveOrder takes POST /tickets/rooms/{room}/pause, /resume, /message, /rate. The
// order holds for every edge on the same Redis.
func serveOrder(w http.ResponseWriter, r *http.Request) error {
	name, what, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/tickets/rooms/"), "/")
	if r.Method != http.MethodPost {
		return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: errors.New("orders are sent with POST")}
	}
	app, err := inForce()
	if err != nil {
		return err
	}
	at := slices.IndexFunc(app.Rooms(), func(one *room.Room) bool { return one.Name() == name })
	if at < 0 {
		return caddy.APIError{HTTPStatus: http.StatusNotFound, Err: fmt.Errorf("this config has no room %q", name)}
	}
	var order Order
	if r.ContentLength != 0 {
		body := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxOrder))
		body.DisallowUnknownFields() // a slip of the pen must not become an empty message
		if err := body.Decode(&order); err != nil {
			return caddy.APIError{HTTPStatus: http.StatusBadRequest, Err: fmt.Errorf("reading the order: %w", err)}
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), orderPatience)
	defer cancel()
	if err := order.give(ctx, app.Rooms()[at], what); err != nil {
		status := http.StatusBadRequest
		if errors.Is(err, queue.ErrUnavailable) {
			status = http.StatusServiceUnavailable
		}
		return caddy.APIError{HTTPStatus: status, Err: err}
	}
	app.log.Info("an operator gave an order", "room", name, "order", what, "message", order.Message, "rate", order.Rate)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (o Order) give(ctx context.Context, to *room.Room, what string) error {
	switch what {
	case "pause":
		return to.Pause(ctx)
	case "resume":
		return to.Resume(ctx)
	case "message":
		return to.SetMessage(ctx, o.Message)
	case "rate":
		rate, per, err := queue.ParseRate(o.Rate)
		if err != nil {
			return err
		}
		return to.SetRate(ctx, rate, per)
	}
	return fmt.Errorf("there is no order %q: pause, resume, message or rate", what)
}

var _ caddy.AdminRouter = adminAPI{}
