package pow

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/clock"
)

// Key seals challenges. ID tells it from the one before it.
type Key struct {
	ID     byte
	Secret [32]byte
}

// Issuer makes challenges and checks answers. It keeps nothing of either and is
// safe for concurrent use.
type Issuer struct {
	current  Key
	previous []Key
	clock    clock.Clock
	rand     io.Reader
}

// NewIssuer seals with current and also takes what previous keys sealed.
func NewIssuer(clk clock.Clock, current Key, previous ...Key) *Issuer {
	return &Issuer{current: current, previous: previous, clock: clk, rand: rand.Reader}
}

// Issue makes a challenge. It fails for work outside of the limits.
func (i *Issuer) Issue(bound Binding, w Work) (token string, err error) {
	if err := w.Check(); err != nil {
		return "", err
	}
	var b body
	b[0], b[atKey] = version, i.current.ID
	b[atCount], b[atBits] = byte(w.Count), byte(w.Bits)
	b[atWait], b[atAction] = byte(w.Wait/time.Second), byte(bound.Action)
	binary.BigEndian.PutUint32(b[atIssued:], uint32(i.clock.Now().Unix()))
	binary.BigEndian.PutUint16(b[atLife:], uint16(w.Life/time.Second))
	if _, err := io.ReadFull(i.rand, b[atSalt:atVisitor]); err != nil {
		return "", fmt.Errorf("making a challenge: %w", err)
	}
	copy(b[atVisitor:], bound.Visitor[:])
	mac := seal(&i.current, bound.Room, &b)
	return encoding.EncodeToString(append(b[:], mac[:]...)), nil
}

// Check refuses work outside of the limits.
func (w Work) Check() error {
	switch {
	case w.Count < 1 || w.Count > MaxCount:
		return fmt.Errorf("a challenge of %d puzzles: it must be 1 to %d", w.Count, MaxCount)
	case w.Bits < 1 || w.Bits > MaxBits:
		return fmt.Errorf("puzzles of %d bits: it must be 1 to %d", w.Bits, MaxBits)
	case w.Wait < 0 || w.Wait > MaxWait:
		return fmt.Errorf("a wait of %s: it must be at most %s", w.Wait, MaxWait)
	case w.Life < time.Second || w.Life > MaxLife || w.Wait >= w.Life:
		return fmt.Errorf("a life of %s: it must be at most %s and longer than the wait", w.Life, MaxLife)
	}
	return nil
}

// waited is how an answer says that it waited instead of working.
const waited = "wait"

// Verify says whether an answer is good for what it is used for: nil, or one of
// this package's errors. What is cheap comes first, so that a wrong answer costs
// some microseconds however it is wrong: its length, the seal, the time, what it
// was made for, and only then the work, puzzle by puzzle until one fails.
func (i *Issuer) Verify(answer string, bound Binding) error {
	token, proof, b, err := i.open(answer, bound)
	if err != nil {
		return err
	}
	if proof == waited {
		if b[atWait] == 0 {
			return ErrWrong
		}
		if i.Remaining(token, bound) > 0 {
			return ErrTooEarly
		}
		return nil
	}
	return work(token, proof, b)
}

// open checks everything about an answer but its proof.
func (i *Issuer) open(answer string, bound Binding) (token, proof string, b *body, err error) {
	if len(answer) > maxAnswer {
		return "", "", nil, ErrMalformed
	}
	token, proof, ok := strings.Cut(answer, ".")
	if !ok || len(token) != tokenLen {
		return "", "", nil, ErrMalformed
	}
	var raw [bodyLen + macLen]byte
	// The length is compared too: the decoder skips line breaks.
	if n, err := encoding.Decode(raw[:], []byte(token)); err != nil || n != len(raw) || raw[0] != version {
		return "", "", nil, ErrMalformed
	}
	b = (*body)(raw[:])
	key := i.key(b[atKey])
	if key == nil {
		return "", "", nil, ErrForged
	}
	mac := seal(key, bound.Room, b)
	if !hmac.Equal(mac[:], raw[bodyLen:]) {
		return "", "", nil, ErrForged
	}
	now := i.clock.Now()
	switch age := now.Sub(b.issued()); {
	case age > b.life():
		return "", "", nil, ErrExpired
	case age < -leeway: // another edge's clock is ahead; further is no clock of ours
		return "", "", nil, ErrForged
	case Action(b[atAction]) != bound.Action || [16]byte(b[atVisitor:]) != bound.Visitor:
		return "", "", nil, ErrForeign
	}
	return token, proof, b, nil
}

// leeway is how far the clocks of two edges may differ.
const leeway = 5 * time.Second

// Remaining is how long ".wait" is still too early, zero if it is not or if the
// token is none of ours.
func (i *Issuer) Remaining(token string, bound Binding) time.Duration {
	_, _, b, err := i.open(token+"."+waited, bound)
	if err != nil {
		return 0
	}
	return max(0, b.issued().Add(b.wait()).Sub(i.clock.Now()))
}

func (i *Issuer) key(id byte) *Key {
	if i.current.ID == id {
		return &i.current
	}
	for n := range i.previous {
		if i.previous[n].ID == id {
			return &i.previous[n]
		}
	}
	return nil
}

// seal is the code over a challenge and the room it is for. The room's length
// comes first, so that no room's name can run into the body.
func seal(k *Key, room string, b *body) (mac [macLen]byte) {
	h := hmac.New(sha256.New, k.Secret[:])
	var length [4]byte
	binary.BigEndian.PutUint32(length[:], uint32(len(room)))
	for _, part := range [][]byte{[]byte("pow1"), length[:], []byte(room), b[:]} {
		_, _ = h.Write(part) // a hash does not fail
	}
	copy(mac[:], h.Sum(nil))
	return mac
}

// work checks the nonces.
func work(token, proof string, b *body) error {
	if len(proof) != encoding.EncodedLen(b.count()*nonceLen) {
		return ErrMalformed
	}
	var nonces [MaxCount * nonceLen]byte
	if n, err := encoding.Decode(nonces[:], []byte(proof)); err != nil || n != b.count()*nonceLen {
		return ErrMalformed
	}
	m := newMessage(token, 0)
	for puzzle := range b.count() {
		binary.BigEndian.PutUint32(m[sha256.Size:], uint32(puzzle))
		if !m.solvedBy(binary.BigEndian.Uint32(nonces[puzzle*nonceLen:]), b.bits()) {
			return ErrWrong
		}
	}
	return nil
}
