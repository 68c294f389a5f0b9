package pass

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

const (
	// Overlap is how long a new key is published before it signs, so that every
	// verifier has seen it by then: RemoteJWKS looks again at least every five minutes.
	Overlap = 10 * time.Minute

	// maxKeys bounds a stored ring. One signs, one waits, the others finish.
	maxKeys = 8
)

// KeyRing is a set of signing keys, oldest first. It is immutable: Rotate
// returns a new ring. Storing it is the caller's job; Marshal has the secrets.
type KeyRing struct {
	keys []ringKey
	jwks []byte
}

type ringKey struct {
	id        string
	private   ed25519.PrivateKey
	signsFrom time.Time
}

// NewKeyRing makes a ring of one key that signs at once.
func NewKeyRing(rand io.Reader, now time.Time) (*KeyRing, error) {
	key, err := newRingKey(rand, now)
	if err != nil {
		return nil, err
	}
	return newRing([]ringKey{key})
}

// Rotate returns a ring with one more key, which signs from now+Overlap on.
// Keys that cannot have signed a pass that is still alive are left out.
// Rotating again within the overlap adds nothing and returns the ring itself.
func (r *KeyRing) Rotate(rand io.Reader, now time.Time) (*KeyRing, error) {
	if r.keys[len(r.keys)-1].signsFrom.After(now) {
		return r, nil
	}
	key, err := newRingKey(rand, now.Add(Overlap))
	if err != nil {
		return nil, err
	}
	kept := make([]ringKey, 0, len(r.keys)+1)
	for i, k := range r.keys {
		retired := i+1 < len(r.keys) && now.Sub(r.keys[i+1].signsFrom) > MaxLife
		if !retired {
			kept = append(kept, k)
		}
	}
	if len(kept) >= maxKeys {
		return nil, fmt.Errorf("rotating the pass keys: %d keys are still needed by passes that may be alive; wait a day", len(kept))
	}
	return newRing(append(kept, key))
}

// signing is the newest key that may sign at now.
func (r *KeyRing) signing(now time.Time) ringKey {
	for i := len(r.keys) - 1; i > 0; i-- {
		if !r.keys[i].signsFrom.After(now) {
			return r.keys[i]
		}
	}
	return r.keys[0] // a clock set back must not stop the sale
}

// Key implements KeySource. Keys that do not sign yet verify already.
func (r *KeyRing) Key(kid string) (ed25519.PublicKey, bool) {
	for _, k := range r.keys {
		if k.id == kid {
			return k.private.Public().(ed25519.PublicKey), true
		}
	}
	return nil, false
}

// JWKS is the public key set document (RFC 7517). Callers must not change it.
func (r *KeyRing) JWKS() []byte { return r.jwks }

// storedKey is a ring key in storage: a private JWK with the time it starts to sign.
type storedKey struct {
	publicJWK
	D         string    `json:"d"`
	SignsFrom time.Time `json:"signsFrom"`
}

// Marshal is the ring with its private keys, for storage.
func (r *KeyRing) Marshal() ([]byte, error) {
	doc := struct {
		Keys []storedKey `json:"keys"`
	}{}
	for _, k := range r.keys {
		doc.Keys = append(doc.Keys, storedKey{
			publicJWK: newPublicJWK(k.private.Public().(ed25519.PublicKey)),
			D:         base64.RawURLEncoding.EncodeToString(k.private.Seed()),
			SignsFrom: k.signsFrom.UTC(),
		})
	}
	return json.Marshal(doc)
}

// ParseKeyRing reads what Marshal wrote. Errors never quote key material.
func ParseKeyRing(data []byte) (*KeyRing, error) {
	var doc struct {
		Keys []storedKey `json:"keys"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, errors.New("reading the pass keys: not a JSON key set")
	}
	if len(doc.Keys) == 0 || len(doc.Keys) > maxKeys {
		return nil, fmt.Errorf("reading the pass keys: %d keys, want 1 to %d", len(doc.Keys), maxKeys)
	}
	keys := make([]ringKey, 0, len(doc.Keys))
	for i, s := range doc.Keys {
		seed, err := base64.RawURLEncoding.Strict().DecodeString(s.D)
		if err != nil || len(seed) != ed25519.SeedSize {
			return nil, fmt.Errorf("reading the pass keys: key %d has no 32-byte seed", i)
		}
		private := ed25519.NewKeyFromSeed(seed)
		if want := newPublicJWK(private.Public().(ed25519.PublicKey)); s.publicJWK != want {
			return nil, fmt.Errorf("reading the pass keys: key %d has a public part that is not its own", i)
		}
		if i > 0 && s.SignsFrom.Before(keys[i-1].signsFrom) {
			return nil, fmt.Errorf("reading the pass keys: key %d is out of order", i)
		}
		keys = append(keys, ringKey{id: s.KeyID, private: private, signsFrom: s.SignsFrom})
	}
	return newRing(keys)
}

func newRing(keys []ringKey) (*KeyRing, error) {
	public := make([]ed25519.PublicKey, 0, len(keys))
	for _, k := range keys {
		public = append(public, k.private.Public().(ed25519.PublicKey))
	}
	jwks, err := marshalJWKS(public)
	if err != nil {
		return nil, err
	}
	return &KeyRing{keys: keys, jwks: jwks}, nil
}

func newRingKey(rand io.Reader, signsFrom time.Time) (ringKey, error) {
	seed := make([]byte, ed25519.SeedSize)
	if _, err := io.ReadFull(rand, seed); err != nil {
		return ringKey{}, fmt.Errorf("making a pass key: %w", err)
	}
	private := ed25519.NewKeyFromSeed(seed)
	id := thumbprint(private.Public().(ed25519.PublicKey))
	return ringKey{id: id, private: private, signsFrom: signsFrom}, nil
}
