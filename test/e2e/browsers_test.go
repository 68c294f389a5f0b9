package e2e

import (
	"strconv"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
)

// pickerReady is true once the map of the seat picker is drawn and live.
const pickerReady = `document.body.dataset.page === "picker" && window.seatmap && window.seatmap.ready`

// enterShop opens the fan page and waits until the fan is inside.
func (b browser) enterShop(s *stack) {
	b.T.Helper()
	b.Do("opening the fan page", chromedp.Navigate(s.FanPage))
	b.Until("is let in and sees the seat map", pickerReady)
}

// freeCells are the first n cells that the map shows as free.
func (b browser) freeCells(n int) []string {
	b.T.Helper()
	return b.list(`window.seatmap.free(` + strconv.Itoa(n) + `)`)
}

// buy selects cells on the map, holds them, pays, and stays on the result.
func (b browser) buy(cells []string) {
	b.T.Helper()
	for _, cell := range cells {
		b.Until("selects "+cell, `window.seatmap.select(`+strconv.Quote(cell)+`)`)
	}
	b.Until("can go on", `!document.getElementById("hold").disabled`)
	b.Do("holding the seats", chromedp.Click("#hold"))
	b.pay()
}

// pay pays for what is held, and stays on the result.
func (b browser) pay() {
	b.T.Helper()
	b.Until("is at the checkout", `document.body.dataset.page === "checkout" && document.getElementById("pay") && !document.getElementById("pay").disabled`)
	b.fill("name", "Ada Lovelace")
	b.fill("email", "ada@example.org")
	b.Do("paying", chromedp.Click("#pay"))
	b.Until("sees the booking", `document.body.dataset.page === "booking" && document.body.dataset.state === "booked"`)
}

// TestTheSecondFanWaitsForTheFirstAndFindsTheFirstOnesSeatsTaken is the whole
// way of two people in two browsers through a room for one.
func TestTheSecondFanWaitsForTheFirstAndFindsTheFirstOnesSeatsTaken(t *testing.T) {
	s := startStack(t, "--seats", "500", "--rate", "60000/m", "--active", "1")
	first, second := openBrowser(t, s, "the first fan"), openBrowser(t, s, "the second fan")

	first.enterShop(s)
	seats := first.freeCells(2)
	if len(seats) != 2 {
		t.Fatalf("the map offers %v", seats)
	}

	second.Do("opening the fan page", chromedp.Navigate(s.FanPage))
	second.Until("sees its position", `document.getElementById("position") && /\b1\b/.test(document.getElementById("position").textContent)`)
	if second.Holds(pickerReady) {
		t.Fatal("two fans are inside of a room for one")
	}

	first.buy(seats)
	first.Do("leaving", chromedp.Click("#done"))

	second.Until("is let in when the first one leaves", pickerReady)
	for _, seat := range seats {
		second.Until("finds "+seat+" taken", `window.seatmap.state(`+strconv.Quote(seat)+`) === "booked"`)
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

// TestASeatTakenInOneBrowserTurnsTakenInAnother looks at one map, of the stadium of
// 50,000 seats, from two sides, and buys in it.
func TestASeatTakenInOneBrowserTurnsTakenInAnother(t *testing.T) {
	s := startStack(t, "--rate", "60000/m", "--active", "2")
	buyer, watcher := openBrowser(t, s, "the buyer"), openBrowser(t, s, "the watcher")
	buyer.enterShop(s)
	watcher.enterShop(s)
	if !watcher.Holds(`window.seatmap.cells === 50000`) {
		t.Error("the map has not 50,000 seats")
	}
	watcher.Until("remembers its document", `window.sameDocument = true`)
	seat := buyer.freeCells(1)[0]
	buyer.Until("selects "+seat, `window.seatmap.select(`+strconv.Quote(seat)+`)`)
	buyer.Do("holding", chromedp.Click("#hold"))
	watcher.Until("sees it held", `window.seatmap.state(`+strconv.Quote(seat)+`) === "held"`)
	buyer.pay()
	watcher.Until("sees it sold", `window.seatmap.state(`+strconv.Quote(seat)+`) === "booked"`)
	if !watcher.Holds(`window.sameDocument === true`) {
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
