package waitroom

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/eventually"
	"github.com/caddy-tickets/caddy-tickets/internal/invite"
	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

// deviceLink is the query of a link that the fan asks for.
func (f *fan) deviceLink() string {
	f.s.t.Helper()
	got := f.post(arena + "device")
	got.is(f.s.t, http.StatusOK, "")
	var made deviceLink
	if err := json.Unmarshal([]byte(got.body), &made); err != nil {
		f.s.t.Fatal(err)
	}
	u, err := url.Parse(made.Link)
	if err != nil || f.s.url != u.Scheme+"://"+u.Host || u.Path != arena+"device" {
		f.s.t.Fatalf("the link is %q (%v)", made.Link, err)
	}
	if left := time.Until(made.Expires); left < 9*time.Minute || left > 11*time.Minute {
		f.s.t.Errorf("it ends in %v", left)
	}
	return u.RawQuery
}

// One visitor, one place, one session (Q4), on as many devices as the fan likes.
func TestQ4TwoDevicesHoldOnePlace(t *testing.T) {
	s := start(t, open)
	if err := s.room().Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.until("the room is paused", func(v *room.View) bool { return v.State == room.Paused })
	phone, laptop := s.fan(), s.fan()
	phone.joined()
	link := phone.deviceLink()

	page := laptop.page(arena + "device?" + link)
	if page.status != http.StatusOK || !strings.Contains(page.body, "hold the same place") || strings.Contains(page.body, "place of its own") {
		t.Fatalf("%d %s", page.status, page.body)
	}
	if laptop.place().Placed() {
		t.Fatal("looking takes the place")
	}
	laptop.post(arena+"device/take?"+link).is(t, http.StatusNoContent, "")
	if laptop.place() != phone.place() {
		t.Fatalf("%+v on one, %+v on the other", phone.place(), laptop.place())
	}
	if got := laptop.get(arena + "status"); got.Visitor != phone.get(arena+"status").Visitor {
		t.Errorf("the status is another's: %s", got.body)
	}
	laptop.post(arena+"join").is(t, http.StatusOK, "")
	s.until("one waits", func(v *room.View) bool { return v.Waiting == 1 })
	lines := []*stream{phone.stream(nil), laptop.stream(nil)}
	for _, line := range lines {
		line.next("position")
	}
	if err := s.room().Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		line.next("admitted")
	}
	var passes [2]reply
	for i, f := range []*fan{phone, laptop} {
		eventually.Holds(t, "the turn is taken", func() bool { passes[i] = f.post(arena + "claim"); return passes[i].status == http.StatusOK })
		if !f.page("/").reachedSite() {
			t.Errorf("device %d is not inside", i)
		}
	}
	if !passes[0].Expires.Truncate(time.Second).Equal(passes[1].Expires.Truncate(time.Second)) {
		t.Errorf("the sessions end at %v and %v", passes[0].Expires, passes[1].Expires)
	}
	s.until("one is inside", func(v *room.View) bool { return v.Active == 1 && v.Turns == 0 })
	phone.post(arena+"leave").is(t, http.StatusNoContent, "")
	if got := laptop.page("/"); got.reachedSite() {
		t.Error("who left on one device is still inside on the other")
	}
}

func TestALinkToAnotherDeviceIsUsedOnce(t *testing.T) {
	s := start(t, closed)
	phone := s.placed()
	link := phone.deviceLink()
	const devices = 50
	replies := make([]reply, devices)
	fans := make([]*fan, devices)
	var all sync.WaitGroup
	for i := range devices {
		fans[i] = s.fan()
		all.Go(func() {
			for {
				var err error
				if replies[i], err = fans[i].try(http.MethodPost, arena+"device/take?"+link, nil); err != nil {
					t.Error(err)
				}
				if replies[i].Code != "unavailable" { // of a busy machine
					return
				}
			}
		})
	}
	all.Wait()
	took := 0
	for i, got := range replies {
		if got.status == http.StatusNoContent {
			took++
			fans[i].post(arena+"device/take?"+link).is(t, http.StatusNoContent, "") // its answer may have been lost
			continue
		}
		got.is(t, http.StatusGone, "link-used")
		if fans[i].place().Placed() {
			t.Error("a device that was refused has the place")
		}
	}
	if took != 1 {
		t.Errorf("%d devices took the place", took)
	}
	if page := s.fan().form(arena + "device/take?" + link); page.status != http.StatusGone || !strings.Contains(page.body, "has been used") {
		t.Errorf("a browser is told %d %.200s", page.status, page.body)
	}
}

