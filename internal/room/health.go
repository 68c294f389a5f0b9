package room

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// Health says how the site behind a room is watched. Without a URL it is not.
type Health struct {
	// URL is asked with GET. Every 2xx and 3xx is a good answer; a redirect is not
	// followed, or one that leads elsewhere would vouch for a site that is down.
	URL string

	// Every is the time between two questions, Timeout what one may take; by default a
	// second, or Every if that is less.
	Every, Timeout time.Duration

	// Fails bad answers in a row make the site unwell, Passes good ones make it well
	// again. The very first answer counts alone: there is nothing to weigh it against, and
	// an edge that starts into an outage must not admit anybody meanwhile.
	Fails, Passes int
}

// Defaults of Health.
const (
	DefaultHealthEvery   = 2 * time.Second
	DefaultHealthTimeout = time.Second
	DefaultHealthFails   = 3
	DefaultHealthPasses  = 2
)

func (h Health) withDefaults() Health {
	if h.URL == "" {
		return Health{}
	}
	if h.Every <= 0 {
		h.Every = DefaultHealthEvery
	}
	if h.Timeout <= 0 {
		h.Timeout = min(DefaultHealthTimeout, h.Every)
	}
	if h.Fails <= 0 {
		h.Fails = DefaultHealthFails
	}
	if h.Passes <= 0 {
		h.Passes = DefaultHealthPasses
	}
	return h
}

const (
	healthLook      = 250 * time.Millisecond // how often it is seen whether a question is due
	maxHealthBody   = 4 << 10                // read and thrown away; a longer one is cut off
	maxHealthHeader = 64 << 10
)

// Site is how this edge finds the site behind the room.
type Site struct {
	Watched bool
	Unwell  bool
	Why     string    // of the last bad answer, while it is unwell
	Since   time.Time // when that changed last
}

// watch is the state of the checks.
type watch struct {
	client *http.Client

	url           string // what the rest is about; guarded by Room.mu, as is all below
	due           time.Time
	answered      bool
	fails, passes int // in a row
	site          Site
}

// newWatch asks with a connection of its own each time: a site that takes no more
// connections is not well, whatever it answers on an old one.
func newWatch() watch {
	return watch{client: &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, MaxResponseHeaderBytes: maxHealthHeader},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// unwellLocked says whether this edge finds that the site cannot take more people. Its next
// tick tells the others.
func (r *Room) unwellLocked() bool { return r.watch.site.Unwell }

// stoppedLocked says whether so many edges do that nobody is admitted; tick.lua decides.
// One edge with a broken line must not stop a sale, and its fans are let in as the others'.
func (r *Room) stoppedLocked() bool {
	return r.last.EdgesUnwell > 0 && 2*r.last.EdgesUnwell >= r.last.Edges
}

// Site is how this edge finds the site.
func (r *Room) Site() Site {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.watch.site
}

// checkHealth asks the site if it is time to.
func (r *Room) checkHealth(ctx context.Context) {
	h := r.cfg.Load().Health
	if !r.checkDue(h) {
		return
	}
	err := r.watch.ask(ctx, h)
	if ctx.Err() != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.watch.url != h.URL {
		return
	}
	was := r.watch.site.Unwell
	r.watch.note(h, err, r.deps.Clock.Now())
	if is := r.watch.site.Unwell; is != was {
		if is {
			r.log.Warn("this edge finds the site behind the room unwell; if half of the edges do, admission stops", "why", r.watch.site.Why)
		} else {
			r.log.Info("this edge finds the site behind the room well again")
		}
	}
}

// checkDue says whether to ask now, and begins anew when another site is to be asked.
func (r *Room) checkDue(h Health) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.deps.Clock.Now()
	if w := &r.watch; w.url != h.URL {
		*w = watch{client: w.client, url: h.URL, due: now, site: Site{Watched: h.URL != "", Since: now}}
	}
	if h.URL == "" || now.Before(r.watch.due) {
		return false
	}
	r.watch.due = now.Add(h.Every)
	return true
}

// note counts an answer.
func (w *watch) note(h Health, err error, now time.Time) {
	unwell := w.site.Unwell
	if err == nil {
		w.fails, w.passes = 0, w.passes+1
		unwell = unwell && w.passes < h.Passes
	} else {
		w.fails, w.passes = w.fails+1, 0
		unwell = unwell || !w.answered || w.fails >= h.Fails
	}
	w.answered = true
	if unwell != w.site.Unwell {
		w.site.Unwell, w.site.Since = unwell, now
	}
	switch {
	case !unwell:
		w.site.Why = ""
	case err != nil:
		w.site.Why = err.Error()
	}
}

// ask is one question.
func (w *watch) ask(ctx context.Context, h Health) error {
	ctx, cancel := context.WithTimeout(ctx, h.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.URL, nil)
	if err != nil {
		return errors.New("its address cannot be asked")
	}
	req.Header.Set("User-Agent", "caddy-tickets health check")
	resp, err := w.client.Do(req)
	var failed *url.Error
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("no answer within %v", h.Timeout)
	case errors.As(err, &failed):
		return failed.Err // without the address, which may hold a secret
	case err != nil:
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode < 200 || resp.StatusCode > 399 {
		return fmt.Errorf("it answers %d", resp.StatusCode)
	}
	// A site that sends its header and then hangs is not well.
	if _, err := io.CopyN(io.Discard, resp.Body, maxHealthBody); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("its answer breaks off")
	}
	return nil
}
