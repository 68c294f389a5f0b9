package pass

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// wireClaims is the payload of a pass.
type wireClaims struct {
	jwt.RegisteredClaims
	Limit         int    `json:"lim,omitempty"`
	Binding       string `json:"bnd,omitempty"`
	BeganMilli    int64  `json:"sms,omitempty"` // when the session began, where that is not iat
	IssuedAtMilli int64  `json:"ims"`           // iat in milliseconds; iat itself stays whole seconds for other people's libraries
}

func toWire(c Claims) wireClaims {
	w := wireClaims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer:    Issuer,
			Subject:   c.Visitor,
			Audience:  jwt.ClaimStrings{c.Room},
			ID:        c.ID,
			IssuedAt:  jwt.NewNumericDate(c.IssuedAt.Truncate(time.Second)),
			NotBefore: jwt.NewNumericDate(c.IssuedAt.Truncate(time.Second)),
			ExpiresAt: jwt.NewNumericDate(c.Expires.Truncate(time.Second)),
		},
		Limit:         c.Limit,
		Binding:       c.Binding,
		IssuedAtMilli: c.IssuedAt.UnixMilli(),
	}
	if began := c.began().UnixMilli(); began != w.IssuedAtMilli {
		w.BeganMilli = began
	}
	return w
}

// claims is the way back. What the library does not insist on is checked here.
func (w *wireClaims) claims(audience string) (Claims, error) {
	if w.Subject == "" || w.ID == "" || w.IssuedAt == nil || w.Limit < 0 {
		return Claims{}, ErrMalformed
	}
	issued, began := time.UnixMilli(w.IssuedAtMilli), time.UnixMilli(w.IssuedAtMilli)
	if w.BeganMilli != 0 {
		began = time.UnixMilli(w.BeganMilli)
	}
	if issued.Unix() != w.IssuedAt.Unix() || began.After(issued) || w.ExpiresAt.Sub(began) > MaxLife {
		return Claims{}, ErrMalformed
	}
	return Claims{
		Room:     audience,
		Visitor:  w.Subject,
		ID:       w.ID,
		IssuedAt: issued.UTC(),
		Expires:  w.ExpiresAt.UTC(),
		Began:    began.UTC(),
		Limit:    w.Limit,
		Binding:  w.Binding,
	}, nil
}

var errDuplicate = errors.New("a member is there twice")

// refuseDuplicates fails on a JSON object that has one member twice. Parsers
// disagree on which one counts (RFC 8259, section 4), and encoding/json matches
// names in any case, so "exp" and "EXP" are one member here.
func refuseDuplicates(object []byte) error {
	dec := json.NewDecoder(bytes.NewReader(object))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return ErrMalformed
	}
	var seen [24]string // ours have eleven
	for n := 0; dec.More(); n++ {
		t, err := dec.Token()
		if err != nil || n == len(seen) {
			return ErrMalformed
		}
		name := strings.ToLower(t.(string)) // the decoder yields nothing else for a name
		for _, s := range seen[:n] {
			if s == name {
				return errDuplicate
			}
		}
		seen[n] = name
		var skipped json.RawMessage
		if err := dec.Decode(&skipped); err != nil {
			return ErrMalformed
		}
	}
	return nil
}
