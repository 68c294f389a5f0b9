package shop

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"

	"github.com/caddy-tickets/caddy-tickets/internal/browsertest"
	"github.com/caddy-tickets/caddy-tickets/internal/eventually"
	"github.com/caddy-tickets/caddy-tickets/internal/mapframe"
	"github.com/caddy-tickets/caddy-tickets/internal/problem"
)

// point is where on the page a seat is, once it is in sight.
func (b *tab) point(seat string) (x, y float64) {
	b.T.Helper()
	at := b.Value(fmt.Sprintf(`seatmap.show(%q).join(" ")`, seat))
	if _, err := fmt.Sscan(at, &x, &y); err != nil {
		b.T.Fatalf("the seat is at %q", at)
	}
	return x, y
}

func (b *tab) click(id string) {
	b.T.Helper()
	b.Do("pressing "+id, chromedp.Click("#"+id))
}

// TestAStadiumIsDrawnAndMovesSmoothly prints what it measures. The limit is for a
// machine without a graphics card that does other things too.
func TestAStadiumIsDrawnAndMovesSmoothly(t *testing.T) {
	s := newStage(t, stadium())
	b := openTab(t, s)
	began := time.Now()
	b.picker()
	t.Logf("opened and drawn in %v", time.Since(began).Round(time.Millisecond))
	if got := b.Value(`seatmap.cells`); got != "50000" {
		t.Errorf("%s cells", got)
	}
	if got, err := strconv.Atoi(b.Value(`(() => {
		const map = document.getElementById("map"), pixels = map.getContext("2d").getImageData(0, 0, map.width, map.height).data;
		const seen = new Set();
		for (let i = 0; i < pixels.length; i += 4) if (Math.max(pixels[i], pixels[i + 1], pixels[i + 2]) - Math.min(pixels[i], pixels[i + 1], pixels[i + 2]) > 80) seen.add(pixels[i] >> 6 << 4 | pixels[i + 1] >> 6 << 2 | pixels[i + 2] >> 6);
		return seen.size;
	})()`)); err != nil || got < 4 {
		t.Errorf("only %d colours are seen: four categories are drawn", got)
	}
	for _, zoom := range []struct {
		name string
		look string
	}{
		{"everything in sight", `true`},
		{"a few blocks", `(seatmap.show(seatmap.free(30000).at(-1)), document.getElementById("out").click(), document.getElementById("out").click(), document.getElementById("out").click(), document.getElementById("out").click(), true)`},
		{"thousands of seats", `(document.getElementById("in").click(), document.getElementById("in").click(), true)`},
		{"single seats", `(seatmap.show(seatmap.free(30000).at(-1)), true)`},
	} {
		b.Until("the map is there", zoom.look)
		b.Until("the map is moved about", `(window.measured = "", (done => {
			const map = document.getElementById("map"), box = map.getBoundingClientRect(), between = [];
			const send = (type, x, y) => map.dispatchEvent(new PointerEvent(type, { pointerId: 7, clientX: box.left + x, clientY: box.top + y }));
			map.setPointerCapture = () => {}; // of a finger that only this script has
			seatmap.frames().length = 0;
			send("pointerdown", 300, 300);
			let n = 0, last = performance.now();
			const step = now => {
				between.push(now - last);
				last = now;
				send("pointermove", 300 + 200 * Math.sin(n / 10), 300 + 150 * Math.cos(n / 10));
				if (++n < 120) return requestAnimationFrame(step);
				send("pointerup", 300, 300);
				const middle = (list, at) => [...list].sort((a, b) => a - b)[Math.floor(list.length * at)].toFixed(1);
				const frames = seatmap.frames();
				done([frames.length, middle(frames, 0.5), middle(frames, 0.95), middle(between.slice(2), 0.5), middle(between.slice(2), 0.95)].join(" "));
			};
			requestAnimationFrame(step);
		})(result => { window.measured = result; }), true)`)
		b.Until("it is measured", `measured`)
		got := b.Value(`measured`)
		var n int
		var paint50, paint95, frame50, frame95 float64
		if _, err := fmt.Sscan(got, &n, &paint50, &paint95, &frame50, &frame95); err != nil {
			t.Fatalf("measured %q", got)
		}
		t.Logf("%-20s %d frames: drawing p50 %.1f ms p95 %.1f ms; frame to frame p50 %.1f ms p95 %.1f ms", zoom.name, n, paint50, paint95, frame50, frame95)
		if n < 60 || frame50 > 34 {
			t.Errorf("%s: %d frames, half of them %.1f ms or more apart", zoom.name, n, frame50)
		}
	}
}

