package shop

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/caddy-tickets/caddy-tickets/internal/browsertest"
	"github.com/caddy-tickets/caddy-tickets/internal/eventually"
	"github.com/caddy-tickets/caddy-tickets/internal/problem"
)

func (b *tab) booked() {
	b.T.Helper()
	b.Until("it is booked", `document.body.dataset.page === "booking" && document.body.dataset.state === "booked"`)
}

// sold says how many bookings there are, and that each is of other seats.
func (s *stage) sold(want int) {
	s.t.Helper()
	s.change(func() {
		seen := make(map[string]bool)
		for _, b := range s.bookings {
			for _, cell := range b["cells"].([]string) {
				if seen[cell] {
					s.t.Errorf("%s is booked twice", cell)
				}
				seen[cell] = true
			}
		}
		if len(s.bookings) != want {
			s.t.Errorf("%d bookings, want %d", len(s.bookings), want)
		}
	})
}

func TestFromTheSeatToTheBooking(t *testing.T) {
	s := newStage(t, stadium())
	b := openTab(t, s)
	seats := b.checkout()
	b.reads("chosen", "Block A01, row 1, seat 1")
	b.reads("chosen", "Block A01, row 1, seat 2")
	b.reads("total", "€160.00, all fees included")
	b.reads("pay", "Pay €160.00")
	b.Until("the server's clock runs", `/^4:5\d$|^5:00$/.test(document.getElementById("left").textContent)`)
	b.buyer("tok_ok")
	b.click("pay")
	b.booked()
	b.reads("title", "Your seats are booked")
	b.reads("chosen", "Block A01, row 1, seat 2")
	b.reads("total", "€160.00 paid, all fees included")
	b.reads("number", "Booking b_1 for Ada Lovelace, ada@example.org")
	if got := len(s.called("layout@")); got != 1 {
		t.Errorf("the plan was loaded %d times", got)
	}
	b.Until("nothing is kept of it", `!Object.keys(sessionStorage).some(key => key.startsWith("once ")) && !localStorage.getItem("hold proms")`)
	b.click("done")
	b.Until("the visit is over", `location.pathname === "/done"`)
	s.sold(1)
	b.picker()
	for _, seat := range seats {
		b.is(seat, "booked")
	}
}

func TestABookingIsFoundUnderItsAddressByABrowserThatKnowsNothing(t *testing.T) {
	s := newStage(t, hall())
	b := openTab(t, s)
	b.checkout()
	b.buyer("tok_ok")
	b.click("pay")
	b.booked()
	other := openTab(t, s)
	other.Open("/booking/b_1")
	other.booked()
	other.reads("chosen", "Block A01, row 1, seat 1") // named by the plan
	other.Open("/booking/b_2")
	other.reads("text", "There is no booking under this address")
	other.Open("/checkout/h_proms_1")
	other.reads("say", "not held for you any more")
	other.Until("the way back is", browsertest.Seen("again"))
}

// A second click, a lost answer, a reload: one hold, one payment.
func TestALostAnswerIsFoundAgain(t *testing.T) {
	s := newStage(t, hall())
	s.change(func() { s.lose["hold"], s.lose["pay"] = 2, 2 })
	b := openTab(t, s)
	b.checkout()
	b.buyer("tok_ok")
	b.click("pay")
	b.booked()
	s.sold(1)
	if n := len(s.called("hold")); n != 3 {
		t.Errorf("the hold was asked for %d times", n)
	}
	s.change(func() {
		if len(s.answers) != 2 {
			t.Errorf("%d keys were used for two things", len(s.answers))
		}
	})
}

func TestAReloadWhileAPaymentIsUnansweredAsksForTheSameOne(t *testing.T) {
	s := newStage(t, hall())
	s.change(func() { s.lose["pay"] = 1000 })
	b := openTab(t, s)
	b.checkout()
	b.buyer("tok_ok")
	b.click("pay")
	eventually.Holds(t, "it was paid, and nobody was told", func() bool { return len(s.called("pay")) >= 2 })
	b.Do("reloading", chromedp.Reload())
	s.change(func() { s.lose["pay"] = 0 })
	b.booked()
	s.sold(1)
}

func TestAReloadWhileTheBankThinksWaitsOn(t *testing.T) {
	s := newStage(t, hall())
	s.change(func() { s.pending = 1000 })
	b := openTab(t, s)
	b.checkout()
	b.buyer("tok_pending")
	b.click("pay")
	b.Until("it waits", `document.body.dataset.state === "pending" && document.getElementById("form").hidden && document.getElementById("clock").hidden`)
	b.reads("say", "Your seats are safe while we wait")
	b.Do("reloading", chromedp.Reload())
	b.Until("it waits on", `document.readyState === "complete" && document.body.dataset.state === "pending"`)
	if n := len(s.called("pay")); n != 1 {
		t.Errorf("it was paid %d times", n)
	}
	s.change(func() { s.pending = 0 })
	b.booked()
	s.sold(1)
}

