package draw

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

var (
	lobby  = time.Date(2026, 12, 1, 9, 30, 0, 0, time.UTC)
	opens  = lobby.Add(30 * time.Minute)
	secret = bytes.Repeat([]byte{7}, SecretLength)
	beacon = []byte("what the world agreed on")
)

func visitors(t testing.TB, n int) []place.Visitor {
	t.Helper()
	out := make([]place.Visitor, n)
	for i := range out {
		v, err := place.NewVisitor(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		out[i] = v
	}
	return out
}

// drawn is a whole draw over n entrants.
func drawn(t testing.TB, n int) (before, record Record, order []Placed, cohort *Cohort) {
	t.Helper()
	before, err := Commit("arena", lobby, opens, secret, "drand quicknet round 1")
	if err != nil {
		t.Fatal(err)
	}
	cohort = NewCohort(visitors(t, n))
	if record, err = before.Freeze(cohort).Finish(secret, beacon); err != nil {
		t.Fatal(err)
	}
	for _, v := range cohort.Visitors() {
		order = append(order, Placed{v, record.Score(v)})
	}
	return before, record, order, cohort
}

// Q7: the draw can be recomputed by anyone from public data, and whoever changes
// one byte of it is told on.
func TestQ7TheDrawCanBeRecomputedFromPublicData(t *testing.T) {
	before, record, order, _ := drawn(t, 3000)
	text, err := json.Marshal(record)
	if err != nil {
		t.Fatal(err)
	}
	var public Record
	if err := json.Unmarshal(text, &public); err != nil {
		t.Fatal(err)
	}
	if err := Verify(before, public, order); err != nil {
		t.Fatal(err)
	}
	if err := Verify(Record{}, public, order); err != nil {
		t.Fatalf("without the earlier record: %v", err)
	}
}

func TestQ7AnOperatorWhoChangesAnythingIsCaught(t *testing.T) {
	before, good, goodOrder, _ := drawn(t, 500)
	other := bytes.Repeat([]byte{8}, SecretLength)
	for name, c := range map[string]struct {
		change func(r *Record, order *[]Placed)
		says   string
	}{
		"another secret":            {func(r *Record, _ *[]Placed) { r.Secret = other }, "the secret was changed"},
		"another secret throughout": {func(r *Record, _ *[]Placed) { r.Secret, r.Commitment = other, sha256.Sum256(other) }, "the commitment was changed"},
		"another beacon":            {func(r *Record, _ *[]Placed) { r.Beacon.Value = Bytes("mine") }, "the seed does not follow"},
		"no beacon after all":       {func(r *Record, _ *[]Placed) { r.Beacon.Value = nil }, "the beacon was announced and not used"},
		"another round of it":       {func(r *Record, _ *[]Placed) { r.Beacon.Source = "round 2" }, "the beacon's source was changed"},
		"another room":              {func(r *Record, _ *[]Placed) { r.Room = "club" }, "the room was changed"},
		"an earlier draw":           {func(r *Record, _ *[]Placed) { r.Opens = r.Opens.Add(-time.Second) }, "the time of the draw was changed"},
		"a friend let in later":     {func(_ *Record, o *[]Placed) { *o = append(*o, Placed{place.Visitor{1}, 1}) }, "501 entrants are in the order, 500 were frozen"},
		"a fan left out":            {func(_ *Record, o *[]Placed) { *o = (*o)[1:] }, "499 entrants are in the order, 500 were frozen"},
		"a fan exchanged":           {func(_ *Record, o *[]Placed) { (*o)[3].Visitor[0] ^= 1 }, "the cohort was changed"},
		"a fan twice":               {func(_ *Record, o *[]Placed) { *o = append(*o, (*o)[0]) }, "more than once"},
		"a better score":            {func(_ *Record, o *[]Placed) { (*o)[7].Score-- }, "1 of 500 scores"},
		"another seed":              {func(r *Record, _ *[]Placed) { r.Seed = Bytes(sha256.New().Sum(nil)) }, "the seed does not follow"},
		"an unfinished draw":        {func(r *Record, _ *[]Placed) { r.Seed = nil }, "not finished"},
		"a version to come":         {func(r *Record, _ *[]Placed) { r.Version = 2 }, "version 2"},
	} {
		t.Run(name, func(t *testing.T) {
			record, order := good, slices.Clone(goodOrder)
			c.change(&record, &order)
			if err := Verify(before, record, order); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("want %q, got: %v", c.says, err)
			}
		})
	}
}

