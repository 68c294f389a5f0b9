package place

import (
	"bytes"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"
)

var (
	keyOne = Key{ID: 1, Secret: [32]byte{1}}
	keyTwo = Key{ID: 2, Secret: [32]byte{2}}
)

func sample(t testing.TB) Token {
	t.Helper()
	v, err := NewVisitor(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 12, 1, 9, 0, 0, 123456000, time.UTC)
	return Token{Visitor: v, Score: LiveScore(at), Joined: at, Generation: 77}
}

func TestASealedTokenOpensToWhatWasSealed(t *testing.T) {
	s := NewSealer(keyOne)
	for _, want := range []Token{sample(t), {Visitor: Visitor{9}}, {Visitor: Visitor{1}, Score: ScoreLimit - 1}} {
		sealed := s.Seal("arena", want)
		if len(sealed) != TokenLength {
			t.Fatalf("%d characters", len(sealed))
		}
		if got, err := s.Open("arena", sealed); err != nil || got != want {
			t.Errorf("opened %+v, %v; want %+v", got, err, want)
		}
	}
}

func TestATokenOfAnotherRoomIsForged(t *testing.T) {
	s := NewSealer(keyOne)
	if _, err := s.Open("club", s.Seal("arena", sample(t))); !errors.Is(err, ErrForged) {
		t.Fatal(err)
	}
}

func TestATokenWithAnyBitChangedDoesNotOpen(t *testing.T) {
	s := NewSealer(keyOne)
	sealed := s.Seal("arena", sample(t))
	for i := range sealed {
		for _, c := range []byte("AQgw_-9") {
			if sealed[i] == c {
				continue
			}
			if _, err := s.Open("arena", sealed[:i]+string(c)+sealed[i+1:]); err == nil {
				t.Fatalf("opened with character %d changed to %c", i, c)
			}
		}
	}
}

func TestATruncatedOrPaddedTokenIsMalformed(t *testing.T) {
	s := NewSealer(keyOne)
	sealed := s.Seal("arena", sample(t))
	for _, token := range []string{"", sealed[:TokenLength-1], sealed + "=", sealed + sealed, strings.Repeat("A", 1<<20), "ä" + sealed[2:]} {
		if _, err := s.Open("arena", token); !errors.Is(err, ErrMalformed) {
			t.Errorf("%.20q: %v", token, err)
		}
	}
}

func TestKeysOverlapWhileTheyRotate(t *testing.T) {
	before, during, after := NewSealer(keyOne), NewSealer(keyTwo, keyOne), NewSealer(keyTwo)
	sealed := before.Seal("arena", sample(t))
	if _, err := during.Open("arena", sealed); err != nil {
		t.Error(err)
	}
	if _, err := after.Open("arena", during.Seal("arena", sample(t))); err != nil {
		t.Error(err)
	}
	if _, err := after.Open("arena", sealed); !errors.Is(err, ErrUnknownKey) {
		t.Error(err)
	}
}

func TestAKeyWithTheIDOfAnotherDoesNotOpenItsTokens(t *testing.T) {
	imposter := Key{ID: keyOne.ID, Secret: keyTwo.Secret}
	if _, err := NewSealer(imposter).Open("arena", NewSealer(keyOne).Seal("arena", sample(t))); !errors.Is(err, ErrForged) {
		t.Fatal(err)
	}
}

func TestDrawnPlacesComeBeforeLiveOnesAndEveryTierBeforeTheNext(t *testing.T) {
	for i := range 1000 {
		if s := DrawScore([]byte("seed"), Visitor{byte(i), byte(i >> 8)}); s >= LiveBase {
			t.Fatalf("drawn score %d", s)
		}
	}
	last := LiveScore(Origin.AddDate(100, 0, 0))
	if LiveScore(Origin.AddDate(-1, 0, 0)) != LiveBase || last.Undrawn() || last.Tier() != 0 {
		t.Fatal("live scores leave their range")
	}
	for tier := range Tier(Tiers) {
		inLobby, late := tier.Undrawn(), tier.Base()+last
		if inLobby.Tier() != tier || !inLobby.Undrawn() || late >= inLobby || tier.Base() > inLobby {
			t.Fatalf("tier %d: %d, %d", tier, late, inLobby)
		}
		if tier != Deprioritised && inLobby >= (tier+1).Base() {
			t.Fatalf("tier %d does not end before the next", tier)
		}
	}
	if Deprioritised.Undrawn() != ScoreLimit-1 || Score(0).Undrawn() {
		t.Fatal("the last score is not the last")
	}
	if uint64(float64(ScoreLimit-1)) != uint64(ScoreLimit-1) {
		t.Fatal("a double does not hold the largest score")
	}
}

func TestLiveScoresTellTheirTime(t *testing.T) {
	at := time.Date(2026, 12, 1, 9, 0, 0, 123456000, time.UTC)
	if got := LiveTime(LiveScore(at)); !got.Equal(at) {
		t.Fatal(got)
	}
	if got := LiveTime(Deprioritised.Base() + LiveScore(at)); !got.Equal(at) {
		t.Fatal(got)
	}
	if !LiveTime(5).IsZero() || !LiveTime(Deprioritised.Base()).IsZero() || !LiveTime(Tier(0).Undrawn()).IsZero() {
		t.Fatal("a score that is not live has a time")
	}
}

func TestTheFrontOfOneTierSaysNothingAboutAnother(t *testing.T) {
	var f Fronts
	if !f.Raise(Fronts{2: Tier(2).Base() + 9}) || f.Raise(Fronts{2: Tier(2).Base() + 8}) {
		t.Fatal("a front only moves up")
	}
	for s, want := range map[Score]bool{0: false, 9: false, Tier(1).Undrawn(): false, Tier(2).Base() + 9: true, Tier(2).Base() + 10: false} {
		if f.Passed(s) != want {
			t.Errorf("passed(%d) is %v", s, !want)
		}
	}
}

func TestVisitorsReadBackAndNothingElseDoes(t *testing.T) {
	v, err := NewVisitor(bytes.NewReader(bytes.Repeat([]byte{0xfe}, 16)))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ParseVisitor(v.String()); err != nil || got != v {
		t.Fatal(got, err)
	}
	for _, s := range []string{"", v.String() + "A", v.String()[:21], "!" + v.String()[1:], v.String()[:21] + "_"} {
		if _, err := ParseVisitor(s); err == nil {
			t.Errorf("%q is a visitor", s)
		}
	}
	if _, err := NewVisitor(bytes.NewReader(nil)); err == nil {
		t.Error("a visitor was made without randomness")
	}
}

func FuzzOpen(f *testing.F) {
	s := NewSealer(keyOne, keyTwo)
	f.Add("arena", s.Seal("arena", Token{Visitor: Visitor{1}, Score: 5}))
	f.Add("", "")
	f.Fuzz(func(t *testing.T, room, token string) {
		opened, err := s.Open(room, token)
		if err == nil && s.Seal(room, opened) != token && NewSealer(keyTwo).Seal(room, opened) != token {
			t.Fatalf("%q opens but was not sealed", token)
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	s := NewSealer(keyOne)
	sealed := s.Seal("arena", sample(b))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Open("arena", sealed); err != nil {
			b.Fatal(err)
		}
	}
}
