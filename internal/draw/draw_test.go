package draw

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"math"
	mathrand "math/rand/v2"
	"slices"
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

func entrants(t testing.TB, n int) []Entrant {
	t.Helper()
	out := make([]Entrant, n)
	for i, v := range visitors(t, n) {
		out[i] = Entrant{v, place.Tier(i % 3)}
	}
	return out
}

var announced = DrandAfter(opens)

// drawn is a whole draw over n entrants.
func drawn(t testing.TB, n int) (before, record Record, cohort *Cohort) {
	t.Helper()
	before, err := Commit("arena", lobby, opens, secret, announced)
	if err != nil {
		t.Fatal(err)
	}
	cohort = NewCohort(entrants(t, n))
	frozen := before.Freeze(cohort)
	frozen.FrozenAt = opens.Add(time.Second)
	if record, err = frozen.Finish(secret, beacon); err != nil {
		t.Fatal(err)
	}
	record.DrawnAt = opens.Add(40 * time.Second)
	return before, record, cohort
}

func TestADrawThatIsGoneOnWithAfterACrashIsTheSame(t *testing.T) {
	_, record, cohort := drawn(t, 100)
	again, err := Commit("arena", lobby, opens, secret, announced)
	if err != nil {
		t.Fatal(err)
	}
	shuffled := slices.Clone(cohort.Entrants())
	mathrand.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	if again, err = again.Freeze(NewCohort(shuffled)).Finish(secret, beacon); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again.Seed, record.Seed) {
		t.Error("the same cohort gave another seed")
	}
}

func TestADrawIsFinishedOnlyAsItWasAnnounced(t *testing.T) {
	if _, err := Commit("arena", lobby, opens, secret[:31], Beacon{}); err == nil {
		t.Error("a short secret is taken")
	}
	committed, err := Commit("arena", lobby, opens, secret, Beacon{Source: "drand"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := committed.Finish(secret, beacon); err == nil {
		t.Error("finished before the cohort was frozen")
	}
	frozen := committed.Freeze(NewCohort(entrants(t, 3)))
	for name, f := range map[string]func() (Record, error){
		"another secret":   func() (Record, error) { return frozen.Finish(bytes.Repeat([]byte{1}, SecretLength), beacon) },
		"a beacon missing": func() (Record, error) { return frozen.Finish(secret, nil) },
		"a huge beacon":    func() (Record, error) { return frozen.Finish(secret, make([]byte, MaxBeacon+1)) },
		"no wait for it":   func() (Record, error) { return frozen.FinishWithout(secret) },
	} {
		if _, err := f(); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// TestEarlyLateAndReloadingEntrantsHaveTheSameChances draws 10,000 entrants many
// times and compares where each group ends up: by arrival, first, last, those
// who joined again and again (which changes nothing, they are one visitor), and
// those who threw their place away and took another visitor's. Two-sample
// Kolmogorov–Smirnov at the level of 0.001 over 20 draws.
func TestEarlyLateAndReloadingEntrantsHaveTheSameChances(t *testing.T) {
	const all, draws = 10_000, 20
	arrived := visitors(t, all)
	groups := [][]place.Visitor{arrived[:all/4], arrived[all/4 : all/2], arrived[all/2 : 3*all/4], arrived[3*all/4:]}
	joined := slices.Clone(arrived)
	joined = append(append(joined, groups[1]...), groups[1]...) // the reloading ones
	copy(groups[2], visitors(t, all/4))                         // those who entered again as somebody else
	joined = append(joined, groups[2]...)
	cohort := NewCohort(firstTier(joined))
	if want := all + all/4; cohort.Len() != want { // the visitors thrown away stay entrants
		t.Fatalf("%d entrants of %d", cohort.Len(), want)
	}
	rejected, compared := 0, 0
	for draw := range draws {
		own := sha256.Sum256(fmt.Append(nil, "secret ", draw))
		record, err := Commit("arena", lobby, opens, own[:], Beacon{})
		if err != nil {
			t.Fatal(err)
		}
		if record, err = record.Freeze(cohort).Finish(own[:], nil); err != nil {
			t.Fatal(err)
		}
		scores := func(group []place.Visitor) []float64 {
			out := make([]float64, len(group))
			for i, v := range group {
				e, found := cohort.Find(v)
				if !found {
					t.Fatal("somebody is left out")
				}
				out[i] = float64(record.Score(e))
			}
			slices.Sort(out)
			return out
		}
		for i := range groups {
			for j := range i {
				a, b := scores(groups[i]), scores(groups[j])
				// The critical value of D at level 0.001 is 1.949 × sqrt((n+m)/(n m)).
				n, m := float64(len(a)), float64(len(b))
				compared++
				if distance(a, b) > 1.949*math.Sqrt((n+m)/(n*m)) {
					rejected++
				}
			}
		}
	}
	// 120 comparisons at 0.001: three rejections would come by chance once in 3,800 runs, four once in 130,000.
	if rejected > 3 {
		t.Errorf("%d of %d comparisons say that the chances differ", rejected, compared)
	}
}

func firstTier(visitors []place.Visitor) []Entrant {
	out := make([]Entrant, len(visitors))
	for i, v := range visitors {
		out[i].Visitor = v
	}
	return out
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

// BenchmarkDrawOverAMillion is the whole of it: the cohort with its root, the
// seed, and every score.
func BenchmarkDrawOverAMillion(b *testing.B) {
	all := entrants(b, 1_000_000)
	for b.Loop() {
		record, err := Commit("arena", lobby, opens, secret, Beacon{})
		if err != nil {
			b.Fatal(err)
		}
		cohort := NewCohort(slices.Clone(all))
		if record, err = record.Freeze(cohort).Finish(secret, nil); err != nil {
			b.Fatal(err)
		}
		for _, e := range cohort.Entrants() {
			_ = record.Score(e)
		}
	}
}
