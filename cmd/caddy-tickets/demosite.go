package main

import (
	_ "embed" // for the page
	"net/http"
	"strings"

	"github.com/caddy-tickets/caddy-tickets/web/shop"
	"github.com/caddy-tickets/caddy-tickets/web/theme"
)

//go:embed demosite.html
var donePage string

// newDemoSite is the ticket site that stands behind the edge in the demo: a shop, and
// a last page that ends the visit. It knows nothing of the waiting room but one header.
func newDemoSite(event string) http.Handler {
	done := []byte(strings.Replace(donePage, "{{theme}}", theme.CSS, 1))
	mux := http.NewServeMux()
	mux.Handle("/", shop.New(event, "/done"))
	mux.HandleFunc("GET /done", func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Waitroom-Release", "1") // the visit is over: the next in line may come in
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'")
		h.Set("Cache-Control", "no-store")
		_, _ = w.Write(done) // the client is gone if this fails
	})
	return mux
}
