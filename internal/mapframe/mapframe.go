// Package mapframe is the wire form of the live seat map, shared by the
// allocator that makes it, the edge that fans it out and every Go client.
// It may be imported by everything and imports only the standard library.
//
// A map is two bits a cell, found by the cell's ordinal, and a version. A
// viewer gets one snapshot and then deltas; each delta says which version it
// starts from. The invariant that keeps ghost seats away: a delta is applied
// to exactly the version it starts from, and to nothing else. Whoever is at
// another version takes a new snapshot.
//
//	0x01 snapshot  u8, uvarint epoch, uvarint ver, uvarint cells, ceil(cells/4) bytes
//	0x02 delta     u8, uvarint epoch, uvarint fromVer, uvarint toVer, uvarint(gap<<2|state)…
//	0x03 counts    u8, JSON (the same document as GET summary)
//
// Cell i is in byte i/4, bits (i%4)*2. The gap of a change is its ordinal less
// the ordinal of the change before it, which for the first one is -1: so a gap
// is at least 1 and a delta cannot name a cell twice.
package mapframe

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Subprotocol is the WebSocket subprotocol that carries these frames, one
// frame to a binary message.
const Subprotocol = "tickets.map.v1"

// ContentType is the media type of a snapshot frame sent over plain HTTP.
const ContentType = "application/vnd.tickets.map+octet-stream"

// MaxCells bounds a map: 200,000 cells are 50 KB. The largest stadiums have
// 130,000 places.
const MaxCells = 200_000

// MaxCounts bounds the document of a counts frame.
const MaxCounts = 64 << 10

// MaxFrame is the size of the largest frame that this package makes or reads.
// A delta never needs more than four bytes a change (gap<<2 < 2^20 needs
// three) and its head; MaxCells changes are 600 KB, but then a snapshot is shorter.
const MaxFrame = MaxCells*3 + 64

// Kind is the first byte of a frame.
type Kind byte

// The kinds of frame.
const (
	KindSnapshot Kind = 0x01
	KindDelta    Kind = 0x02
	KindCounts   Kind = 0x03
)

// State is what a map shows for one cell.
type State uint8

// The states of a cell. Paying is shown as Held.
const (
	Free State = iota
	Held
	Booked
	Blocked
)

// Version names one state of an event's map. Ver grows by one with every
// change of the map; Epoch grows when the map is rebuilt from the database,
// after which versions of an older epoch mean nothing.
type Version struct{ Epoch, Ver uint64 }

// String is the form used in URLs and, between quotes, in ETags: "epoch.ver".
func (v Version) String() string {
	return strconv.FormatUint(v.Epoch, 10) + "." + strconv.FormatUint(v.Ver, 10)
}

// ParseVersion reads what String wrote.
func ParseVersion(s string) (Version, error) {
	epoch, ver, found := strings.Cut(s, ".")
	if !found || len(s) > 41 { // two numbers of at most 20 digits
		return Version{}, fmt.Errorf("%w: a version is written epoch.ver", ErrMalformed)
	}
	e, err := strconv.ParseUint(epoch, 10, 64)
	if err != nil {
		return Version{}, fmt.Errorf("%w: reading epoch", ErrMalformed)
	}
	v, err := strconv.ParseUint(ver, 10, 64)
	if err != nil {
		return Version{}, fmt.Errorf("%w: reading version", ErrMalformed)
	}
	return Version{Epoch: e, Ver: v}, nil
}

var (
	// ErrMalformed is returned for bytes that are no frame.
	ErrMalformed = errors.New("malformed map frame")
	// ErrGap is returned when a delta does not start at the map's version:
	// take a new snapshot.
	ErrGap = errors.New("map delta does not follow")
)
