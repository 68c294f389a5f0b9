package waitroom

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/eventually"
	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

// The whole way of a fan: the page, the queue, the turn, the site, and out again.
func wholeWay(t *testing.T, f *fan, parked, streams int) {
	t.Helper()
	s := f.s
	page := f.page("/seats?block=A")
	if page.status != http.StatusOK || !strings.Contains(page.body, "<html") || page.reachedSite() {
		t.Fatalf("without a pass: %d %.200s", page.status, page.body)
	}
	if got := page.header.Get("Cache-Control"); got != "no-store, no-transform" {
		t.Errorf("Cache-Control of the page: %q", got)
	}
	visitor := f.place()
	if visitor.Placed() {
		t.Fatal("the page alone gave a place")
	}
	if err := s.room().Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.until("the room is paused", func(v *room.View) bool { return v.State == room.Paused })
	joined := f.joined()
	if joined.Visitor != visitor.Visitor.String() || f.place().Visitor != visitor.Visitor {
		t.Error("the join changed the visitor")
	}
	if joined.Stream != arena+"stream" || joined.PollAfter <= 0 || joined.State != "paused" {
		t.Errorf("joined: %s", joined.body)
	}
	line := f.stream(nil)
	if got := line.reply.header.Get("Content-Type"); got != "text/event-stream" {
		t.Fatalf("the stream is %q: %d %s", got, line.reply.status, line.reply.body)
	}
	line.next("position") // the first event comes at once
	if hub := s.room().Hub(); hub.Parked != parked || hub.Streams != streams {
		t.Errorf("%d parked, %d streams", hub.Parked, hub.Streams)
	}
	if err := s.room().Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := line.next("admitted"); got.State != "admitted" {
		t.Errorf("admitted: %+v", got)
	}
	line.ends()

	claim := f.post(arena + "claim?to=%2Fseats%3Fblock%3DA")
	claim.is(t, http.StatusOK, "")
	if claim.Location != "/seats?block=A" {
		t.Errorf("location %q", claim.Location)
	}
	if got := f.page("/seats?block=A"); !got.reachedSite() {
		t.Fatalf("with a pass: %d %.200s", got.status, got.body)
	}
	last, _ := s.behind.last()
	if last.Header.Get("Waitroom-Visitor") != visitor.Visitor.String() || last.Header.Get("Waitroom-Pass") == "" {
		t.Errorf("the site was told %q, %q", last.Header.Get("Waitroom-Visitor"), last.Header.Get("Waitroom-Pass"))
	}
	if got := f.get(arena + "status"); got.State != "active" {
		t.Errorf("status inside: %s", got.body)
	}

	done := f.page("/done")
	if !done.reachedSite() || done.header.Get("Waitroom-Release") != "" {
		t.Errorf("done: %d, release %q", done.status, done.header.Get("Waitroom-Release"))
	}
	if f.place().Placed() || f.cookie("pass-arena") != "" {
		t.Error("the browser keeps a place and a pass that are used up")
	}
	if got := f.page("/seats"); got.reachedSite() {
		t.Error("the session goes on after its end")
	}
	s.until("the slot is free", func(v *room.View) bool { return v.Active == 0 })
	if again := f.joined(); again.Visitor != visitor.Visitor.String() {
		t.Error("joining after a session is another visitor")
	}
}

func TestTheWholeWayOverHTTP1(t *testing.T) {
	s := start(t, open)
	wholeWay(t, s.fan(), 1, 0)
}

func TestTheWholeWayOverHTTP2(t *testing.T) {
	s := start(t, open)
	wholeWay(t, s.fanOverH2(), 0, 1)
}

// With access logs and metrics every writer is wrapped, and with encode every text
// would be compressed: the stream is parked and flows all the same.
func TestTheWholeWayWithLogsMetricsAndCompression(t *testing.T) {
	s := newSite(t)
	config := s.caddyfile("log {\noutput discard\n}\nencode gzip\nwaitroom arena {\n" + open + "\n}")
	s.load(strings.Replace(config, "servers {", "metrics\nservers {", 1))
	wholeWay(t, s.fan(), 1, 0)
}