func TestAClickChoosesASeatAndPutsItBack(t *testing.T) {
	s := newStage(t, stadium())
	b := openTab(t, s).picker()
	seat := b.freeSeat(1234)
	x, y := b.point(seat)
	b.Do("clicking", chromedp.MouseClickXY(x, y))
	b.is(seat, "mine")
	b.reads("chosen", b.Value(`document.querySelector("#chosen span").textContent`))
	b.reads("total", "1 ticket · €")
	b.Do("clicking again", chromedp.MouseClickXY(x, y))
	b.is(seat, "free")
	b.Until("there is nothing to go on with", `document.getElementById("hold").disabled`)
}

func TestAClickFromAfarComesCloserFirst(t *testing.T) {
	s := newStage(t, stadium())
	b := openTab(t, s).picker()
	b.Until("it is a click on a block", `(() => { const box = document.getElementById("map").getBoundingClientRect(); window.at = [box.left + box.width / 2, box.top + box.height * 0.22]; return true })()`)
	var x, y float64
	if _, err := fmt.Sscan(b.Value(`at.join(" ")`), &x, &y); err != nil {
		t.Fatal(err)
	}
	before := b.Value(`seatmap.scale()`)
	b.Do("clicking", chromedp.MouseClickXY(x, y))
	b.Until("it is closer", `seatmap.scale() > 5 * `+before)
	if got := b.Value(`document.getElementById("chosen").children.length`); got != "0" {
		t.Error("a click on a thousand seats chose one")
	}
}

func TestTwoFingersZoom(t *testing.T) {
	s := newStage(t, hall())
	b := openTab(t, s).picker()
	before := b.Value(`seatmap.scale()`)
	touch := func(kind string, points ...[2]float64) {
		t.Helper()
		fingers := make([]*input.TouchPoint, len(points))
		for i, p := range points {
			fingers[i] = &input.TouchPoint{X: p[0], Y: p[1], ID: new(float64(i + 1))}
		}
		browsertest.Call(b.Tab, input.DispatchTouchEvent, input.DispatchTouchEventParams{Type: input.DispatchTouchEventType(kind), TouchPoints: fingers})
	}
	touch("touchStart", [2]float64{300, 400})
	touch("touchStart", [2]float64{300, 400}, [2]float64{400, 400})
	for i := range 10 {
		d := float64(10 * i)
		touch("touchMove", [2]float64{300 - d, 400}, [2]float64{400 + d, 400})
	}
	touch("touchEnd")
	b.Until("the map is larger", `seatmap.scale() > 2 * `+before)
}

func TestASeatThatSomebodyTakesTurnsTakenWithoutAReload(t *testing.T) {
	s := newStage(t, stadium())
	b := openTab(t, s).picker()
	b.Until("the document is marked", `window.same = true`)
	seat, other := b.freeSeat(100), b.freeSeat(40_000)
	s.set(mapframe.Held, seat)
	b.is(seat, "held")
	s.set(mapframe.Booked, seat, other)
	b.is(seat, "booked")
	b.is(other, "booked")
	s.set(mapframe.Free, other)
	b.is(other, "free")
	b.reads("summary", "49,999 of 50,000")
	b.Until("the page is the same", `window.same === true && document.body.dataset.link === "live"`)
}

func TestAfterAGapTheMapIsRightAgain(t *testing.T) {
	s := newStage(t, hall())
	s.change(func() { s.gaps = 1 })
	b := openTab(t, s).picker()
	seat := b.freeSeat(7)
	s.set(mapframe.Held, seat)
	b.is(seat, "held")
	if got := b.Value(`seatmap.state(seatmap.free(1)[0])`); got != "free" {
		t.Errorf("the frame that did not follow was applied: %s", got)
	}
	eventually.Holds(t, "it listens again", func() bool { return len(s.called("live")) >= 2 })
}

