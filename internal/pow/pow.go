// Package pow makes and checks proofs of work that cost a fan's browser a
// fraction of a second, and the server a few hashes and no memory.
//
// A challenge is stateless: everything about it stands in its token, sealed.
//
//	token   = base64url(body ‖ mac)                       70 characters
//	body    = version=1 ‖ key ‖ count ‖ bits ‖ wait ‖ action ‖ issued(4) ‖ life(2) ‖ salt(8) ‖ visitor(16)
//	mac     = first 16 bytes of HMAC-SHA256(secret, "pow1" ‖ len(room) ‖ room ‖ body)
//	seed    = SHA-256(token as text)
//	puzzle i: find a nonce so that SHA-256(seed ‖ i(4) ‖ nonce(4)) begins with `bits` zero bits, i = 0 … count-1
//	answer  = token "." base64url(nonce 0 ‖ nonce 1 ‖ …)  4 bytes each
//	        | token ".wait"                               not before issued + wait seconds
//
// Integers are big-endian, base64url is unpadded (RFC 4648, section 5). A solver
// needs nothing but the token: count is its third byte and bits its fourth. Each
// message is 40 bytes, one block of SHA-256. Many small puzzles instead of one
// large one make the time to solve even: its spread falls with the root of count.
//
// The second form of an answer is for browsers without scripts: it costs time
// instead of work.
//
// A challenge is bound to a room, an action and a visitor. An answer that is
// used twice can only ever enter the visitor it was made for, who then has one
// place already: replay gains nothing, and nothing has to be remembered. Work
// done in advance is bounded by the life of a challenge.
//
// The package imports nothing of this project but the visitor.
package pow

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math/bits"
	"strings"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

// Limits of a challenge. The upper ones keep a misconfigured server from asking
// for hours of work, and a verification below 10 µs.
const (
	MaxCount = 64
	MaxBits  = 24
	MaxWait  = 60 * time.Second
	MaxLife  = time.Hour
)

// Action is what an answer may be used for.
type Action byte

// The actions, as they stand in a token.
const (
	Join  Action = 1
	Claim Action = 2
)

// Work is what a challenge asks for.
type Work struct {
	Count int           // puzzles, 1 to MaxCount
	Bits  int           // leading zero bits of each, 1 to MaxBits; one more doubles the work
	Wait  time.Duration // whole seconds until ".wait" is taken instead; 0 never takes it
	Life  time.Duration // whole seconds until no answer is taken any more
}

// DefaultWork is 16 × 2^14 = 262,144 hashes on average: some 60 ms on a phone
// that hashes 4 million times a second (Cap's figure for a Galaxy A34 with
// WebAssembly), a quarter of a second in plain JavaScript.
var DefaultWork = Work{Count: 16, Bits: 14, Wait: 5 * time.Second, Life: 5 * time.Minute}

// Binding is what a challenge was made for.
type Binding struct {
	Room    string
	Action  Action
	Visitor place.Visitor
}

// Why an answer is not taken.
var (
	ErrMalformed = errors.New("not an answer to a challenge")
	ErrForged    = errors.New("challenge was not made here, or for another room")
	ErrForeign   = errors.New("challenge was made for another visitor or action")
	ErrExpired   = errors.New("challenge is too old")
	ErrTooEarly  = errors.New("the waiting time is not over")
	ErrWrong     = errors.New("the work was not done")
)

// Layout of a body.
const (
	version = 1

	atKey     = 1
	atCount   = 2
	atBits    = 3
	atWait    = 4
	atAction  = 5
	atIssued  = 6
	atLife    = 10
	atSalt    = 12
	atVisitor = 20
	bodyLen   = 36
	macLen    = 16

	nonceLen = 4
)

var encoding = base64.RawURLEncoding.Strict() // one text for one value

var (
	tokenLen  = encoding.EncodedLen(bodyLen + macLen)
	maxAnswer = tokenLen + 1 + encoding.EncodedLen(MaxCount*nonceLen)
)

// body is a challenge as it is sealed.
type body [bodyLen]byte

func (b *body) count() int        { return int(b[atCount]) }
func (b *body) bits() int         { return int(b[atBits]) }
func (b *body) issued() time.Time { return time.Unix(int64(binary.BigEndian.Uint32(b[atIssued:])), 0) }
func (b *body) wait() time.Duration {
	return time.Duration(b[atWait]) * time.Second
}
func (b *body) life() time.Duration {
	return time.Duration(binary.BigEndian.Uint16(b[atLife:])) * time.Second
}

// message is what is hashed for one puzzle.
type message [sha256.Size + 4 + nonceLen]byte

func newMessage(token string, puzzle int) (m message) {
	seed := sha256.Sum256([]byte(token))
	copy(m[:], seed[:])
	binary.BigEndian.PutUint32(m[sha256.Size:], uint32(puzzle))
	return m
}

// solvedBy says whether a nonce solves the puzzle.
func (m *message) solvedBy(nonce uint32, zeros int) bool {
	binary.BigEndian.PutUint32(m[sha256.Size+4:], nonce)
	sum := sha256.Sum256(m[:])
	return bits.LeadingZeros32(binary.BigEndian.Uint32(sum[:])) >= zeros
}

// waitSuffix is how an answer says that it waited instead of working.
const waitSuffix = ".wait"

// WaitAnswer is the answer of a client that waits.
func WaitAnswer(token string) string { return token + waitSuffix }

// Waited says whether an answer is one that waited.
func Waited(answer string) bool { return strings.HasSuffix(answer, waitSuffix) }

// TokenOf is the token that an answer is for.
func TokenOf(answer string) string {
	token, _, _ := strings.Cut(answer, ".")
	return token
}
