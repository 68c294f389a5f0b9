// Package caddytest runs a real Caddy in the process of a test. There is one at a
// time, so tests that use it do not run in parallel.
//
// Only tests import this package.
package caddytest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/standard" // what Caddyfiles of tests use beside our directives
)

// Adapt makes Caddy's own config of a Caddyfile. A warning is an error, but for the
// one that the text is not formatted.
func Adapt(caddyfile string) ([]byte, error) {
	config, warnings, err := adapt(caddyfile)
	for _, w := range warnings {
		if !strings.Contains(w.Message, "not formatted") {
			return nil, fmt.Errorf("a warning: %s", w)
		}
	}
	return config, err
}

func adapt(caddyfile string) ([]byte, []caddyconfig.Warning, error) {
	return caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), map[string]any{"filename": "Caddyfile"})
}

// Load starts Caddy with a Caddyfile, or reloads the running one.
func Load(caddyfile string) error {
	config, err := Adapt(caddyfile)
	if err != nil {
		return err
	}
	return caddy.Load(config, true)
}

// LoadJSON is Load for Caddy's own config.
func LoadJSON(config string) error { return caddy.Load([]byte(config), true) }

// MustLoad is Load for a Caddyfile that works.
func MustLoad(t testing.TB, caddyfile string) {
	t.Helper()
	if err := Load(caddyfile); err != nil {
		t.Fatal(err)
	}
}

// StopAfter stops Caddy when the test ends.
func StopAfter(t testing.TB) {
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
}

// URL is where the server on 127.0.0.1 listens, whose Caddyfile asks for port 0.
func URL(t testing.TB) string {
	t.Helper()
	return URLOn(t, "127.0.0.1")
}

// URLOn is where the server that is bound to an IP address listens.
func URLOn(t testing.TB, ip string) string {
	t.Helper()
	for _, server := range App[*caddyhttp.App](t, "http").Servers {
		address := server.Listeners()[0].Addr().String()
		if !strings.HasPrefix(address, ip+":") {
			continue
		}
		if len(server.TLSConnPolicies) > 0 {
			return "https://" + address
		}
		return "http://" + address
	}
	t.Fatalf("no server is bound to %s; write bind %s", ip, ip)
	return ""
}

// App is an app of the running config.
func App[A caddy.App](t testing.TB, name string) A {
	t.Helper()
	app, err := caddy.ActiveContext().App(name)
	if err != nil {
		t.Fatal(err)
	}
	return app.(A)
}

// Metric sums the samples of a counter or gauge of the running config whose labels
// are as given, and says whether it is measured at all.
func Metric(t testing.TB, name string, labels map[string]string) (sum float64, measured bool) {
	t.Helper()
	ctx := caddy.ActiveContext()
	families, err := ctx.GetMetricsRegistry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			agree := 0
			for _, l := range m.GetLabel() {
				if want, asked := labels[l.GetName()]; asked && want == l.GetValue() {
					agree++
				}
			}
			if agree == len(labels) {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
		measured = true
	}
	return sum, measured
}
