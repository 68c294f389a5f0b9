package botguard

import (
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-tickets/caddy-tickets/caddymodule/caddytest"
)

func TestCaddyfilesBecomeTheirJSON(t *testing.T) { caddytest.Golden(t) }

// A mistake is refused where it stands, with what to write instead.
func TestMistakesNameTheirLineAndTheMend(t *testing.T) {
	for _, c := range []struct{ block, want string }{
		{"velocity", "velocity join {botguard.prefix} 30 1m"},
		{"velocity join {botguard.prefix} 30", "velocity join {botguard.prefix} 30 1m"},
		{"velocity join {botguard.prefix} 30 1m now", "velocity join {botguard.prefix} 30 1m"},
		{"velocity hold {botguard.prefix} 30 1m", "join and claim"},
		{"velocity join {botguard.prefix} many 1m", "whole number"},
		{"velocity join {botguard.prefix} 0 1m", "from 1 to"},
		{"velocity join {botguard.prefix} -1 1m", "from 1 to"},
		{"velocity join {botguard.prefix} 99999999999 1m", "from 1 to"},
		{"velocity join {botguard.prefix} 30 soon", "10s, 1m or 1h"},
		{"velocity join {botguard.prefix} 30 10ms", "a window of"},
		{"velocity join {botguard.prefix} 30 100h", "a window of"},
		{"velocity join {botguard.ip} 30 1m", "use {botguard.prefix}"},
		{"velocity join \"\" 30 1m", "needs a key"},
		{"velocity join {botguard.prefix 30 1m", "brace"},
		{"velocity join {botguard.prefix} 30 1m\nvelocity join {botguard.prefix} 30 60s", "twice"},
		{"challenge", "auto or off"},
		{"challenge maybe", "auto or off"},
		{"challenge auto\nchallenge off", "twice"},
		{"mode sometimes", "enforce or monitor"},
		{"wait", "wait 5s"},
		{"wait long", "such as 5s"},
		{"wait 0s", "such as 5s"},
		{"wait 1500ms", "whole seconds"},
		{"wait 2m", "whole seconds"},
		{"scoring on", "velocity, challenge, wait and mode"},
	} {
		lines := strings.Count(c.block, "\n") + 2
		source := "http://:80 {\nbotguard {\n" + c.block + "\n}\n}\n"
		_, err := caddytest.Adapt(source)
		if err == nil {
			t.Errorf("%q is accepted", c.block)
			continue
		}
		if place := "Caddyfile:" + string(rune('0'+lines+1)); !strings.Contains(err.Error(), place) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %q names neither %s nor %q", c.block, err, place, c.want)
		}
	}
	_, err := caddytest.Adapt("http://:80 {\nbotguard on\n}\n")
	if err == nil || !strings.Contains(err.Error(), "Caddyfile:2") || !strings.Contains(err.Error(), "takes a block") {
		t.Errorf("an argument: %v", err)
	}
}

// What JSON can say wrongly is refused when it is loaded.
func TestSettingsFromJSONAreCheckedToo(t *testing.T) {
	for _, s := range []Settings{
		{Mode: "off"}, {Challenge: "on"}, {Wait: 1}, {Wait: -1},
		{Velocity: []Velocity{{Action: "hold", Key: "k", Limit: 1, Window: 1e9}}},
		{Velocity: []Velocity{{Action: "join", Key: strings.Repeat("k", maxKey+1), Limit: 1, Window: 1e9}}},
		{Velocity: []Velocity{{Action: "join", Key: "k", Limit: 1, Window: 1}}},
	} {
		if s.check() == nil {
			t.Errorf("%+v is accepted", s)
		}
	}
}

func FuzzCaddyfile(f *testing.F) {
	for _, seed := range []string{"velocity join {botguard.prefix} 30 1m", "challenge auto", "wait 5s", "mode monitor", "velocity"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, block string) {
		h := new(Handler)
		if h.UnmarshalCaddyfile(caddyfile.NewTestDispenser("botguard {\n"+block+"\n}")) == nil && h.check() != nil {
			t.Errorf("%q is read and then refused", block)
		}
	})
}
