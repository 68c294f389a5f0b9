package waitroompage

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/caddy-tickets/caddy-tickets/web/theme"
)

// AssetPrefix is where the page's files are. No room can be called "-".
const AssetPrefix = "/.waitroom/-/"

//go:embed script/*.js
var scripts embed.FS

// parts of the page's script, in the order in which they are put together: one
// module, one request.
var parts = []string{"format", "fan", "show", "announce", "call", "work", "follow", "turn", "drawn", "device", "start"}

//go:embed solver.js
var solver string

// check is loaded by those who ask how their place was drawn.
//
//go:embed check.js
var check string

//go:embed page.css
var style string

// still is the style of a browser without scripts.
//
//go:embed still.css
var still string

// Asset is a file of the page. Its name has the hash of its content, so that it
// can be kept for ever by browsers and caches.
type Asset struct {
	ContentType    string
	plain, gzipped []byte
}

// files are all assets and the paths that the page names.
type files struct {
	all                                 map[string]*Asset
	script, solver, check, style, still string
}

var assets = sync.OnceValue(func() *files {
	f := &files{all: make(map[string]*Asset)}
	f.solver = f.add("solver", ".js", "text/javascript; charset=utf-8", solver)
	f.script = f.add("page", ".js", "text/javascript; charset=utf-8", script(f.solver))
	f.check = f.add("check", ".js", "text/javascript; charset=utf-8", constants(drawWords)+check)
	f.style = f.add("page", ".css", "text/css; charset=utf-8", theme.CSS+style+noteStyle)
	f.still = f.add("still", ".css", "text/css; charset=utf-8", still)
	return f
})

// script puts the parts together, after the words they use.
func script(solver string) string {
	var out strings.Builder
	out.WriteString(constants(map[string]any{
		"words": words, "chances": chances, "links": links, "openings": openings, "what": what, "solver": solver, "tiers": tierWords, "move": moveWords,
	}))
	for _, part := range parts {
		text, err := scripts.ReadFile("script/" + part + ".js")
		if err != nil { // the build embedded it, and a test reads it
			panic(err)
		}
		out.Write(text)
	}
	return out.String()
}

// constants are the words of a script.
func constants(say map[string]any) string {
	text, err := json.Marshal(say)
	if err != nil { // maps of strings: it cannot be
		panic(err)
	}
	return "const say = " + string(text) + ";\n"
}

// add packs a file and names it.
func (f *files) add(name, extension, contentType, text string) (path string) {
	sum := sha256.Sum256([]byte(text))
	path = AssetPrefix + name + "." + hex.EncodeToString(sum[:8]) + extension
	var packed bytes.Buffer
	z, _ := gzip.NewWriterLevel(&packed, gzip.BestCompression) // the level is a valid one
	_, _ = z.Write([]byte(text))                               // a buffer does not fail
	_ = z.Close()
	f.all[path] = &Asset{contentType, []byte(text), packed.Bytes()}
	return path
}

func scriptPath() string { return assets().script }
func solverPath() string { return assets().solver }
func checkPath() string  { return assets().check }
func stylePath() string  { return assets().style }
func stillPath() string  { return assets().still }

// FindAsset finds the file that a path names, nil if none.
func FindAsset(path string) *Asset { return assets().all[path] }

// ServeHTTP sends the file.
func (a *Asset) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", a.ContentType)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Vary", "Accept-Encoding")
	body := a.plain
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		body = a.gzipped
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the client is gone if this fails
	}
}