// The answer that sets the cookie may be lost; the visitor from before asks again.
func TestADeviceWhoseAnswerWasLostAsksAgain(t *testing.T) {
	s := start(t, closed)
	phone, laptop := s.placed(), s.fan()
	link := phone.deviceLink()
	laptop.page(arena + "device?" + link)
	before := laptop.cookie("place-arena")
	laptop.post(arena+"device/take?"+link).is(t, http.StatusNoContent, "")
	laptop.setCookie("place-arena", before) // it never arrived
	laptop.post(arena+"device/take?"+link).is(t, http.StatusNoContent, "")
	if laptop.place() != phone.place() {
		t.Error("the place is not there")
	}
}

// Opened where it was made, the link is not used up.
func TestTheDeviceThatMadeALinkDoesNotUseItUp(t *testing.T) {
	s := start(t, closed)
	phone, laptop := s.placed(), s.fan()
	link := phone.deviceLink()
	phone.post(arena+"device/take?"+link).is(t, http.StatusNoContent, "")
	laptop.post(arena+"device/take?"+link).is(t, http.StatusNoContent, "")
}

func TestABrowserWithAPlaceOfItsOwnIsTold(t *testing.T) {
	s := start(t, closed)
	phone, other := s.placed(), s.placed()
	if page := other.page(arena + "device?" + phone.deviceLink()); !strings.Contains(page.body, "the other one is given up") {
		t.Errorf("it is not told: %s", page.body)
	}
}

// Without scripts the link comes as a page.
func TestALinkToAnotherDeviceWithoutScripts(t *testing.T) {
	s := start(t, closed)
	page := s.placed().form(arena + "device?to=%2Fseats")
	if page.status != http.StatusOK || !strings.Contains(page.body, s.url+arena+"device?t=") || !strings.Contains(page.body, `href="/seats"`) {
		t.Errorf("%d %s", page.status, page.body)
	}
}

