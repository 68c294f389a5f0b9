package rehearse

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxLine bounds one line of a stream; a position is some 300 bytes.
const maxLine = 64 << 10

// Event is one server-sent event.
type Event struct {
	Name string
	Data []byte
	ID   string
}

// Stream reads server-sent events from path until handle says that it has seen
// enough, the stream ends or ctx does. It returns the pause that the server
// asked for with retry:, or zero. A stream that just ends is no error.
func (c *Client) Stream(ctx context.Context, path, lastID string, handle func(Event) (more bool)) (time.Duration, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := c.request(ctx, Call{Method: http.MethodGet, Path: path, Accept: "text/event-stream"}, nil)
	if err != nil {
		return 0, err
	}
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, lost(ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 400 {
		return 0, refusal(resp, nil)
	}
	if got := resp.Header.Get("Content-Type"); !strings.HasPrefix(got, "text/event-stream") {
		return 0, fmt.Errorf("the stream answered %d with %q instead of events", resp.StatusCode, got)
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(make([]byte, 0, 1024), maxLine)
	var retry time.Duration
	var event Event
	for lines.Scan() {
		line := lines.Bytes()
		if len(line) == 0 {
			if event.Name != "" || event.Data != nil {
				if !handle(event) {
					return retry, nil
				}
			}
			event = Event{}
			continue
		}
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "event":
			event.Name = string(value)
		case "data":
			event.Data = append(event.Data, value...)
		case "id":
			event.ID = string(value)
		case "retry":
			if ms, err := strconv.Atoi(string(value)); err == nil {
				retry = time.Duration(ms) * time.Millisecond
			}
		}
	}
	if ctx.Err() != nil {
		return retry, ctx.Err()
	}
	return retry, nil
}
