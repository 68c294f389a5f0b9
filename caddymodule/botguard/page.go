package botguard

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // for the page
	"encoding/base64"
	"html/template"
	"net/http"
	"strconv"
	"time"

	"github.com/caddy-tickets/caddy-tickets/web/theme"
)

// page is what a browser without JavaScript is shown.
type page struct {
	Busy    bool // too many attempts
	Early   bool // the button was pressed too early
	Failed  bool // the answer did not hold
	Expired bool // because it came too late
	Seconds int  // to wait
	Action  string
	Answer  string
}

// Style is the page's only style. It stands in the page, and its hash in the policy.
func (page) Style() template.CSS { return template.CSS(style) } //nolint:gosec // our own file

//go:embed page.html
var pageSource string

//go:embed page.css
var pageStyle string

var (
	style        = theme.CSS + pageStyle
	pageTemplate = template.Must(template.New("page").Parse(pageSource))
	pagePolicy   = "default-src 'none'; style-src 'sha256-" + styleHash() + "'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

func styleHash() string {
	sum := sha256.Sum256([]byte(style))
	return base64.StdEncoding.EncodeToString(sum[:])
}

func showPage(w http.ResponseWriter, status int, p page, retry time.Duration) error {
	var body bytes.Buffer
	if err := pageTemplate.Execute(&body, p); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin") // with no-referrer the form's Origin would be null, and refused
	noStore(w)
	if retry > 0 {
		h.Set("Retry-After", strconv.Itoa(wholeSeconds(retry)))
	}
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // the browser is gone if this fails; there is nobody left to tell
	return nil
}
