package waitroompage

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/caddy-tickets/caddy-tickets/internal/browsertest"
	"github.com/caddy-tickets/caddy-tickets/internal/eventually"
	"github.com/caddy-tickets/caddy-tickets/internal/pow"
	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

// line is what a stream says of a place.
func line(position int) map[string]any {
	return map[string]any{
		"state": "waiting", "position": position, "ahead": position - 1, "waiting": 48211,
		"eta": map[string]int{"low": 700, "high": 1050}, "chance": "likely", "message": "", "stock": nil, "opens": nil,
	}
}

func with(doc map[string]any, name string, value any) map[string]any {
	doc[name] = value
	return doc
}

func TestAFanJoinsDoesTheWorkAndSeesItsPosition(t *testing.T) {
	t.Parallel()
	s := newStage(t, waiting(), false)
	s.work = pow.DefaultWork
	b := openTab(t, s).Open("/")
	b.Reads("position", "1,205")
	b.Reads("ahead", "1,204")
	b.Reads("eta", "about 11 to 18 minutes")
	b.Until("the tab tells it", `document.title === "1,205 · In the queue"`)
	if got := len(s.called("POST join")); got != 2 {
		t.Errorf("it took %d joins: one to be asked and one to answer", got)
	}
	if b.Holds(browsertest.Seen("join")) || b.Holds(browsertest.Seen("work")) {
		t.Error("the page still offers to join")
	}
}

func TestABrowserThatCannotCalculateWaitsInstead(t *testing.T) {
	t.Parallel()
	s := newStage(t, waiting(), false)
	s.work, s.noSolver = pow.Work{Count: 1, Bits: 1, Wait: time.Second, Life: time.Minute}, true
	b := openTab(t, s).Open("/")
	b.Reads("position", "1,205")
}

func TestThePositionIsLiveAndNeverGoesUp(t *testing.T) {
	t.Parallel()
	s := newStage(t, waiting(), true)
	b := openTab(t, s).Open("/")
	s.send("position", line(900))
	b.Reads("position", "900")
	b.Reads("link", "Live")
	progress := b.Value(`document.getElementById("bar").value`)
	s.send("position", with(line(905), "waiting", 7))
	b.Reads("waiting", "7") // the line was read
	if got := b.Value(`document.getElementById("position").textContent`); got != "900" {
		t.Errorf("the position went up to %s", got)
	}
	s.send("position", line(450))
	b.Reads("position", "450")
	if b.Holds(`document.getElementById("bar").value <= ` + progress) {
		t.Error("the progress did not move on")
	}

	b.Do("reloading", chromedp.Reload()) // the server still says 1205
	b.State("waiting")
	b.Reads("position", "450")
	if b.Holds(`document.getElementById("bar").value <= ` + progress) {
		t.Error("the progress went back with the reload")
	}
	s.until("the new stream tells what was seen", func() bool {
		return strings.HasSuffix(s.calls[len(s.calls)-1], "stream?seen=450")
	})
}

func TestADroppedStreamIsOpenedAgainWithWhatWasSeen(t *testing.T) {
	t.Parallel()
	s := newStage(t, waiting(), true)
	b := openTab(t, s).Open("/")
	s.write("retry: 200\n\n")
	s.send("position", line(900))
	b.Reads("position", "900")
	s.drop()
	b.Reads("link", "Connection lost. Your place is safe. Trying again …")
	s.send("position", line(880))
	b.Reads("position", "880")
	b.Reads("link", "Live")
	if got := s.called("GET stream?seen=900"); len(got) != 1 {
		t.Errorf("reconnected by %q", s.called("GET stream"))
	}
}

func TestARetryOfTheServerIsAtLeastWaited(t *testing.T) {
	t.Parallel()
	s := newStage(t, waiting(), true)
	b := openTab(t, s).Open("/")
	s.write("retry: 1500\n\n")
	s.send("position", line(900))
	b.Reads("position", "900")
	dropped := time.Now()
	s.drop()
	s.until("the stream is open again", func() bool { return len(s.streams) > 0 })
	if waited := time.Since(dropped); waited < 1500*time.Millisecond {
		t.Errorf("it came back after %v", waited)
	}
}

