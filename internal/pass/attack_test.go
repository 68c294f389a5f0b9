package pass

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// T-60: every known way to pass off something else as a pass.
func TestNoForgedPassIsAccepted(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	valid := d.sign(t, good())
	kid := d.signer.Ring().keys[0].id
	public, _ := d.signer.Key(kid)
	stranger := newDesk(t)
	cut := strings.LastIndexByte(valid, '.')
	unsigned := func(header string) string {
		return base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload(t, nil))) + "."
	}
	signed := func(method jwt.SigningMethod, key any, header map[string]any) string {
		token := jwt.NewWithClaims(method, toWire(good()))
		for k, v := range header {
			token.Header[k] = v
		}
		s, err := token.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ours := map[string]any{"typ": Type, "kid": kid}

	for name, tc := range map[string]struct {
		token string
		want  error
	}{
		"nothing":                {"", ErrMissing},
		"no dots":                {"pass", ErrMalformed},
		"four parts":             {valid + ".x", ErrMalformed},
		"only dots":              {"..", ErrMalformed},
		"too long":               {valid + strings.Repeat("A", MaxTokenLength), ErrMalformed},
		"alg none":               {unsigned(d.header(t, map[string]any{"alg": "none"})), ErrForged},
		"alg NONE":               {unsigned(d.header(t, map[string]any{"alg": "NONE"})), ErrForged},
		"no alg":                 {unsigned(d.header(t, map[string]any{"alg": nil})), ErrForged},
		"HS256 by the public":    {signed(jwt.SigningMethodHS256, []byte(public), ours), ErrForged},
		"ES256":                  {signed(jwt.SigningMethodES256, ec, ours), ErrForged},
		"another's key, our kid": {signed(jwt.SigningMethodEdDSA, stranger.signer.Ring().keys[0].private, ours), ErrForged},
		"another's key and kid":  {stranger.sign(t, good()), ErrForged},
		"no signature":           {valid[:cut+1], ErrForged},
		"signature of zeros":     {valid[:cut+1] + strings.Repeat("A", 86), ErrForged},
		"signature cut":          {valid[:len(valid)-1], ErrMalformed},
		"payload cut":            {valid[:cut-4] + valid[cut:], ErrMalformed},
		"no kid":                 {d.forge(t, d.header(t, map[string]any{"kid": nil}), payload(t, nil)), ErrForged},
		"empty kid":              {d.forge(t, d.header(t, map[string]any{"kid": ""}), payload(t, nil)), ErrForged},
		"unknown kid":            {d.forge(t, d.header(t, map[string]any{"kid": "x"}), payload(t, nil)), ErrForged},
		"long kid":               {d.forge(t, d.header(t, map[string]any{"kid": strings.Repeat("k", 1000)}), payload(t, nil)), ErrForged},
		"kid a number":           {d.forge(t, d.header(t, map[string]any{"kid": 1}), payload(t, nil)), ErrForged},
		"jku":                    {d.forge(t, d.header(t, map[string]any{"jku": "https://evil.example/jwks"}), payload(t, nil)), ErrMalformed},
		"x5u":                    {d.forge(t, d.header(t, map[string]any{"x5u": "https://evil.example/"}), payload(t, nil)), ErrMalformed},
		"jwk":                    {d.forge(t, d.header(t, map[string]any{"jwk": map[string]any{"kty": "OKP"}}), payload(t, nil)), ErrMalformed},
		"crit":                   {d.forge(t, d.header(t, map[string]any{"crit": []string{"b64"}}), payload(t, nil)), ErrMalformed},
		"no typ":                 {d.forge(t, d.header(t, map[string]any{"typ": nil}), payload(t, nil)), ErrMalformed},
		"typ JWT":                {d.forge(t, d.header(t, map[string]any{"typ": "JWT"}), payload(t, nil)), ErrMalformed},
		"another issuer":         {d.forge(t, d.header(t, nil), payload(t, map[string]any{"iss": "x"})), ErrForeign},
		"no issuer":              {d.forge(t, d.header(t, nil), payload(t, map[string]any{"iss": nil})), ErrMalformed},
		"another room":           {d.forge(t, d.header(t, nil), payload(t, map[string]any{"aud": []string{"club"}})), ErrForeign},
		"room's name begins so":  {d.forge(t, d.header(t, nil), payload(t, map[string]any{"aud": []string{"arena2"}})), ErrForeign},
		"no audience":            {d.forge(t, d.header(t, nil), payload(t, map[string]any{"aud": nil})), ErrMalformed},
		"no exp":                 {d.forge(t, d.header(t, nil), payload(t, map[string]any{"exp": nil})), ErrMalformed},
		"exp a text":             {d.forge(t, d.header(t, nil), payload(t, map[string]any{"exp": "later"})), ErrMalformed},
		"exp beyond all time":    {d.forge(t, d.header(t, nil), payload(t, map[string]any{"exp": 1e300})), nil},
		"expired":                {d.forge(t, d.header(t, nil), payload(t, map[string]any{"exp": opening.Unix() - 1})), ErrExpired},
		"no nbf":                 {d.forge(t, d.header(t, nil), payload(t, map[string]any{"nbf": nil})), ErrMalformed},
		"nbf in future":          {d.forge(t, d.header(t, nil), payload(t, map[string]any{"nbf": opening.Unix() + 6})), ErrNotYet},
		"no iat":                 {d.forge(t, d.header(t, nil), payload(t, map[string]any{"iat": nil})), ErrMalformed},
		"iat in future":          {d.forge(t, d.header(t, nil), payload(t, map[string]any{"iat": opening.Unix() + 6})), ErrNotYet},
		"iat and ims differ":     {d.forge(t, d.header(t, nil), payload(t, map[string]any{"ims": opening.UnixMilli() + 5000})), ErrMalformed},
		"a life of days":         {d.forge(t, d.header(t, nil), payload(t, map[string]any{"exp": opening.Add(MaxLife).Unix() + 1})), ErrMalformed},
		"a session of days":      {d.forge(t, d.header(t, nil), payload(t, map[string]any{"sms": opening.Add(-MaxLife).UnixMilli()})), ErrMalformed},
		"a session to come":      {d.forge(t, d.header(t, nil), payload(t, map[string]any{"sms": opening.UnixMilli() + 1})), ErrMalformed},
		"no sub":                 {d.forge(t, d.header(t, nil), payload(t, map[string]any{"sub": nil})), ErrMalformed},
		"no jti":                 {d.forge(t, d.header(t, nil), payload(t, map[string]any{"jti": nil})), ErrMalformed},
		"limit below zero":       {d.forge(t, d.header(t, nil), payload(t, map[string]any{"lim": -1})), ErrMalformed},
		"claim twice":            {d.forge(t, d.header(t, nil), strings.Replace(payload(t, nil), "{", `{"exp":1,`, 1)), ErrMalformed},
		"claim twice, in case":   {d.forge(t, d.header(t, nil), strings.Replace(payload(t, nil), "{", `{"EXP":1,`, 1)), ErrMalformed},
		"header member twice":    {d.forge(t, strings.Replace(d.header(t, nil), "{", `{"typ":"JWT",`, 1), payload(t, nil)), ErrMalformed},
		"payload no object":      {d.forge(t, d.header(t, nil), `[1]`), ErrMalformed},
		"payload and more":       {d.forge(t, d.header(t, nil), payload(t, nil)+"{}"), ErrMalformed},
		"padded":                 {valid + "==", ErrMalformed},
		"line break inside":      {valid[:len(valid)-3] + "\n" + valid[len(valid)-3:], ErrMalformed},
		"standard alphabet":      {strings.ReplaceAll(valid, "_", "/") + "+", ErrMalformed},
		"other trailing bits":    {valid[:len(valid)-1] + next(valid[len(valid)-1]), ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := d.verifier.Verify(tc.token, "arena")
			if err == nil {
				t.Fatal("accepted")
			}
			if tc.want != nil && !errors.Is(err, tc.want) {
				t.Fatalf("got %v, want %v", err, tc.want)
			}
		})
	}
}

