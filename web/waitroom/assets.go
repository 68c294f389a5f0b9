package waitroompage

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	_ "embed" // for the files
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/caddy-tickets/caddy-tickets/web/theme"
)

// AssetPrefix is where the page's files are. No room can be called "-".
const AssetPrefix = "/.waitroom/-/"

//go:embed page.js
var script string

//go:embed solver.js
var solver string

//go:embed page.css
var style string

// Asset is a file of the page. Its name has the hash of its content, so that it
// can be kept for ever by browsers and caches.
type Asset struct {
	ContentType    string
	plain, gzipped []byte
}

var assets = sync.OnceValue(func() map[string]*Asset {
	all := make(map[string]*Asset)
	add := func(name, extension, contentType, text string) string {
		sum := sha256.Sum256([]byte(text))
		path := AssetPrefix + name + "." + hex.EncodeToString(sum[:8]) + extension
		var packed bytes.Buffer
		z, _ := gzip.NewWriterLevel(&packed, gzip.BestCompression) // the level is a valid one
		_, _ = z.Write([]byte(text))                               // a buffer does not fail
		_ = z.Close()
		all[path] = &Asset{contentType, []byte(text), packed.Bytes()}
		return path
	}
	names.solver = add("solver", ".js", "text/javascript; charset=utf-8", solver)
	names.script = add("page", ".js", "text/javascript; charset=utf-8", script)
	names.style = add("page", ".css", "text/css; charset=utf-8", theme.CSS+style)
	return all
})

// names are the paths of the files, set with assets.
var names struct{ script, solver, style string }

func scriptPath() string { assets(); return names.script }
func solverPath() string { assets(); return names.solver }
func stylePath() string  { assets(); return names.style }

// FindAsset finds the file that a path names, nil if none.
func FindAsset(path string) *Asset { return assets()[path] }

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