// A browser without scripts goes the same way by forms and reloads, and every
// form leads back to the page that it wanted.
func TestTheWholeWayWithoutScripts(t *testing.T) {
	s := start(t, open)
	f := s.fan()
	page := f.page("/seats?block=A")
	for _, want := range []string{`action="/.waitroom/arena/join?to=%2Fseats%3Fblock%3DA"`, "noscript", "refresh"} {
		if !strings.Contains(page.body, want) {
			t.Errorf("the page has no %s", want)
		}
	}
	back := func(got reply, to string) {
		t.Helper()
		if got.status != http.StatusSeeOther || got.header.Get("Location") != to {
			t.Errorf("%d to %q, want %q: %s", got.status, got.header.Get("Location"), to, got.body)
		}
	}
	back(f.form(arena+"claim?to=%2Fseats"), "/seats#not-queued") // the page says so
	back(f.form(arena+"join?to=%2Fseats%3Fblock%3DA"), "/seats?block=A")
	eventually.Holds(t, "the page says that it is the fan's turn", func() bool {
		return strings.Contains(f.page("/seats").body, `data-state="admitted"`)
	})
	back(f.form(arena+"claim?to=%2Fseats"), "/seats")
	if got := f.page("/seats"); !got.reachedSite() {
		t.Fatalf("%d %.200s", got.status, got.body)
	}
	back(f.form(arena+"leave?to=%2Fseats"), "/seats#left")
	if got := f.page("/seats"); got.reachedSite() {
		t.Error("the session goes on after leaving")
	}
}

func TestAClaimSaysWhyItIsTooEarlyOrTooLate(t *testing.T) {
	s := start(t, "admit 6000/s\nactive 1\nclaim_within 1s")
	first, second := s.fan(), s.fan()
	first.post(arena+"claim").is(t, http.StatusNotFound, "not-queued")
	first.joined()
	s.until("it is the first one's turn", func(v *room.View) bool { return v.Turns == 1 })
	second.joined()
	early := second.post(arena + "claim")
	early.is(t, http.StatusConflict, "not-yet")
	if early.header.Get("Retry-After") == "" {
		t.Error("not-yet does not say when to come back")
	}
	s.until("the turn has passed", func(v *room.View) bool { return v.NoShowsTotal >= 1 })
	first.post(arena+"claim").is(t, http.StatusGone, "turn-missed")
	if first.place().Placed() {
		t.Error("a place that was missed is kept")
	}
	first.joined() // at the end of the queue
}

// What is lost on the way back is asked for again, and must not grow.
func TestAClaimRepeatedEndsWhenTheFirstDoes(t *testing.T) {
	s := start(t, open)
	f := s.fan()
	first := f.admitted()
	second := f.post(arena + "claim")
	f.setCookie("pass-arena", "")
	third := f.post(arena + "claim") // the first answer never arrived
	for _, again := range []reply{second, third} {
		again.is(t, http.StatusOK, "")
		if again.Expires == nil || !again.Expires.Truncate(time.Second).Equal(first.Expires.Truncate(time.Second)) {
			t.Errorf("expires %v, first %v", again.Expires, first.Expires)
		}
	}
	if got := f.page("/"); !got.reachedSite() {
		t.Errorf("%d %.200s", got.status, got.body)
	}
	if got := s.metric("requests_total", map[string]string{"action": "claim", "outcome": "fresh"}); got != 1 {
		t.Errorf("%v sessions begun", got)
	}
	if got := f.post(arena + "join"); got.status != http.StatusOK || got.State != "active" {
		t.Errorf("joining inside: %d %s", got.status, got.body)
	}
}

func TestWhereAClaimLeadsIsAlwaysAPageOfThisSite(t *testing.T) {
	s := start(t, open)
	f := s.fan()
	f.admitted()
	for _, to := range []string{
		"//evil.example", `/\evil.example`, `\\evil.example`, "https://evil.example", "javascript:alert(1)", "/%0d%0aSet-Cookie:x=1",
		"/\r\nSet-Cookie:x=1", "/\t/evil.example", "evil", "", "/.waitroom/arena/leave", "/a#b", "/" + strings.Repeat("a", maxLocation),
	} {
		got := f.post(arena + "claim?to=" + strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", "\t", "%09", "#", "%23", `\`, "%5C").Replace(to))
		want := "/"
		if to == "/%0d%0aSet-Cookie:x=1" { // stays escaped, which is a path like any other
			want = to
		}
		if got.status != http.StatusOK || got.Location != want {
			t.Errorf("%.40q leads to %q: %d", to, got.Location, got.status)
		}
	}
	got := f.do(http.MethodPost, arena+"claim", map[string]string{"Accept": "text/html", "Referer": "https://evil.example/x", "Sec-Fetch-Site": "same-origin"})
	if loc := got.header.Get("Location"); loc != "/" {
		t.Errorf("a referrer of another site leads to %q", loc)
	}
	got = f.do(http.MethodPost, arena+"claim", map[string]string{"Accept": "text/html", "Referer": s.url + "/seats?block=B", "Sec-Fetch-Site": "same-origin"})
	if loc := got.header.Get("Location"); loc != "/seats?block=B" {
		t.Errorf("the page before was not come back to: %q", loc)
	}
}
