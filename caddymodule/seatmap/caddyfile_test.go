package seatmap

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddy-tickets/caddy-tickets/caddymodule/caddytest"
	_ "github.com/caddy-tickets/caddy-tickets/caddymodule/waitroom" // its place beside ours
)

func TestEachMistakeIsToldWithItsLine(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ line, says string }{
		"no address":    {"seatmap", "needs the address of the allocator"},
		"no scheme":     {"seatmap 127.0.0.1:7100", "is not the address of an allocator"},
		"not HTTP":      {"seatmap redis://127.0.0.1:6379", "is not the address of an allocator"},
		"no host":       {"seatmap http://", "is not the address of an allocator"},
		"a password":    {"seatmap http://user:pass@127.0.0.1:7100", "is not the address of an allocator"},
		"a query":       {"seatmap http://127.0.0.1:7100?x=1", "is not the address of an allocator"},
		"no event name": {"seatmap http://127.0.0.1:7100 Arena_1", `"Arena_1" is no event`},
		"a block":       {"seatmap http://127.0.0.1:7100 {\nviewers 5\n}", "takes no block; events are written behind the address, at Caddyfile:3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := caddytest.Adapt("http://:0 {\n" + tt.line + "\n}\n")
			if err == nil || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), "Caddyfile:2") && name != "a block" {
				t.Errorf("got %v", err)
			}
		})
	}
}

// Without this order, either nobody would need a pass for the map or the proxy would
// answer before it.
func TestItRunsAfterTheWaitingRoomAndBeforeAnyProxy(t *testing.T) {
	t.Parallel()
	cfg, err := caddytest.Adapt("{\ntickets {\nredis redis://127.0.0.1:1\n}\n}\nhttp://:0 {\nreverse_proxy 127.0.0.1:9\n" +
		"handle /api/* {\nreverse_proxy 127.0.0.1:7100\n}\nseatmap http://127.0.0.1:7100 arena\nencode\nwaitroom arena {\nadmit 1/s\n}\n}\n")
	if err != nil {
		t.Fatal(err)
	}
	last := -1
	for _, handler := range []string{`"handler":"waitroom"`, `"handler":"encode"`, `"events":["arena"],"handler":"seatmap"`, `"handler":"reverse_proxy"`} {
		at := strings.Index(string(cfg), handler)
		if at <= last {
			t.Errorf("%s is at %d, before what it must follow:\n%s", handler, at, cfg)
		}
		last = at
	}
}

func TestTheCaddyfileBecomesTheHandlersSettings(t *testing.T) {
	t.Parallel()
	cfg, err := caddytest.Adapt("http://:0 {\nseatmap /api/* http://127.0.0.1:7100 arena hall\n}\n")
	if err != nil {
		t.Fatal(err)
	}
	var got any
	if err := json.Unmarshal(cfg, &got); err != nil {
		t.Fatal(err)
	}
	if want := `{"events":["arena","hall"],"handler":"seatmap","upstream":"http://127.0.0.1:7100"}`; !strings.Contains(string(cfg), want) {
		t.Errorf("got %s", cfg)
	}
}
