package waitroompage

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

var noon = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

// waiting is a fan in the middle of the queue.
func waiting() room.Status {
	next := noon.Add(150 * time.Second)
	return room.Status{
		Room: "arena", State: room.FanWaiting, Visitor: "v", Position: 1205, Ahead: 1204, Waiting: 48211,
		ETA: &room.ETARange{Low: 700, High: 1050}, Chance: room.ChanceLikely, PollAfter: 7,
		Stock: &room.Stock{
			State: room.StockAvailable, Capacity: 50000, Free: 31200, Held: 800, Currency: "EUR", NextReleaseAt: &next,
			Categories: []room.StockCategory{
				{Name: "Front of stage", Price: 14900, Capacity: 2000},
				{Name: "Lower tier", Price: 8950, Capacity: 8000, Held: 12},
				{Name: "Upper tier", Price: 4500, Capacity: 40000, Free: 31188},
			},
		},
	}
}

func render(t *testing.T, p Page) string {
	t.Helper()
	if p.Base == "" {
		p.Base = base
	}
	if p.Location == "" {
		p.Location = "/shows/9?from=mail"
	}
	if p.Now.IsZero() {
		p.Now = noon
	}
	var out bytes.Buffer
	if err := Render(&out, p); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// shown says whether the element with an id is there and not hidden.
func shown(html, id string) bool {
	_, after, found := strings.Cut(html, ` id="`+id+`"`)
	tag, _, _ := strings.Cut(after, ">")
	return found && !strings.Contains(tag, "hidden")
}

func TestEachStateIsSaidWholeByTheServer(t *testing.T) {
	t.Parallel()
	opens := noon.Add(12*time.Minute + 30*time.Second)
	with := func(change func(*room.Status)) room.Status {
		s := waiting()
		change(&s)
		return s
	}
	state := func(name string) room.Status {
		return with(func(s *room.Status) {
			s.State, s.Position, s.Ahead, s.ETA, s.Chance = name, 0, 0, nil, room.ChanceUnknown
		})
	}
	opening := func(name string) room.Status {
		s := state(name)
		s.Opens, s.Stock = &opens, nil
		return s
	}
	for name, c := range map[string]struct {
		page   Page
		says   []string
		shows  string
		hides  string
		closed bool // no button, no refresh
	}{
		"not joined": {
			page: Page{Status: state("open")}, says: []string{"<h1 id=\"head\">Joining the queue</h1>", "Press the button to take your place."},
			shows: "join stock", hides: "enter options numbers opening message",
		},
		"not joined in the lobby": {
			page: Page{Status: opening("lobby")}, says: []string{"Joining the queue", "The draw is in", "about 12 to 13 minutes", "1 December 2026, 12:12 UTC"},
			shows: "join opening crowd", hides: "enter options numbers stock",
		},
		"scheduled": {
			page: Page{Status: opening("scheduled")}, says: []string{"The doors are still closed", "The sale opens in", "about 12 to 13 minutes"},
			shows: "opening", hides: "join enter options numbers crowd",
		},
		"lobby": {
			page: Page{Status: opening("lobby"), Joined: true}, says: []string{"You are here in time", "order of arrival does not matter", ">48,211</strong> people are here"},
			shows: "opening crowd options", hides: "join enter numbers",
		},
		"lobby in the order of arrival": {
			page:  Page{Status: with(func(s *room.Status) { s.State, s.Method, s.Opens = "lobby", room.Fifo, &opens }), Joined: true},
			says:  []string{"<title>1,205 · You are in the queue</title>", `id="position">1,205<`, "in the order of arrival, and you have yours", "The sale opens in", "about 12 to 13 minutes"},
			shows: "opening numbers options", hides: "join enter crowd",
		},
		"no room, and no queue": {
			page: Page{Status: state("open"), Full: true}, says: []string{"There is no room right now", `<a href="/shows/9?from=mail">Try again now</a>`, "looks again every 7 seconds.</p>"},
			shows: "retry stock", hides: "join enter options numbers opening",
		},
		"no room, while it is paused": {
			page: Page{Status: state("paused"), Full: true}, says: []string{"There is no room right now"}, shows: "retry", hides: "join enter options",
		},
		"rejecting, not open yet": {
			page: Page{Status: opening("scheduled"), Full: false}, says: []string{"The doors are still closed"}, hides: "retry join",
		},
		"waiting": {
			page: Page{Status: waiting(), Joined: true},
			says: []string{
				"<title>1,205 · In the queue</title>", `id="position">1,205<`, `id="ahead">1,204<`, `id="waiting">48,211<`, "about 11 to 18 minutes",
				"There should still be tickets", "149.00 EUR", "31,188 left", "all in baskets", `<tr class="gone"><th scope="row">Front of stage`, "Keep this page open", "come back in this browser",
			},
			shows: "numbers chance stock options hint", hides: "join enter opening message note problem",
		},
		"drawing": {
			page: Page{Status: opening("drawing"), Joined: true}, says: []string{"The draw is being made", "The countdown ended", "1 December 2026, 12:12 UTC", ">48,211</strong> people are here"},
			shows: "opening crowd options", hides: "join enter numbers countdown drawn",
		},
		"drawing, not joined": {
			page: Page{Status: opening("drawing")}, says: []string{"Joining the queue", "The countdown ended"},
			shows: "join opening crowd", hides: "enter options numbers countdown drawn",
		},
		"drawing, with a technical problem": {
			page: Page{Status: opening("drawing"), Joined: true, Degraded: true}, says: []string{"<h1 id=\"head\">Your place is safe</h1>"},
			shows: "options", hides: "join enter numbers countdown",
		},
		"drawn": {
			page:  Page{Status: with(func(s *room.Status) { s.Drawn = true }), Joined: true},
			says:  []string{"How was my place drawn?", `href="` + base + `draw"`, `href="` + base + `draw/cohort"`, checkPath(), "enough to check it elsewhere"},
			shows: "drawn numbers", hides: "join enter",
		},
		"not drawn": {page: Page{Status: waiting(), Joined: true}, hides: "drawn"},
		"drawn and sold out": {
			page:  Page{Status: with(func(s *room.Status) { s.State, s.Drawn = "sold-out", true }), Joined: true},
			shows: "drawn", hides: "numbers options", closed: true,
		},
		"waiting with little hope": {
			page:  Page{Status: with(func(s *room.Status) { s.Chance = room.ChanceUnlikely }), Joined: true},
			says:  []string{`data-chance="unlikely"`, "Tickets may be gone before it is your turn"},
			shows: "chance",
		},
		"waiting with nothing known": {
			page:  Page{Status: with(func(s *room.Status) { s.ETA, s.Stock, s.Chance = nil, nil, room.ChanceUnknown }), Joined: true},
			says:  []string{"not known yet"},
			shows: "numbers", hides: "chance stock",
		},
		"next in line": {
			page: Page{Status: with(func(s *room.Status) { s.Position, s.Ahead, s.ETA = 1, 0, &room.ETARange{Low: 1, High: 20} }), Joined: true},
			says: []string{`id="ahead">nobody<`, "less than a minute"}, shows: "numbers",
		},
		"all held": {
			page: Page{Status: with(func(s *room.Status) {
				s.Stock.State, s.Stock.Free = room.StockAllHeld, 0
				s.Stock.Categories[2].Free = 0
			}), Joined: true},
			says: []string{"somebody&#39;s basket right now", "The next one may come back in about 2 to 3 minutes."}, shows: "note stock",
		},
		"stock without categories": {
			page: Page{Status: with(func(s *room.Status) { s.Stock.Categories = nil }), Joined: true},
			says: []string{"31,200 tickets left"}, shows: "note stock",
		},
		"paused": {
			page: Page{Status: with(func(s *room.Status) { s.State = "paused" }), Joined: true}, says: []string{"The queue is paused for a moment", "Your place is safe"},
			shows: "numbers options", hides: "join enter",
		},
		"a message": {
			page: Page{Status: with(func(s *room.Status) { s.Message = "The band is late." }), Joined: true}, says: []string{`id="message">The band is late.<`},
			shows: "message numbers",
		},
		"a technical problem": {
			page: Page{Status: with(func(s *room.Status) { s.Message, s.ETA = "We are having a technical problem.", nil }), Joined: true, Degraded: true},
			says: []string{"<h1 id=\"head\">Your place is safe</h1>", `id="text">We are having a technical problem.<`}, shows: "numbers options", hides: "message",
		},
		"admitted": {
			page: Page{Status: state(room.FanAdmitted), Joined: true}, says: []string{"<title>It is your turn!</title>", "Press the button to go in."},
			shows: "enter", hides: "join options numbers",
		},
		"missed": {
			page: Page{Status: waiting(), Missed: true}, says: []string{"Your turn has passed", "<button>Join again</button>"},
			shows: "join", hides: "enter options numbers",
		},
		"sold out": {
			page: Page{Status: state("sold-out"), Joined: true}, says: []string{"<h1 id=\"head\">Sold out</h1>", "All tickets are sold."},
			hides: "join enter options numbers chance", closed: true,
		},
		"over": {
			page: Page{Status: state("closed")}, says: []string{"The sale is over"},
			hides: "join enter options numbers", closed: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			html := render(t, c.page)
			for _, text := range c.says {
				if !strings.Contains(html, text) {
					t.Errorf("the page does not say %q", text)
				}
			}
			for _, id := range strings.Fields(c.shows) {
				if !shown(html, id) {
					t.Errorf("%s is not shown", id)
				}
			}
			for _, id := range strings.Fields(c.hides) {
				if shown(html, id) {
					t.Errorf("%s is shown", id)
				}
			}
			refreshes := strings.Contains(html, `<meta http-equiv="refresh" content="7;url=/shows/9?from=mail">`)
			if refreshes == c.closed {
				t.Errorf("refreshes: %v", refreshes)
			}
			if len(html) > 8<<10 {
				t.Errorf("the page has %d bytes, more than 8 KB", len(html))
			}
			if t.Failed() {
				t.Log(html)
			}
		})
	}
}

