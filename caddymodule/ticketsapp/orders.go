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

// Order is what an operator tells a room; which of Message, Rate and Beacon counts depends on the
// path. The rest says who gives it, and goes into the log of orders.
type Order struct {
	Message string `json:"message,omitempty"`
	Rate    string `json:"rate,omitempty"`
	Beacon  string `json:"beacon,omitempty"`

	User   string `json:"user,omitempty"` // of the operating system
	Host   string `json:"host,omitempty"` // its name
	Reason string `json:"reason,omitempty"`
}

// orderBeacon announces the value of a draw's beacon.
const orderBeacon = "beacon"

const (
	maxOrder      = 8 << 10
	orderPatience = 5 * time.Second
)

// serveRoom takes POST /tickets/rooms/{room}/pause, /resume, /message, /rate and
// /beacon, which hold for every edge on the same Redis, and GET /tickets/rooms/{room}/log.
func serveRoom(w http.ResponseWriter, r *http.Request) error {
	name, what, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/tickets/rooms/"), "/")
	want := http.MethodPost
	if what == "log" {
		want = http.MethodGet
	}
	if r.Method != want {
		return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: fmt.Errorf("orders are sent with POST, and the log is read with GET, not %s", r.Method)}
	}
	app, err := inForce()
	if err != nil {
		return err
	}
	at := slices.IndexFunc(app.Rooms(), func(one *room.Room) bool { return one.Name() == name })
	if at < 0 {
		return caddy.APIError{HTTPStatus: http.StatusNotFound, Err: fmt.Errorf("this config has no room %q", name)}
	}
	ctx, cancel := context.WithTimeout(r.Context(), orderPatience)
	defer cancel()
	if what == "log" {
		return serveLog(ctx, w, app.Rooms()[at])
	}
	var order Order
	if r.ContentLength != 0 {
		body := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxOrder))
		body.DisallowUnknownFields() // a slip of the pen must not become an empty message
		if err := body.Decode(&order); err != nil {
			return caddy.APIError{HTTPStatus: http.StatusBadRequest, Err: fmt.Errorf("reading the order: %w", err)}
		}
	}
	if what == orderBeacon {
		if err := app.Rooms()[at].SetBeacon(ctx, []byte(order.Beacon)); err != nil {
			return refused(err)
		}
	}
	o, err := order.parse(what, r.RemoteAddr)
	if err != nil {
		return caddy.APIError{HTTPStatus: http.StatusBadRequest, Err: err}
	}
	if _, err := app.Rooms()[at].Give(ctx, o); err != nil {
		return refused(err)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// serveLog gives the whole log as it is in Redis: whoever asks checks the chain without
// having to believe this edge.
func serveLog(ctx context.Context, w http.ResponseWriter, r *room.Room) error {
	log, err := r.Log(ctx)
	if err != nil {
		return refused(err)
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(log)
}

func refused(err error) error {
	status := http.StatusBadRequest
	if errors.Is(err, queue.ErrUnavailable) || errors.Is(err, queue.ErrBusy) {
		status = http.StatusServiceUnavailable
	}
	return caddy.APIError{HTTPStatus: status, Err: err}
}

func (o Order) parse(what, address string) (queue.Order, error) {
	out := queue.Order{
		What: queue.What(what), Message: o.Message,
		By: queue.By{User: o.User, Host: o.Host, Address: address, Reason: o.Reason},
	}
	switch out.What {
	case queue.WhatPause, queue.WhatResume, queue.WhatMessage:
		return out, nil
	case orderBeacon: // the record of the draw has it, and stays; the log says who announced it
		out.Note = map[string]string{"beacon": o.Beacon}
		return out, nil
	case queue.WhatRate:
		var err error
		out.Rate, out.Per, err = queue.ParseRate(o.Rate)
		return out, err
	}
	return queue.Order{}, fmt.Errorf("there is no order %.80q: pause, resume, message, rate or beacon", what)
}
