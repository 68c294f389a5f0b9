package waitroom

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/caddymodule/caddytest"
	"github.com/caddy-tickets/caddy-tickets/internal/eventually"
	"github.com/caddy-tickets/caddy-tickets/internal/invite"
	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

const tiered = closed + `
	tier "Members’ queue" header X-Card member
	tier Partners {
		header X-Card partner
	}`

// joinsWith has a fan join with a card.
func (f *fan) joinsWith(card string) reply {
	f.s.t.Helper()
	got := f.do(http.MethodPost, arena+"join", map[string]string{"X-Card": card})
	if got.status != http.StatusCreated && got.status != http.StatusOK {
		f.s.t.Fatalf("joining: %d %s", got.status, got.body)
	}
	return got
}

// tiersAhead are those that an answer names.
func (r reply) tiersAhead() []string {
	var doc struct{ TiersAhead []string }
	_ = json.Unmarshal([]byte(r.body), &doc)
	return doc.TiersAhead
}

// stopped pauses the room, so that places stay where they are.
func (s *site) stopped() {
	s.t.Helper()
	s.settled()
	if err := s.room().Pause(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	s.until("the room is paused", func(v *room.View) bool { return v.State == room.Paused })
}

func TestTiersComeOneAfterTheOtherAndEverybodyElseAfterThem(t *testing.T) {
	s := start(t, tiered)
	s.stopped()
	fans := map[string]*fan{}
	for _, card := range []string{"none", "partner", "member", "late member", "late none"} {
		fans[card] = s.fan()
		fans[card].joinsWith(strings.TrimPrefix(card, "late "))
	}
	want := []struct {
		card  string
		tier  string
		ahead []string
	}{
		{"member", "Members’ queue", nil},
		{"late member", "Members’ queue", nil},
		{"partner", "Partners", []string{"Members’ queue"}},
		{"none", "", []string{"Members’ queue", "Partners"}},
		{"late none", "", []string{"Members’ queue", "Partners"}},
	}
	for i, w := range want {
		eventually.Holds(t, w.card+" is at its place", func() bool { return fans[w.card].get(arena+"status").Position == i+1 })
		got := fans[w.card].get(arena + "status")
		if got.Tier != w.tier || !slices.Equal(got.tiersAhead(), w.ahead) {
			t.Errorf("%s is told %q, ahead %q", w.card, got.Tier, got.tiersAhead())
		}
	}
	page := fans["partner"].page("/")
	if !strings.Contains(page.body, "You are in the queue “Partners”. Let in before you: “Members’ queue”.") {
		t.Errorf("the page does not say which tier: %s", page.body)
	}
	eventually.Holds(t, "the board shows the tiers to everybody", func() bool {
		var board publicBoard
		_ = json.Unmarshal([]byte(s.fan().get(arena+"board").body), &board)
		return slices.Equal(board.Tiers, []publicTier{{"Members’ queue", 2}, {"Partners", 1}}) && board.Waiting == 5
	})
}

// Who has a place keeps it: a card that is gone, or comes later, changes nothing.
func TestAFanKeepsItsTier(t *testing.T) {
	s := start(t, tiered)
	s.stopped()
	member, other := s.fan(), s.fan()
	member.joinsWith("member")
	other.joinsWith("none")
	scores := []place.Score{member.place().Score, other.place().Score}
	member.joinsWith("none")
	other.joinsWith("member")
	if member.place().Score != scores[0] || other.place().Score != scores[1] {
		t.Errorf("the places became %v and %v", member.place().Score, other.place().Score)
	}
	if scores[0].Tier() != 0 || scores[1].Tier() != 2 {
		t.Errorf("the tiers are %d and %d", scores[0].Tier(), scores[1].Tier())
	}
}

// A suspect is last, whatever it shows, and is not told.
func TestASuspectIsInNoTierAndNotTold(t *testing.T) {
	s := newSite(t)
	s.load(s.caddyfile("@suspect header X-Suspect 1\nvars @suspect botguard.deprioritise true\nroute {\nwaitroom arena {\n" + tiered + "\n}\n}"))
	s.stopped()
	f, honest := s.fan(), s.fan()
	f.do(http.MethodPost, arena+"join", map[string]string{"X-Card": "member", "X-Suspect": "1"})
	honest.joinsWith("none")
	if got := f.place().Score.Tier(); got != place.Deprioritised {
		t.Fatalf("a suspect is in tier %d", got)
	}
	a, b := f.get(arena+"status"), honest.get(arena+"status")
	if a.Tier != b.Tier || !slices.Equal(a.tiersAhead(), b.tiersAhead()) {
		t.Errorf("a suspect reads %q, %q", a.Tier, a.tiersAhead())
	}
}

// A place of the config that only names the room takes joins like the others.
func TestEveryPlaceOfARoomKnowsItsTiers(t *testing.T) {
	s := newSite(t)
	s.load(s.server("http://:0", "handle /a/* {\nwaitroom arena\n}\nhandle /.waitroom/* {\nwaitroom arena\n}\nhandle {\nwaitroom arena {\n"+tiered+"\n}\n}"))
	s.stopped()
	if got := s.fan().joinsWith("partner"); got.Tier != "Partners" {
		t.Errorf("%s", got.body)
	}
	for name, c := range map[string]string{
		"another rule":  strings.Replace(tiered, "partner", "sponsor", 1),
		"another name":  strings.Replace(tiered, "Partners", "Sponsors", 1),
		"none":          closed,
		"another order": closed + "\ntier Partners header X-Card partner\ntier \"Members’ queue\" header X-Card member",
	} {
		err := caddytest.Load(s.caddyfile("waitroom /a arena {\n" + tiered + "\n}\nwaitroom /b arena {\n" + c + "\n}"))
		if err == nil || !strings.Contains(err.Error(), "differently") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnInvitationGivesAPlaceInItsTier(t *testing.T) {
	s := start(t, tiered)
	s.stopped()
	waiting, guest := s.fan(), s.fan()
	waiting.joinsWith("none")
	toPartners := func() string { return s.invite(func(i *invite.Invitation) { i.Tier = "Partners" }) }
	link := toPartners()
	if page := guest.page(link); !strings.Contains(page.body, "a place in the queue “Partners”") {
		t.Errorf("%s", page.body)
	}
	got := guest.post(link)
	got.is(t, http.StatusCreated, "")
	if got.Tier != "Partners" || guest.place().Score.Tier() != 1 {
		t.Errorf("%s", got.body)
	}
	guest.post(link).is(t, http.StatusOK, "")
	s.fan().post(link).is(t, http.StatusGone, "invite-used")
	// One who waits already moves up, and one who is further ahead keeps that and the link.
	waiting.post(toPartners()).is(t, http.StatusCreated, "")
	if waiting.place().Score.Tier() != 1 {
		t.Errorf("moved to tier %d", waiting.place().Score.Tier())
	}
	member, kept := s.fan(), toPartners()
	member.joinsWith("member")
	member.post(kept).is(t, http.StatusOK, "")
	if member.place().Score.Tier() != 0 {
		t.Errorf("moved to tier %d", member.place().Score.Tier())
	}
	if got := s.fan().form(kept); got.status != http.StatusSeeOther || got.header.Get("Location") != "/" {
		t.Errorf("%d %s", got.status, got.body)
	}
	if s.guests() != 3 {
		t.Errorf("%d are counted", s.guests())
	}
}

// What cannot be decided gives nothing away, and keeps nobody out.
func TestATierWhoseMatcherFailsIsPassedOver(t *testing.T) {
	s := start(t, closed+"\ntier First {\nexpression `int({http.request.header.X-Number}) > 5`\n}\ntier Second header X-Card partner")
	s.stopped()
	f := s.fan()
	got := f.do(http.MethodPost, arena+"join", map[string]string{"X-Number": "many", "X-Card": "partner"})
	if got.Tier != "Second" {
		t.Errorf("%s", got.body)
	}
	if s.metric("requests_total", map[string]string{"action": "tier", "outcome": "failed"}) != 1 {
		t.Error("not counted")
	}
}

func TestTiersThatCannotWorkAreRefused(t *testing.T) {
	many := ""
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		many += "\ntier " + name + " path /" + name
	}
	for lines, want := range map[string]string{
		"tier":                  "needs a name",
		"tier Members":          "has no matchers",
		"tier Members {\n}":     "has no matchers",
		"tier Members speed 5":  "getting matcher module 'speed'",
		"tier \"\" path /a":     "printable",
		"tier \" a\" path /a":   "printable",
		"tier \"a\tb\" path /a": "printable",
		"tier " + strings.Repeat("a", 41) + " path /a": "printable",
		"tier a path /a\ntier a path /b":               "there twice",
		many:                                           "6 tiers at most",
		"tier a path /a\nmethod reject":                "tiers order nobody",
	} {
		_, err := caddytest.Adapt("http://:80 {\nwaitroom arena {\nadmit 1/s\n" + lines + "\n}\n}\n")
		if err == nil || !strings.Contains(err.Error(), "Caddyfile:") || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", lines, err)
		}
	}
}

// A lobby is drawn within each tier: no luck takes anybody past the tier before. A guest
// is drawn with its tier, and a place that was taken to another device in the lobby is
// drawn once, for both.
func TestTheDrawIsWithinEachTier(t *testing.T) {
	opens := time.Now().Add(3 * time.Second).Truncate(time.Second).Add(time.Second)
	block := strings.Replace(tiered, "queue all", "opens "+opens.Format(time.RFC3339)+"\nlobby 1h", 1)
	s := start(t, block)
	s.settled()
	fans := map[string][]*fan{}
	for _, card := range []string{"none", "partner", "member", "none", "member", "none", "partner"} {
		f := s.fan()
		f.joinsWith(card)
		fans[card] = append(fans[card], f)
	}
	guest, laptop := s.fan(), s.fan()
	guest.post(s.invite(func(i *invite.Invitation) { i.Tier = "Partners" })).is(t, http.StatusCreated, "")
	fans["partner"] = append(fans["partner"], guest)
	s.fan().post(s.invite(nil)).is(t, http.StatusForbidden, "not-open") // straight in, before the opening
	phone := fans["none"][0]
	laptop.post(arena+"device/take?"+phone.deviceLink()).is(t, http.StatusNoContent, "")
	if state := s.room().View().State; state != room.Lobby {
		t.Fatalf("this machine was too slow: the room is %s already", state)
	}

	s.until("the draw is over", func(v *room.View) bool { return v.State == room.Open })
	for tier, card := range []string{"member", "partner", "none"} {
		for _, f := range fans[card] {
			f.get(arena + "status")
			if got := f.place().Score; got.Undrawn() || int(got.Tier()) != tier || got-got.Tier().Base() >= place.LiveBase {
				t.Errorf("a %s has the place %d", card, got)
			}
		}
	}
	laptop.get(arena + "status")
	if laptop.place().Score != phone.place().Score {
		t.Errorf("one visitor was drawn twice: %d and %d", phone.place().Score, laptop.place().Score)
	}
}
