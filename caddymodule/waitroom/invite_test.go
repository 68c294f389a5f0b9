package waitroom

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/eventually"
	"github.com/caddy-tickets/caddy-tickets/internal/invite"
	"github.com/caddy-tickets/caddy-tickets/internal/rediskey"
	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

// invitation is one that holds, changed.
func (s *site) invitation(change func(*invite.Invitation)) invite.Invitation {
	s.t.Helper()
	id, err := invite.NewID(rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	i := invite.Invitation{ID: id, Expires: time.Now().Add(time.Hour), Name: "press"}
	if change != nil {
		change(&i)
	}
	return i
}

// invite is the path of an invitation that this site signed.
func (s *site) invite(change func(*invite.Invitation)) string {
	s.t.Helper()
	token, err := s.app().Invitations("arena").Invitation(s.invitation(change))
	if err != nil {
		s.t.Fatal(err)
	}
	return arena + "invite?t=" + token
}

func (s *site) guests() int {
	s.t.Helper()
	got, err := s.room().Guests(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return got["press"]
}

// unmoved is a site where nobody gets in by the queue.
func unmoved(t *testing.T) *site {
	t.Helper()
	s := start(t, closed)
	s.settled()
	return s
}

// settled waits until the settings are in force: nobody is let in before.
func (s *site) settled() {
	s.t.Helper()
	eventually.Holds(s.t, "the settings are in force", func() bool {
		return s.redis.Client().HExists(s.t.Context(), rediskey.For("arena").Room, "rate").Val()
	})
}

func TestAGuestGoesInPastTheQueue(t *testing.T) {
	s := unmoved(t)
	f, link := s.fan(), s.invite(nil)
	for range 3 { // a scanner, a preview, and the guest
		page := f.page(link)
		if page.status != http.StatusOK || !strings.Contains(page.body, "You are invited") || !strings.Contains(page.body, `<form method="post"`) {
			t.Fatalf("%d %.300s", page.status, page.body)
		}
		if strings.Contains(page.body, "<script") || page.header.Get("Cache-Control") != "no-store, no-transform" || page.header.Get("Referrer-Policy") != "strict-origin" {
			t.Errorf("the page's headers: %v", page.header)
		}
	}
	if s.guests() != 0 {
		t.Fatal("looking uses the invitation up")
	}
	_, action, _ := strings.Cut(f.page(link).body, `action="`)
	action, _, _ = strings.Cut(action, `"`)
	if got := f.form(action); got.status != http.StatusSeeOther || got.header.Get("Location") != "/" {
		t.Fatalf("%d to %q: %s", got.status, got.header.Get("Location"), got.body)
	}
	if !f.page("/").reachedSite() {
		t.Fatal("the guest is not inside")
	}
	last, _ := s.behind.last()
	if got := last.Header.Get("Waitroom-Visitor"); got != f.place().Visitor.String() {
		t.Errorf("the site was told %q", got)
	}
	s.until("the guest counts", func(v *room.View) bool { return v.Active == 1 })
	if s.guests() != 1 || s.metric("requests_total", map[string]string{"action": "invite", "outcome": "done"}) != 1 {
		t.Error("not counted")
	}
	f.post(arena+"leave").is(t, http.StatusNoContent, "")
	s.until("the slot is free", func(v *room.View) bool { return v.Active == 0 })
	f.post(link).is(t, http.StatusGone, "invite-used")
}

// The answer may be lost on the way back: the same browser finds the same session.
func TestAGuestWhoseAnswerWasLostAsksAgain(t *testing.T) {
	s := unmoved(t)
	f, link := s.fan(), s.invite(nil)
	f.page(link)
	first := f.post(link + "&to=%2Fseats")
	first.is(t, http.StatusOK, "")
	f.setCookie("pass-arena", "") // it never arrived
	again := f.post(link)
	again.is(t, http.StatusOK, "")
	if first.Location != "/seats" || first.Expires == nil || !again.Expires.Equal(*first.Expires) {
		t.Errorf("%s, then %s", first.body, again.body)
	}
	if !f.page("/").reachedSite() || s.guests() != 1 {
		t.Error("not inside, or counted twice")
	}
	got := s.fan().post(link)
	got.is(t, http.StatusGone, "invite-used")
	page := s.fan().form(link)
	if page.status != http.StatusGone || !strings.Contains(page.body, "has been used") || strings.Contains(page.body, "<button>") {
		t.Errorf("%d %s", page.status, page.body)
	}
}

// A fan who is invited while it waits goes in and waits no more (Q4).
func TestQ4AFanWhoIsInvitedGivesUpItsPlace(t *testing.T) {
	s := unmoved(t)
	f := s.fan()
	f.joined()
	s.until("one waits", func(v *room.View) bool { return v.Waiting == 1 })
	f.post(s.invite(nil)).is(t, http.StatusOK, "")
	s.until("nobody waits", func(v *room.View) bool { return v.Waiting == 0 && v.Active == 1 })
	if f.place().Placed() {
		t.Error("the browser keeps a place")
	}
}

func TestOfFiftyBrowsersOneUsesAnInvitation(t *testing.T) {
	s := unmoved(t)
	link := s.invite(nil)
	const browsers = 50
	replies := make([]reply, browsers)
	var all sync.WaitGroup
	for i := range browsers {
		f := s.fan()
		all.Go(func() {
			for {
				var err error
				if replies[i], err = f.try(http.MethodPost, link, nil); err != nil {
					t.Error(err)
				}
				if replies[i].Code != "unavailable" { // of a busy machine
					return
				}
			}
		})
	}
	all.Wait()
	in := 0
	for _, got := range replies {
		if got.status == http.StatusOK {
			in++
		} else {
			got.is(t, http.StatusGone, "invite-used")
		}
	}
	if in != 1 || s.guests() != 1 {
		t.Errorf("%d got in, %d are counted", in, s.guests())
	}
	s.until("one is inside", func(v *room.View) bool { return v.Active == 1 })
}

func TestOnlyARealInvitationLetsAnybodyIn(t *testing.T) {
	s := unmoved(t)
	signer := s.app().Invitations("arena")
	i := s.invitation(nil)
	sign := func(signer *invite.Signer, i invite.Invitation) string {
		token, err := signer.Invitation(i)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	good := sign(signer, i)
	raw, err := base64.RawURLEncoding.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	flipped := func(bit int) string {
		changed := append([]byte(nil), raw...)
		changed[bit/8] ^= 1 << (bit % 8)
		return base64.RawURLEncoding.EncodeToString(changed)
	}
	expired, void := i, i
	expired.Expires, void.Tier = time.Now().Add(-time.Second), "Members"
	for name, c := range map[string]struct {
		token  string
		status int
		code   string
	}{
		"none":              {"", http.StatusNotFound, "invite-invalid"},
		"of another room":   {sign(s.app().Invitations("club"), i), http.StatusNotFound, "invite-invalid"},
		"of another key":    {sign(invite.NewSigner(s.app().Secret("draw arena"), "arena"), i), http.StatusNotFound, "invite-invalid"},
		"of another kind":   {signer.Handover(invite.Handover{ID: i.ID, Expires: i.Expires}), http.StatusNotFound, "invite-invalid"},
		"with a later end":  {flipped(18*8 + 50), http.StatusNotFound, "invite-invalid"},
		"with another id":   {flipped(30), http.StatusNotFound, "invite-invalid"},
		"with another mac":  {flipped(len(raw)*8 - 1), http.StatusNotFound, "invite-invalid"},
		"truncated":         {good[:len(good)-1], http.StatusNotFound, "invite-invalid"},
		"padded":            {good + "%3D", http.StatusNotFound, "invite-invalid"},
		"with a line end":   {good + "%0A", http.StatusNotFound, "invite-invalid"},
		"twice":             {good + good, http.StatusNotFound, "invite-invalid"},
		"huge":              {strings.Repeat("A", 12_000), http.StatusNotFound, "invite-invalid"},
		"a place":           {s.app().Places().Seal("arena", s.placed().place()), http.StatusNotFound, "invite-invalid"},
		"expired":           {sign(signer, expired), http.StatusGone, "invite-expired"},
		"to a tier of none": {sign(signer, void), http.StatusGone, "invite-void"},
	} {
		f := s.fan()
		got := f.post(arena + "invite?t=" + c.token)
		got.is(t, c.status, c.code)
		if f.page("/").reachedSite() || f.cookie("pass-arena") != "" {
			t.Errorf("an invitation %s lets in", name)
		}
		page := f.form(arena + "invite?t=" + c.token)
		if page.status != c.status || !strings.Contains(page.body, "<h1>This invitation") {
			t.Errorf("%s: a browser is told %d %.200s", name, page.status, page.body)
		}
		if c.code != "invite-void" {
			if page := f.page(arena + "invite?t=" + c.token); page.status != c.status {
				t.Errorf("%s: its page is %d", name, page.status)
			}
		}
	}
	if s.guests() != 0 {
		t.Error("one is counted")
	}
	s.fan().post(arena+"invite?t="+good).is(t, http.StatusOK, "")
}

// placed is a fan with a place.
func (s *site) placed() *fan {
	s.t.Helper()
	f := s.fan()
	f.joined()
	return f
}

// A page of another site must not use up what its visitor was invited with.
func TestAnotherSiteCannotUseAnInvitation(t *testing.T) {
	s := unmoved(t)
	f, link := s.fan(), s.invite(nil)
	for _, header := range []map[string]string{
		{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
		{"Sec-Fetch-Site": "same-site", "Origin": "https://evil.example.com"},
		{"Origin": "https://evil.example"},
		{"Origin": "null"},
	} {
		f.do(http.MethodPost, link, header).is(t, http.StatusForbidden, "cross-origin")
	}
	for _, method := range []string{http.MethodPut, http.MethodDelete, "BREW"} {
		got := f.do(method, link, nil)
		got.is(t, http.StatusMethodNotAllowed, "method-not-allowed")
		if got.header.Get("Allow") != "GET, POST" {
			t.Errorf("allowed are %q", got.header.Get("Allow"))
		}
	}
	f.do(http.MethodHead, link, nil)
	if s.guests() != 0 {
		t.Error("the invitation is used up")
	}
	f.post(link).is(t, http.StatusOK, "")
}

// What is refused for a while is not used up, and says so.
func TestAGuestWhoIsRefusedForAWhileKeepsTheInvitation(t *testing.T) {
	s := start(t, closed+"\nactive 1")
	first, second, link := s.fan(), s.fan(), s.invite(nil)
	s.settled()
	first.post(s.invite(nil)).is(t, http.StatusOK, "")
	later := func(code string) {
		t.Helper()
		got := second.post(link)
		got.is(t, http.StatusServiceUnavailable, code)
		if got.header.Get("Retry-After") == "" || !strings.Contains(got.body, "used up") {
			t.Errorf("it does not say when to come back: %s", got.body)
		}
		page := second.form(link)
		if page.status != http.StatusServiceUnavailable || !strings.Contains(page.body, "<button>Try again</button>") || page.header.Get("Retry-After") == "" {
			t.Errorf("%d %s", page.status, page.body)
		}
	}
	later("room-full")
	first.post(arena+"leave").is(t, http.StatusNoContent, "")
	if err := s.room().Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	later("paused")
	if err := s.room().Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.until("the room is open", func(v *room.View) bool { return v.State == room.Open })
	// Generations are named by the second, and a test is faster than any real loss.
	s.until("the queue is a second old", func(v *room.View) bool { return v.Now.Unix() > int64(v.Generations[0]) })
	s.redis.Kill()
	later("unavailable")
	s.redis.Start()
	eventually.Holds(t, "somebody uses it when Redis is back", func() bool { return s.fan().post(link).status == http.StatusOK })
}
