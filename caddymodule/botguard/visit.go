package botguard

import (
	"bytes"
	"io"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/rediskey"
)

// roomPrefix is where the endpoints of the rooms are.
const roomPrefix = "/.waitroom/"

// target is the room and the action that a request asks for, if it is one of those
// that are guarded. Paths are compared as waitroom compares them: decoded, whole.
func target(r *http.Request) (room, action string) {
	rest, ok := strings.CutPrefix(r.URL.Path, roomPrefix)
	if !ok || r.Method != http.MethodPost {
		return "", ""
	}
	room, action, _ = strings.Cut(rest, "/")
	if (action != actionJoin && action != actionClaim) || rediskey.CheckName(room) != nil {
		return "", ""
	}
	return room, action
}

// visit is one request, with what is known about who sent it.
type visit struct {
	h      *Handler
	r      *http.Request
	repl   *caddy.Replacer
	answer string // to a challenge; empty if there is none

	// Of a guarded request; empty otherwise.
	room, action string
}

// placeholder resolves what this directive adds.
func (v *visit) placeholder(key string) (any, bool) {
	name, ours := strings.CutPrefix(key, "botguard.")
	if !ours {
		return nil, false
	}
	switch name {
	case "prefix":
		return v.prefix(), true
	case "device":
		return v.device(), true
	case "action":
		return v.action, true
	}
	return nil, false
}

// unknownPrefix stands for an address that is none, as over a unix socket.
const unknownPrefix = "unknown"

// The networks in which one customer can choose addresses freely.
const (
	bits4 = 24
	bits6 = 64
)

// prefix is the network that the request comes from. The address is the one that
// Caddy has worked out: forwarding headers are never read here.
func (v *visit) prefix() string {
	text, _ := caddyhttp.GetVar(v.r.Context(), caddyhttp.ClientIPVarKey).(string)
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return unknownPrefix
	}
	addr = addr.Unmap().WithZone("") // ::ffff:192.0.2.1 is 192.0.2.1
	bits := bits6
	if addr.Is4() {
		bits = bits4
	}
	p, err := addr.Prefix(bits)
	if err != nil {
		return unknownPrefix
	}
	return p.String()
}

// device is the visitor in the room's place cookie, empty without one.
func (v *visit) device() string {
	if tok, ok := v.place(); ok {
		return tok.Visitor.String()
	}
	return ""
}

func (v *visit) place() (place.Token, bool) {
	if v.room == "" {
		return place.Token{}, false
	}
	return v.h.app.PlaceOf(v.r, v.room)
}

// key is what a rule counts by. A visitor without a cookie is counted by network
// instead: otherwise dropping the cookie would be the way around.
func (v *visit) key(template string) string {
	key := template
	if v.repl != nil {
		key = v.repl.ReplaceAll(template, "")
	}
	if key == "" {
		return "network " + v.prefix()
	}
	return key
}

// wantsPage says whether a person looks at the answer: a form that was sent, not
// a script's request.
func (v *visit) wantsPage() bool { return strings.Contains(v.r.Header.Get("Accept"), "text/html") }

const (
	// fieldAnswer is the form's field for the answer.
	fieldAnswer = "answer"
	// maxForm bounds a form that is read here. An answer has at most 413 characters.
	maxForm = 8 << 10
)

// readForm takes the answer from a form if no header brought one, and leaves the
// body as it was for whoever comes next. A form that is too large has no answer
// that holds.
func (v *visit) readForm() error {
	kind, _, err := mime.ParseMediaType(v.r.Header.Get("Content-Type"))
	if v.answer != "" || err != nil || kind != "application/x-www-form-urlencoded" || v.r.Body == nil {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(v.r.Body, maxForm+1))
	if err != nil {
		return err
	}
	v.r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(body), v.r.Body), v.r.Body}
	if len(body) > maxForm {
		v.answer = oversized
		return nil
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		v.answer = oversized
		return nil
	}
	v.answer = strings.Join(form[fieldAnswer], ",")
	return nil
}

// oversized is an answer that cannot hold.
const oversized = "."
