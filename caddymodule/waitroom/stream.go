package waitroom

import (
	"net"
	"net/http"
	"net/url"

	"github.com/caddy-tickets/caddy-tickets/internal/hub"
	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

// serveStream shows a fan its place until its turn. Over HTTP/1.1 the connection
// is parked and this returns at once; HTTP/2 and HTTP/3 keep a goroutine.
func (h *Handler) serveStream(w http.ResponseWriter, r *http.Request) error {
	h.allowStreamOrigin(w, r)
	tok, err := h.known(w, r)
	if err != nil {
		return h.refuse(w, r, "stream", err)
	}
	if r.Method == http.MethodHead {
		noStore(w)
		return nil
	}
	if r.ProtoMajor == 1 {
		err = h.park(w, r, tok)
	} else {
		err = h.stream(w, r, tok)
	}
	if err != nil {
		return h.noStream(w, r, tok, err)
	}
	h.app.Count(h.Room, "stream", "done")
	return nil
}

// noStream sends a fan who cannot have a stream to the status instead.
func (h *Handler) noStream(w http.ResponseWriter, r *http.Request, tok place.Token, err error) error {
	p := refusal(err)
	if p != problemNoStream {
		return h.refuse(w, r, "stream", err)
	}
	h.app.Count(h.Room, "stream", p.Code)
	wait := h.room.View().PollAfter(tok.Score)
	return refuse(w, p.After(wait).With("pollAfter", int(wait.Seconds())))
}

func (h *Handler) park(w http.ResponseWriter, r *http.Request, tok place.Token) error {
	taken := false
	hijack := func() (net.Conn, error) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return nil, err
		}
		taken = true
		if raw, ok := r.Context().Value(connKey{}).(net.Conn); ok {
			return raw, nil // what Hijack returns may keep the request alive, 13 KB a fan
		}
		return conn, nil
	}
	extra := make(http.Header)
	for _, name := range []string{"Set-Cookie", "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Vary"} {
		if values := w.Header()[name]; values != nil {
			extra[name] = values
		}
	}
	err := h.room.Park(hijack, hub.Head(extra), tok, seenBy(r))
	if err != nil && taken {
		return nil // the connection is the hub's, and closed
	}
	return err
}

func (h *Handler) stream(w http.ResponseWriter, r *http.Request, tok place.Token) error {
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	noStore(w)
	return h.room.Stream(r.Context(), hub.ResponseStream(w), tok, seenBy(r))
}

// allowStreamOrigin lets the page of the same host, but another port, read the
// stream: stream_origin leads there, and cookies are per host.
func (h *Handler) allowStreamOrigin(w http.ResponseWriter, r *http.Request) {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return
	}
	from, err := url.Parse(origin)
	if err != nil || from.Hostname() == "" || from.Hostname() != hostname(r.Host) {
		return
	}
	header := w.Header()
	header.Set("Access-Control-Allow-Origin", origin)
	header.Set("Access-Control-Allow-Credentials", "true")
	header.Add("Vary", "Origin")
}

func hostname(hostport string) string { return (&url.URL{Host: hostport}).Hostname() }
