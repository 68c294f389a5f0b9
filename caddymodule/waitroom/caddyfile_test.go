package waitroom

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-tickets/caddy-tickets/caddymodule/caddytest"
)

func TestCaddyfilesBecomeTheirJSON(t *testing.T) { caddytest.Golden(t) }

// A mistake is refused where it stands, with what to write instead.
func TestMistakesNameTheirLineAndTheMend(t *testing.T) {
	for _, c := range []struct{ block, want string }{
		{"admit", "wrong argument count"},
		{"admit 500/m now", "wrong argument count"},
		{"admit often", "20/s, 500/m"},
		{"admit 0/m", "500/m"},
		{"admit -5/m", "500/m"},
		{"admit 500", "500/m"},
		{"admit 500/d", "500/m"},
		{"admit 99999999999999999999/m", "500/m"},
		{"admit 500/m\nadmit 600/m", "admit is set twice"},
		{"burst many", "whole number above zero"},
		{"active 0", "whole number above zero"},
		{"active -1", "whole number above zero"},
		{"max_queue 1.5", "whole number above zero"},
		{"session soon", "90s, 10m or 1h"},
		{"session", `"session 10m sliding 1h"`},
		{"session 10m sliding", `"session 10m sliding 1h"`},
		{"session 10m rolling 1h", `"session 10m sliding 1h"`},
		{"session 10m sliding 0s", "90s, 10m or 1h"},
		{"session 10m sliding 1x", "90s, 10m or 1h"},
		{"session 0s", "90s, 10m or 1h"},
		{"claim_within -1m", "90s, 10m or 1h"},
		{"opens tomorrow", "2026-12-01T10:00:00+01:00"},
		{"opens 2026-12-01T10:00:00", "a time with a zone"},
		{"closes 2026-12-01", "a time with a zone"},
		{"opens", "wrong argument count"},
		{"opens 2026-12-01 10:00", "a time with a zone"},
		{"opens 2026-12-01 10:00 Europe/Berlin now", "wrong argument count"},
		{"opens 2026-12-01 10:00 Europe/Berlyn", "its IANA name, such as Europe/Berlin"},
		{"closes 2026-12-01 10:00 CEST", "its IANA name, such as Europe/Berlin"},
		{"closes 2026-12-01 10:00 Local", "its IANA name, such as Europe/Berlin"},
		{"opens 2026-13-01 10:00 Europe/Berlin", "a time with a zone"},
		{"opens 2026-03-29 02:30 Europe/Berlin", "there is no 2026-03-29 02:30 in Europe/Berlin"},
		{"opens 2026-10-25 02:30 Europe/Berlin", "write 2026-10-25T02:30:00+0"},
		{"lobby 30", "90s, 10m or 1h"},
		{"shards 0", "whole number above zero"},
		{"beacon", "drand quicknet round"},
		{"beacon a b c d", "drand quicknet round"},
		{"beacon words https://a/ https://b/", "neither the one URL nor the one time"},
		{"lobby 30x", "90s, 10m or 1h"},
		{"lobby 0s", "90s, 10m or 1h"},
		{"inventory http://127.0.0.1:7100", "wrong argument count"},
		{"inventory 127.0.0.1:7100 arena", "http://127.0.0.1:7100 arena"},
		{"stream_origin https://a.example/path", "scheme, host and port alone"},
		{"stream_origin a.example", "scheme, host and port alone"},
		{"method random", "lottery, fifo or reject"},
		{"method", "wrong argument count"},
		{"queue some", `must be "all"`},
		{"queue", "wrong argument count"},
		{"speed 5", "unrecognized subdirective"},
	} {
		lines := strings.Count(c.block, "\n")
		_, err := caddytest.Adapt("http://:80 {\nwaitroom arena {\n" + c.block + "\n}\n}\n")
		if err == nil {
			t.Errorf("%q is accepted", c.block)
			continue
		}
		if place := "Caddyfile:" + strconv.Itoa(3+lines); !strings.Contains(err.Error(), place) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %q names neither %s nor %q", c.block, err, place, c.want)
		}
	}
	// What does not fit together is refused at the line that is best mended.
	for _, c := range []struct {
		block string
		line  int
		want  string
	}{
		{"lobby 5m\nadmit 5/s", 3, `"opens 2026-12-01T10:00:00+01:00"`},
		{"admit 5/s\nlobby 25h\nopens 2100-12-01T10:00:00Z", 4, "24h0m0s or less"},
		{"closes 2100-12-01 09:00 UTC\nopens 2100-12-01 10:00 Europe/London\nadmit 5/s", 3, "set a later end"},
		{"admit 5/s\nburst 10\nactive 9", 4, "lower burst, or raise active"},
		{"session 25h\nadmit 5/s", 3, "24h0m0s or less"},
		{"admit 5/s\nsession 10m sliding 10m", 4, "a longer time than 10m0s"},
		{"admit 5/s\nsession 10m sliding 25h", 4, "24h0m0s or less"},
		{"tickets 1001\nadmit 5/s", 3, "between 0"},
		{"method lottery\nadmit 5/s", 3, "lobby 30m"},
		{"status 404\nadmit 5/s", 3, "200, 202, 429 or 503"},
		{"shards 17\nadmit 5/s", 3, "16 or less"},
		{"beacon words\nadmit 5/s", 3, "set opens and lobby"},
		{"beacon words ftp://a/\nadmit 5/s\nopens 2100-12-01T10:00:00Z\nlobby 5m", 3, "web address"},
		{"beacon \"drand quicknet round 5\"\nadmit 5/s\nopens 2100-12-01T10:00:00Z\nlobby 5m", 3, "name a round after"},
		{"active 5\nburst 3", 5, "admit is missing"}, // at the end of the block
	} {
		_, err := caddytest.Adapt("http://:80 {\nwaitroom arena {\n" + c.block + "\n}\n}\n")
		if at := "Caddyfile:" + strconv.Itoa(c.line); err == nil || !strings.Contains(err.Error(), at) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q at %s", c.block, err, c.want, at)
		}
	}
	// And in any case at the block.
	for block, want := range map[string]string{
		"admit 5/s\nmethod lottery": "lobby 30m", "admit 5/s\nmethod reject\nqueue all": "nobody can queue",
		"admit 5/s\nmethod reject\nmax_queue 5":                          "max_queue bounds nothing",
		"admit 5/s\nmethod reject\nshards 2":                             "take it or shards away",
		"admit 5/s\nmethod reject\nopens 2100-12-01T10:00:00Z\nlobby 5m": "nobody can wait in a lobby",
		"active 5": "admit is missing", "admit 5/s\nstatus 404": "200, 202, 429 or 503", "admit 5/s\nlobby 5m": "lobby needs opens",
		"admit 5/s\ntickets 5000": "between 0", "admit 5/s\nsession 100ms": "a second or more", "admit 5/s\nsession 24h1s": "24h0m0s or less",
		"admit 5/s\nopens 2026-12-01T10:00:00Z\ncloses 2026-12-01T09:00:00Z": "closes must come after opens",
	} {
		_, err := caddytest.Adapt("http://:80 {\nwaitroom arena {\n" + block + "\n}\n}\n")
		if err == nil || !strings.Contains(err.Error(), "Caddyfile:") || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", block, err)
		}
	}
	for line, want := range map[string]string{
		"waitroom": "needs the name of a room", "waitroom Arena": "name", "waitroom a/b": "name", "waitroom - ": "name",
		"waitroom arena club": "wrong argument count", "waitroom " + strings.Repeat("a", 200): "name",
	} {
		_, err := caddytest.Adapt("http://:80 {\n" + line + "\n}\n")
		if err == nil || !strings.Contains(err.Error(), "Caddyfile:2") || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", line, err)
		}
	}
}

