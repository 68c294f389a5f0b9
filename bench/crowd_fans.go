package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// How fans wait.
const (
	byHTTP1 = "http/1.1" // the edge parks them
	byHTTP2 = "h2"       // each keeps a goroutine of the edge
)

// fans is the process that a crowd is made of.
type fans struct {
	address string
	to      *net.TCPAddr // the same
	how     string
	tls     *tls.Config // nil: plain text
	lines   atomic.Int64

	mu   sync.Mutex
	ends []*end // guarded by mu
}

// atOnce is how many fans of a process arrive at the same time.
const atOnce = 16

// runFans is the main function of that process.
func runFans(args []string) error {
	var (
		f     fans
		flags = flag.NewFlagSet("crowd", flag.ContinueOnError)
		ca    = flags.String("ca", "", "certificate of the edge; plain text without")
		first = flags.Int("first", 0, "number of the first fan")
		many  = flags.Int("fans", 0, "how many they are")
	)
	flags.StringVar(&f.address, "address", "", "where the edge listens")
	flags.StringVar(&f.how, "how", byHTTP1, "protocol of the streams")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var err error
	if f.to, err = net.ResolveTCPAddr("tcp4", f.address); err != nil {
		return fmt.Errorf("reading the address: %w", err)
	}
	if *ca != "" {
		if f.tls, err = trusting(*ca, f.how); err != nil {
			return err
		}
	}
	go f.drain()
	if err := f.arrive(*first, *many); err != nil {
		return err
	}
	fmt.Println("open")
	for asked := bufio.NewScanner(os.Stdin); asked.Scan(); {
		fmt.Println(f.lines.Load())
	}
	return nil
}

