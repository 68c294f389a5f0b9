package waitroom

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddy-tickets/caddy-tickets/caddymodule/caddytest"
	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

func TestHealthMistakesNameTheirLineAndTheMend(t *testing.T) {
	const url = "health http://127.0.0.1:8080/healthz"
	for _, c := range []struct {
		block string
		line  int // in the block
		want  string
	}{
		{"health", 1, "health http://127.0.0.1:8080/healthz"},
		{"health 127.0.0.1:8080", 1, "http:// or https://"},
		{"health ftp://example.com/", 1, "http:// or https://"},
		{"health http:///healthz", 1, "and a host"},
		{url + " often", 1, "every so often, such as 2s"},
		{url + " 2s 3s", 1, "needs the address"},
		{url + " 2s {\nevery 3s\n}", 2, "every is set twice"},
		{url + " {\nfails 3\nfails 4\n}", 3, "fails is set twice"},
		{url + " {\nfails 0\n}", 2, "whole number above zero"},
		{url + " {\npasses many\n}", 2, "whole number above zero"},
		{url + " {\nfails 101\n}", 3, "between 1 and 100"},
		{url + " {\ntimeout 0s\n}", 2, "90s, 10m or 1h"},
		{url + " {\ntimeout 3s\n}", 3, "must not be longer than every (2s)"},
		{url + " 100ms", 1, "between 500ms and 1m0s"},
		{url + " {\nevery 2m\n}", 3, "between 500ms and 1m0s"},
		{url + " {\nretries 3\n}", 2, "health knows every, timeout, fails and passes"},
		{url + "\n" + url, 2, "health is set twice"},
	} {
		_, err := caddytest.Adapt("http://:80 {\nwaitroom arena {\n" + c.block + "\nadmit 5/s\n}\n}\n")
		if err == nil {
			t.Errorf("%q is accepted", c.block)
			continue
		}
		if place := "Caddyfile:" + strconv.Itoa(2+c.line); !strings.Contains(err.Error(), place) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %q names neither %s nor %q", c.block, err, place, c.want)
		}
	}
	config, err := caddytest.Adapt("http://:80 {\nwaitroom arena {\nadmit 5/s\n" + url + " {\nevery 5s\ntimeout 2s\nfails 4\npasses 3\n}\n}\n}\n")
	if err != nil || !strings.Contains(string(config), `"health":{"every":5000000000,"fails":4,"passes":3,"timeout":2000000000,"url":"http://127.0.0.1:8080/healthz"}`) {
		t.Errorf("%v: %s", err, config)
	}
}

// While the site is unwell nobody is let in, everybody is told, and it goes on by itself.
func TestAnUnwellSiteStopsAdmissionByItself(t *testing.T) {
	var unwell atomic.Bool
	health := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if unwell.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
		_, _ = io.WriteString(w, "how it is")
	}))
	t.Cleanup(health.Close)
	s := start(t, open+"\nhealth "+health.URL+" 500ms {\nfails 1\npasses 1\n}")

	s.until("the site is well", func(v *room.View) bool { return s.room().Site().Watched && !v.Unwell })
	unwell.Store(true)
	s.until("the site is unwell", func(v *room.View) bool { return v.Unwell })
	if got := s.metric("site_unwell", map[string]string{"room": "arena"}); got != 1 {
		t.Errorf("tickets_room_site_unwell is %v", got)
	}
	fan := s.fan()
	fan.post(arena + "join")
	status := fan.get(arena + "status")
	if status.State != "waiting" || !strings.Contains(status.body, "The ticket site needs a moment.") {
		t.Errorf("the fan is told %s", status.body)
	}
	if got := s.room().View().AdmittedTotal; got != 0 {
		t.Errorf("%d admitted to a site that is unwell", got)
	}
	unwell.Store(false)
	s.until("the fan is admitted", func(v *room.View) bool { return v.AdmittedTotal == 1 && !v.Unwell })
}