func TestARefusedStreamIsReplacedByPolling(t *testing.T) {
	t.Parallel()
	s := newStage(t, waiting(), true)
	s.page.Status.PollAfter = 1
	s.refuse("stream", refusal{status: 503, code: "no-stream"})
	b := openTab(t, s).Open("/")
	b.Reads("link", "Updated every few seconds")
	s.change(func(p *Page) { p.Status.Position, p.Status.Ahead = 700, 699 })
	b.Reads("position", "700")
	s.until("the next poll tells what was seen", func() bool {
		return strings.HasSuffix(s.calls[len(s.calls)-1], "status?seen=700")
	})
	s.refuse("stream")
	s.until("the stream is tried again", func() bool { return len(s.streams) > 0 })
	s.send("position", line(650))
	b.Reads("link", "Live")
}

func TestAFanWhoseTurnItIsClaimsAndGoesIn(t *testing.T) {
	t.Parallel()
	s := newStage(t, waiting(), true)
	s.refuse("claim", refusal{status: 409, code: "not-yet", retry: "1", times: 1}, refusal{status: 503, code: "unavailable", retry: "1", times: 1})
	b := openTab(t, s).Open("/shows/9?from=mail")
	s.send("admitted", map[string]string{"state": "admitted", "claimBy": "2026-12-01T12:02:00Z"})
	b.Reads("head", "It is your turn!")
	b.Until("it is announced at once", `document.getElementById("alert").getAttribute("role") === "alert" && document.getElementById("alert").textContent === "It is your turn!"`)
	b.Until("the fan is inside", `document.getElementById("inside") && location.pathname === "/inside"`)
	claims := s.called("POST claim")
	if len(claims) != 3 || claims[2] != "POST claim?to=%2Fshows%2F9%3Ffrom%3Dmail" {
		t.Errorf("claimed by %q", claims)
	}
}

func TestAClaimLeadsToNoOtherSite(t *testing.T) {
	t.Parallel()
	s := newStage(t, waiting(), true)
	s.refuse("claim", refusal{status: 200, body: `{"location":"https://evil.example/"}`, times: 1})
	b := openTab(t, s).Open("/shows/9")
	s.send("admitted", map[string]string{"state": "admitted"})
	b.Until("the fan stays on the site", fmt.Sprintf(`location.href === %q`, s.URL+"/"))
}

func TestATurnThatWasMissedIsSaidAndTheFanMayJoinAgain(t *testing.T) {
	t.Parallel()
	s := newStage(t, waiting(), true)
	s.refuse("claim", refusal{status: 410, code: "turn-missed"})
	b := openTab(t, s).Open("/")
	s.send("position", line(3))
	b.Reads("position", "3")
	s.send("admitted", map[string]string{"state": "admitted"})
	b.State("missed")
	b.Until("it offers to join again", browsertest.Seen("join"))
	if b.Holds(`localStorage.length`) {
		t.Errorf("the old place is remembered: %s", b.Value(`JSON.stringify(localStorage)`))
	}
	s.change(func(p *Page) { p.Joined = false })
	b.Do("joining again", chromedp.Click("#join button"))
	b.Reads("position", "1,205") // higher than the last one, which is gone
}

func TestATurnThatWasNoneGoesBackToTheQueue(t *testing.T) {
	t.Parallel()
	s := newStage(t, waiting(), true)
	s.refuse("claim", refusal{status: 409, code: "not-yet", times: 5})
	b := openTab(t, s).Open("/")
	s.send("admitted", map[string]string{"state": "admitted"})
	b.State("admitted")
	b.State("waiting")
	s.send("position", line(2))
	b.Reads("position", "2")
}

func TestSoldOutEndsTheWait(t *testing.T) {
	t.Parallel()
	s := newStage(t, waiting(), true)
	b := openTab(t, s).Open("/")
	s.send("position", line(900))
	b.Reads("position", "900")
	s.send("soldout", map[string]any{"state": "sold-out", "waiting": 4, "message": "", "stock": nil, "opens": nil})
	b.Reads("head", "Sold out")
	b.Until("it is announced", `document.getElementById("polite").textContent.startsWith("Sold out.")`)
	for _, id := range []string{"numbers", "options", "join", "enter", "link"} {
		if b.Holds(browsertest.Seen(id)) {
			t.Errorf("%s is still shown", id)
		}
	}
	s.until("the stream is closed", func() bool { return len(s.streams) == 0 })
	if got := s.called("GET status"); len(got) != 0 {
		t.Errorf("it goes on asking: %q", got)
	}
}

