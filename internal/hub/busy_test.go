package hub

import (
	"net"
	"testing"
	"time"
)

// interrupted is a connection of a machine that does something else between a
// deadline and the write that it is for.
type interrupted struct{ *net.TCPConn }

func (c interrupted) SetWriteDeadline(t time.Time) error {
	return c.TCPConn.SetWriteDeadline(t.Add(-writeWait - 20*time.Millisecond)) // so much later it writes
}

func TestABusyMachineDropsNobodyWhoseSocketTakesTheLine(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	fan, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = fan.Close() }()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	to, ok := park(interrupted{conn.(*net.TCPConn)})
	if !ok {
		t.Fatal("not parked")
	}
	defer to.close()
	if _, wrapped := to.(*wrappedSink); !wrapped {
		t.Fatalf("%T", to)
	}
	if err := to.send(make([]byte, 600)); err != nil {
		t.Error("dropped:", err)
	}
}
