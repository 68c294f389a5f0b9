// Package invite makes and opens signed links that are good for one use: an
// invitation past the queue, and the way of a place to another device. It keeps
// nothing and knows no Redis and no HTTP; that a link is used once is kept by
// internal/queue, under the link's ID.
//
// What must hold: nobody without the key makes a link that opens; a link of one
// room, or of one kind, opens as no other; and there is one way to write each link.
package invite

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

// ID tells one link from all others. It is drawn at random.
type ID [16]byte

// NewID draws an ID from rand, which is crypto/rand.Reader outside tests.
func NewID(rand io.Reader) (ID, error) {
	var id ID
	if _, err := io.ReadFull(rand, id[:]); err != nil {
		return ID{}, fmt.Errorf("drawing a link: %w", err)
	}
	return id, nil
}

// String is the ID in 22 characters of unpadded base64url.
func (id ID) String() string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// Why a link does not open.
var (
	ErrInvalid = errors.New("not a link of this room")
	ErrExpired = errors.New("a link whose time is over")
)

// Invitation lets one guest past the queue, or into one of its tiers.
type Invitation struct {
	ID      ID
	Expires time.Time // to the second
	Tier    string    // empty: straight in
	Name    string    // what it is counted under; empty if nothing
}

// MaxText bounds the tier and the name of an invitation, each in bytes.
const MaxText = 64

// Invitation signs an invitation. Its tier and name have MaxText bytes at the most.
func (s *Signer) Invitation(i Invitation) (string, error) {
	if len(i.Tier) > MaxText || len(i.Name) > MaxText {
		return "", fmt.Errorf("signing an invitation: its tier and its name have %d bytes at the most", MaxText)
	}
	body := append([]byte{byte(len(i.Tier))}, i.Tier...)
	return s.seal(kindInvitation, i.ID, i.Expires, append(body, i.Name...)), nil
}

// OpenInvitation returns what an invitation says. One that is expired is returned
// with ErrExpired.
func (s *Signer) OpenInvitation(token string, now time.Time) (Invitation, error) {
	id, expires, body, err := s.open(kindInvitation, token, now)
	if err != nil && !errors.Is(err, ErrExpired) {
		return Invitation{}, err
	}
	tier := int(body[0]) // what is signed was well-formed
	return Invitation{ID: id, Expires: expires, Tier: string(body[1 : 1+tier]), Name: string(body[1+tier:])}, err
}

// Handover takes a place to another device.
type Handover struct {
	ID      ID
	Expires time.Time // to the second
	Place   place.Token
}

const placeLength = 16 + 8 + 8 + 4

// Handover signs a handover.
func (s *Signer) Handover(h Handover) string {
	var body [placeLength]byte
	copy(body[:], h.Place.Visitor[:])
	binary.BigEndian.PutUint64(body[16:], uint64(h.Place.Score))
	binary.BigEndian.PutUint64(body[24:], uint64(h.Place.Joined.UnixMicro()))
	binary.BigEndian.PutUint32(body[32:], h.Place.Generation)
	return s.seal(kindHandover, h.ID, h.Expires, body[:])
}

// OpenHandover returns what a handover says. One that is expired is returned with
// ErrExpired.
func (s *Signer) OpenHandover(token string, now time.Time) (Handover, error) {
	id, expires, body, err := s.open(kindHandover, token, now)
	if err != nil && !errors.Is(err, ErrExpired) {
		return Handover{}, err
	}
	return Handover{ID: id, Expires: expires, Place: place.Token{
		Visitor:    place.Visitor(body[:16]),
		Score:      place.Score(binary.BigEndian.Uint64(body[16:])),
		Joined:     time.UnixMicro(int64(binary.BigEndian.Uint64(body[24:]))).UTC(),
		Generation: binary.BigEndian.Uint32(body[32:]),
	}}, err
}