func TestOnlyARealLinkTakesAPlace(t *testing.T) {
	s := start(t, closed)
	phone := s.placed()
	tok := phone.place()
	query := phone.deviceLink()
	good := strings.TrimPrefix(query, "t=")
	raw, err := base64.RawURLEncoding.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	flipped := func(bit int) string {
		changed := append([]byte(nil), raw...)
		changed[bit/8] ^= 1 << (bit % 8)
		return base64.RawURLEncoding.EncodeToString(changed)
	}
	id, err := invite.NewID(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	made := func(key, room string, end time.Duration) string {
		return invite.NewSigner(s.app().Secret(key), room).Handover(invite.Handover{ID: id, Expires: time.Now().Add(end), Place: tok})
	}
	invitation, err := invite.NewSigner(s.app().Secret("device arena"), "arena").Invitation(invite.Invitation{ID: id, Expires: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		token  string
		status int
		code   string
	}{
		"none":             {"", http.StatusNotFound, "link-invalid"},
		"of another room":  {made("device club", "club", time.Hour), http.StatusNotFound, "link-invalid"},
		"of another key":   {made("invite arena", "arena", time.Hour), http.StatusNotFound, "link-invalid"},
		"of another kind":  {invitation, http.StatusNotFound, "link-invalid"},
		"for another":      {flipped(30 * 8), http.StatusNotFound, "link-invalid"},
		"to the front":     {flipped(46 * 8), http.StatusNotFound, "link-invalid"},
		"with another mac": {flipped(len(raw)*8 - 1), http.StatusNotFound, "link-invalid"},
		"truncated":        {good[:len(good)-1], http.StatusNotFound, "link-invalid"},
		"a place":          {phone.cookie("place-arena"), http.StatusNotFound, "link-invalid"},
		"expired":          {made("device arena", "arena", -time.Second), http.StatusGone, "link-expired"},
	} {
		f := s.fan()
		f.post(arena+"device/take?t="+c.token).is(t, c.status, c.code)
		f.get(arena+"device?t="+c.token).is(t, c.status, c.code)
		if f.cookie("place-arena") != "" && f.place().Placed() {
			t.Errorf("a link %s takes the place", name)
		}
	}
	f := s.fan()
	for _, header := range []map[string]string{{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}} {
		f.do(http.MethodPost, arena+"device/take?"+query, header).is(t, http.StatusForbidden, "cross-origin")
		phone.do(http.MethodPost, arena+"device", header).is(t, http.StatusForbidden, "cross-origin")
	}
	f.do(http.MethodGet, arena+"device/take?"+query, nil).is(t, http.StatusMethodNotAllowed, "method-not-allowed")
	f.post(arena+"device").is(t, http.StatusNotFound, "not-queued")
	f.post(arena+"device/take?"+query).is(t, http.StatusNoContent, "")
}

func TestWhileRedisIsAwayNoPlaceIsTaken(t *testing.T) {
	s := start(t, closed)
	phone, laptop := s.placed(), s.fan()
	link := phone.deviceLink()
	s.redis.Kill()
	laptop.post(arena+"device/take?"+link).is(t, http.StatusServiceUnavailable, "unavailable")
	if page := laptop.form(arena + "device/take?" + link); !strings.Contains(page.body, "<button>Try again</button>") {
		t.Errorf("%d %s", page.status, page.body)
	}
	s.redis.Start()
	eventually.Holds(t, "it is taken when Redis is back", func() bool {
		return laptop.post(arena+"device/take?"+link).status == http.StatusNoContent
	})
}

// An id is what the site behind, its logs and its support know of a visitor. Whoever
// learns one has nothing: every endpoint wants what only the browser has.
func TestALeakedVisitorIdIsWorthless(t *testing.T) {
	s := start(t, open)
	victim := s.fan()
	victim.admitted()
	waits := s.placed()
	for _, one := range []*fan{victim, waits} {
		tok := one.place()
		id := tok.Visitor.String()
		for _, path := range []string{
			"/", "/seats", arena + "join", arena + "status", arena + "stream", arena + "claim", arena + "leave", arena + "board",
			arena + "device", arena + "device/take", arena + "invite", arena + "draw", arena + "draw/proof", arena + "draw/cohort",
		} {
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				thief := s.fan()
				for _, name := range []string{"place-arena", "__Host-place-arena", "pass-arena", "__Host-pass-arena"} {
					thief.setCookie(name, id)
				}
				got := thief.do(method, path+"?t="+id+"&visitor="+id+"&id="+id+"&place="+id+"&token="+id, map[string]string{
					"Waitroom-Visitor": id, "Waitroom-Pass": id, "Authorization": "Bearer " + id, "Last-Event-ID": "1", "X-Visitor": id,
				})
				if got.reachedSite() || strings.Contains(got.body, id) || got.Visitor == id {
					t.Errorf("%s %s tells %d %.200s", method, path, got.status, got.body)
				}
				if c, err := s.app().Places().Open("arena", thief.cookie("place-arena")); err == nil && c.Visitor == tok.Visitor {
					t.Errorf("%s %s gives the place away", method, path)
				}
			}
		}
	}
	// And the two have lost nothing.
	if !victim.page("/").reachedSite() {
		t.Error("the session is gone")
	}
	if got := waits.get(arena + "status"); got.status != http.StatusOK || got.Visitor != waits.place().Visitor.String() {
		t.Errorf("the place is gone: %d %s", got.status, got.body)
	}
	if (waits.place() == place.Token{}) {
		t.Error("no place")
	}
}
