package place

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash"
	"sync"
	"time"
)

// Token is what a place cookie says.
type Token struct {
	Visitor Visitor
	Score   Score     // 0: a visitor that has no place yet
	Joined  time.Time // when the score was given, to the microsecond
	// Generation is that of the queue which entered the place; 0 if it was
	// signed while the queue was away and has yet to be entered.
	Generation uint32
}

// Placed says whether the token stands for a place and not only for a visitor.
func (t Token) Placed() bool { return t.Score != 0 }

// Key signs tokens. The id tells keys apart while one replaces another.
type Key struct {
	ID     uint8
	Secret [32]byte
}

// Why a token does not open. All three mean the same to a client: no place.
var (
	ErrMalformed  = errors.New("not a place token")
	ErrUnknownKey = errors.New("place token of an unknown key")
	ErrForged     = errors.New("place token whose signature does not hold")
)

// The layout of a token, before base64url:
//
//	version 1 | key id 1 | visitor 16 | score 8 | joined 8 | generation 4 | mac 16
//
// The mac is HMAC-SHA256 over what stands before it and the room's name, cut to
// 128 bits (RFC 2104 allows half of the hash): 54 bytes, 72 characters. A
// cookie of that size costs five million fans 360 MB of cookies in all, none of it ours.
const (
	version    = 1
	bodyLength = 1 + 1 + 16 + 8 + 8 + 4
	macLength  = 16
	rawLength  = bodyLength + macLength
	// TokenLength is that of every token.
	TokenLength = (rawLength*8 + 5) / 6
)

// Sealer makes and opens tokens. It is safe for concurrent use.
type Sealer struct {
	current uint8
	macs    map[uint8]*sync.Pool // of hash.Hash keyed with the secret
}

// NewSealer seals with current and opens with any of the keys.
func NewSealer(current Key, previous ...Key) *Sealer {
	s := &Sealer{current: current.ID, macs: make(map[uint8]*sync.Pool, 1+len(previous))}
	for _, k := range append(previous[:len(previous):len(previous)], current) {
		s.macs[k.ID] = &sync.Pool{New: func() any { return hmac.New(sha256.New, k.Secret[:]) }}
	}
	return s
}

// Seal signs t for the room.
func (s *Sealer) Seal(room string, t Token) string {
	var raw [rawLength]byte
	raw[0], raw[1] = version, s.current
	copy(raw[2:], t.Visitor[:])
	binary.BigEndian.PutUint64(raw[18:], uint64(t.Score))
	if !t.Joined.IsZero() {
		binary.BigEndian.PutUint64(raw[26:], uint64(t.Joined.UnixMicro()))
	}
	binary.BigEndian.PutUint32(raw[34:], t.Generation)
	mac := s.mac(s.macs[s.current], room, raw[:bodyLength])
	copy(raw[bodyLength:], mac[:])
	return base64.RawURLEncoding.EncodeToString(raw[:])
}

// Open returns what a token of the room says. Its errors are ErrMalformed,
// ErrUnknownKey and ErrForged; a token of another room is forged.
func (s *Sealer) Open(room, token string) (Token, error) {
	if len(token) != TokenLength {
		return Token{}, ErrMalformed
	}
	var raw [rawLength]byte
	if _, err := base64.RawURLEncoding.Strict().Decode(raw[:], []byte(token)); err != nil || raw[0] != version {
		return Token{}, ErrMalformed
	}
	pool, known := s.macs[raw[1]]
	if !known {
		return Token{}, ErrUnknownKey
	}
	mac := s.mac(pool, room, raw[:bodyLength])
	if !hmac.Equal(mac[:], raw[bodyLength:]) { // constant time: a mac must not be guessed byte by byte
		return Token{}, ErrForged
	}
	t := Token{
		Visitor:    Visitor(raw[2:18]),
		Score:      Score(binary.BigEndian.Uint64(raw[18:])),
		Generation: binary.BigEndian.Uint32(raw[34:]),
	}
	if µs := binary.BigEndian.Uint64(raw[26:]); µs != 0 {
		t.Joined = time.UnixMicro(int64(µs)).UTC()
	}
	return t, nil
}

// mac covers the length of the room's name before the name itself, so that no
// room and body can be read as another room and another body.
func (s *Sealer) mac(pool *sync.Pool, room string, body []byte) [macLength]byte {
	h := pool.Get().(hash.Hash)
	defer pool.Put(h)
	h.Reset()
	var length [2]byte
	binary.BigEndian.PutUint16(length[:], uint16(len(room)))
	h.Write(length[:])
	h.Write([]byte(room))
	h.Write(body)
	var sum [sha256.Size]byte
	return [macLength]byte(h.Sum(sum[:0]))
}
