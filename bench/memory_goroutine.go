package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// goroutineMemory is what a fan costs where parking is impossible: a stream of
// HTTP/2 keeps a goroutine, its stack and its buffers. It is measured over plain
// text with a connection for each fan, as browsers have; TLS comes on top.
var goroutineMemory = figure{
	name: "goroutine-stream-rss", unit: "KB/fan", target: 80, atMost: true,
	measure: func(ctx context.Context, l *lab) (float64, error) { return l.streamMemory(ctx, openHTTP2) },
}

func openHTTP2(ctx context.Context, site string, number int, heard func()) error {
	fan, err := enter(ctx, site, number)
	if err != nil {
		return err
	}
	fan.Close()
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols, IdleConnTimeout: time.Minute}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, site+"/.waitroom/"+benchRoom+"/stream", nil)
	if err != nil {
		return fmt.Errorf("building the stream's request: %w", err)
	}
	request.Header.Set("Accept", "text/event-stream")
	request.Header.Set("Cookie", fan.place)
	response, err := transport.RoundTrip(request)
	if err != nil {
		return fmt.Errorf("opening a stream: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK || response.ProtoMajor != 2 {
		return fmt.Errorf("the stream answered %s %s", response.Proto, response.Status)
	}
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if lines.Text() == "" { // the end of the first event
			heard()
		}
	}
	if ctx.Err() == nil {
		return errors.New("a stream ended")
	}
	return nil
}
