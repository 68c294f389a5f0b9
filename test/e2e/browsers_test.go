package e2e

import (
	"strconv"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
)

// pickerReady is true once the map of the seat picker is drawn and live.
const pickerReady = `document.body.dataset.page === "picker" && window.seatmap && window.seatmap.ready`

// enterShop opens the fan page and waits until the fan is inside.
func (b *browser) enterShop(s *stack) {
	b.t.Helper()
	b.do("opening the fan page", chromedp.Navigate(s.FanPage))
	b.until("is let in and sees the seat map", pickerReady)
}

// freeCells are the first n cells that the map shows as free.
func (b *browser) freeCells(n int) []string {
	b.t.Helper()
	return b.list(`window.seatmap.free(` + strconv.Itoa(n) + `)`)
}

// buy selects cells on the map, holds them, pays, and stays on the result.
func (b *browser) buy(cells []string) {
	b.t.Helper()
	for _, cell := range cells {
		b.until("selects "+cell, `window.seatmap.select(`+strconv.Quote(cell)+`)`)
	}
	b.until("can go on", `!document.getElementById("hold").disabled`)
	b.do("holding the seats", chromedp.Click("#hold"))
	b.until("is at the checkout", `document.body.dataset.page === "checkout" && document.getElementById("pay") && !document.getElementById("pay").disabled`)
	b.fill("name", "Ada Lovelace")
	b.fill("email", "ada@example.org")
	b.do("paying", chromedp.Click("#pay"))
	b.until("sees the booking", `document.body.dataset.page === "booking" && document.body.dataset.state === "booked"`)
}

// TestTheSecondFanWaitsForTheFirstAndFindsTheFirstOnesSeatsTaken is the whole
// way of two people in two browsers through a room for one.
func TestTheSecondFanWaitsForTheFirstAndFindsTheFirstOnesSeatsTaken(t *testing.T) {
	s := startStack(t, "--seats", "500", "--rate", "60000/m", "--active", "1")
	first, second := openBrowser(t, "the first fan"), openBrowser(t, "the second fan")

	first.enterShop(s)
	seats := first.freeCells(2)
	if len(seats) != 2 {
		t.Fatalf("the map offers %v", seats)
	}

	second.do("opening the fan page", chromedp.Navigate(s.FanPage))
	second.until("sees its position", `document.getElementById("position") && /\b1\b/.test(document.getElementById("position").textContent)`)
	if second.holds(pickerReady) {
		t.Fatal("two fans are inside of a room for one")
	}

	first.buy(seats)
	first.do("leaving", chromedp.Click("#done"))

	second.until("is let in when the first one leaves", pickerReady)
	for _, seat := range seats {
		second.until("finds "+seat+" taken", `window.seatmap.state(`+strconv.Quote(seat)+`) === "booked"`)
	}
	own := second.freeCells(1)
	second.buy(own)

	if got := ask(t, s, bookedCells); got != "3" {
		t.Errorf("the database sold %s seats, want 3", got)
	}
	if got := ask(t, s, doubleBooked); got != "0" {
		t.Errorf("the database sold %s seats twice", got)
	}
}

// TestASeatTakenInOneBrowserTurnsTakenInAnother looks at one map from two sides.
func TestASeatTakenInOneBrowserTurnsTakenInAnother(t *testing.T) {
	s := startStack(t, "--seats", "500", "--rate", "60000/m", "--active", "2")
	buyer, watcher := openBrowser(t, "the buyer"), openBrowser(t, "the watcher")
	buyer.enterShop(s)
	watcher.enterShop(s)
	watcher.until("remembers its document", `window.sameDocument = true`)
	seat := buyer.freeCells(1)[0]
	buyer.until("selects "+seat, `window.seatmap.select(`+strconv.Quote(seat)+`)`)
	buyer.do("holding", chromedp.Click("#hold"))
	watcher.until("sees it held", `window.seatmap.state(`+strconv.Quote(seat)+`) === "held"`)
	if !watcher.holds(`window.sameDocument === true`) {
		t.Error("the watcher's page was loaded again")
	}
}

// ask runs a query that returns one value.
func ask(t *testing.T, s *stack, sql string) string {
	t.Helper()
	out, err := devstack.Query(t.Context(), s.Database, sql)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// What the database says about the sale. Claims that count are the booked ones.
const (
	bookedCells  = `SELECT count(*) FROM claim WHERE status = 'BOOKED'`
	doubleBooked = `SELECT count(*) FROM (SELECT 1 FROM claim WHERE status = 'BOOKED' GROUP BY event_id, cell_id HAVING count(*) > 1) AS twice`
)

// list evaluates an expression whose result is an array of text.
func (b *browser) list(expression string) []string {
	b.t.Helper()
	var found []string
	eventually(b.t, b.name+": "+expression, 10*time.Second, func() bool {
		found = b.strings(expression)
		return len(found) > 0
	})
	return found
}