func TestWhatOthersWroteIsTextAndNothingElse(t *testing.T) {
	t.Parallel()
	const evil = `</script><script>alert(1)</script><img src=x onerror="alert(2)">`
	s := waiting()
	s.Message = evil
	s.Stock.Categories[0].Name = evil
	for _, degraded := range []bool{false, true} {
		html := render(t, Page{Status: s, Joined: true, Degraded: degraded, Location: `/a"><script>alert(3)</script>`})
		for _, bad := range []string{"<script>alert", "<img", `onerror="alert`, `"><script`} {
			if strings.Contains(html, bad) {
				t.Errorf("the page contains %q:\n%s", bad, html)
			}
		}
		if got := strings.Count(html, "</script>"); got != 2 { // the data and the page's own
			t.Errorf("%d scripts end", got)
		}
		if !strings.Contains(html, "&lt;/script&gt;&lt;script&gt;alert(1)") {
			t.Error("the message is not shown as it was written")
		}
	}
}

func TestThePageHasNoInlineCodeAndNamesNoOtherHost(t *testing.T) {
	t.Parallel()
	html := render(t, Page{Status: waiting(), Joined: true})
	for _, bad := range []string{" style=", "<style", " onclick", " onload", "javascript:", "http://", "https://", "//"} {
		if strings.Contains(html, bad) {
			t.Errorf("the page contains %q", bad)
		}
	}
	for path, a := range assets().all {
		for _, bad := range []string{"http://", "https://", "eval(", "innerHTML"} {
			if bytes.Contains(a.plain, []byte(bad)) {
				t.Errorf("%s contains %q", path, bad)
			}
		}
	}
}

