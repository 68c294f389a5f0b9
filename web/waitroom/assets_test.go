package waitroompage

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestAssetsAreKeptForEverAndSentSmall(t *testing.T) {
	t.Parallel()
	html := render(t, Page{})
	total, checking := 0, 0
	for path, a := range assets().all {
		if !strings.HasPrefix(path, AssetPrefix) || FindAsset(path) != a {
			t.Errorf("%s is not found", path)
		}
		if !strings.Contains(html, path) && path != assets().solver {
			t.Errorf("the page does not name %s", path)
		}
		for _, encoding := range []string{"", "gzip, br"} {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.Header.Set("Accept-Encoding", encoding)
			w := httptest.NewRecorder()
			a.ServeHTTP(w, r)
			h := w.Header()
			if h.Get("Cache-Control") != "public, max-age=31536000, immutable" || h.Get("Vary") != "Accept-Encoding" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Content-Type") != a.ContentType {
				t.Errorf("%s: %v", path, h)
			}
			var body io.Reader = w.Body
			if encoding != "" {
				if path == checkPath() { // loaded by those who ask for it
					checking = w.Body.Len()
				} else {
					total += w.Body.Len()
				}
				var err error
				if body, err = gzip.NewReader(w.Body); err != nil {
					t.Fatalf("%s: %v", path, err)
				}
			}
			if got, err := io.ReadAll(body); err != nil || !bytes.Equal(got, a.plain) {
				t.Errorf("%s in %q: %d bytes, %v", path, encoding, len(got), err)
			}
		}
		w := httptest.NewRecorder()
		a.ServeHTTP(w, httptest.NewRequest(http.MethodHead, path, nil))
		if w.Body.Len() != 0 || w.Header().Get("Content-Length") == "0" {
			t.Errorf("HEAD %s: %d bytes, %v", path, w.Body.Len(), w.Header())
		}
	}
	t.Logf("all assets are %d bytes over the wire, and %d to check a draw", total, checking)
	if total > 16<<10 || checking > 4<<10 {
		t.Errorf("%d and %d bytes are more than a phone on a bad line should load", total, checking)
	}
}

func TestAnAssetOfAnotherVersionIsNotFound(t *testing.T) {
	t.Parallel()
	for _, path := range []string{AssetPrefix + "page.0000000000000000.js", AssetPrefix, "/", ""} {
		if FindAsset(path) != nil {
			t.Errorf("%q is found", path)
		}
	}
}

func TestEveryPartOfTheScriptIsSent(t *testing.T) {
	t.Parallel()
	entries, err := scripts.ReadDir("script")
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != len(parts) {
		t.Errorf("%d files, %d parts: one is embedded and never sent", len(entries), len(parts))
	}
}
