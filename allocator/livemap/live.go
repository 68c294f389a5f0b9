package livemap

import (
	"context"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"github.com/caddy-tickets/caddy-tickets/internal/mapframe"
)

const (
	// writeTimeout is how long one frame may take to leave.
	writeTimeout = 5 * time.Second
	// pingEvery keeps middle boxes from closing a quiet stream; most allow a minute.
	pingEvery = 25 * time.Second
)

// ServeLive streams the map over a WebSocket: from=epoch.ver resumes, without
// it the first frame is a snapshot. Clients send nothing.
func (m *Maps) ServeLive(w http.ResponseWriter, r *http.Request, slug string) {
	from, ok := resumeFrom(w, r)
	if !ok {
		return
	}
	f, err := m.feed(r.Context(), slug)
	if err != nil {
		refuse(w, err)
		return
	}
	v, room := f.join(from)
	if !room {
		tooManyViewers(w)
		return
	}
	defer f.leave(v)
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
	m.running.Add(1)
	defer m.running.Done()
	// A request's context ends with the handler, a hijacked connection's does
	// not end when the client leaves: CloseRead is what notices that.
	m.stream(conn.CloseRead(context.WithoutCancel(r.Context())), conn, f, v)
}

// stream writes a viewer's frames until either side ends it.
func (m *Maps) stream(ctx context.Context, conn *websocket.Conn, f *feed, v *viewer) {
	ping := m.deps.Clock.NewTicker(pingEvery)
	defer ping.Stop()
	for {
		select {
		case frame, more := <-v.frames:
			if !more {
				status, why := websocket.StatusGoingAway, "going away"
				if f.wasSlow(v) {
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