func TestADrawThatIsGoneOnWithAfterACrashIsTheSame(t *testing.T) {
	_, record, _, cohort := drawn(t, 100)
	again, err := Commit("arena", lobby, opens, secret, "drand quicknet round 1")
	if err != nil {
		t.Fatal(err)
	}
	shuffled := slices.Clone(cohort.Visitors())
	mathrand.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	if again, err = again.Freeze(NewCohort(shuffled)).Finish(secret, beacon); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again.Seed, record.Seed) {
		t.Error("the same cohort gave another seed")
	}
}

func TestADrawIsFinishedOnlyAsItWasAnnounced(t *testing.T) {
	if _, err := Commit("arena", lobby, opens, secret[:31], ""); err == nil {
		t.Error("a short secret is taken")
	}
	announced, err := Commit("arena", lobby, opens, secret, "drand")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := announced.Finish(secret, beacon); err == nil {
		t.Error("finished before the cohort was frozen")
	}
	frozen := announced.Freeze(NewCohort(visitors(t, 3)))
	for name, f := range map[string]func() (Record, error){
		"another secret":   func() (Record, error) { return frozen.Finish(bytes.Repeat([]byte{1}, SecretLength), beacon) },
		"a beacon missing": func() (Record, error) { return frozen.Finish(secret, nil) },
		"a huge beacon":    func() (Record, error) { return frozen.Finish(secret, make([]byte, MaxBeacon+1)) },
	} {
		if _, err := f(); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// TestEarlyLateAndReloadingEntrantsHaveTheSameChances draws 10,000 entrants many
// times and compares where each third of them ends up: by arrival, first, last,
// and those who joined again and again (which changes nothing, they are one
// visitor). Two-sample Kolmogorov–Smirnov at the level of 0.001 over 20 draws.
func TestEarlyLateAndReloadingEntrantsHaveTheSameChances(t *testing.T) {
	const entrants, draws = 10_000, 20
	arrived := visitors(t, entrants)
	early, reloading, late := arrived[:entrants/3], arrived[entrants/3:2*entrants/3], arrived[2*entrants/3:]
	cohort := NewCohort(append(slices.Clone(arrived), reloading...))
	if cohort.Len() != entrants {
		t.Fatalf("%d entrants of %d", cohort.Len(), entrants)
	}
	rejected := 0
	for draw := range draws {
		own := sha256.Sum256(fmt.Append(nil, "secret ", draw))
		record, err := Commit("arena", lobby, opens, own[:], "")
		if err != nil {
			t.Fatal(err)
		}
		if record, err = record.Freeze(cohort).Finish(own[:], nil); err != nil {
			t.Fatal(err)
		}
		scores := func(group []place.Visitor) []float64 {
			out := make([]float64, len(group))
			for i, v := range group {
				out[i] = float64(record.Score(v))
			}
			slices.Sort(out)
			return out
		}
		for _, pair := range [][2][]place.Visitor{{early, late}, {early, reloading}, {reloading, late}} {
			a, b := scores(pair[0]), scores(pair[1])
			// The critical value of D at level 0.001 is 1.949 × sqrt((n+m)/(n m)).
			n, m := float64(len(a)), float64(len(b))
			if distance(a, b) > 1.949*math.Sqrt((n+m)/(n*m)) {
				rejected++
			}
		}
	}
	// 60 comparisons at 0.001: two rejections would come by chance once in 580 runs, three once in 32,000.
	if rejected > 2 {
		t.Errorf("%d of %d comparisons say that the chances differ", rejected, 3*draws)
	}
}

// distance is the Kolmogorov–Smirnov statistic of two sorted samples.
func distance(a, b []float64) float64 {
	most, i, j := 0.0, 0, 0
	for i < len(a) && j < len(b) {
		if a[i] <= b[j] {
			i++
		} else {
			j++
		}
		most = max(most, math.Abs(float64(i)/float64(len(a))-float64(j)/float64(len(b))))
	}
	return most
}

// A test that cannot fail proves nothing: a draw that favours the early is found.
func TestTheComparisonOfChancesFindsAnUnfairDraw(t *testing.T) {
	a, b := make([]float64, 3333), make([]float64, 3333)
	for i := range a {
		a[i], b[i] = mathrand.Float64()*0.9, mathrand.Float64()
	}
	slices.Sort(a)
	slices.Sort(b)
	if d := distance(a, b); d <= 1.949*math.Sqrt(2.0/3333) {
		t.Errorf("a tenth better is not found: %f", d)
	}
}

func TestEveryEntrantCanProveToBeInTheCohort(t *testing.T) {
	for _, n := range []int{1, 2, 3, 7, 8, 1023, 1024, 1025, 2049, 5000} {
		c := NewCohort(visitors(t, n))
		for i := 0; i < n; i += max(1, n/97) {
			v := c.Visitors()[i]
			p, err := c.Prove(v)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Check(v, c.Root()); err != nil {
				t.Fatalf("entrant %d of %d: %v", i, n, err)
			}
			stranger := v
			stranger[15] ^= 1
			if p.Check(stranger, c.Root()) == nil {
				t.Fatalf("entrant %d of %d proves a stranger", i, n)
			}
		}
		if _, err := c.Prove(place.Visitor{}); err == nil {
			t.Errorf("a stranger is proved in a cohort of %d", n)
		}
	}
}

func TestNoChangedProofLeadsToTheRoot(t *testing.T) {
	c := NewCohort(visitors(t, 1500))
	v := c.Visitors()[777]
	good, err := c.Prove(v)
	if err != nil {
		t.Fatal(err)
	}
	change := func(f func(p *Proof)) Proof {
		p := good
		p.Path = slices.Clone(good.Path)
		f(&p)
		return p
	}
	for name, p := range map[string]Proof{
		"another index": change(func(p *Proof) { p.Index++ }),
		"below zero":    change(func(p *Proof) { p.Index = -1 }),
		"beyond":        change(func(p *Proof) { p.Index = p.Count }),
		"a hash less":   change(func(p *Proof) { p.Path = p.Path[1:] }),
		"a hash more":   change(func(p *Proof) { p.Path = append(p.Path, Hash{}) }),
		"another hash":  change(func(p *Proof) { p.Path[2][0] ^= 1 }),
		"very long":     change(func(p *Proof) { p.Path = make([]Hash, 100) }),
		"nobody":        {},
	} {
		if p.Check(v, c.Root()) == nil {
			t.Errorf("%s is believed", name)
		}
	}
}

// The tree is that of RFC 9162: the known root of eight leaves of Certificate
// Transparency's own tests cannot be had with 16-byte leaves, so the tree is
// compared with the definition, written down a second time.
func TestTheTreeIsThatOfTheStandard(t *testing.T) {
	var define func(v []place.Visitor) Hash
	define = func(v []place.Visitor) Hash {
		if len(v) == 1 {
			return sha256.Sum256(append([]byte{0}, v[0][:]...))
		}
		k := 1
		for k*2 < len(v) {
			k *= 2
		}
		left, right := define(v[:k]), define(v[k:])
		return sha256.Sum256(append(append([]byte{1}, left[:]...), right[:]...))
	}
	for _, n := range []int{1, 2, 3, 5, 1024, 1025, 3000} {
		c := NewCohort(visitors(t, n))
		if c.Root() != define(c.Visitors()) {
			t.Errorf("the root of %d is another", n)
		}
	}
	if got := fmt.Sprintf("%x", NewCohort(nil).Root()); !strings.HasPrefix(got, "e3b0c442") {
		t.Errorf("the empty tree is %s, not the hash of nothing", got)
	}
}

func FuzzProof(f *testing.F) {
	c := NewCohort(visitors(f, 37))
	v := c.Visitors()[5]
	p, err := c.Prove(v)
	if err != nil {
		f.Fatal(err)
	}
	var path []byte
	for _, h := range p.Path {
		path = append(path, h[:]...)
	}
	f.Add(p.Index, p.Count, path)
	f.Fuzz(func(t *testing.T, index, count int, raw []byte) {
		q := Proof{Index: index, Count: count}
		for h := range slices.Chunk(raw, sha256.Size) {
			if len(h) == sha256.Size {
				q.Path = append(q.Path, Hash(h))
			}
		}
		if q.Check(v, c.Root()) == nil && (index != p.Index || !slices.Equal(q.Path, p.Path)) {
			t.Errorf("another proof is believed: %+v", q)
		}
	})
}

// BenchmarkDrawOverAMillion is the whole of it: the cohort with its root, the
// seed, and every score.
func BenchmarkDrawOverAMillion(b *testing.B) {
	all := visitors(b, 1_000_000)
	for b.Loop() {
		record, err := Commit("arena", lobby, opens, secret, "")
		if err != nil {
			b.Fatal(err)
		}
		cohort := NewCohort(slices.Clone(all))
		if record, err = record.Freeze(cohort).Finish(secret, nil); err != nil {
			b.Fatal(err)
		}
		for _, v := range cohort.Visitors() {
			_ = record.Score(v)
		}
	}
}

func BenchmarkProve(b *testing.B) {
	c := NewCohort(visitors(b, 1_000_000))
	for b.Loop() {
		if _, err := c.Prove(c.Visitors()[123_456]); err != nil {
			b.Fatal(err)
		}
	}
}