// What only a whole config can tell is told when it loads, and names the room.
func TestAConfigThatCannotWorkDoesNotLoad(t *testing.T) {
	s := newSite(t)
	for name, c := range map[string]struct{ config, want string }{
		"no settings anywhere": {s.caddyfile("waitroom arena"), "waitroom arena { admit 500/m }"},
		"set twice":            {s.caddyfile("waitroom /a arena {\nadmit 1/s\n}\nwaitroom /b arena {\nadmit 2/s\n}"), "differently"},
		"no tickets app":       {"{\nadmin off\npersist_config off\n}\nhttp://:0 {\nwaitroom arena {\nadmit 1/s\n}\n}", "tickets { redis redis://127.0.0.1:6379/0 }"},
	} {
		if err := caddytest.Load(c.config); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.load(s.caddyfile("waitroom /a arena {\nadmit 1/s\n}\nwaitroom /b arena {\nadmit 1/s\n}")) // the same twice is no contradiction
}

func FuzzCaddyfile(f *testing.F) {
	for _, seed := range []string{"admit 500/m", "opens 2026-12-01T10:00:00+01:00\nlobby 30m\nadmit 1/s", "inventory http://h e", "status 503", "tier a path /a\ntier \"b\" {\nheader X y\n}\nadmit 1/s", "bypass path /a /b\nbypass x {\nnot {\nmethod GET\n}\n}\nadmit 1/s", "admit {", "session 9999999h"} {
		f.Add("arena", seed)
	}
	f.Fuzz(func(t *testing.T, name, block string) {
		h := new(Handler)
		if h.UnmarshalCaddyfile(caddyfile.NewTestDispenser("waitroom "+name+" {\n"+block+"\n}")) != nil {
			return
		}
		if _, err := h.config(h.Room, nil); err != nil || h.check() != nil {
			t.Errorf("%q is read and then refused: %v", block, err)
		}
	})
}

// FuzzLocal: whatever a client wishes, a browser that follows it stays here.
func FuzzLocal(f *testing.F) {
	for _, seed := range []string{"/", "/seats?block=A", "//evil", `/\evil`, "/\t/evil", "javascript:x", "/.waitroom/arena/leave", "/%2f/evil", "/a#b", "\x00/"} {
		f.Add(seed)
	}
	base, err := url.Parse("https://tickets.example.com/seats")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, to string) {
		if !local(to) {
			return
		}
		there, err := base.Parse(to)
		if err == nil && (there.Host != base.Host || there.Scheme != base.Scheme) {
			t.Errorf("%q leads to %s", to, there)
		}
		if strings.ContainsAny(to, "\r\n\t\\ ") || strings.HasPrefix(to, "//") {
			t.Errorf("%q is no path that every browser reads alike", to)
		}
	})
}