func TestADeclinedCardLeavesTheSeatsAndAnotherCanBeTried(t *testing.T) {
	s := newStage(t, hall())
	b := openTab(t, s)
	b.checkout()
	b.buyer("tok_declined")
	b.click("pay")
	b.reads("say", "Your seats are still held")
	b.Until("the form is as it was", `!document.getElementById("pay").disabled && document.getElementById("name").value === "Ada Lovelace"`)
	b.Do("another card", chromedp.Click("input[value=tok_ok]"))
	b.click("pay")
	b.booked()
	s.sold(1)
	s.change(func() {
		if len(s.answers) != 3 { // a hold, and two payments, each with its own key
			t.Errorf("%d keys were used", len(s.answers))
		}
	})
}

func TestWhatIsMissingInTheFormIsSaidBesideIt(t *testing.T) {
	s := newStage(t, hall())
	b := openTab(t, s)
	b.checkout()
	b.Do("filling in", chromedp.SendKeys("#email", "ada"))
	b.click("pay")
	b.reads("name-wrong", "Please enter your name")
	b.reads("email-wrong", "such as ada@example.org")
	b.Until("the first of them is where one types", `document.activeElement.id === "name" && document.activeElement.getAttribute("aria-invalid") === "true"`)
	if n := len(s.called("pay")); n != 0 {
		t.Errorf("it was paid %d times", n)
	}
	b.Do("filling in", chromedp.SendKeys("#name", "Ada"), chromedp.SendKeys("#email", "@example.org"))
	b.click("pay")
	b.booked()
}

func TestAReloadKeepsTheHoldAndTheServersClock(t *testing.T) {
	s := newStage(t, hall())
	b := openTab(t, s)
	b.checkout()
	s.change(func() { s.holds["h_proms_1"].expires = time.Now().Add(95 * time.Second) })
	b.Do("reloading", chromedp.Reload())
	b.Until("the clock is the server's", `/^1:3[0-5]$/.test(document.getElementById("left").textContent)`)
	b.reads("spoken", "2 minutes left")
	b.reads("chosen", "Block A01, row 1, seat 1")
}

func TestWhenTheTimeIsOverThePageSaysSoAndLeadsBack(t *testing.T) {
	s := newStage(t, hall())
	s.change(func() { s.holdTime = 3 * time.Second })
	b := openTab(t, s)
	b.checkout()
	b.Until("it is over", browsertest.Seen("again"))
	b.reads("say", "no money was taken")
	b.Until("nothing can be paid", `document.getElementById("form").hidden && document.body.dataset.state === "over"`)
	b.Do("going back", chromedp.Click("#again a"))
	b.Until("the picker is there", `document.body.dataset.page === "picker" && window.seatmap?.ready`)
	b.Until("nothing is offered to go on with", `document.getElementById("resume").hidden`)
}

func TestSeatsAreGivenBack(t *testing.T) {
	s := newStage(t, hall())
	b := openTab(t, s)
	seats := b.checkout()
	b.click("release")
	b.Until("the picker is there", `document.body.dataset.page === "picker" && window.seatmap?.ready`)
	for _, seat := range seats {
		b.is(seat, "free")
	}
}

// 503 means that nothing is lost: the page asks again with the same key by itself.
func TestABusyServerIsAskedAgain(t *testing.T) {
	s := newStage(t, hall())
	busy := &problem.Problem{Code: "overloaded", Status: http.StatusServiceUnavailable, Title: "A moment, please", RetryAfter: 100 * time.Millisecond}
	s.fail("hold", busy, busy)
	s.fail("get", busy)
	s.fail("pay", busy, busy)
	b := openTab(t, s)
	b.checkout()
	b.buyer("tok_ok")
	b.click("pay")
	b.booked()
	s.sold(1)
}

func TestAPaymentInAnotherWindowIsWaitedFor(t *testing.T) {
	s := newStage(t, hall())
	b := openTab(t, s)
	b.checkout()
	s.change(func() { s.holds["h_proms_1"].paying = true })
	b.Do("reloading", chromedp.Reload())
	b.reads("say", "under way in another window")
	b.Until("nothing can be paid twice", `document.getElementById("form").hidden`)
	s.change(func() { s.holds["h_proms_1"].paying = false })
	b.Until("it goes on", browsertest.Seen("form"))
}

