package pass

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/caddy-tickets/caddy-tickets/internal/clock"
)

const (
	maxJWKSBody   = 64 << 10
	fetchTimeout  = 2 * time.Second
	refreshPause  = time.Minute     // after a good answer: unknown kids cost the edge one request a minute
	retryPause    = 2 * time.Second // after a failure: an allocator that starts before its edge must not stay deaf
	refreshBehind = 5 * time.Minute // half of Overlap, so a new key is known before it signs
)

// RemoteJWKS is a KeySource that reads a key set from a URL or a file, for
// those who only verify. The last good set stays in use while its source is
// away. Safe for concurrent use; nothing is read before the first Key or Refresh.
type RemoteJWKS struct {
	read  func(context.Context) ([]byte, error)
	clock clock.Clock
	log   *slog.Logger
	keys  atomic.Pointer[map[string]ed25519.PublicKey]
	group singleflight.Group

	mu   sync.Mutex
	next time.Time // no read on an unknown kid before; guarded by mu
	good time.Time // last good read; guarded by mu
}

// NewRemoteJWKS takes an http, https or file URL, or a path. The client may be
// nil; redirects are not followed, because a key set has one address.
func NewRemoteJWKS(source string, client *http.Client, clk clock.Clock, log *slog.Logger) (*RemoteJWKS, error) {
	r := &RemoteJWKS{clock: clk, log: log}
	u, err := url.Parse(source)
	switch {
	case err != nil || source == "":
		return nil, errors.New("key set: not a URL and not a path")
	case u.Scheme == "http" || u.Scheme == "https":
		r.read = httpReader(source, client)
	case u.Scheme == "file":
		r.read = fileReader(u.Path)
	case u.Scheme == "" || !strings.Contains(source, "://"):
		r.read = fileReader(source)
	default:
		return nil, fmt.Errorf("key set: scheme %q is not http, https or file", u.Scheme)
	}
	return r, nil
}

// Key implements KeySource. An unknown kid makes it look at the source again,
// at most once a minute; concurrent callers share one look.
func (r *RemoteJWKS) Key(kid string) (ed25519.PublicKey, bool) {
	if key, ok := r.known(kid); ok {
		if r.stale() {
			go func() { _ = r.Refresh(context.Background()) }() // one at a time by the group; its failure is logged there
		}
		return key, true
	}
	if !r.due() {
		return nil, false
	}
	if err := r.Refresh(context.Background()); err != nil {
		return nil, false
	}
	return r.known(kid)
}

// Refresh reads the source now. It is for readiness checks and start-up.
func (r *RemoteJWKS) Refresh(ctx context.Context) error {
	_, err, _ := r.group.Do("", func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
		defer cancel()
		keys, err := r.fetch(ctx)
		r.mu.Lock()
		defer r.mu.Unlock()
		now := r.clock.Now()
		if err != nil {
			r.next = now.Add(retryPause)
			r.log.Warn("reading the key set failed; passes signed by keys not seen yet are refused", "error", err)
			return nil, err
		}
		r.keys.Store(&keys)
		r.next, r.good = now.Add(refreshPause), now
		return nil, nil
	})
	return err
}

func (r *RemoteJWKS) fetch(ctx context.Context) (map[string]ed25519.PublicKey, error) {
	data, err := r.read(ctx)
	if err != nil {
		return nil, err
	}
	return parseJWKS(data)
}

func (r *RemoteJWKS) known(kid string) (ed25519.PublicKey, bool) {
	keys := r.keys.Load()
	if keys == nil {
		return nil, false
	}
	key, ok := (*keys)[kid]
	return key, ok
}

func (r *RemoteJWKS) due() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.clock.Now().Before(r.next)
}

// stale is true at most once per pause, so that a flood starts one look.
func (r *RemoteJWKS) stale() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock.Now()
	if now.Sub(r.good) < refreshBehind || now.Before(r.next) {
		return false
	}
	r.next = now.Add(retryPause)
	return true
}

func httpReader(source string, client *http.Client) func(context.Context) ([]byte, error) {
	own := http.Client{}
	if client != nil {
		own = *client
	}
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return func(ctx context.Context) ([]byte, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, source, nil)
		if err != nil {
			return nil, fmt.Errorf("asking for the key set: %w", err)
		}
		resp, err := own.Do(req)
		if err != nil {
			return nil, fmt.Errorf("asking for the key set: %w", err)
		}
		defer func() { _ = resp.Body.Close() }() // read to the limit below; nothing can be done about a failing close
		if resp.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("asking for the key set: the answer was %s", resp.Status)
		}
		return readBounded(resp.Body)
	}
}

func fileReader(path string) func(context.Context) ([]byte, error) {
	return func(context.Context) ([]byte, error) {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("opening the key set: %w", err)
		}
		defer func() { _ = f.Close() }() // opened for reading
		return readBounded(f)
	}
}

func readBounded(from io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(from, maxJWKSBody+1))
	if err != nil {
		return nil, fmt.Errorf("reading the key set: %w", err)
	}
	if len(data) > maxJWKSBody {
		return nil, fmt.Errorf("reading the key set: longer than %d bytes", maxJWKSBody)
	}
	return data, nil
}
