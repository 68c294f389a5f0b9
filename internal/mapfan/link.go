package mapfan

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/coder/websocket"

	"github.com/caddy-tickets/caddy-tickets/internal/mapframe"
)

// follow keeps one connection until it ends.
func (f *Followers) follow(event string, one *follower) error {
	conn, err := f.dial(event, one.channel)
	if err != nil {
		return err
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(mapframe.MaxFrame)
	f.mu.Lock()
	one.linked = true
	f.mu.Unlock()
	ctx, stop := context.WithCancel(f.ctx)
	defer stop()
	f.running.Go(func() { f.look(ctx, conn, one) })
	for {
		if err := f.read(ctx, conn, one.channel); err != nil {
			return err
		}
		if one.channel.Ready() {
			one.once.Do(func() { close(one.ready) })
		}
	}
}

// look ends a connection to an allocator that is gone without a word, and one that
// nobody needs. A quiet event sends nothing for hours.
func (f *Followers) look(ctx context.Context, conn *websocket.Conn, one *follower) {
	ticker := f.clock.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C():
		case <-ctx.Done():
			return
		}
		if f.alone(one) || !write(ctx, conn.Ping) {
			_ = conn.CloseNow()
			return
		}
	}
}

func (f *Followers) dial(event string, c *Channel) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(f.ctx, dialTimeout)
	defer cancel()
	address := f.base + "/v1/events/" + url.PathEscape(event) + "/live"
	if at, ok := c.At(); ok {
		address += "?from=" + at.String()
	}
	conn, reply, err := websocket.Dial(ctx, address, &websocket.DialOptions{
		HTTPClient: f.client, Subprotocols: []string{mapframe.Subprotocol}, CompressionMode: websocket.CompressionDisabled,
	})
	if reply != nil && reply.StatusCode == http.StatusNotFound {
		return nil, ErrUnknown
	}
	if err != nil {
		return nil, fmt.Errorf("connecting to the allocator: %w", err)
	}
	return conn, nil
}

// read takes one frame in.
func (f *Followers) read(ctx context.Context, conn *websocket.Conn, c *Channel) error {
	_, raw, err := conn.Read(ctx)
	if err != nil {
		return fmt.Errorf("reading the allocator's map: %w", err)
	}
	frame, err := mapframe.Decode(raw)
	if err != nil {
		return fmt.Errorf("reading the allocator's map: %w", err)
	}
	switch frame.Kind {
	case mapframe.KindSnapshot:
		return c.Reset(frame.Snapshot)
	case mapframe.KindDelta:
		return c.Apply(frame.Delta)
	case mapframe.KindCounts:
		c.SetCounts(frame.Counts)
	}
	return nil
}
