package room

import (
	"context"
	"math"
	"net"

	"github.com/caddy-tickets/caddy-tickets/internal/hub"
	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

// Park keeps an HTTP/1.1 connection without a goroutine and shows the fan its
// place on it; hub.Hub.Park says who owns what when. Seen is the last position
// the fan was shown, 0 for none. On an error nothing was written and hijack was
// not called, unless it is hijack's own.
func (r *Room) Park(hijack func() (net.Conn, error), head []byte, tok place.Token, seen int) error {
	r.back(tok)
	return r.hub.Park(hijack, head, fan(r.drawn(tok), seen))
}

// Stream does the same in the caller's goroutine, for HTTP/2 and HTTP/3.
func (r *Room) Stream(ctx context.Context, w hub.StreamWriter, tok place.Token, seen int) error {
	r.back(tok)
	return r.hub.Stream(ctx, w, fan(r.drawn(tok), seen))
}

func fan(tok place.Token, seen int) hub.Fan {
	return hub.Fan{Visitor: tok.Visitor, Score: uint64(tok.Score), Shown: uint32(min(max(seen, 0), math.MaxUint32))}
}
