package waitroom

import (
	"net/http"
	"strings"

	page "github.com/caddy-tickets/caddy-tickets/web/waitroom"
)

// prefix is where the endpoints of every room are.
const prefix = "/.waitroom/"

// jwksPath is where the public keys are (RFC 8615).
const jwksPath = "/.well-known/jwks.json"

// paths are the addresses of one room.
type paths struct {
	base   string // "/.waitroom/arena/"
	stream string
}

func newPaths(room string) paths {
	base := prefix + room + "/"
	return paths{base: base, stream: base + "stream"}
}

// maxBody is the longest body of a request: a form of the page has none, one with
// an answer to a challenge a few kilobytes.
const maxBody = 64 << 10

// server answers one endpoint.
type server func(h *Handler, w http.ResponseWriter, r *http.Request) error

// endpoint finds what answers a path. Paths are compared whole: whatever else
// begins with the prefix is guarded like the rest of the site.
func (p paths) endpoint(path string) (server, bool) {
	switch {
	case path == jwksPath:
		return get((*Handler).serveKeys), true
	case strings.HasPrefix(path, page.AssetPrefix):
		return get((*Handler).serveAsset), true
	case !strings.HasPrefix(path, p.base):
		return nil, false
	}
	switch path[len(p.base):] {
	case "join":
		return post((*Handler).serveJoin), true
	case "claim":
		return post((*Handler).serveClaim), true
	case "leave":
		return post((*Handler).serveLeave), true
	case "invite":
		return getOrPost((*Handler).showInvitation, (*Handler).redeem), true
	case "device":
		return getOrPost((*Handler).showDevice, (*Handler).makeDeviceLink), true
	case "device/take":
		return post((*Handler).takePlace), true
	case "status":
		return get((*Handler).serveStatus), true
	case "stream":
		return get((*Handler).serveStream), true
	case "board":
		return get((*Handler).serveBoard), true
	case "draw":
		return get((*Handler).serveDraw), true
	case "draw/cohort":
		return get((*Handler).serveCohort), true
	case "draw/proof":
		return get((*Handler).serveProof), true
	}
	return nil, false
}

// post accepts POSTs from the site's own pages and from clients that are no
// browsers: another site must not make a visitor join, claim or leave.
func post(serve server) server {
	return func(h *Handler, w http.ResponseWriter, r *http.Request) error {
		if r.Method != http.MethodPost {
			return refuseMethod(w, http.MethodPost)
		}
		if err := h.cross.Check(r); err != nil {
			return refuse(w, problemCrossOrigin)
		}
		// What is in a body is never read here; who sends a large one means harm.
		if r.ContentLength > maxBody {
			w.Header().Set("Connection", "close")
			return refuse(w, problemTooLarge)
		}
		return serve(h, w, r)
	}
}

func get(serve server) server {
	return func(h *Handler, w http.ResponseWriter, r *http.Request) error {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			return refuseMethod(w, http.MethodGet)
		}
		return serve(h, w, r)
	}
}

// getOrPost shows something and does it at one address.
func getOrPost(show, do server) server {
	show, do = get(show), post(do)
	return func(h *Handler, w http.ResponseWriter, r *http.Request) error {
		switch r.Method {
		case http.MethodGet, http.MethodHead:
			return show(h, w, r)
		case http.MethodPost:
			return do(h, w, r)
		}
		return refuseMethod(w, "GET, POST")
	}
}