// trusting trusts one certificate and speaks one protocol.
func trusting(certificate, protocol string) (*tls.Config, error) {
	text, err := os.ReadFile(certificate) //nolint:gosec // our own lab wrote it
	if err != nil {
		return nil, fmt.Errorf("reading the edge's certificate: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, errors.New("the edge's certificate is none")
	}
	return &tls.Config{RootCAs: pool, NextProtos: []string{protocol}, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS13}, nil
}

// arrive returns when each fan has had a line.
func (f *fans) arrive(first, many int) error {
	var (
		arriving sync.WaitGroup
		numbers  = make(chan int)
		failed   atomic.Pointer[error]
	)
	for range atOnce {
		arriving.Go(func() {
			for number := range numbers {
				if err := f.one(number); err != nil {
					failed.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	for i := 0; i < many && failed.Load() == nil; i++ {
		numbers <- first + i
	}
	close(numbers)
	arriving.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// one brings a fan in, whose stream is read from then on.
func (f *fans) one(number int) error {
	if f.how == byHTTP2 {
		return f.oneHTTP2(number)
	}
	own, err := dialEnd(address(number), f.to, f.tls != nil)
	if err != nil {
		return err
	}
	var conn net.Conn = own
	if f.tls != nil {
		conn = tls.Client(own, f.tls)
	}
	reader, err := f.streamHTTP1(conn)
	if err != nil {
		return err
	}
	if err := f.line(reader); err != nil {
		return err
	}
	f.mu.Lock()
	f.ends = append(f.ends, own)
	f.mu.Unlock()
	return nil
}

// drainEvery is often enough that no socket's buffer fills up.
const drainEvery = 50 * time.Millisecond

// drain reads all streams, as long as the process lives.
func (f *fans) drain() {
	buf := make([]byte, 16<<10)
	for range time.Tick(drainEvery) {
		f.mu.Lock()
		ends := f.ends
		f.mu.Unlock()
		for _, e := range ends {
			lines, err := e.drain(buf)
			if err != nil {
				ended(err)
			}
			f.lines.Add(int64(lines))
		}
	}
}

// ended ends the process: who counts on all of its fans must know.
func ended(err error) {
	fmt.Fprintln(os.Stderr, "a stream ended:", err)
	os.Exit(1)
}

// oneHTTP2 has a client that answers for the connection, and so waits for it.
func (f *fans) oneHTTP2(number int) error {
	dialer := net.Dialer{Timeout: endTimeout * time.Second, LocalAddr: &net.TCPAddr{IP: address(number)}}
	conn, err := dialer.Dial("tcp", f.to.String())
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	if f.tls != nil {
		secured := tls.Client(conn, f.tls)
		if err := secured.Handshake(); err != nil {
			return fmt.Errorf("connecting: %w", err)
		}
		conn = secured
	}
	reader, err := f.streamHTTP2(conn)
	if err != nil {
		return err
	}
	if err := f.line(reader); err != nil {
		return err
	}
	go func() {
		for {
			if err := f.line(reader); err != nil {
				ended(err)
			}
			f.lines.Add(1)
		}
	}()
	return nil
}

// line reads to the end of one line to a fan, which is an event "position",
// whatever else it tells.
func (f *fans) line(reader *bufio.Reader) error {
	for begun := false; ; {
		text, err := reader.ReadSlice('\n')
		if err != nil {
			return err
		}
		switch {
		case string(text) == position:
			begun = true
		case len(text) == 1 && begun:
			return nil
		}
	}
}

func (f *fans) url(path string) string {
	if f.tls != nil {
		return "https://" + f.address + path
	}
	return "http://" + f.address + path
}

const (
	pathJoin   = "/.waitroom/" + benchRoom + "/join"
	pathStream = "/.waitroom/" + benchRoom + "/stream"
)

// streamHTTP1 goes the fan's way to the stream on one connection.
func (f *fans) streamHTTP1(conn net.Conn) (*bufio.Reader, error) {
	reader := bufio.NewReaderSize(conn, 2<<10)
	head := " HTTP/1.1\r\nHost: " + f.address + "\r\nUser-Agent: bench\r\n"
	seen, err := exchange(conn, reader, "GET /"+head+"Accept: text/html\r\n\r\n")
	if err != nil {
		return nil, err
	}
	joined, err := exchange(conn, reader, "POST "+pathJoin+head+"Accept: application/json\r\nContent-Length: 0\r\nOrigin: "+f.url("")+"\r\nCookie: "+seen.cookie+"\r\n\r\n")
	if err != nil {
		return nil, err
	}
	if joined.status != http.StatusCreated {
		return nil, fmt.Errorf("a join was answered %d", joined.status)
	}
	if _, err := io.WriteString(conn, "GET "+pathStream+head+"Accept: text/event-stream\r\nCookie: "+joined.cookie+"\r\n\r\n"); err != nil {
		return nil, fmt.Errorf("asking for a stream: %w", err)
	}
	if status, err := reader.ReadString('\n'); err != nil || !strings.Contains(status, " 200 ") {
		return nil, fmt.Errorf("a stream was answered %q: %w", status, err)
	}
	return reader, nil
}

// streamHTTP2 does the same on a connection of HTTP/2.
func (f *fans) streamHTTP2(conn net.Conn) (*bufio.Reader, error) {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true) // or TLS, which the connection has already
	protocols.SetHTTP2(true)
	once := make(chan net.Conn, 1)
	once <- conn
	dial := func(context.Context, string, string) (net.Conn, error) {
		select {
		case conn := <-once:
			return conn, nil
		default:
			return nil, errors.New("the connection was closed")
		}
	}
	transport := &http.Transport{Protocols: protocols, DialContext: dial, DialTLSContext: dial}
	seen, err := f.ask(transport, http.MethodGet, "/", "")
	if err != nil {
		return nil, err
	}
	_ = seen.Body.Close()
	joined, err := f.ask(transport, http.MethodPost, pathJoin, firstCookie(seen))
	if err != nil {
		return nil, err
	}
	_ = joined.Body.Close()
	stream, err := f.ask(transport, http.MethodGet, pathStream, firstCookie(joined))
	if err != nil {
		return nil, err
	}
	return bufio.NewReaderSize(stream.Body, 2<<10), nil
}

func (f *fans) ask(transport *http.Transport, method, path, cookie string) (*http.Response, error) {
	request, err := http.NewRequest(method, f.url(path), nil) //nolint:noctx // it lasts as long as the process
	if err != nil {
		return nil, fmt.Errorf("asking the edge: %w", err)
	}
	request.Header.Set("Accept", "text/html, text/event-stream")
	request.Header.Set("User-Agent", "bench")
	if method == http.MethodPost {
		request.Header.Set("Origin", f.url(""))
		request.Header.Set("Accept", "application/json")
	}
	if cookie != "" {
		request.Header.Set("Cookie", cookie)
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return nil, fmt.Errorf("asking the edge: %w", err)
	}
	if response.StatusCode >= 300 || response.ProtoMajor != 2 {
		_ = response.Body.Close()
		return nil, fmt.Errorf("%s was answered %s %s", path, response.Proto, response.Status)
	}
	return response, nil
}

func firstCookie(r *http.Response) string {
	pair, _, _ := strings.Cut(r.Header.Get("Set-Cookie"), ";")
	return pair
}