func TestSoldOutAtTheClaimEndsTheWait(t *testing.T) {
	t.Parallel()
	s := newStage(t, waiting(), true)
	s.refuse("claim", refusal{status: 410, code: "sold-out"})
	b := openTab(t, s).Open("/")
	s.send("admitted", map[string]string{"state": "admitted"})
	b.State("sold-out")
}

func TestAPauseAndAMessageAreShownAndTaken(t *testing.T) {
	t.Parallel()
	s := newStage(t, waiting(), true)
	b := openTab(t, s).Open("/")
	s.send("state", map[string]any{"state": "paused", "waiting": 9, "message": "", "stock": nil, "opens": nil})
	b.Reads("head", "The queue is paused for a moment")
	s.send("message", map[string]string{"message": "<b>The band</b> is late."})
	b.Reads("message", "<b>The band</b> is late.")
	b.Until("it is announced", `document.getElementById("polite").textContent.includes("The band")`)
	s.send("position", with(line(900), "message", ""))
	b.State("waiting")
	if b.Holds(browsertest.Seen("message")) {
		t.Error("the message is still shown")
	}
}

func TestATechnicalProblemIsSaidAndEndsByItself(t *testing.T) {
	t.Parallel()
	s := newStage(t, waiting(), true)
	b := openTab(t, s).Open("/")
	s.send("position", with(with(line(900), "degraded", true), "message", "We are having a technical problem."))
	b.Reads("head", "Your place is safe")
	b.Reads("text", "We are having a technical problem.")
	b.Reads("position", "900")
	if b.Holds(browsertest.Seen("message")) {
		t.Error("the same is said twice")
	}
	s.send("position", line(899))
	b.Reads("head", "You are in the queue")
}

func TestTheCountdownRunsAndTheDrawTurnsItIntoAPlace(t *testing.T) {
	t.Parallel()
	opens := time.Now().Add(90 * time.Second)
	lobby := room.Status{State: "lobby", Waiting: 12, Opens: &opens}
	s := newStage(t, lobby, true)
	b := openTab(t, s).Open("/")
	b.Reads("head", "You are here in time")
	b.Reads("here", "12")
	b.Until("it counts down", `/^01:\d\d$/.test(document.getElementById("countdown").textContent)`)
	before := b.Value(`document.getElementById("countdown").textContent`)
	b.Until("a second passes", fmt.Sprintf(`document.getElementById("countdown").textContent !== %q`, before))
	s.send("state", map[string]any{"state": "open", "waiting": 12, "message": "", "stock": nil, "opens": opens})
	s.send("position", with(line(5), "opens", opens))
	b.Reads("position", "5")
	if b.Holds(browsertest.Seen("opening")) {
		t.Error("the countdown is still shown")
	}
}

func TestAFanWhoComesEarlyIsLetInWhenTheDoorsOpen(t *testing.T) {
	t.Parallel()
	opens := time.Now().Add(2 * time.Second)
	s := newStage(t, room.Status{State: "scheduled", Opens: &opens}, false)
	b := openTab(t, s).Open("/")
	b.Reads("head", "The doors are still closed")
	s.until("it looks at the board", func() bool { return strings.Contains(strings.Join(s.calls, " "), "GET board") })
	if got := s.called("POST join"); len(got) != 0 {
		t.Errorf("it knocked: %q", got)
	}
	s.change(func(p *Page) { p.Status = waiting() })
	b.Reads("position", "1,205")
}

func TestAFullQueueIsSaidAndTriedAgainOnlyByHand(t *testing.T) {
	t.Parallel()
	s := newStage(t, waiting(), false)
	s.refuse("join", refusal{status: 503, code: "queue-full", retry: "60"})
	b := openTab(t, s).Open("/")
	b.Reads("head", "The queue is full")
	s.refuse("join")
	b.Do("trying again", chromedp.Click("#join button"))
	b.Reads("position", "1,205")
	if got := len(s.called("POST join")); got != 2 {
		t.Errorf("%d joins", got)
	}
}

func TestALimitIsWaitedOutAndABrokenAnswerRepeated(t *testing.T) {
	t.Parallel()
	s := newStage(t, waiting(), false)
	s.refuse("join",
		refusal{status: 429, code: "too-many-requests", retry: "7", times: 1},
		refusal{status: 502, body: "<html>bad gateway</html>", times: 1},
		refusal{status: 200, body: "<html>welcome to the hotel's network</html>", times: 1})
	b := openTab(t, s).Hasty().Before(noted).Open("/")
	b.Until("it says that many are here", `document.getElementById("link").dataset.link === "busy"`)
	b.Reads("position", "1,205")
	if !b.Holds(`pauses.some(ms => ms >= 7000 && ms <= 10500)`) {
		t.Errorf("the seven seconds were not waited: %s", b.Value(`pauses`))
	}
	if got := len(s.called("POST join")); got != 4 {
		t.Errorf("%d joins", got)
	}
}

