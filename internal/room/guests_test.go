package room

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
	"github.com/caddy-tickets/caddy-tickets/internal/queue"
)

var links int

// aLink is one that nobody has used.
func aLink() queue.Link {
	links++
	return queue.Link{ID: fmt.Sprint(links), Expires: time.Now().Add(time.Hour), Name: "press"}
}

// An invitation skips the queue; it opens no door that is shut, and costs no call then.
func TestAnInvitationOpensNoDoorThatIsShut(t *testing.T) {
	server := devstack.Redis(t)
	now := time.Now()
	for name, c := range map[string]struct {
		set       func(*Config)
		in, place error
	}{
		"always open": {func(*Config) {}, nil, nil},
		"not yet":     {func(c *Config) { c.Opens = now.Add(time.Hour) }, ErrNotOpenYet, ErrNotOpenYet},
		"lobby":       {func(c *Config) { c.Opens, c.Lobby = now.Add(time.Hour), 2*time.Hour }, ErrNotOpenYet, nil},
		"closed":      {func(c *Config) { c.Closes = now.Add(-time.Hour) }, ErrClosed, ErrClosed},
	} {
		cfg := usual()
		c.set(&cfg)
		e := newEdge(t, server, cfg)
		e.tick(t.Context())
		if _, err := e.Invite(t.Context(), visitor(t), aLink()); !errors.Is(err, c.in) {
			t.Errorf("%s, straight in: %v", name, err)
		}
		if _, err := e.InviteTo(t.Context(), visitor(t), aLink(), 1); !errors.Is(err, c.place) {
			t.Errorf("%s, to a tier: %v", name, err)
		}
	}
	e := newEdge(t, server, usual())
	e.tick(t.Context())
	if err := e.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Invite(t.Context(), visitor(t), aLink()); !errors.Is(err, queue.ErrPaused) {
		t.Errorf("paused since the last tick: %v", err)
	}
	e.tick(t.Context())
	if _, err := e.Invite(t.Context(), visitor(t), aLink()); !errors.Is(err, queue.ErrPaused) {
		t.Errorf("paused: %v", err)
	}
	if _, err := e.InviteTo(t.Context(), visitor(t), aLink(), 1); err != nil {
		t.Errorf("paused, to a tier: %v", err)
	}
	e.resume()
	e.tick(t.Context())
	e.mu.Lock()
	e.stock = &Stock{State: StockSoldOut}
	e.publishLocked()
	e.mu.Unlock()
	if _, err := e.Invite(t.Context(), visitor(t), aLink()); !errors.Is(err, ErrSoldOut) {
		t.Errorf("sold out: %v", err)
	}
}

func TestAnInvitationWaitsForASiteThatIsUnwell(t *testing.T) {
	s := newSite(t, "503")
	e := watched(t, s)
	l, guest := aLink(), visitor(t)
	e.check() // the first answer counts alone
	e.until("nobody is let in", func(v *View) bool { return v.Unwell })
	if _, err := e.Invite(t.Context(), guest, l); !errors.Is(err, queue.ErrPaused) {
		t.Errorf("to a site that is unwell: %v", err)
	}
	s.how.Store("200")
	e.check()
	e.check()
	e.until("the site is well", func(v *View) bool { return !v.Unwell })
	if _, err := e.Invite(t.Context(), guest, l); err != nil {
		t.Error(err)
	}
}

func TestWhileRedisIsAwayNoLinkIsUsedUp(t *testing.T) {
	e := openEdge(t, usual())
	l, guest := aLink(), visitor(t)
	e.lose()
	if _, err := e.Invite(t.Context(), guest, l); !errors.Is(err, queue.ErrUnavailable) {
		t.Error(err)
	}
	if _, err := e.InviteTo(t.Context(), guest, l, 1); !errors.Is(err, queue.ErrUnavailable) {
		t.Error(err)
	}
	if err := e.Spend(t.Context(), guest.Visitor, l); !errors.Is(err, queue.ErrUnavailable) {
		t.Error(err)
	}
	e.recover()
	if _, err := e.Invite(t.Context(), visitor(t), l); err != nil {
		t.Errorf("somebody else cannot use it afterwards: %v", err)
	}
}

// A guest's place is a place like any other: the token brings it back.
func TestQ5AGuestsPlaceSurvivesTheLossOfRedis(t *testing.T) {
	e := paused(t)
	e.crowd(3)
	joined, err := e.InviteTo(t.Context(), visitor(t), aLink(), 2)
	if err != nil {
		t.Fatal(err)
	}
	e.lose()
	e.recover()
	back, err := e.Refresh(t.Context(), joined.Token)
	if err != nil || !back.Changed || back.Token.Score != joined.Token.Score || back.Token.Score.Tier() != 2 {
		t.Errorf("%+v (%v)", back, err)
	}
}

// An invitation that was used stays used: the edge knows, and tells the new Redis and
// so the other edges.
func TestAUsedInvitationStaysUsedWhenRedisLosesEverything(t *testing.T) {
	cfg := usual()
	server := devstack.Redis(t)
	e, other := newEdge(t, server, cfg), newEdge(t, server, cfg)
	e.tick(t.Context())
	other.tick(t.Context())
	in, to, unused := aLink(), aLink(), aLink()
	if _, err := e.Invite(t.Context(), visitor(t), in); err != nil {
		t.Fatal(err)
	}
	if _, err := e.InviteTo(t.Context(), visitor(t), to, 1); err != nil {
		t.Fatal(err)
	}
	inside := visitor(t)
	if _, err := e.Invite(t.Context(), inside, aLink()); err != nil {
		t.Fatal(err)
	}
	if got, err := e.Invite(t.Context(), inside, unused); err != nil || !got.Again {
		t.Fatalf("%+v (%v)", got, err)
	}
	e.lose()
	e.recover()
	other.until("the other edge sees it, too", func(v *View) bool { return !v.Degraded })
	for name, one := range map[string]*edge{"where it was used": e, "elsewhere": other} {
		if _, err := one.Invite(t.Context(), visitor(t), in); !errors.Is(err, queue.ErrSpent) {
			t.Errorf("straight in, %s: %v", name, err)
		}
		if _, err := one.InviteTo(t.Context(), visitor(t), to, 1); !errors.Is(err, queue.ErrSpent) {
			t.Errorf("to a tier, %s: %v", name, err)
		}
	}
	if _, err := other.Invite(t.Context(), visitor(t), unused); err != nil {
		t.Errorf("one that was not needed: %v", err)
	}
}
