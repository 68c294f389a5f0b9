package main

import (
	"context"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/rehearse"
)

const (
	gateRounds      = 11 // of each side, alternating; the median of their ratios counts
	gateRound       = 1500 * time.Millisecond
	gateConnections = 32
)

// gateRatio is what the gate costs a visitor who is inside: requests per second of
// plain reverse_proxy, and of the same behind botguard and waitroom with a valid
// pass. Checking a cached pass is one hash and one map look-up, so it should be
// lost in the price of proxying.
var gateRatio = figure{
	name: "gate-ratio", unit: "x", target: 0.90,
	measure: func(ctx context.Context, l *lab) (float64, error) {
		site, err := l.backend()
		if err != nil {
			return 0, err
		}
		plain, err := freePort()
		if err != nil {
			return 0, err
		}
		guarded, err := l.guardedEdge(ctx, edgeOptions{site: site, challenge: true, extra: "http://:" + plain + " {\n\tbind 127.0.0.1\n\treverse_proxy " + site + "\n}\n"})
		if err != nil {
			return 0, err
		}
		cookie, err := admittedPass(ctx, guarded.url)
		if err != nil {
			return 0, err
		}
		request := func(address string) string {
			// The user agent is that of the claim: a pass is bound to it.
			return "GET /seats HTTP/1.1\r\nHost: " + address + "\r\nUser-Agent: " + rehearse.UserAgent + "\r\nAccept: text/html\r\nCookie: " + cookie + "\r\n\r\n"
		}
		var ratios []float64
		for range gateRounds {
			var rates [2]float64
			for i, address := range []string{"127.0.0.1:" + plain, guarded.address} {
				if rates[i], err = load(ctx, address, request(address), len(backendPage), gateConnections, gateRound); err != nil {
					return 0, err
				}
			}
			ratios = append(ratios, rates[1]/rates[0])
		}
		return median(ratios), nil
	},
}

// admittedPass goes the whole way of a fan and returns the pass as a Cookie header.
func admittedPass(ctx context.Context, url string) (string, error) {
	fan, err := enter(ctx, url, 1)
	if err != nil {
		return "", err
	}
	defer fan.Close()
	reply, err := claim(ctx, fan)
	if err != nil {
		return "", err
	}
	return cookie(reply, "pass-"+benchRoom)
}
