package mapfan

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/caddy-tickets/caddy-tickets/internal/problem"
)

const (
	// maxDocuments is how many layouts stay in memory: 50,000 seats are about 2 MB,
	// and 300 KB more compressed.
	maxDocuments = 32
	// hashLength is that of a hex SHA-256.
	hashLength = 64
	// loadTimeout bounds one load, which goes on when its first asker leaves: others
	// wait for the same.
	loadTimeout = 10 * time.Second
)

// ErrNoDocument is returned by a loader that finds nothing under a hash.
var ErrNoDocument = errors.New("no such document")

// ProblemDocument is the refusal for ErrNoDocument.
var ProblemDocument = &problem.Problem{
	Code: "not-found", Title: "Nothing is here", Status: http.StatusNotFound,
	Detail: "A layout is found under the address that its event names.",
}

// Document is a published layout. It is named by its hash and never changes.
type Document struct {
	hash           string
	plain, gzipped []byte
}

// Documents keeps layouts, compressed once for everybody. However many ask for one
// that is not there yet, it is loaded once. Safe for concurrent use.
type Documents struct {
	loads singleflight.Group

	mu   sync.Mutex
	kept map[string]*Document // guarded by mu; by event and hash
}

// NewDocuments keeps nothing yet.
func NewDocuments() *Documents { return &Documents{kept: make(map[string]*Document)} }

// Get finds a layout of an event, with load if it is not there. What load returns is
// kept only if it has the hash. Errors: ErrNoDocument, or load's.
func (d *Documents) Get(ctx context.Context, event, hash string, load func(context.Context) ([]byte, error)) (*Document, error) {
	if !isHash(hash) {
		return nil, ErrNoDocument
	}
	key := event + "@" + hash
	if known := d.find(key); known != nil {
		return known, nil
	}
	loading := d.loads.DoChan(key, func() (any, error) {
		if known := d.find(key); known != nil {
			return known, nil // another load ended between our look and this one
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadTimeout)
		defer cancel()
		plain, err := load(ctx)
		if err != nil {
			return nil, err
		}
		made, err := newDocument(hash, plain)
		if err != nil {
			return nil, err
		}
		d.keep(key, made)
		return made, nil
	})
	select {
	case done := <-loading:
		if done.Err != nil {
			return nil, done.Err
		}
		return done.Val.(*Document), nil //nolint:errcheck // the function above returns nothing else
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for a layout: %w", ctx.Err())
	}
}

func (d *Documents) find(key string) *Document {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.kept[key]
}

func (d *Documents) keep(key string, made *Document) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.kept) >= maxDocuments {
		clear(d.kept) // rare: more events on sale than this; each is loaded again once
	}
	d.kept[key] = made
}

func newDocument(hash string, plain []byte) (*Document, error) {
	if sum := sha256.Sum256(plain); hex.EncodeToString(sum[:]) != hash {
		// Kept for a year under this name, a wrong document would be wrong for a year.
		return nil, fmt.Errorf("%w: what was found under %s has another hash", ErrNoDocument, hash)
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(plain); err != nil {
		return nil, fmt.Errorf("compressing layout: %w", err)
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("compressing layout: %w", err)
	}
	return &Document{hash: hash, plain: plain, gzipped: b.Bytes()}, nil
}

// ServeHTTP sends the document, to be kept for ever.
func (d *Document) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Vary", "Accept-Encoding")
	// An own ETag for each encoding, or a cache could mix them.
	h.Set("ETag", `"`+d.hash+`"`)
	body := d.plain
	if takesGzip(r.Header.Get("Accept-Encoding")) {
		h.Set("ETag", `"`+d.hash+`-gzip"`)
		h.Set("Content-Encoding", "gzip")
		body = d.gzipped
	}
	h.Set("Content-Length", strconv.Itoa(len(body))) // ServeContent leaves it out of encoded content
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

func takesGzip(header string) bool {
	for coding := range strings.SplitSeq(header, ",") {
		name, weight, weighted := strings.Cut(strings.ReplaceAll(coding, " ", ""), ";q=")
		if !strings.EqualFold(name, "gzip") {
			continue
		}
		q, err := strconv.ParseFloat(weight, 64)
		return !weighted || err == nil && q > 0
	}
	return false
}

func isHash(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil && len(s) == hashLength
}