// next is another character whose unused low bits are not zero.
func next(c byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(alphabet[strings.IndexByte(alphabet, c)|1])
}

func TestEveryTruncationOfAPassIsRefused(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	token := d.sign(t, good())
	for i := range len(token) {
		if _, err := d.verifier.Verify(token[:i], "arena"); err == nil {
			t.Fatalf("accepted with %d of %d bytes", i, len(token))
		}
	}
}

func TestEveryFlippedByteIsRefused(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	token := []byte(d.sign(t, good()))
	for i := range token {
		was := token[i]
		token[i] ^= 1
		if _, err := d.verifier.Verify(string(token), "arena"); err == nil {
			t.Fatalf("accepted with byte %d changed", i)
		}
		token[i] = was
	}
}

func TestASlowClockIsForgivenFiveSeconds(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	c := good()
	c.IssuedAt = opening.Add(Leeway - time.Second)
	if _, err := d.verifier.Verify(d.sign(t, c), "arena"); err != nil {
		t.Fatal(err)
	}
}

func FuzzVerify(f *testing.F) {
	d := newDesk(f)
	valid := d.sign(f, good())
	f.Add(valid)
	f.Add(valid[:len(valid)-1])
	f.Add("..")
	f.Add(d.forge(f, d.header(f, nil), payload(f, map[string]any{"exp": 1e300})))
	f.Add(d.forge(f, d.header(f, map[string]any{"alg": "none"}), `{"aud":[[]]}`))
	f.Fuzz(func(t *testing.T, token string) {
		c, err := NewVerifier(d.signer, d.clock).Verify(token, "arena")
		if err == nil && (token != valid || c != good()) {
			t.Fatalf("accepted %q", token)
		}
	})
}
