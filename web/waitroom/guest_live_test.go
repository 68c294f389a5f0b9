package waitroompage

import (
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/caddy-tickets/caddy-tickets/internal/browsertest"
)

func TestAFanGetsALinkForAnotherDevice(t *testing.T) {
	t.Parallel()
	s := newStage(t, waiting(), true)
	b := openTab(t, s).Open("/")
	b.Do("asking for it", chromedp.Click("#device summary"), chromedp.WaitVisible("#move button"))
	if len(s.called("POST device")) != 0 || b.Holds(browsertest.Seen("move-link")) {
		t.Fatal("a link is made before anybody asks")
	}
	b.Do("making it", chromedp.Click("#move button"))
	// Whatever the edge takes for its name: the fan's own address is the one that works.
	b.Until("the link is of this site", `document.getElementById("move-link").textContent === location.origin + "`+base+`device?t=one"`)
	b.Until("it says how long it is good", `document.getElementById("move-until").textContent.includes("used once, until")`)
	b.Do("copying it", chromedp.Click("#move-copy"))
	b.Reads("head", "You are in the queue") // and goes on waiting
	s.refuse("device", refusal{status: 404, code: "not-queued"})
	b.Do("once more", chromedp.Click("#move button"))
	b.Reads("problem", "The room says: not-queued.")
}

// Tiers are no secret: a fan reads its own, and who is let in before.
func TestAFanReadsWhichTierItIsIn(t *testing.T) {
	t.Parallel()
	status := waiting()
	status.Tier, status.TiersAhead = "Members’ <queue>", []string{"The band", "Partners"}
	s := newStage(t, status, true)
	b := openTab(t, s)
	for _, tab := range []*browsertest.Tab{b, b.Another().Still()} {
		tab.Open("/")
		tab.Reads("tier", "You are in the queue “Members’ <queue>”. Let in before you: “The band”, “Partners”.")
	}
	other := newStage(t, waiting(), false)
	c := openTab(t, other).Open("/")
	c.Reads("position", "1,205")
	if c.Holds(browsertest.Seen("tier")) {
		t.Error("a room without tiers speaks of them")
	}
}