func TestAnEndedPaymentLeadsBack(t *testing.T) {
	for _, code := range []string{"payment-expired", "hold-expired", "cells-unavailable", "hold-not-yours"} {
		t.Run(code, func(t *testing.T) {
			s := newStage(t, hall())
			b := openTab(t, s)
			b.checkout()
			b.buyer("tok_ok")
			s.fail("pay", &problem.Problem{Code: code, Status: http.StatusGone, Title: "It is over", Detail: "It is over, and no money was taken."})
			b.click("pay")
			b.Until("it leads back", browsertest.Seen("again"))
		})
	}
}

// Seats that were bought are never said to be gone: wherever a fan comes back, the way
// leads to the booking.
func TestSeatsThatWereBoughtLeadToTheirBooking(t *testing.T) {
	booked := (&problem.Problem{
		Code: "already-booked", Status: http.StatusConflict, Title: "These seats are booked", Detail: "These seats are yours already.",
	}).With("bookingId", "b_1")
	for from, come := range map[string]func(s *stage, b *tab){
		"the payment": func(s *stage, b *tab) { s.fail("pay", booked); b.buyer("tok_ok"); b.click("pay") },
		"a reload":    func(s *stage, b *tab) { s.fail("get", booked); b.Do("reloading", chromedp.Reload()) },
		"the map": func(s *stage, b *tab) {
			s.fail("get", booked)
			b.picker()
			b.reads("resumetext", "These seats are yours already.")
			b.reads("resumelink", "See your booking")
			b.Until("nothing can be given back", `document.getElementById("giveback").hidden`)
			b.click("resumelink")
		},
	} {
		t.Run(from, func(t *testing.T) {
			s := newStage(t, hall())
			b := openTab(t, s)
			seats := b.checkout()
			s.change(func() { // in another window
				s.bookings["b_1"] = map[string]any{
					"bookingId": "b_1", "event": "proms", "holdId": "h_proms_1", "state": "captured", "cells": seats,
					"price": map[string]any{"amount": 16000, "currency": "EUR"}, "buyer": map[string]any{"name": "Ada", "email": "ada@example.org"},
				}
			})
			come(s, b)
			b.booked()
			b.Until("nothing is kept of it", `!Object.keys(sessionStorage).some(key => key.startsWith("once ")) && !localStorage.getItem("hold proms")`)
		})
	}
}

func TestPagesAreTheirOwnAndKeptByNobody(t *testing.T) {
	h := New("proms", "/done")
	for path, page := range map[string]string{"/": "picker", "/checkout/h_1": "checkout", "/booking/b_1": "booking"} {
		got := ask(h, http.MethodGet, path)
		if got.Code != http.StatusOK || !strings.Contains(got.Body.String(), `data-page="`+page+`" data-event="proms" data-done="/done"`) {
			t.Errorf("%s: %d %.300s", path, got.Code, got.Body)
		}
		header := got.Header()
		if csp := header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'; script-src 'self';") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: policy %q", path, csp)
		}
		if header.Get("Cache-Control") != "no-store" || header.Get("X-Content-Type-Options") != "nosniff" || header.Get("Referrer-Policy") != "same-origin" {
			t.Errorf("%s: headers %v", path, header)
		}
	}
	for _, path := range []string{"/nothing", "/checkout/", "/booking", load().folder, load().folder + "frame.html", load().folder + "none.js", "/shop/0000/api.js"} {
		if got := ask(h, http.MethodGet, path); got.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, got.Code)
		}
	}
	if got := ask(h, http.MethodPost, "/"); got.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", got.Code)
	}
}

func TestNamesAreTextInThePages(t *testing.T) {
	got := ask(New(`"><script>alert(1)</script>`, `javascript:alert(1)`), http.MethodGet, "/booking/b_1")
	if body := got.Body.String(); strings.Contains(body, "<script>alert") || strings.Contains(body, `href="javascript:`) {
		t.Errorf("got %s", body)
	}
}

func TestWhatThePagesLoadIsKeptForEver(t *testing.T) {
	h, a := New("proms", "/done"), load()
	for name, kind := range map[string]string{"picker.js": "text/javascript; charset=utf-8", "shop.css": "text/css; charset=utf-8"} {
		got := ask(h, http.MethodGet, a.folder+name)
		if got.Code != http.StatusOK || got.Header().Get("Content-Type") != kind || !strings.Contains(got.Header().Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %d %v", name, got.Code, got.Header())
		}
	}
	if body := ask(h, http.MethodGet, a.folder+"shop.css").Body.String(); !strings.Contains(body, "--ground:") {
		t.Error("the style is without the theme")
	}
	size := 0
	for _, body := range a.files {
		size += len(body)
	}
	t.Logf("all pages together: %d KB", size>>10)
}