func TestWithoutAStreamTheMapIsPolledAndTheStreamIsTriedAgain(t *testing.T) {
	s := newStage(t, hall())
	s.change(func() { s.noLive = true })
	b := openTab(t, s).picker()
	b.Until("it polls", `document.body.dataset.link === "polled"`)
	seat := b.freeSeat(7)
	s.set(mapframe.Held, seat)
	b.is(seat, "held")
	b.reads("summary", "559 of 560")
	s.change(func() { s.noLive = false })
	b.Until("it listens", `document.body.dataset.link === "live"`)
	s.set(mapframe.Booked, seat)
	b.is(seat, "booked")
}

func TestAChosenSeatThatIsTakenIsSaidByName(t *testing.T) {
	s := newStage(t, hall())
	b := openTab(t, s).picker()
	seats := b.choose(2)
	s.set(mapframe.Held, seats[0])
	b.reads("say", "Block A01, row 1, seat 1 has just been taken")
	b.is(seats[0], "held")
	b.is(seats[1], "mine")
	b.click("repick")
	b.reads("total", "2 tickets")
}

func TestARefusedHoldSaysWhichSeatsWentAndOffersOthers(t *testing.T) {
	s := newStage(t, hall())
	b := openTab(t, s).picker()
	seats := b.choose(2)
	s.fail("hold", (&problem.Problem{
		Code: "cells-unavailable", Status: http.StatusConflict, Title: "Seats are taken", Detail: "Somebody else has some of these seats.",
	}).With("conflicts", seats[1:]))
	b.click("hold")
	b.reads("say", "seat 2 has just been taken")
	b.is(seats[1], "held")
	b.is(seats[0], "mine")
	b.reads("repick", "Choose 2 again for me")
	b.click("repick")
	b.reads("total", "2 tickets")
	if got := b.Value(fmt.Sprintf(`seatmap.state(%q)`, seats[1])); got == "mine" {
		t.Error("it was chosen again")
	}
	b.click("hold")
	b.Until("the others are held", `document.body.dataset.page === "checkout"`)
}

// The map tells of our own hold before its answer comes.
func TestOnesOwnHoldIsNotTakenBySomebodyElse(t *testing.T) {
	s := newStage(t, hall())
	b := openTab(t, s).picker()
	seats := b.choose(2)
	b.Until("what is said is noted", `(new MutationObserver(() => { sessionStorage.heard += document.getElementById("say").textContent; }).observe(document.getElementById("say"), { childList: true, characterData: true, subtree: true }), true)`)
	s.change(func() { s.mask["hold"] = 1 }) // held, and the map is first to tell
	b.click("hold")
	b.Until("the checkout is there", `document.body.dataset.page === "checkout"`)
	if heard := b.Value(`sessionStorage.heard`); strings.Contains(heard, "somebody else") || !strings.Contains(heard, "longer than usual") {
		t.Errorf("it was said: %q", heard)
	}
	s.change(func() {
		if len(s.holds) != 1 || len(s.holds["h_proms_1"].cells) != len(seats) {
			t.Errorf("%d holds", len(s.holds))
		}
	})
}

func TestAHoldWhoseAnswerNeverComesIsAskedForAgainAndFound(t *testing.T) {
	s := newStage(t, hall())
	b := openTab(t, s)
	b.Hasty()
	b.picker()
	seats := b.choose(2)
	s.change(func() { s.lose["hold"] = 1000 }) // more often than the page tries by itself
	b.click("hold")
	b.reads("say", "please try again")
	s.change(func() { s.lose["hold"] = 0 })
	for _, seat := range seats {
		b.is(seat, "mine")
	}
	b.click("hold")
	b.Until("the checkout is there", `document.body.dataset.page === "checkout"`)
	s.change(func() {
		if len(s.holds) != 1 {
			t.Errorf("%d holds", len(s.holds))
		}
	})
}

