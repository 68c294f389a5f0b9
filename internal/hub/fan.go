package hub

import "errors"

// Why a connection is not kept. The caller answers with polling instead.
var (
	ErrFull     = errors.New("no room for another waiting connection")
	ErrTooMany  = errors.New("this visitor has enough waiting connections")
	ErrDraining = errors.New("this server is about to stop")
)

// Fan is what the hub knows of a connection.
type Fan struct {
	Visitor [16]byte
	Score   uint64
	Shown   uint32 // the last position that was shown, 0 for none: what is shown never goes up
}

// Renderer draws the lines.
type Renderer interface {
	// Picture returns the room as it is now. It is taken once for many fans, must
	// not block, and is called from several goroutines.
	Picture() Picture
}

// Picture is one consistent state of the room.
type Picture interface {
	// Append appends fan's events to buf and returns the position it showed. Last
	// means that nothing more will come: the hub closes the connection after it.
	// Appending nothing makes the hub send an SSE comment, since a fan who has
	// left is only noticed by writing.
	Append(buf []byte, fan Fan) (out []byte, shown uint32, last bool)
}

// idleLine is what a fan gets who has nothing to be told: an SSE comment.
const idleLine = ":\n\n"

// appendLine renders with the two rules that no Renderer can break: there is
// always a line, and shown never goes up.
func appendLine(buf []byte, pic Picture, fan Fan) (out []byte, shown uint32, last bool) {
	before := len(buf)
	out, shown, last = pic.Append(buf, fan)
	if len(out) == before {
		out = append(out, idleLine...)
	}
	if fan.Shown != 0 && (shown == 0 || shown > fan.Shown) {
		shown = fan.Shown
	}
	return out, shown, last
}
