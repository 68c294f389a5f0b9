package main

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/caddymodule/ticketsapp"
	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
)

func TestAnOperatorInvitesGuests(t *testing.T) {
	redis := devstack.Redis(t)
	config := runningEdge(t, redis)
	roomIs(t, config, "open", func(r ticketsapp.Report) bool {
		return r.State == "open" && r.InvitationsUsed != nil && len(r.InvitationsUsed) == 0
	})

	lines := strings.Fields(must(t, "room", "invite", "arena", "--config", config, "--site", "https://tickets.example.com/", "--count", "3", "--valid", "1d", "--name", "press", "--reason", "premiere"))
	seen := make(map[string]bool)
	for _, line := range lines {
		u, err := url.Parse(line)
		if err != nil || u.Host != "tickets.example.com" || u.Path != "/.waitroom/arena/invite" || len(u.Query().Get("t")) < 60 {
			t.Errorf("%q is no link (%v)", line, err)
		}
		seen[line] = true
	}
	if len(seen) != 3 {
		t.Errorf("%d different links", len(seen))
	}
	var made struct {
		Links   []string
		Expires time.Time
	}
	text := must(t, "room", "invite", "arena", "--config", config, "--site", "http://localhost:8080", "--json")
	if err := json.Unmarshal([]byte(text), &made); err != nil || len(made.Links) != 1 || !strings.HasPrefix(made.Links[0], "http://localhost:8080/.waitroom/") {
		t.Errorf("%s (%v)", text, err)
	}
	if left := time.Until(made.Expires); left < 23*time.Hour || left > 25*time.Hour {
		t.Errorf("it ends in %v", left)
	}
	log := must(t, "room", "log", "arena", "--config", config)
	for _, want := range []string{"invite", "press", "premiere"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log does not say %q:\n%s", want, log)
		}
	}
	if token := made.Links[0][strings.Index(made.Links[0], "t=")+2:]; strings.Contains(log, token) {
		t.Error("the log has a link that is good")
	}

	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"arena"}, "--site https://tickets.example.com"},
		{[]string{"arena", "--site", "tickets.example.com"}, "scheme and host alone"},
		{[]string{"arena", "--site", "https://a.example/path"}, "scheme and host alone"},
		{[]string{"arena", "--site", "https://a.example", "--valid", "soon"}, "90m, 24h or 7d"},
		{[]string{"arena", "--site", "https://a.example", "--valid", "10s"}, "a minute at least"},
		{[]string{"arena", "--site", "https://a.example", "--valid", "365d"}, "90 days at most"},
		{[]string{"arena", "--site", "https://a.example", "--count", "0"}, "between 1 and 1000"},
		{[]string{"arena", "--site", "https://a.example", "--count", "100000"}, "between 1 and 1000"},
		{[]string{"arena", "--site", "https://a.example", "--tier", "Members"}, "leave the tier out"},
		{[]string{"arena", "--site", "https://a.example", "--name", "The Press"}, "lower-case"},
		{[]string{"nowhere", "--site", "https://a.example"}, `no room "nowhere"`},
	} {
		if _, err := invoke(t, append([]string{"room", "invite", "--config", config}, c.args...)...); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: the error does not say %q: %v", strings.Join(c.args, " "), c.says, err)
		}
	}
	if table := must(t, "room", "status", "--config", config); !strings.Contains(table, "guests") {
		t.Errorf("the table does not count guests:\n%s", table)
	}

	redis.Kill()
	if _, err := invoke(t, "room", "invite", "arena", "--config", config, "--site", "https://a.example"); err == nil || !strings.Contains(err.Error(), "no invitation was made") {
		t.Errorf("invitations that no log knows of: %v", err)
	}
}
