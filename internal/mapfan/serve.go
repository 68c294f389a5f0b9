package mapfan

import (
	"bytes"
	"context"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"github.com/caddy-tickets/caddy-tickets/internal/clock"
	"github.com/caddy-tickets/caddy-tickets/internal/mapframe"
	"github.com/caddy-tickets/caddy-tickets/internal/problem"
)

const (
	// writeTimeout is how long one frame may take to leave.
	writeTimeout = 5 * time.Second
	// pingEvery keeps middle boxes from closing a quiet stream; most allow a minute.
	pingEvery = 25 * time.Second
)

// The refusals that every surface of a map has in common.
var (
	ProblemUnavailable = &problem.Problem{
		Code: "map-unavailable", Title: "The map cannot be shown right now", Status: http.StatusServiceUnavailable,
		Detail: "Seats that are held or booked are safe. Try again in a moment.", RetryAfter: 2 * time.Second,
	}
	ProblemEvent   = &problem.Problem{Code: "event-unknown", Title: "There is no such event", Status: http.StatusNotFound}
	problemVersion = &problem.Problem{
		Code: "version-malformed", Title: "That is no version of a map", Status: http.StatusBadRequest,
		Detail: "Write from=epoch.ver, as in an ETag of availability, or leave it out.",
	}
	problemFull = &problem.Problem{
		Code: "too-many-viewers", Title: "Too many people watch this map", Status: http.StatusServiceUnavailable,
		Detail: "Read the availability every few seconds instead.", RetryAfter: 5 * time.Second,
	}
)

// ServeAvailability sends the whole map as one snapshot frame. A cache in front
// makes it one request a second, whatever the number of viewers.
func (c *Channel) ServeAvailability(w http.ResponseWriter, r *http.Request) {
	frame, at, ok := c.Snapshot()
	if !ok {
		problem.Write(w, ProblemUnavailable)
		return
	}
	h := w.Header()
	h.Set("Content-Type", mapframe.ContentType)
	h.Set("Cache-Control", "public, max-age=0, s-maxage=1")
	h.Set("ETag", `"`+at.String()+`"`)
	// ServeContent answers If-None-Match and HEAD.
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(frame))
}

// ServeSummary sends the counts, at most a second old.
func (c *Channel) ServeSummary(w http.ResponseWriter, _ *http.Request) {
	document := c.Counts()
	if document == nil {
		problem.Write(w, ProblemUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "public, max-age=0, s-maxage=1")
	_, _ = w.Write(document) // the client is gone if this fails
}

// ServeLive streams the map over a WebSocket until either side ends it:
// from=epoch.ver resumes, without it the first frame is a snapshot. Clients send nothing.
func (c *Channel) ServeLive(w http.ResponseWriter, r *http.Request, clk clock.Clock) {
	var from *mapframe.Version
	if s := r.URL.Query().Get("from"); s != "" {
		v, err := mapframe.ParseVersion(s)
		if err != nil {
			problem.Write(w, problemVersion)
			return
		}
		from = &v
	}
	v, refusal := c.join(from)
	if refusal != nil {
		problem.Write(w, refusal)
		return
	}
	defer c.leave(v)
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols: []string{mapframe.Subprotocol},
		// The map is public and the stream knows no user: any page may show it.
		InsecureSkipVerify: true,
		CompressionMode:    websocket.CompressionDisabled, // 1 MB a viewer for 30 bytes a tick
	})
	if err != nil {
		return // Accept has answered
	}
	defer func() { _ = conn.CloseNow() }()
	if conn.Subprotocol() != mapframe.Subprotocol {
		_ = conn.Close(websocket.StatusPolicyViolation, "subprotocol "+mapframe.Subprotocol+" is needed")
		return
	}
	// A request's context ends with the handler, a hijacked connection's does
	// not end when the client leaves: CloseRead is what notices that.
	c.stream(conn.CloseRead(context.WithoutCancel(r.Context())), conn, v, clk)
}

// stream writes a viewer's frames until either side ends it.
func (c *Channel) stream(ctx context.Context, conn *websocket.Conn, v *viewer, clk clock.Clock) {
	ping := clk.NewTicker(pingEvery)
	defer ping.Stop()
	for {
		select {
		case frame, more := <-v.frames:
			if !more {
				status, why := websocket.StatusGoingAway, "going away"
				if c.wasSlow(v) {
					status, why = websocket.StatusTryAgainLater, "too slow"
				}
				_ = conn.Close(status, why)
				return
			}
			if !write(ctx, func(ctx context.Context) error { return conn.Write(ctx, websocket.MessageBinary, frame) }) {
				return
			}
		case <-ping.C():
			if !write(ctx, conn.Ping) {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

func write(ctx context.Context, send func(context.Context) error) bool {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	return send(ctx) == nil
}
