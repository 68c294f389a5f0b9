package caddytest

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/eventually"
)

// Answer is an answer, read to its end.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// Ask sends a request.
func Ask(client *http.Client, request *http.Request) (Answer, error) {
	response, err := client.Do(request)
	if err != nil {
		return Answer{}, err
	}
	return read(response)
}

// Raw sends bytes over a connection of its own to a server that speaks HTTP/1.1.
func Raw(t testing.TB, url, text string) Answer {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(eventually.Patience))
	go func() { _, _ = io.WriteString(conn, text) }() // the answer may come before all is taken
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := read(response)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func read(response *http.Response) (Answer, error) {
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	return Answer{Status: response.StatusCode, Header: response.Header, Body: string(body)}, err
}
