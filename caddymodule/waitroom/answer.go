package waitroom

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// answer sends a JSON document that is for this fan alone.
func answer(w http.ResponseWriter, code int, doc any) error {
	noStore(w)
	return send(w, code, doc)
}

func send(w http.ResponseWriter, code int, doc any) error {
	body, err := json.Marshal(doc)
	if err != nil {
		return fmt.Errorf("writing an answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	_, _ = w.Write(body) // the client is gone if this fails; there is nobody left to tell
	return nil
}

// noStore keeps caches from showing one fan's place to another, and encoders
// from buffering what is written line by line.
func noStore(w http.ResponseWriter) { w.Header().Set("Cache-Control", "no-store, no-transform") }

// refuse sends the problem that an error is, and counts it.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, action string, err error) error {
	p := refusal(err)
	h.app.Count(h.Room, action, p.Code)
	if p == problemUnavailable {
		h.log.Warn("a request could not be served", "room", h.Room, "action", action, "error", err)
	}
	if wantsPage(r) && action != "stream" {
		return h.back(w, r, "#"+p.Code) // the page has a sentence for it
	}
	return refuse(w, p)
}

// wantsPage says whether a browser without scripts sent a form.
func wantsPage(r *http.Request) bool { return strings.Contains(r.Header.Get("Accept"), "text/html") }

// back sends such a browser to where it came from.
func (h *Handler) back(w http.ResponseWriter, r *http.Request, fragment string) error {
	noStore(w)
	w.Header().Set("Location", localPath(r)+fragment)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// maxLocation bounds what of a client's wish comes back in a header.
const maxLocation = 2048

// localPath is the page that the fan wanted, from ?to= or the page before.
func localPath(r *http.Request) string {
	if to := r.URL.Query().Get("to"); local(to) {
		return to
	}
	if from, err := url.Parse(r.Referer()); err == nil && from.Host == r.Host && local(from.RequestURI()) {
		return from.RequestURI()
	}
	return "/"
}

// local says whether a path stays on this host: "//evil", "/\\evil" and control
// characters lead elsewhere in browsers.
func local(path string) bool {
	if len(path) > maxLocation || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.HasPrefix(path, prefix) {
		return false
	}
	return !strings.ContainsFunc(path, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == '\\' || c == '#' })
}