// FuzzSeen: a client's word about what it saw is a number or nothing.
func FuzzSeen(f *testing.F) {
	for _, seed := range []string{"", "5", "-5", "1e9", "99999999999999999999", "5 "} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seen string) {
		r := &http.Request{Header: http.Header{"Last-Event-Id": {seen}}, URL: &url.URL{RawQuery: url.Values{"seen": {seen}}.Encode()}}
		if n := seenBy(r); n < 0 {
			t.Errorf("%q is %d", seen, n)
		}
	})
}

func TestARoomThatIsSetTwiceDifferentlyIsRefusedWithBothLines(t *testing.T) {
	two := func(second string) error {
		_, err := caddytest.Adapt("http://a:80 {\nwaitroom arena {\nadmit 5/s\n}\n}\nhttp://b:80 {\nwaitroom /buy* arena " + second + "\n}\n")
		return err
	}
	err := two("{\nadmit 6/s\n}")
	if err == nil || !strings.Contains(err.Error(), "Caddyfile:2") || !strings.Contains(err.Error(), "Caddyfile:7") || !strings.Contains(err.Error(), `only "waitroom arena"`) {
		t.Error(err)
	}
	for name, second := range map[string]string{
		"only named": "", "the same again": "{\nadmit 5/s\n}", "what belongs to the handler": "{\nadmit 5/s\nstatus 503\n}",
	} {
		if err := two(second); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
