package pass

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
)

// maxJWKSKeys bounds what is taken from a key set document.
const maxJWKSKeys = 32

// publicJWK is one Ed25519 public key as RFC 8037, section 2 writes it.
type publicJWK struct {
	KeyType   string `json:"kty"`
	Curve     string `json:"crv"`
	X         string `json:"x"`
	KeyID     string `json:"kid"`
	Use       string `json:"use"`
	Algorithm string `json:"alg"`
}

func newPublicJWK(key ed25519.PublicKey) publicJWK {
	return publicJWK{
		KeyType:   "OKP",
		Curve:     "Ed25519",
		X:         base64.RawURLEncoding.EncodeToString(key),
		KeyID:     thumbprint(key),
		Use:       "sig",
		Algorithm: Algorithm,
	}
}

// thumbprint is the kid of a key: its JWK thumbprint (RFC 7638). It follows from
// the key, so two edges can never give one kid to two keys.
func thumbprint(key ed25519.PublicKey) string {
	x := base64.RawURLEncoding.EncodeToString(key)
	sum := sha256.Sum256([]byte(`{"crv":"Ed25519","kty":"OKP","x":"` + x + `"}`))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func marshalJWKS(keys []ed25519.PublicKey) ([]byte, error) {
	doc := struct {
		Keys []publicJWK `json:"keys"`
	}{Keys: make([]publicJWK, 0, len(keys))}
	for _, k := range keys {
		doc.Keys = append(doc.Keys, newPublicJWK(k))
	}
	out, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("writing the key set: %w", err)
	}
	return out, nil
}

// parseJWKS reads the Ed25519 signature keys of a key set and passes over keys
// of other kinds, as RFC 7517, section 5 asks. A set without one is an error: it
// is likelier a wrong URL than a wish to refuse everybody.
func parseJWKS(data []byte) (map[string]ed25519.PublicKey, error) {
	var doc struct {
		Keys []publicJWK `json:"keys"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("reading the key set: %w", err)
	}
	if len(doc.Keys) > maxJWKSKeys {
		return nil, fmt.Errorf("reading the key set: %d keys, more than %d", len(doc.Keys), maxJWKSKeys)
	}
	keys := make(map[string]ed25519.PublicKey, len(doc.Keys))
	for _, k := range doc.Keys {
		if k.KeyType != "OKP" || k.Curve != "Ed25519" || (k.Use != "" && k.Use != "sig") {
			continue
		}
		x, err := base64.RawURLEncoding.Strict().DecodeString(k.X)
		if err != nil || len(x) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("reading the key set: key %q is not 32 bytes of base64url", k.KeyID)
		}
		if k.KeyID != thumbprint(x) {
			return nil, fmt.Errorf("reading the key set: kid %q does not belong to its key", k.KeyID)
		}
		keys[k.KeyID] = x
	}
	if len(keys) == 0 {
		return nil, errors.New("reading the key set: it has no Ed25519 signature key")
	}
	return keys, nil
}