func TestARefusedHoldCanBeAskedForAgain(t *testing.T) {
	s := newStage(t, hall())
	b := openTab(t, s).picker()
	b.choose(2)
	s.fail("hold", &problem.Problem{Code: "all-held", Status: http.StatusConflict, Title: "Everything is held right now"})
	b.click("hold")
	b.reads("say", "Everything is held right now. Some may come back")
	b.click("hold")
	b.Until("the checkout is there", `document.body.dataset.page === "checkout"`)
}

// Whoever moves the map does not buy the seat they held it by.
func TestMovingTheMapChoosesNothing(t *testing.T) {
	s := newStage(t, hall())
	b := openTab(t, s).picker()
	seat := b.freeSeat(5)
	x, y := b.point(seat)
	mouse := func(kind input.DispatchMouseEventType, x, y float64) {
		t.Helper()
		browsertest.Call(b.Tab, input.DispatchMouseEvent, input.DispatchMouseEventParams{Type: kind, X: x, Y: y, Button: "left", ClickCount: 1})
	}
	mouse("mousePressed", x, y)
	for i := range 10 {
		mouse("mouseMoved", x+float64(10*i), y)
	}
	mouse("mouseReleased", x+90, y)
	b.is(seat, "free")
	mouse("mousePressed", x+90, y) // where the seat is now
	mouse("mouseReleased", x+90, y)
	b.is(seat, "mine")
}

func TestAVisitorWhoComesBackFindsTheirSeats(t *testing.T) {
	s := newStage(t, hall())
	b := openTab(t, s)
	seats := b.checkout()
	b.picker()
	b.reads("resumetext", "You are holding 2 tickets (€160.00)")
	for _, seat := range seats {
		b.is(seat, "mine")
	}
	b.click("giveback")
	for _, seat := range seats {
		b.is(seat, "free")
	}
	b.Until("the banner is gone", `document.getElementById("resume").hidden`)
	b.choose(1)
	b.click("hold")
	b.Until("the next hold is begun", `document.body.dataset.page === "checkout"`)
}

func TestChosenForMeIsSideBySideAndInTheCategory(t *testing.T) {
	s := newStage(t, stadium())
	var taken []string // of every three neighbours one, but for the last row of the category
	last := 0
	for i, c := range s.venue.cells {
		if c.Category == 2 {
			last = i
		}
	}
	for i, c := range s.venue.cells {
		if i%3 == 0 && (i > last || i < last-8) {
			taken = append(taken, c.ID)
		}
	}
	s.set(mapframe.Booked, taken...)
	b := openTab(t, s).picker()
	b.Do("asking", chromedp.SetValue("#number", "5"), chromedp.SetValue("#category", "2"))
	b.click("choose")
	b.reads("total", "5 tickets · €350.00")
	names := strings.Split(b.Value(`[...document.querySelectorAll("#chosen span:first-child")].map(name => name.textContent).join("|")`), "|")
	var first int
	for i, name := range names {
		row, number, _ := strings.Cut(name, ", seat ")
		var n int
		if _, err := fmt.Sscan(number, &n); err != nil {
			t.Fatalf("a seat is called %q", name)
		}
		if i == 0 {
			first = n
		}
		if want, _, _ := strings.Cut(names[0], ", seat "); row != want || n != first+i {
			t.Errorf("seats %v", names)
		}
	}
}

func TestAPassHasItsLimit(t *testing.T) {
	s := newStage(t, hall())
	b := openTab(t, s).picker()
	b.choose(6)
	if got := b.Value(`seatmap.select(seatmap.free(1)[0])`); got != "false" {
		t.Error("a seventh seat was chosen")
	}
	b.reads("say", "at most 6")
}

