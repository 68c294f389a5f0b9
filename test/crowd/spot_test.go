package crowd

import (
	"encoding/base64"
	bigendian "encoding/binary"
	"fmt"
	"strings"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

// placeCookie is the name of the cookie with a fan's place.
var placeCookie = place.CookieName(arena, false)

// readCookie reads a place cookie as anybody can; only the edges can tell whether its
// seal holds. See the layout in package place.
func readCookie(cookie string) (place.Visitor, place.Score, error) {
	_, value, _ := strings.Cut(cookie, "=")
	raw, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil || len(raw) < 26 {
		return place.Visitor{}, 0, fmt.Errorf("%q is no place cookie", cookie)
	}
	return place.Visitor(raw[2:18]), place.Score(bigendian.BigEndian.Uint64(raw[18:26])), nil
}

// spot is a fan's place as the fan knows it.
type spot struct {
	Visitor  string
	Score    place.Score // as first signed, or drawn
	Position int         // as last shown
	State    string
}

// The states of a fan.
const (
	waiting  = "waiting"
	admitted = "admitted" // told so
	inside   = "inside"   // has claimed
)

func (s spot) visitor() place.Visitor {
	v, err := place.ParseVisitor(s.Visitor)
	if err != nil {
		panic(err) // cannot be: our own process wrote it
	}
	return v
}
