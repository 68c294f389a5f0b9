package caddytest

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func TestCaddyfilesBecomeTheirJSONOrTheirError(t *testing.T) { Golden(t) }

func site(body string) string {
	return "{\nadmin off\npersist_config off\nauto_https off\nlog {\nlevel FATAL\n}\nmetrics\n}\n" +
		"http://:0 {\nbind 127.0.0.1\nrespond " + body + "\n}\nhttp://localhost:0 {\nbind 127.0.0.2\nrespond \"the other\"\n}\n"
}

func TestACaddyfileIsStartedReloadedAndAsked(t *testing.T) {
	StopAfter(t)
	for _, body := range []string{"first", "second"} {
		MustLoad(t, site(body))
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, URL(t)+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Ask(http.DefaultClient, request)
		if err != nil || got.Status != http.StatusOK || got.Body != body {
			t.Errorf("%+v %v", got, err)
		}
	}
	if got := Raw(t, URLOn(t, "127.0.0.2"), "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"); got.Body != "the other" {
		t.Errorf("%+v", got)
	}
	if got := len(App[*caddyhttp.App](t, "http").Servers); got != 2 {
		t.Errorf("%d servers run", got)
	}
	if err := Load("http://:0 {\nshout\n}\n"); err == nil || !strings.Contains(err.Error(), "Caddyfile:2") {
		t.Errorf("a mistake: %v", err)
	}
}

func TestAMetricIsTheSumOfTheSamplesThatAreMeant(t *testing.T) {
	StopAfter(t)
	MustLoad(t, site("in"))
	for range 3 {
		Raw(t, URL(t), "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	}
	const name = "caddy_http_requests_total"
	for handler, want := range map[string]float64{"static_response": 3, "nobody": 0} {
		if sum, measured := Metric(t, name, map[string]string{"handler": handler}); sum != want || !measured {
			t.Errorf("requests of %s: %v %v, want %v", handler, sum, measured, want)
		}
	}
	if sum, measured := Metric(t, "caddy_http_nothing", nil); sum != 0 || measured {
		t.Errorf("nothing is %v %v", sum, measured)
	}
}
