// Package dashboardpage is the operator's page: every room at a glance, kept
// current by asking its own address once a second. It changes nothing.
package dashboardpage

import (
	"crypto/sha256"
	_ "embed" // for the files
	"encoding/base64"
	"strings"

	"github.com/caddy-tickets/caddy-tickets/web/theme"
)

//go:embed dashboard.html
var source string

//go:embed dashboard.css
var style string

//go:embed dashboard.js
var script string

// Page is the whole page, one document without requests but for its numbers.
var Page = []byte(strings.NewReplacer("{{style}}", theme.CSS+style, "{{script}}", script).Replace(source))

// CSP allows the page's own style and script, by their hashes, and its numbers.
var CSP = "default-src 'none'; style-src '" + hash(theme.CSS+style) + "'; script-src '" + hash(script) +
	"'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}
