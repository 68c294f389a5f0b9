package main

import "testing"

func TestOnlyAnEdgeCollectsMoreOftenAndNotAgainstTheEnvironment(t *testing.T) {
	for _, c := range []struct {
		args []string
		gogc string
		want bool
	}{
		{[]string{"caddy-tickets", "run", "--config", "Caddyfile"}, "", true},
		{[]string{"caddy-tickets", "run"}, "100", false},
		{[]string{"caddy-tickets", "run"}, "off", false},
		{[]string{"caddy-tickets", "allocator"}, "", false},
		{[]string{"caddy-tickets"}, "", false},
		{nil, "", false},
	} {
		if _, got := gcPercent(c.args, c.gogc); got != c.want {
			t.Errorf("%v with GOGC=%q: %v", c.args, c.gogc, got)
		}
	}
}