// noted makes the page note its pauses.
const noted = `window.pauses = [];
	(real => { window.setTimeout = (f, ms) => { pauses.push(ms); return real(f, ms); }; })(setTimeout)`

func TestAnUnknownRefusalIsSaidAndTriedAgainByHand(t *testing.T) {
	t.Parallel()
	s := newStage(t, waiting(), false)
	s.refuse("join", refusal{status: 403, code: "cross-origin"})
	b := openTab(t, s).Open("/")
	b.State("refused")
	b.Until("it offers to try again", browsertest.Seen("join"))
}

func TestLeavingAsksFirstAndTellsTheOtherTabs(t *testing.T) {
	t.Parallel()
	s := newStage(t, waiting(), true)
	b := openTab(t, s).Open("/")
	other := b.Another().Open("/")
	s.until("both listen", func() bool { return len(s.streams) == 2 })
	s.send("position", line(900))
	b.Reads("position", "900")
	other.Reads("position", "900")
	if b.Holds(browsertest.Seen("give-up")) {
		t.Fatal("one tap gives up the place")
	}
	b.Do("leaving", chromedp.Click("#leave summary"), chromedp.WaitVisible("#give-up button"), chromedp.Click("#give-up button"))
	b.Reads("head", "You have left the queue")
	other.Reads("head", "You have left the queue")
	s.until("nobody listens any more", func() bool { return len(s.streams) == 0 })
	if got := s.called("POST join"); len(got) != 0 {
		t.Errorf("a tab joined again by itself: %q", got)
	}
}

func TestAPlaceThatIsGoneIsSaidAndNotReplaced(t *testing.T) {
	t.Parallel()
	s := newStage(t, waiting(), true)
	s.refuse("stream", refusal{status: 404, code: "not-queued"})
	b := openTab(t, s).Open("/")
	b.State("lost")
	if got := s.called("POST join"); len(got) != 0 {
		t.Errorf("it joined again by itself: %q", got)
	}
}

func TestTheStreamMayBeAtAnotherAddressOfTheHost(t *testing.T) {
	t.Parallel()
	s, side := newStage(t, waiting(), true), newStage(t, waiting(), true)
	s.stream = side.URL
	b := openTab(t, s).Open("/")
	side.send("position", line(900))
	b.Reads("position", "900")
	if got := s.called("GET stream"); len(got) != 0 {
		t.Errorf("the page's own address was asked: %q", got)
	}
}

func TestAConnectionThatDiesWithoutAWordIsOpenedAgain(t *testing.T) {
	t.Parallel()
	s := newStage(t, waiting(), true)
	b := openTab(t, s).Hasty().Open("/") // thirty seconds of silence are one
	s.send("position", line(900))
	b.Reads("position", "900")
	s.until("the stream is opened again", func() bool {
		return slices.Contains(s.calls, "GET stream?seen=900")
	})
}

func TestAHiddenPagePollsLessAndAtOnceWhenItIsLookedAt(t *testing.T) {
	t.Parallel()
	s := newStage(t, waiting(), true)
	s.page.Status.PollAfter = 1
	s.refuse("stream", refusal{status: 503, code: "no-stream"})
	b := openTab(t, s).Before(noted).Before(`
		window.away = false;
		Object.defineProperty(document, "hidden", { get: () => window.away });`).Open("/")
	b.Reads("link", "Updated every few seconds")
	b.Until("the room's wish is followed", `pauses.at(-1) >= 500 && pauses.at(-1) <= 1500`)
	b.Value(`away = true`)
	b.Until("it asks less", `pauses.at(-1) >= 10000 && ![20000, 30000].includes(pauses.at(-1))`) // those bound a request and a silence
	polls := len(s.called("GET status"))
	b.Value(`(() => { away = false; document.dispatchEvent(new Event("visibilitychange")); })()`)
	eventually.Holds(t, "it asks at once", func() bool { return len(s.called("GET status")) > polls })
	b.Until("and follows the wish again", `pauses.at(-1) <= 1500`)
}

