package invite

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"
)

// Signer signs and opens the links of one room. It is safe for concurrent use.
type Signer struct {
	key  []byte
	room string
}

// NewSigner takes a key that signs nothing else.
func NewSigner(key []byte, room string) *Signer { return &Signer{key, room} }

// kind keeps a link of one purpose from being read as one of another, should both
// ever have the same key.
type kind byte

const (
	kindInvitation kind = iota + 1
	kindHandover
)

// The layout of a link, before base64url:
//
//	version 1 | kind 1 | id 16 | expires 8, Unix seconds | body | mac 16
//
// The mac is HMAC-SHA256 over the room and what stands before it, cut to 128 bits
// (RFC 2104 allows half of the hash). A link for a place has 104 characters.
const (
	version    = 1
	headLength = 1 + 1 + 16 + 8
	macLength  = 16
	// MaxLength is that of the longest link.
	MaxLength = ((headLength+1+2*MaxText+macLength)*8 + 5) / 6
)

func (s *Signer) seal(k kind, id ID, expires time.Time, body []byte) string {
	raw := append([]byte{version, byte(k)}, id[:]...)
	raw = binary.BigEndian.AppendUint64(raw, uint64(expires.Unix()))
	raw = append(raw, body...)
	return base64.RawURLEncoding.EncodeToString(append(raw, s.mac(raw)...))
}

// open checks a link before anything of it is looked at. With ErrExpired the rest
// is returned as well.
func (s *Signer) open(k kind, token string, now time.Time) (id ID, expires time.Time, body []byte, err error) {
	if len(token) > MaxLength {
		return ID{}, time.Time{}, nil, ErrInvalid
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	switch {
	// One link, one way to write it. Strict decoding would still pass over line ends.
	case err != nil || base64.RawURLEncoding.EncodeToString(raw) != token:
		return ID{}, time.Time{}, nil, ErrInvalid
	case len(raw) < headLength+macLength || raw[0] != version || kind(raw[1]) != k:
		return ID{}, time.Time{}, nil, ErrInvalid
	}
	signed, mac := raw[:len(raw)-macLength], raw[len(raw)-macLength:]
	if !hmac.Equal(mac, s.mac(signed)) { // constant time: a mac must not be guessed byte by byte
		return ID{}, time.Time{}, nil, ErrInvalid
	}
	expires = time.Unix(int64(binary.BigEndian.Uint64(signed[18:])), 0).UTC()
	if !now.Before(expires) {
		err = ErrExpired
	}
	return ID(signed[2:18]), expires, signed[headLength:], err
}

// mac covers the length of the room's name before the name itself, so that no room
// and link can be read as another room and another link.
func (s *Signer) mac(signed []byte) []byte {
	h := hmac.New(sha256.New, s.key)
	h.Write(binary.BigEndian.AppendUint16(nil, uint16(len(s.room))))
	h.Write([]byte(s.room))
	h.Write(signed)
	return h.Sum(nil)[:macLength]
}