func TestStandingPlacesAreChosenByNumber(t *testing.T) {
	s := newStage(t, hall())
	b := openTab(t, s).picker()
	b.choose(1)
	b.Do("choosing", chromedp.SetValue("#areas select", "3"))
	b.Until("the change is noticed", `document.querySelector("#areas select").dispatchEvent(new Event("change"))`)
	b.reads("total", "3 tickets · €150.00") // of one kind: the seat is put back
	s.fail("hold", (&problem.Problem{Code: "area-short", Status: http.StatusConflict, Title: "Not that many are left"}).With("available", 2))
	b.click("hold")
	b.reads("say", "Only 2 places are left in Standing A")
	b.reads("total", "2 tickets")
	b.click("hold")
	b.Until("the checkout is there", `document.body.dataset.page === "checkout"`)
	b.reads("chosen", "2 × Standing A")
	b.reads("total", "€100.00")
}

func TestTheListDoesWhatTheMapDoesAndKeepsItsPlace(t *testing.T) {
	s := newStage(t, hall())
	b := openTab(t, s).picker()
	b.Do("opening", chromedp.Click("#list summary"))
	b.Until("it is there", `document.querySelectorAll("#seats button").length > 10`)
	b.Until("a button is focused", `(document.querySelectorAll("#seats button")[3].focus(), true)`)
	b.Do("pressing", chromedp.KeyEvent(" "))
	b.reads("total", "1 ticket")
	b.Until("it is pressed", `document.activeElement.getAttribute("aria-pressed") === "true" && document.activeElement.getAttribute("aria-label").includes("mine")`)
	neighbour := b.freeSeat(4)
	s.set(mapframe.Booked, neighbour)
	b.Until("a change is shown", `[...document.querySelectorAll("#seats button")].some(button => button.getAttribute("aria-label").includes("booked"))`)
	b.Until("the focus is where it was", `document.activeElement === document.querySelectorAll("#seats button")[3]`)
	b.reads("list", "free)")
}

func TestWithoutACanvasTheListIsEnough(t *testing.T) {
	s := newStage(t, hall())
	b := openTab(t, s)
	b.Before(`HTMLCanvasElement.prototype.getContext = () => null;`)
	b.picker()
	b.Until("a seat of the list is pressed", `(document.querySelector('#seats button[aria-disabled="false"]').click(), true)`)
	b.reads("total", "1 ticket")
	b.click("choose")
	b.reads("total", "2 tickets")
	b.click("hold")
	b.Until("the checkout is there", `document.body.dataset.page === "checkout"`)
}

func TestWhatIsLeftIsToldTruthfully(t *testing.T) {
	s := newStage(t, hall())
	fill := func(two byte) {
		bits := make([]byte, mapframe.BitsLen(len(s.venue.cells)))
		for i := range bits {
			bits[i] = two * 0b01010101
		}
		s.reset(2+uint64(two), bits)
		s.recount()
	}
	next := time.Date(2026, 12, 1, 18, 30, 15, 0, time.Local)
	s.change(func() { s.release = &next; fill(1) })
	b := openTab(t, s).picker()
	b.reads("summary", "Everything is held by others right now. Some may come back from 06:30:15 PM on")
	s.change(func() { fill(2) })
	b.reads("summary", "Sold out")
	b.Until("nothing is offered", `!document.getElementById("choose").checkVisibility()`)
	b.Until("the way out is", `document.getElementById("leave").checkVisibility() && document.getElementById("leave").pathname === "/done"`)
}

func TestAVisitThatEndedSaysHowToComeBack(t *testing.T) {
	s := newStage(t, hall())
	b := openTab(t, s).picker()
	b.choose(1)
	s.fail("hold", &problem.Problem{Code: "pass-required", Status: http.StatusUnauthorized, Title: "A pass is needed"})
	b.click("hold")
	b.reads("say", "Reload the page to come in again")
	b.Until("the seat is still chosen", `!document.getElementById("hold").disabled`)
}

func TestKeysMoveTheMap(t *testing.T) {
	s := newStage(t, hall())
	b := openTab(t, s).picker()
	b.Do("focusing", chromedp.Focus("#map"))
	before := b.Value(`seatmap.scale()`)
	b.Do("pressing", chromedp.KeyEvent("+"))
	b.Until("it is larger", `seatmap.scale() > `+before)
	b.Do("pressing", chromedp.KeyEvent("0"))
	b.Until("everything is in sight", `seatmap.scale() === `+before)
}