func TestAFanWithoutCookiesIsToldWhatIsMissing(t *testing.T) {
	t.Parallel()
	s := newStage(t, waiting(), false)
	b := openTab(t, s).Before(`Object.defineProperty(navigator, "cookieEnabled", { get: () => false })`).Open("/")
	b.Reads("head", "Please allow cookies")
	if got := s.called("POST join"); len(got) != 0 {
		t.Errorf("it joined for nothing: %q", got)
	}
}

func TestTheNetworkComingBackIsUsedAtOnce(t *testing.T) {
	t.Parallel()
	s := newStage(t, waiting(), true)
	b := openTab(t, s).Open("/")
	s.write("retry: 60000\n\n")
	s.send("position", line(900))
	b.Reads("position", "900")
	browsertest.Call(b, network.OverrideNetworkState, network.OverrideNetworkStateParams{Offline: true, DownloadThroughput: -1, UploadThroughput: -1})
	s.drop()
	b.Reads("link", "Connection lost. Your place is safe. Trying again …")
	browsertest.Call(b, network.OverrideNetworkState, network.OverrideNetworkStateParams{DownloadThroughput: -1, UploadThroughput: -1, ConnectionType: network.ConnectionTypeWifi})
	s.send("position", line(880)) // within the patience of a test, not after a minute
	b.Reads("position", "880")
}

func TestAFanWhoLooksAgainIsServedAtOnce(t *testing.T) {
	t.Parallel()
	s := newStage(t, waiting(), true)
	b := openTab(t, s).Open("/")
	s.write("retry: 60000\n\n")
	s.send("position", line(900))
	b.Reads("position", "900")
	s.drop()
	b.Reads("link", "Connection lost. Your place is safe. Trying again …")
	b.Value(`document.dispatchEvent(new Event("visibilitychange"))`)
	s.send("position", line(880))
	b.Reads("position", "880")
}

func TestAPageThatComesBackFromTheHistoryGoesOn(t *testing.T) {
	t.Parallel()
	s := newStage(t, waiting(), true)
	b := openTab(t, s).Open("/")
	s.send("position", line(900))
	b.Reads("position", "900")
	b.Value(`dispatchEvent(new PageTransitionEvent("pagehide", { persisted: true }))`)
	s.until("the connection is let go", func() bool { return len(s.streams) == 0 })
	b.Value(`dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true }))`)
	s.send("position", line(880))
	b.Reads("position", "880")
}

func TestScreenReadersAreToldChangesAndNotEveryStep(t *testing.T) {
	t.Parallel()
	s := newStage(t, waiting(), true)
	b := openTab(t, s).Open("/")
	b.Value(`(() => {
		window.spoken = [];
		const polite = document.getElementById("polite");
		new MutationObserver(() => spoken.push(polite.textContent)).observe(polite, { childList: true });
	})()`)
	for position := 900; position > 890; position-- {
		s.send("position", line(position))
	}
	b.Reads("position", "891")
	if got := b.Value(`spoken.length`); got != "0" {
		t.Errorf("ten lines were spoken %s times: %s", got, b.Value(`spoken.join(" | ")`))
	}
	b.Value(`(real => { Date.now = () => real() + 31000; })(Date.now)`) // half a minute later
	s.send("position", line(890))
	b.Until("the new position is spoken", `spoken.at(-1) === "You are in the queue. Position 890. Estimated wait: about 11 to 18 minutes."`)
	s.send("state", map[string]any{"state": "paused", "waiting": 9, "message": "", "stock": nil, "opens": nil})
	b.Until("the pause is spoken at once", `spoken.at(-1)?.startsWith("The queue is paused")`)
	if got := b.Value(`document.getElementById("polite").getAttribute("role")`); got != "status" {
		t.Errorf("its role is %q", got)
	}
}

func TestTheAlarmIsOffUntilAskedForAndPlayedBeforeGoingIn(t *testing.T) {
	t.Parallel()
	s := newStage(t, waiting(), true)
	b := openTab(t, s).Before(`(real => { window.setTimeout = (f, ms) => { if (ms === 1200) localStorage.rang = "out"; return real(f, ms); }; })(setTimeout)`).Open("/")
	s.send("position", line(9))
	b.Reads("position", "9")
	b.Value(`(Real => { window.AudioContext = function () { return window.sound = new Real(); }; })(AudioContext)`)
	if b.Holds(`document.getElementById("alarm").checked || window.sound`) {
		t.Fatal("the alarm is on")
	}
	b.Do("turning it on", chromedp.Click("#alarm"))
	b.Until("the browser lets it sound", `window.sound?.state === "running"`)
	b.Value(`navigator.vibrate = pattern => { localStorage.shaken = String(pattern); return true; }`) // a desktop has no motor
	s.send("admitted", map[string]string{"state": "admitted"})
	b.Until("the fan is inside", `document.getElementById("inside")`)
	b.Until("the phone shook", `localStorage.shaken === "300,150,300"`)
	b.Until("the sound was not cut off", `localStorage.rang === "out"`)
}

