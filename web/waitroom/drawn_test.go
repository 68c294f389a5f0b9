package waitroompage

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/caddy-tickets/caddy-tickets/internal/browsertest"
	"github.com/caddy-tickets/caddy-tickets/internal/draw"
	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

// published is what a room makes public of its draw, and what it tells this fan.
type published struct {
	record draw.Record
	own    draw.Drawn
	cohort *draw.Cohort
}

func (p *published) serve(w http.ResponseWriter, do string) {
	var doc any = p.record
	switch do {
	case "draw/proof":
		doc = p.own
	case "draw/cohort":
		file, _ := p.cohort.MarshalBinary() // it cannot fail
		w.Header().Set("Content-Type", "application/octet-stream")
		_, _ = w.Write(file)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(doc)
}

// drawnBy makes a draw with internal/draw in which a visitor takes part.
func drawnBy(t *testing.T, id string, others int, tier place.Tier, beacon draw.Beacon, value string) *published {
	t.Helper()
	visitor, err := place.ParseVisitor(id)
	if err != nil {
		t.Fatal(err)
	}
	entrants := []draw.Entrant{{Visitor: visitor, Tier: tier}}
	for i := range others {
		entrants = append(entrants, draw.Entrant{Visitor: place.Visitor{byte(7 * i), byte(i >> 8), byte(i)}, Tier: place.Tier(i % 3)})
	}
	secret := []byte("thirty-two bytes of this test's.")
	record, err := draw.Commit("arena", noon.Add(-time.Hour), noon, secret, beacon)
	if err != nil {
		t.Fatal(err)
	}
	p := &published{cohort: draw.NewCohort(entrants)}
	record = record.Freeze(p.cohort)
	record.FrozenAt = noon
	if beacon.Source != "" && value == "" {
		record, err = record.FinishWithout(secret)
	} else {
		record, err = record.Finish(secret, []byte(value))
	}
	if err != nil {
		t.Fatal(err)
	}
	record.DrawnAt = noon.Add(time.Hour)
	p.record = record
	if p.own, err = record.Drawn(p.cohort, visitor); err != nil {
		t.Fatal(err)
	}
	return p
}

func newDrawnStage(t *testing.T, others int, tier place.Tier, beacon draw.Beacon, value string) *stage {
	t.Helper()
	status := waiting()
	status.Drawn = true
	s := newStage(t, status, true)
	s.drawn = drawnBy(t, s.page.Status.Visitor, others, tier, beacon, value)
	return s
}

func openDrawn(b *browsertest.Tab) *browsertest.Tab {
	b.T.Helper()
	b.Open("/")
	b.State("waiting")
	b.Do("asking how the place was drawn", chromedp.Click("#drawn summary"))
	return b
}

const verdict = `document.getElementById("verdict").dataset.holds`

// lines are what was checked, a ✗ before what does not hold.
const checkedLines = `[...document.querySelectorAll("#checked li")].map(li => (li.className === "wrong" ? "✗ " : "") + li.textContent).join("\n")`

// The script and internal/draw compute the same, over trees of every shape.
func TestAFanChecksTheirPlaceInTheBrowser(t *testing.T) {
	t.Parallel()
	drand, words := draw.DrandAfter(noon), draw.Beacon{Source: "the lottery of the day <b>", Within: 60}
	for name, c := range map[string]struct {
		others int
		tier   place.Tier
		beacon draw.Beacon
		value  string
		says   []string
	}{
		"alone in the draw": {0, 0, draw.Beacon{}, "", []string{"one of the 1 that were fixed", "no public random number"}},
		"with one other":    {1, 0, drand, "what the world agreed on", []string{"public random number is “drand quicknet round", "7768617420"}},
		"in a tier":         {2, 3, drand, "what the world agreed on", []string{"your group, which is number 3"}},
		"put last":          {1023, place.Deprioritised, words, "ünï", []string{"one of the 1,024 that", "the lottery of the day <b>", "number 7"}},
		"in a large draw":   {2600, 0, words, "4 8 15 16 23 42", []string{"one of the 2,601 that were fixed"}},
		"beacon missed":     {40, 0, words, "", []string{"did not come in time", "choose between two orders", "from the secret and the list"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newDrawnStage(t, c.others, c.tier, c.beacon, c.value)
			b := openDrawn(openTab(t, s))
			b.Until("it has checked", verdict+` !== undefined && `+verdict+` !== ""`)
			if got := b.Value(verdict); got != "true" {
				t.Errorf("the verdict is %s", got)
			}
			if got := b.Value(checkedLines); strings.Count(got, "\n") != 4 || strings.Contains(got, "✗") {
				t.Errorf("it checked:\n%s", got)
			}
			said := b.Value(`document.getElementById("drawn").innerText`)
			for _, want := range append(c.says, "Your place was drawn by lot", "known to whoever kept the record") {
				if !strings.Contains(said, want) {
					t.Errorf("it does not say %q:\n%s", want, said)
				}
			}
		})
	}
}

func TestAPlaceThatWasTamperedWithIsReportedAsWrong(t *testing.T) {
	t.Parallel()
	drand := draw.DrandAfter(noon)
	for name, c := range map[string]struct {
		change func(p *published)
		says   []string // after a ✗
	}{
		"another place's proof": {func(p *published) {
			other := p.cohort.Entrants()[5].Visitor
			p.own, _ = p.record.Drawn(p.cohort, other)
		}, []string{"This is about somebody else's place"}},
		"a hash of the path":   {func(p *published) { p.own.Proof.Path[3][0] ^= 1 }, []string{"Your number does not belong"}},
		"a path too short":     {func(p *published) { p.own.Proof.Path = p.own.Proof.Path[1:] }, []string{"Your number does not belong"}},
		"a path too long":      {func(p *published) { p.own.Proof.Path = append(p.own.Proof.Path, draw.Hash{}) }, []string{"Your number does not belong"}},
		"an endless path":      {func(p *published) { p.own.Proof.Path = make([]draw.Hash, 5000) }, []string{"Your number does not belong"}},
		"another index":        {func(p *published) { p.own.Proof.Index ^= 1 }, []string{"Your number does not belong"}},
		"an index that is not": {func(p *published) { p.own.Proof.Index = -1 }, []string{"Your number does not belong"}},
		"another count":        {func(p *published) { p.own.Proof.Count++ }, []string{"Your number does not belong"}},
		"an index beyond":      {func(p *published) { p.own.Proof.Index += 1024 }, []string{"Your number does not belong"}},
		"a tree that is not as large as is said": {func(p *published) {
			count := 5000
			p.record.Count, p.own.Proof.Count = &count, count
		}, []string{"Your number does not belong to the 5,000"}},
		"no beacon after all, and all made to fit": {func(p *published) {
			p.record, _ = p.record.FinishWithout(p.record.Secret)
			p.record.Beacon.Missed = false
			p.own, _ = p.record.Drawn(p.cohort, mustParse(p.own.Visitor))
		}, []string{"The result does not follow from the secret and the list"}},
		"missed, and that was not announced": {func(p *published) {
			p.record, _ = p.record.FinishWithout(p.record.Secret)
			p.record.Beacon.Within = 0
			p.own, _ = p.record.Drawn(p.cohort, mustParse(p.own.Visitor))
		}, []string{"The result does not follow from the secret and the list"}},
		"another tier": {func(p *published) { p.own.Tier = 0 }, []string{
			"Your number does not belong", "Your place is not the one that this result gives"}},
		"no such tier":    {func(p *published) { p.own.Tier = 8 }, []string{"Your number does not belong", "Your place is not the one"}},
		"a worse score":   {func(p *published) { p.own.Score++ }, []string{"Your place is not the one that this result gives"}},
		"another secret":  {func(p *published) { p.record.Secret[0] ^= 1 }, []string{"The secret is not the one that was promised", "The result does not follow"}},
		"another promise": {func(p *published) { p.record.Commitment[0] ^= 1 }, []string{"The secret is not the one that was promised"}},
		"another beacon":  {func(p *published) { p.record.Beacon.Value[0] ^= 1 }, []string{"The result does not follow"}},
		"no beacon after all": {func(p *published) { p.record.Beacon.Value = nil }, []string{
			"The result does not follow from the secret and the list"}},
		"another room":  {func(p *published) { p.record.Room = "club" }, []string{"The result does not follow"}},
		"another root":  {func(p *published) { root := *p.record.Root; root[0] ^= 1; p.record.Root = &root }, []string{"Your number does not belong", "The result does not follow"}},
		"another seed":  {func(p *published) { p.record.Seed[0] ^= 1 }, []string{"The result does not follow", "Your place is not the one"}},
		"a short seed":  {func(p *published) { p.record.Seed = p.record.Seed[:31] }, []string{"The result does not follow", "Your place is not the one"}},
		"a short root":  {func(p *published) { p.own.Proof.Path = nil }, []string{"Your number does not belong"}},
		"nobody at all": {func(p *published) { p.own.Visitor = "!" }, []string{"somebody else's", "Your number does not belong", "Your place is not the one"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newDrawnStage(t, 700, 2, drand, "what the world agreed on")
			c.change(s.drawn)
			b := openDrawn(openTab(t, s))
			b.Until("it has checked", verdict+` !== undefined && `+verdict+` !== ""`)
			if got := b.Value(verdict); got != "false" {
				t.Errorf("the verdict is %s", got)
			}
			var wrong []string
			for line := range strings.SplitSeq(b.Value(checkedLines), "\n") {
				if after, is := strings.CutPrefix(line, "✗ "); is {
					wrong = append(wrong, after)
				}
			}
			if len(wrong) != len(c.says) {
				t.Fatalf("wrong is %q, want %q", wrong, c.says)
			}
			for i, says := range c.says {
				if !strings.HasPrefix(wrong[i], says) && !strings.Contains(wrong[i], says) {
					t.Errorf("wrong is %q, want %q", wrong[i], says)
				}
			}
		})
	}
}

func mustParse(id string) place.Visitor {
	v, err := place.ParseVisitor(id)
	if err != nil {
		panic(err)
	}
	return v
}

// What a number of JavaScript or one byte of it could be taken for is not taken for it.
func TestATierIsOneOfThoseThereAre(t *testing.T) {
	t.Parallel()
	s := newDrawnStage(t, 20, 2, draw.Beacon{}, "")
	own, err := json.Marshal(s.drawn.own)
	if err != nil {
		t.Fatal(err)
	}
	wraps := strings.Replace(string(own), `"tier":2`, `"tier":258`, 1)
	wraps = strings.Replace(wraps, fmt.Sprintf(`"score":%d`, s.drawn.own.Score), fmt.Sprintf(`"score":%d`, s.drawn.own.Score+256<<50), 1)
	s.refuse("draw/proof", refusal{status: 200, body: wraps})
	b := openDrawn(openTab(t, s))
	b.Until("it has checked", verdict+` !== undefined && `+verdict+` !== ""`)
	if got := b.Value(checkedLines); strings.Count(got, "✗") != 2 {
		t.Errorf("a tier of 258 is taken:\n%s", got)
	}
}

// However long a proof is, the browser climbs no higher than the tree.
func TestAnEndlessProofCostsNoWork(t *testing.T) {
	t.Parallel()
	s := newDrawnStage(t, 20, 0, draw.Beacon{}, "")
	s.drawn.own.Proof.Path = make([]draw.Hash, 5000)
	b := openTab(t, s).Open("/")
	b.State("waiting")
	b.Value(`(window.hashed = 0, crypto.subtle.digest = (digest => (...what) => (window.hashed++, digest.apply(crypto.subtle, what)))(crypto.subtle.digest), 1)`)
	b.Do("asking", chromedp.Click("#drawn summary"))
	b.Until("it has checked", verdict+` === "false"`)
	if !b.Holds(`window.hashed <= 7`) { // the secret, the leaf, and at most five nodes
		t.Errorf("%s hashes were made", b.Value(`window.hashed`))
	}
}

func TestAPlaceThatCannotBeCheckedSaysWhy(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		play func(*stage)
		says string
	}{
		"on an insecure page": {nil, "only on a secure page"},
		"came later":          {func(s *stage) { s.refuse("draw/proof", refusal{status: 404, code: "not-in-draw"}) }, "You came after the draw had begun"},
		"without a place":     {func(s *stage) { s.refuse("draw/proof", refusal{status: 404, code: "not-queued"}) }, "no place any more"},
		"busy":                {func(s *stage) { s.refuse("draw", refusal{status: 503, code: "unavailable"}) }, "could not be loaded"},
		"a proxy's page":      {func(s *stage) { s.refuse("draw", refusal{status: 200, body: "<html>"}) }, "could not be loaded"},
		"not finished": {func(s *stage) {
			s.drawn.record.Seed, s.drawn.record.Secret = nil, nil
			s.refuse("draw/proof", refusal{status: 404, code: "not-drawn"})
		}, "not finished yet"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newDrawnStage(t, 5, 0, draw.Beacon{}, "")
			b := openTab(t, s).Open("/")
			b.State("waiting")
			if c.play == nil {
				b.Value(`(Object.defineProperty(crypto, "subtle", { value: undefined }), 1)`)
			} else {
				c.play(s)
			}
			b.Do("asking", chromedp.Click("#drawn summary"))
			b.Until("it says why", fmt.Sprintf(`document.getElementById("verdict").textContent.includes(%q)`, c.says))
			if got := b.Value(checkedLines); got != "" {
				t.Errorf("it reports on %s", got)
			}
			if name != "busy" {
				return
			}
			s.refuse("draw") // and the fan tries again
			b.Do("closing", chromedp.Click("#drawn summary"))
			b.Do("opening", chromedp.Click("#drawn summary"))
			b.Until("it holds now", verdict+` === "true"`)
		})
	}
}