func TestThePolicyAllowsNothingButTheSiteAndItsStream(t *testing.T) {
	t.Parallel()
	if got := CSP(""); !strings.HasPrefix(got, "default-src 'none'; script-src 'self';") || strings.Contains(got, "unsafe") || !strings.Contains(got, "connect-src 'self';") {
		t.Error(got)
	}
	if got := CSP("https://tickets.example.com:8443"); !strings.Contains(got, "connect-src 'self' https://tickets.example.com:8443;") {
		t.Error(got)
	}
}

func TestAnEstimateIsARangeNoFinerThanItIsKnown(t *testing.T) {
	t.Parallel()
	for _, c := range estimates {
		if got := between(c.low, c.high); got != c.want {
			t.Errorf("%d to %d seconds: %q, want %q", c.low, c.high, got, c.want)
		}
	}
}

// estimates are also what the script must write.
var estimates = []struct {
	low, high int64
	want      string
}{
	{0, 0, "less than a minute"},
	{10, 59, "less than a minute"},
	{10, 60, "up to 1 minute"},
	{60, 60, "about 1 minute"},
	{60, 119, "about 1 to 2 minutes"},
	{30, 300, "up to 5 minutes"},
	{700, 1050, "about 11 to 18 minutes"},
	{1140, 1200, "about 19 to 20 minutes"},
	{1201, 1300, "about 20 to 25 minutes"},
	{1500, 1500, "about 25 minutes"},
	{3590, 5400, "about 55 to 90 minutes"},
	{1700, 5401, "up to 2 hours"},
	{1800, 5401, "about ½ to 2 hours"},
	{5400, 7000, "about 1½ to 2 hours"},
	{7200, 7200, "about 2 hours"},
	{36000, 43000, "about 10 to 12 hours"},
	{86399, 90000, "about 23½ to 25 hours"},
	{86400, 604800, "more than a day"},
}

func TestNumbersAreGrouped(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1204331: "1,204,331"} {
		if got := grouped(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}

func TestEveryStateHasWords(t *testing.T) {
	t.Parallel()
	for state, w := range words {
		if w.Title == "" || w.Head == "" || w.Text == "" {
			t.Errorf("%s: %+v", state, w)
		}
	}
	for _, o := range outcomes {
		if html := render(t, Page{}); !strings.Contains(html, fmt.Sprintf(`id="%s" tabindex="-1">`, o.ID)) || o.Text == "" {
			t.Errorf("the outcome %s is not on the page", o.ID)
		}
	}
}
