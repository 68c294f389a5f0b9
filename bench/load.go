package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// load sends one request over and over on keep-alive connections and returns
// requests per second. A reply of another length than the site's is no success: it
// may be the waiting room's page. It speaks HTTP/1.1 by hand: on a machine that it shares
// with the edge, Go's own client would cost more than what is measured.
func load(ctx context.Context, address, request string, length, connections int, lasting time.Duration) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, lasting)
	defer cancel()
	var (
		answered atomic.Int64
		workers  sync.WaitGroup
		mu       sync.Mutex
		failure  error
	)
	begun := time.Now()
	for range connections {
		workers.Go(func() {
			n, err := hammer(ctx, address, request, length)
			answered.Add(n)
			if err != nil {
				mu.Lock()
				failure = errors.Join(failure, err)
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	return float64(answered.Load()) / time.Since(begun).Seconds(), failure
}

func hammer(ctx context.Context, address, request string, length int) (answered int64, err error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return 0, fmt.Errorf("connecting: %w", err)
	}
	defer func() { _ = conn.Close() }()
	reader := bufio.NewReader(conn)
	for ctx.Err() == nil {
		reply, err := exchange(conn, reader, request)
		if err != nil {
			return answered, err
		}
		if reply.status != 200 || reply.length != length {
			return answered, fmt.Errorf("the edge answered %d with %d bytes, not the site's %d", reply.status, reply.length, length)
		}
		answered++
	}
	return answered, nil
}

// answer is the part of a reply that the load looks at.
type answer struct {
	status int
	length int
	cookie string // the first one it sets, as a Cookie header
}

// exchange sends one request and reads its reply, which must have a
// Content-Length, to the end.
func exchange(conn net.Conn, reader *bufio.Reader, request string) (answer, error) {
	if _, err := io.WriteString(conn, request); err != nil {
		return answer{}, fmt.Errorf("sending a request: %w", err)
	}
	line, err := reader.ReadString('\n')
	if err != nil {
		return answer{}, fmt.Errorf("reading a reply: %w", err)
	}
	var a answer
	if _, err := fmt.Sscanf(line, "HTTP/1.1 %d", &a.status); err != nil {
		return answer{}, fmt.Errorf("reading the status %q: %w", line, err)
	}
	length := -1
	for {
		if line, err = reader.ReadString('\n'); err != nil {
			return answer{}, fmt.Errorf("reading a reply: %w", err)
		}
		name, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
		switch value = strings.TrimSpace(value); {
		case name == "":
			if length < 0 {
				return answer{}, errors.New("a reply has no Content-Length")
			}
			a.length = length
			_, err := reader.Discard(length)
			return a, err
		case strings.EqualFold(name, "Content-Length"):
			if length, err = strconv.Atoi(value); err != nil {
				return answer{}, fmt.Errorf("reading the length %q: %w", value, err)
			}
		case strings.EqualFold(name, "Set-Cookie") && a.cookie == "":
			a.cookie, _, _ = strings.Cut(value, ";")
		}
	}
}
