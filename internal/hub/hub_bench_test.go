//go:build linux

package hub

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// benchFans keeps the bench within the descriptors of a small machine: each fan
// has one at either end.
const benchFans = 4000

// rawFan connects without the net package, so that the fans' ends, which are in
// this process too, weigh next to nothing. Addresses in 127.0.0.0/8 are spread,
// as one pair has only 28,000 ports.
func rawFan(b *testing.B, n, port int, request string) int {
	b.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		b.Fatal(err)
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, byte(n >> 8), 1}}); err != nil {
		b.Fatal(err)
	}
	if _, err := unix.Write(fd, []byte(request)); err != nil {
		b.Fatal(err)
	}
	return fd
}

// drink reads what there is, waiting for the first byte.
func drink(b *testing.B, fd int) {
	var buf [4096]byte
	if n, err := unix.Read(fd, buf[:]); err != nil || n == 0 {
		b.Fatalf("a fan was dropped: %d, %v", n, err)
	}
}

func residentBytes(b *testing.B) float64 {
	b.Helper()
	debug.FreeOSMemory()
	raw, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		b.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(raw))[1])
	if err != nil {
		b.Fatal(err)
	}
	return float64(pages * os.Getpagesize())
}

// crowd serves fans with handle until the benchmark ends and returns their ends.
func crowd(b *testing.B, handle http.HandlerFunc) []int {
	b.Helper()
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		b.Fatal(err)
	}
	server := &http.Server{Handler: handle, ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = server.Serve(l) }()
	b.Cleanup(func() { _ = server.Close() })
	const request = "GET /.waitroom/arena/stream HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nCache-Control: no-cache\r\n" +
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Safari/537.36\r\n" +
		"Cookie: place-arena=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n\r\n"
	fds := make([]int, benchFans)
	for i := range fds {
		fds[i] = rawFan(b, i, l.Addr().(*net.TCPAddr).Port, request)
		drink(b, fds[i])
	}
	b.Cleanup(func() {
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
	})
	return fds
}

// BenchmarkMemoryPerFan reports the resident memory of one waiting fan, parked
// and with a goroutine, measured in one process.
func BenchmarkMemoryPerFan(b *testing.B) {
	n := 0
	fan := func() Fan { n++; return Fan{Visitor: id(n), Score: uint64(n + 1)} }
	for name, keep := range map[string]func(*Hub, http.ResponseWriter, *http.Request, Fan) error{
		"parked": func(h *Hub, w http.ResponseWriter, _ *http.Request, f Fan) error {
			return h.Park(func() (net.Conn, error) {
				conn, _, err := http.NewResponseController(w).Hijack()
				return conn, err
			}, Head(nil), f)
		},
		"goroutine": func(h *Hub, w http.ResponseWriter, r *http.Request, f Fan) error {
			return h.Stream(r.Context(), ResponseStream(w), f)
		},
	} {
		b.Run(name, func(b *testing.B) {
			s := &sketch{}
			h := New(Config{}, s)
			before := residentBytes(b)
			crowd(b, func(w http.ResponseWriter, r *http.Request) {
				if err := keep(h, w, r, fan()); err != nil {
					b.Error(err)
				}
			})
			b.ReportMetric((residentBytes(b)-before)/benchFans, "B/fan")
			b.ReportMetric(0, "ns/op")
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			if err := h.Close(ctx, 0); err != nil {
				b.Error(err)
			}
		})
	}
}

// BenchmarkPush is the cost of one line to one parked fan: drawing, looking
// whether the fan is there, and the write.
func BenchmarkPush(b *testing.B) {
	s := &sketch{}
	s.position.Store(123_456)
	s.padding.Store(250)
	h := New(Config{}, s)
	n := 0
	fds := crowd(b, func(rw http.ResponseWriter, _ *http.Request) {
		n++
		err := h.Park(func() (net.Conn, error) {
			conn, _, err := http.NewResponseController(rw).Hijack()
			return conn, err
		}, Head(nil), Fan{Visitor: id(n), Score: uint64(n + 1)})
		if err != nil {
			b.Error(err)
		}
	})
	w := writer{hub: h}
	for b.Loop() {
		for i := range h.wheel {
			w.visit(&h.wheel[i], s, nil)
		}
		b.StopTimer()
		for _, fd := range fds {
			drink(b, fd)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchFans, "ns/line")
	if got := h.Stats(); got.Parked != benchFans {
		b.Fatalf("%+v", got)
	}
}