func TestAFanSeesTheLobbyEndAndTheirPlaceDrawn(t *testing.T) {
	t.Parallel()
	opens := time.Now().Add(3 * time.Second)
	s := newStage(t, room.Status{State: "lobby", Opens: &opens, Waiting: 812}, true)
	b := openTab(t, s).Open("/")
	b.State("lobby")
	s.send("position", map[string]any{"state": "drawing", "position": 0, "ahead": 0, "waiting": 812, "eta": nil, "chance": "", "message": "", "stock": nil, "opens": opens})
	b.State("drawing")
	b.Reads("head", "The draw is being made")
	b.Reads("until", "The countdown ended")
	for id, want := range map[string]bool{"countdown": false, "numbers": false, "crowd": true, "options": true, "join": false, "drawn": false} {
		if b.Holds(browsertest.Seen(id)) != want {
			t.Errorf("while the draw is made, %s is seen: %v", id, !want)
		}
	}
	s.send("position", line(411)) // by the same stream
	b.State("waiting")
	b.Reads("position", "411")
	b.Until("it can be asked how", browsertest.Seen("drawn"))
	if got := len(s.called("GET stream")); got != 1 {
		t.Errorf("%d streams were opened", got)
	}
	if got := s.called("GET draw"); len(got) != 0 {
		t.Errorf("nobody asked, and the page fetched %q", got)
	}
	if got := s.called("POST join"); len(got) != 0 {
		t.Errorf("a fan who is in joined again: %q", got)
	}
}

func TestAFanWhoComesDuringTheDrawJoinsAndWaitsForIt(t *testing.T) {
	t.Parallel()
	opens := time.Now().Add(-time.Second)
	s := newStage(t, room.Status{State: "drawing", Opens: &opens, Waiting: 812}, false)
	b := openTab(t, s).Open("/")
	b.State("drawing")
	s.send("position", line(813))
	b.Reads("position", "813")
	if got := s.called("POST join"); len(got) != 1 {
		t.Errorf("joined by %q", got)
	}
}
