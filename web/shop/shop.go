// Package shop is a small ticket shop of static pages: the seat picker, the
// checkout and the booking. It talks to the allocator's surface on its own origin,
// below /api/v1, and to nobody else. The demo's ticket site serves it; a site of
// your own may, too, or take it as an example.
package shop

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"mime"
	"net/http"
	"path"
	"strconv"
	"time"

	"github.com/caddy-tickets/caddy-tickets/web/theme"
)

//go:embed *.html *.js *.css
var files embed.FS

// policy lets the pages reach their own origin and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; form-action 'none'; base-uri 'none'; frame-ancestors 'self'"

// assets are the files that the pages load, below a folder whose name changes with
// any of them: they can be kept for ever.
type assets struct {
	folder string
	files  map[string][]byte
}

// New returns the shop of an event. doneURL is where a fan goes who is done.
func New(event, doneURL string) http.Handler {
	a := load()
	mux := http.NewServeMux()
	for pattern, name := range map[string]string{"GET /{$}": "picker", "GET /checkout/{hold}": "checkout", "GET /booking/{booking}": "booking"} {
		document := draw(name, map[string]string{"Event": event, "Folder": a.folder, "Done": doneURL})
		mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) {
			h := w.Header()
			h.Set("Content-Type", "text/html; charset=utf-8")
			h.Set("Content-Security-Policy", policy)
			h.Set("Cache-Control", "no-store")
			h.Set("Referrer-Policy", "same-origin")
			h.Set("X-Content-Type-Options", "nosniff")
			h.Set("Content-Length", strconv.Itoa(len(document)))
			_, _ = w.Write(document) // the client is gone if this fails
		})
	}
	mux.HandleFunc("GET "+a.folder+"{file}", a.serve)
	return mux
}

// load reads the files, which are part of the program.
func load() *assets {
	a := &assets{files: make(map[string][]byte)}
	entries, err := files.ReadDir(".")
	if err != nil {
		panic("shop: reading our own files: " + err.Error())
	}
	sum := sha256.New()
	for _, entry := range entries {
		name := entry.Name()
		body, err := files.ReadFile(name)
		if err != nil {
			panic("shop: reading our own files: " + err.Error())
		}
		if path.Ext(name) == ".css" {
			body = append([]byte(theme.CSS), body...)
		}
		a.files[name] = body
		fmt.Fprintf(sum, "%s %d ", name, len(body))
		_, _ = sum.Write(body) // a hash does not fail
	}
	a.folder = "/shop/" + hex.EncodeToString(sum.Sum(nil)[:8]) + "/"
	return a
}

// draw makes a page, once.
func draw(name string, data any) []byte {
	var out bytes.Buffer
	t := template.Must(template.ParseFS(files, "frame.html", name+".html"))
	if err := t.ExecuteTemplate(&out, "frame.html", data); err != nil {
		panic("shop: drawing " + name + ": " + err.Error())
	}
	return out.Bytes()
}

func (a *assets) serve(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	body, ok := a.files[name]
	if !ok || path.Ext(name) == ".html" {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("X-Content-Type-Options", "nosniff")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}
