package invite

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

var (
	noon   = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	key    = bytes.Repeat([]byte{1}, 32)
	signer = NewSigner(key, "arena")
)

func invitation(t testing.TB) Invitation {
	t.Helper()
	id, err := NewID(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return Invitation{ID: id, Expires: noon.Add(time.Hour), Tier: "Members’ presale", Name: "press"}
}

func sealed(t testing.TB, i Invitation) string {
	t.Helper()
	token, err := signer.Invitation(i)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestALinkSaysWhatWasSigned(t *testing.T) {
	t.Parallel()
	full := invitation(t)
	for _, i := range []Invitation{
		full,
		{ID: full.ID, Expires: full.Expires},
		{ID: full.ID, Expires: full.Expires, Tier: strings.Repeat("t", MaxText), Name: strings.Repeat("n", MaxText)},
	} {
		token := sealed(t, i)
		if got, err := signer.OpenInvitation(token, noon); err != nil || got != i {
			t.Errorf("%+v became %+v (%v)", i, got, err)
		}
		if len(token) > MaxLength {
			t.Errorf("%d characters are more than MaxLength", len(token))
		}
	}
	h := Handover{full.ID, full.Expires, place.Token{Visitor: place.Visitor{7}, Score: 1 << 52, Joined: noon.Add(time.Microsecond), Generation: 9}}
	if got, err := signer.OpenHandover(signer.Handover(h), noon); err != nil || got != h {
		t.Errorf("%+v became %+v (%v)", h, got, err)
	}
	if _, err := signer.Invitation(Invitation{Tier: strings.Repeat("t", MaxText+1)}); err == nil {
		t.Error("a tier without an end is signed")
	}
}

func TestALinkEnds(t *testing.T) {
	t.Parallel()
	i := invitation(t)
	token := sealed(t, i)
	for at, want := range map[time.Time]error{
		i.Expires.Add(-time.Nanosecond): nil, i.Expires: ErrExpired, i.Expires.Add(time.Hour): ErrExpired,
	} {
		if got, err := signer.OpenInvitation(token, at); !errors.Is(err, want) || got != i {
			t.Errorf("at %v: %+v, %v", at, got, err)
		}
	}
}

func TestNoOtherLinkOpens(t *testing.T) {
	t.Parallel()
	i := invitation(t)
	good := sealed(t, i)
	raw, err := base64.RawURLEncoding.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	for bit := range len(raw) * 8 {
		raw[bit/8] ^= 1 << (bit % 8)
		if _, err := signer.OpenInvitation(base64.RawURLEncoding.EncodeToString(raw), noon); !errors.Is(err, ErrInvalid) {
			t.Errorf("with bit %d turned: %v", bit, err)
		}
		raw[bit/8] ^= 1 << (bit % 8)
	}
	for n := range good {
		if _, err := signer.OpenInvitation(good[:n], noon); !errors.Is(err, ErrInvalid) {
			t.Errorf("the first %d characters: %v", n, err)
		}
	}
	other := func(s *Signer) string {
		token, err := s.Invitation(i)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	for name, token := range map[string]string{
		"nothing":            "",
		"of another room":    other(NewSigner(key, "club")),
		"of another key":     other(NewSigner(bytes.Repeat([]byte{2}, 32), "arena")),
		"of another kind":    signer.Handover(Handover{ID: i.ID, Expires: i.Expires}),
		"longer":             good + "A",
		"padded":             good + "=",
		"with a line end":    good + "\n",
		"in standard base64": base64.StdEncoding.EncodeToString(raw),
		"an id":              i.ID.String(),
		"a place":            place.NewSealer(place.Key{ID: 1}).Seal("arena", place.Token{Score: 1}),
		"without an end":     strings.Repeat("A", 1<<20),
	} {
		if _, err := signer.OpenInvitation(token, noon); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := signer.OpenHandover(good, noon); !errors.Is(err, ErrInvalid) {
		t.Errorf("an invitation is taken for a handover: %v", err)
	}
}

// The bytes that base64 leaves over at the end are no second way to write a link:
// it would be used up under one name and stay good under another.
func TestThereIsOneWayToWriteALink(t *testing.T) {
	t.Parallel()
	i := invitation(t)
	for _, name := range []string{"", "a", "ab"} {
		i.Name = name
		good := sealed(t, i)
		for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" {
			if token := good[:len(good)-1] + string(c); token != good {
				if _, err := signer.OpenInvitation(token, noon); !errors.Is(err, ErrInvalid) {
					t.Errorf("…%s opens like …%s", token[len(token)-2:], good[len(good)-2:])
				}
			}
		}
	}
}

func FuzzOpen(f *testing.F) {
	f.Add("")
	f.Add(strings.Repeat("A", 60))
	if token, err := signer.Invitation(Invitation{Expires: noon.Add(time.Hour), Tier: "a", Name: "b"}); err == nil {
		f.Add(token)
	}
	f.Add(signer.Handover(Handover{Expires: noon.Add(time.Hour)}))
	f.Fuzz(func(t *testing.T, token string) {
		if i, err := signer.OpenInvitation(token, noon); err == nil {
			if again, err := signer.Invitation(i); err != nil || again != token {
				t.Errorf("%q opens, and is written %q (%v)", token, again, err)
			}
		}
		if h, err := signer.OpenHandover(token, noon); err == nil && signer.Handover(h) != token {
			t.Errorf("%q opens, and is written otherwise", token)
		}
	})
}