func TestTheScriptWritesEstimatesAsTheServerDoes(t *testing.T) {
	t.Parallel()
	s := newStage(t, waiting(), true)
	b := openTab(t, s).Open("/")
	for _, c := range estimates {
		s.send("position", with(line(900), "eta", map[string]int64{"low": c.low, "high": c.high}))
		b.Reads("eta", c.want)
	}
}

func TestTheScriptWritesPricesAsTheServerDoes(t *testing.T) {
	t.Parallel()
	for currency, prices := range map[string][]int64{"EUR": {0, 5, 4500, 123456}, "JPY": {0, 4500}, "KWD": {4500}, "IQD": {4500}} {
		t.Run(currency, func(t *testing.T) {
			t.Parallel()
			status := waiting()
			status.Stock.Currency, status.Stock.Categories = currency, nil
			for _, p := range prices {
				status.Stock.Categories = append(status.Stock.Categories, room.StockCategory{Name: "n", Price: p, Free: 1, Capacity: 1})
			}
			s := newStage(t, status, true)
			still := rows(openTab(t, s).Still().Open("/"))
			b := openTab(t, s).Open("/")
			s.send("position", with(with(line(900), "stock", status.Stock), "waiting", 77))
			b.Reads("waiting", "77")
			if live := rows(b); live != still || !strings.Contains(still, currency) {
				t.Errorf("the script writes %s, the server %s", live, still)
			}
		})
	}
}

// rows are the prices on a page.
func rows(b *browsertest.Tab) string {
	return b.Value(`[...document.querySelectorAll("#prices td")].map(cell => cell.textContent).join("|")`)
}

func TestWithoutScriptsThePageSaysTheSame(t *testing.T) {
	t.Parallel()
	opens := time.Now().Add(time.Hour)
	paused := waiting()
	paused.State, paused.Message = "paused", "The band is late."
	for name, status := range map[string]room.Status{
		"waiting": waiting(), "paused": paused, "sold-out": {State: "sold-out"}, "closed": {State: "closed"},
		"lobby": {State: "lobby", Opens: &opens, Waiting: 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, status, true)
			text := func(b *browsertest.Tab) string {
				return b.Value(`["head", "text", "message", "position", "ahead", "waiting", "eta", "chance", "note", "prices", "here"]
					.map(id => document.getElementById(id)).map(e => e.checkVisibility() ? e.innerText : "-").join("\n")`)
			}
			still := text(openTab(t, s).Still().Open("/"))
			b := openTab(t, s).Open("/")
			b.Until("the script runs", `!document.querySelector(".stalled")`)
			if live := text(b); live != still {
				t.Errorf("with scripts:\n%s\nwithout:\n%s", live, still)
			}
		})
	}
}

func TestWithoutScriptsButtonsDoEverything(t *testing.T) {
	t.Parallel()
	status := waiting()
	status.PollAfter = 0 // the page makes it two seconds
	s := newStage(t, status, false)
	b := openTab(t, s).Still().Open("/shows/9")
	b.Do("joining", chromedp.Click("#join button"))
	b.Reads("position", "1,205")
	s.change(func(p *Page) { p.Status.Position, p.Status.Ahead = 3, 2 })
	b.Reads("position", "3") // it looks again by itself
	b.Do("leaving", chromedp.Click("#leave summary"), chromedp.WaitVisible("#give-up button"), chromedp.Click("#give-up button"))
	b.Until("it is told what became of it", browsertest.Seen("left"))
	if b.Value("location.pathname") != "/shows/9" {
		t.Error("it is elsewhere")
	}
	s.change(func(p *Page) { p.Joined, p.Status.State = true, room.FanAdmitted })
	b.Open("/shows/9")
	b.Do("going in", chromedp.Click("#enter button"))
	b.Until("the fan is inside", `location.pathname === "/inside"`)
	if got := s.called("POST claim"); len(got) != 1 || got[0] != "POST claim?to=%2Fshows%2F9" {
		t.Errorf("claimed by %q", got)
	}
}
