package shop

import (
	"fmt"
	"os"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/caddy-tickets/caddy-tickets/internal/browsertest"
)

func TestMain(m *testing.M) { os.Exit(browsertest.Main(m)) }

// tab is a fan's page.
type tab struct{ *browsertest.Tab }

// openTab opens a fan's browser, which may speak to the stage only.
func openTab(t *testing.T, s *stage) *tab {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("calls: %q", s.called(""))
		}
	})
	return &tab{browsertest.NewTab(t, s.URL)}
}

// picker opens the seat picker and waits until it can be used.
func (b *tab) picker() *tab {
	b.T.Helper()
	b.Open("/")
	b.Until("the map is drawn", `document.body.dataset.page === "picker" && window.seatmap?.ready`)
	return b
}

// freeSeat is the n-th free seat of the map.
func (b *tab) freeSeat(n int) string {
	b.T.Helper()
	return b.Value(fmt.Sprintf(`seatmap.free(%d)[%d]`, n+1, n))
}

// choose selects n free seats.
func (b *tab) choose(n int) (seats []string) {
	b.T.Helper()
	for range n {
		seat := b.freeSeat(0)
		b.Until("it is chosen", `seatmap.select("`+seat+`")`)
		seats = append(seats, seat)
	}
	return seats
}

// checkout goes the way to the checkout, with two seats.
func (b *tab) checkout() []string {
	b.T.Helper()
	seats := b.picker().choose(2)
	b.Do("holding", chromedp.Click("#hold"))
	b.Until("the checkout is there", `document.body.dataset.page === "checkout" && `+browsertest.Seen("form"))
	return seats
}

// buyer fills in the form.
func (b *tab) buyer(method string) {
	b.T.Helper()
	b.Do("filling in", chromedp.SendKeys("#name", "Ada Lovelace"), chromedp.SendKeys("#email", "ada@example.org"), chromedp.Click("input[value="+method+"]"))
}

// reads waits until what an element shows has a text in it.
func (b *tab) reads(id, text string) {
	b.T.Helper()
	b.Until("the page reads", fmt.Sprintf(`%s && document.getElementById(%q).textContent.includes(%q)`, browsertest.Seen(id), id, text))
}

// is waits until the map shows a seat so.
func (b *tab) is(seat, state string) {
	b.T.Helper()
	b.Until("the seat is "+state, fmt.Sprintf(`seatmap.state(%q) === %q`, seat, state))
}
