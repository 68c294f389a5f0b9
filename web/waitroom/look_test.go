package waitroompage

import (
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/caddy-tickets/caddy-tickets/internal/browsertest"
	"github.com/caddy-tickets/caddy-tickets/internal/draw"
	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

// crowded is a page with as much on it as can be.
func crowded() room.Status {
	s := waiting()
	s.Position, s.Ahead, s.Waiting, s.Chance = 1204331, 1204330, 3872004, room.ChanceUnlikely
	s.ETA = &room.ETARange{Low: 15000, High: 26000}
	s.Message = "The doors of the hall open at 18:00."
	s.Stock.State, s.Stock.Free, s.Stock.Categories[2].Free = room.StockAllHeld, 0, 0
	s.Drawn = true
	return s
}

// openCrowded shows it, with a check of the draw of which some holds and some does not.
func openCrowded(t *testing.T, width, height int64, scheme string) (*stage, *browsertest.Tab) {
	t.Helper()
	s := newStage(t, crowded(), true)
	s.drawn = drawnBy(t, s.page.Status.Visitor, 99, 1, draw.DrandAfter(noon), "what the world agreed on")
	s.drawn.own.Score++
	b := openDrawn(openTab(t, s).Screen(width, height, scheme))
	b.Until("it has checked", verdict+` === "false"`)
	return s, b
}

// TestThePageFitsTheSmallestPhone is WCAG 2.2, 1.4.10: nothing is cut off and
// nothing scrolls sideways at 320 pixels.
func TestThePageFitsTheSmallestPhone(t *testing.T) {
	t.Parallel()
	_, b := openCrowded(t, 320, 568, "light")
	const outside = `(() => {
		const main = document.querySelector("main"), box = main.getBoundingClientRect(), padding = parseFloat(getComputedStyle(main).paddingRight);
		const edge = { left: box.left + padding, right: box.right - padding + 0.5 };
		return [...document.querySelectorAll("main *:not(.sr, .sr *, noscript)")].filter(e => e.checkVisibility())
			.filter(e => e.getBoundingClientRect().right > edge.right || e.getBoundingClientRect().left < edge.left)
			.map(e => e.outerHTML.slice(0, 80)).join("\n") + (document.documentElement.scrollWidth > innerWidth ? " the page scrolls" : "");
	})()`
	if got := b.Value(outside); got != "" {
		t.Errorf("these stand out: %s", got)
	}
	if got := b.Value(`document.getElementById("position").getClientRects().length`); got != "1" {
		t.Errorf("the position is broken over %s lines", got)
	}
}

// TestEverythingCanBeTouched is WCAG 2.2, 2.5.8, and the 44 pixels of a thumb.
func TestEverythingCanBeTouched(t *testing.T) {
	t.Parallel()
	for _, state := range []string{"waiting", "admitted"} {
		status := crowded()
		status.State = state
		s := newStage(t, status, true)
		s.drawn = drawnBy(t, s.page.Status.Visitor, 9, 0, draw.Beacon{}, "")
		s.refuse("claim", refusal{status: 403, code: "cross-origin"})
		b := openTab(t, s).Screen(390, 844, "light").Open("/")
		b.State(state)
		b.Value(`(document.getElementById("drawn").open = true) && "open"`)
		const small = `[...document.querySelectorAll("button, summary, label, #drawn a")].filter(e => e.checkVisibility())
			.filter(e => e.getBoundingClientRect().height < 44).map(e => e.outerHTML).join("\n")`
		if got := b.Value(small); got != "" {
			t.Errorf("too small: %s", got)
		}
	}
}

// TestTextCanBeReadInBothSchemes is WCAG 2.2, 1.4.3: 4.5 to 1.
func TestTextCanBeReadInBothSchemes(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"light", "dark"} {
		s, b := openCrowded(t, 390, 844, scheme)
		s.drop()
		const faint = `(() => {
			const parts = color => color.match(/[\d.]+/g).map(Number);
			const light = ([r, g, b]) => [r, g, b].map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
				.reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
			const ground = e => {
				for (; e; e = e.parentElement) {
					const color = parts(getComputedStyle(e).backgroundColor);
					if (color.length === 3 || color[3] === 1) return color;
				}
				return [255, 255, 255];
			};
			const found = [];
			let looked = 0;
			for (const e of document.querySelectorAll("body *")) {
				if (!e.checkVisibility() || ![...e.childNodes].some(n => n.nodeType === Node.TEXT_NODE && n.data.trim())) continue;
				looked++;
				const [a, b] = [light(parts(getComputedStyle(e).color)), light(ground(e))];
				const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
				if (contrast < 4.5) found.push(contrast.toFixed(2) + " " + e.outerHTML.slice(0, 80));
			}
			return looked < 15 ? "only " + looked + " texts were found" : found.join("\n");
		})()`
		if got := b.Value(faint); got != "" {
			t.Errorf("%s: %s", scheme, got)
		}
	}
}

// TestThePageCanBeUsedWithTheKeyboardAlone follows the focus.
func TestThePageCanBeUsedWithTheKeyboardAlone(t *testing.T) {
	t.Parallel()
	s := newStage(t, waiting(), true)
	b := openTab(t, s).Open("/")
	b.State("waiting")
	var order []string
	for range 3 {
		b.Do("pressing tab", chromedp.KeyEvent("\t"))
		order = append(order, b.Value(`document.activeElement.id || document.activeElement.tagName`))
	}
	if got := order[0] + " " + order[1]; got != "alarm SUMMARY" {
		t.Errorf("the focus goes over %v", order)
	}
	b.Do("going back to it", chromedp.Focus("#leave summary"))
	b.Do("pressing enter", chromedp.KeyEvent("\r"))
	b.Until("it opens", browsertest.Seen("give-up"))
	b.Do("pressing tab", chromedp.KeyEvent("\t"))
	b.Do("pressing enter", chromedp.KeyEvent("\r"))
	b.State("left")
}
