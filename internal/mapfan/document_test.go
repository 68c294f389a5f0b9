package mapfan

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// layout is a document and its hash.
func layout() ([]byte, string) {
	plain := []byte(`{"name":"hall","zones":[` + strings.Repeat(`{"rows":[]},`, 1000) + `{}]}`)
	sum := sha256.Sum256(plain)
	return plain, hex.EncodeToString(sum[:])
}

func TestALayoutIsLoadedOnceHoweverManyAsk(t *testing.T) {
	t.Parallel()
	plain, hash := layout()
	d, loads, began, gate := NewDocuments(), 0, make(chan struct{}, 1), make(chan struct{})
	load := func(ctx context.Context) ([]byte, error) {
		loads++ // the race detector would tell of two at once
		began <- struct{}{}
		select {
		case <-gate:
			return plain, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	gone, leave := context.WithCancel(t.Context())
	first := make(chan error)
	go func() {
		_, err := d.Get(gone, "e", hash, load)
		first <- err
	}()
	<-began
	leave()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("who leaves waits on: %v", err)
	}
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			if _, err := d.Get(t.Context(), "e", hash, load); err != nil {
				t.Error(err)
			}
		})
	}
	close(gate)
	all.Wait()
	if loads != 1 {
		t.Errorf("it was loaded %d times", loads)
	}
}

func TestADocumentWithAnotherHashIsNeverKept(t *testing.T) {
	t.Parallel()
	plain, hash := layout()
	d := NewDocuments()
	if _, err := d.Get(t.Context(), "e", hash, func(context.Context) ([]byte, error) { return []byte("an error page"), nil }); !errors.Is(err, ErrNoDocument) {
		t.Errorf("got %v", err)
	}
	if _, err := d.Get(t.Context(), "e", hash, func(context.Context) ([]byte, error) { return plain, nil }); err != nil {
		t.Errorf("the right one afterwards: %v", err)
	}
	for _, name := range []string{"", "abc", strings.Repeat("z", hashLength), hash + "00"} {
		_, err := d.Get(t.Context(), "e", name, func(context.Context) ([]byte, error) {
			t.Errorf("%q was looked for", name)
			return nil, nil
		})
		if !errors.Is(err, ErrNoDocument) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestOnlySoManyDocumentsAreKept(t *testing.T) {
	t.Parallel()
	d := NewDocuments()
	for i := range 3 * maxDocuments {
		plain := bytes.Repeat([]byte("x"), i)
		sum := sha256.Sum256(plain)
		if _, err := d.Get(t.Context(), "e", hex.EncodeToString(sum[:]), func(context.Context) ([]byte, error) { return plain, nil }); err != nil {
			t.Fatal(err)
		}
		if len(d.kept) > maxDocuments {
			t.Fatalf("%d are kept", len(d.kept))
		}
	}
}

func TestALayoutIsSentCompressedToWhoTakesIt(t *testing.T) {
	t.Parallel()
	plain, hash := layout()
	d, err := newDocument(hash, plain)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(encoding, etag string) *httptest.ResponseRecorder {
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Accept-Encoding", encoding)
		r.Header.Set("If-None-Match", etag)
		d.ServeHTTP(w, r)
		return w
	}
	for encoding, compressed := range map[string]bool{
		"": false, "br": false, "gzip;q=0": false, "br, gzip; q=0.0": false, "gzip;q=x": false,
		"gzip": true, "GZIP": true, "br;q=1.0, gzip;q=0.8": true,
	} {
		got := ask(encoding, "")
		body := got.Body.Bytes()
		if is := got.Header().Get("Content-Encoding") == "gzip"; is != compressed {
			t.Errorf("%q: compressed %v", encoding, is)
			continue
		}
		if compressed {
			z, err := gzip.NewReader(got.Body)
			if err != nil {
				t.Fatal(err)
			}
			if body, err = io.ReadAll(z); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(body, plain) || got.Header().Get("Content-Length") == "" || !strings.Contains(got.Header().Get("Cache-Control"), "immutable") {
			t.Errorf("%q: %d bytes, headers %v", encoding, len(body), got.Header())
		}
		if again := ask(encoding, got.Header().Get("ETag")); again.Code != http.StatusNotModified || again.Body.Len() > 0 {
			t.Errorf("%q: asked again: %d", encoding, again.Code)
		}
	}
}
