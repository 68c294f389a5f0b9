package draw

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

func TestEveryEntrantCanProveToBeInTheCohort(t *testing.T) {
	for _, n := range []int{1, 2, 3, 7, 8, 63, 64, 65, 127, 129, 1023, 1024, 1025, 2049, 5000} {
		c := NewCohort(entrants(t, n))
		for i := 0; i < n; i += max(1, n/97) {
			e := c.Entrants()[i]
			p, err := c.Prove(e.Visitor)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Check(e, c.Root()); err != nil {
				t.Fatalf("entrant %d of %d: %v", i, n, err)
			}
			stranger, favoured := e, e
			stranger.Visitor[15] ^= 1
			favoured.Tier ^= 1
			if p.Check(stranger, c.Root()) == nil || p.Check(favoured, c.Root()) == nil {
				t.Fatalf("entrant %d of %d proves a stranger, or another tier", i, n)
			}
		}
		if _, err := c.Prove(place.Visitor{}); err == nil {
			t.Errorf("a stranger is proved in a cohort of %d", n)
		}
	}
}

func TestNoChangedProofLeadsToTheRoot(t *testing.T) {
	cohort := NewCohort(entrants(t, 1500))
	e := cohort.Entrants()[777]
	good, err := cohort.Prove(e.Visitor)
	if err != nil {
		t.Fatal(err)
	}
	change := func(f func(p *Proof)) Proof {
		p := good
		p.Path = slices.Clone(good.Path)
		f(&p)
		return p
	}
	for name, c := range map[string]struct {
		proof Proof
		says  string
	}{
		"another index":  {change(func(p *Proof) { p.Index++ }), "does not lead"},
		"below zero":     {change(func(p *Proof) { p.Index = -1 }), "no entrant -1"},
		"beyond":         {change(func(p *Proof) { p.Index = p.Count }), "no entrant 1500"},
		"a larger count": {change(func(p *Proof) { p.Count *= 4 }), "shorter than the tree"},
		"a smaller one":  {change(func(p *Proof) { p.Count = p.Index + 1 }), "longer than the tree"},
		"a hash less":    {change(func(p *Proof) { p.Path = p.Path[1:] }), "shorter than the tree"},
		"a hash more":    {change(func(p *Proof) { p.Path = append(p.Path, Hash{}) }), "longer than the tree"},
		"another hash":   {change(func(p *Proof) { p.Path[2][0] ^= 1 }), "does not lead"},
		"very long":      {change(func(p *Proof) { p.Path = make([]Hash, 100) }), "longer than the tree"},
		"nobody":         {Proof{}, "no entrant 0"},
	} {
		if err := c.proof.Check(e, cohort.Root()); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The tree is that of RFC 9162: the known root of eight leaves of Certificate
// Transparency's own tests cannot be had with leaves of 17 bytes, so the tree is
// compared with the definition, written down a second time.
func TestTheTreeIsThatOfTheStandard(t *testing.T) {
	var define func(all []Entrant) Hash
	define = func(all []Entrant) Hash {
		if len(all) == 1 {
			return sha256.Sum256(append(append([]byte{0}, all[0].Visitor[:]...), byte(all[0].Tier)))
		}
		k := 1
		for k*2 < len(all) {
			k *= 2
		}
		left, right := define(all[:k]), define(all[k:])
		return sha256.Sum256(append(append([]byte{1}, left[:]...), right[:]...))
	}
	for _, n := range []int{1, 2, 3, 5, 63, 64, 65, 129, 1024, 1025, 3000} {
		c := NewCohort(entrants(t, n))
		if c.Root() != define(c.Entrants()) {
			t.Errorf("the root of %d is another", n)
		}
	}
	if got := fmt.Sprintf("%s", NewCohort(nil).Root()); !strings.HasPrefix(got, "e3b0c442") {
		t.Errorf("the empty tree is %s, not the hash of nothing", got)
	}
}

func FuzzProof(f *testing.F) {
	c := NewCohort(entrants(f, 37))
	e := c.Entrants()[5]
	p, err := c.Prove(e.Visitor)
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
		if q.Check(e, c.Root()) == nil && (index != p.Index || !slices.Equal(q.Path, p.Path)) {
			t.Errorf("another proof is believed: %+v", q)
		}
	})
}

func BenchmarkProve(b *testing.B) {
	c := NewCohort(entrants(b, 1_000_000))
	for b.Loop() {
		if _, err := c.Prove(c.Entrants()[123_456].Visitor); err != nil {
			b.Fatal(err)
		}
	}
}
