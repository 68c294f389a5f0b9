package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
	"github.com/caddy-tickets/caddy-tickets/internal/pow"
	"github.com/caddy-tickets/caddy-tickets/internal/rehearse"
)

const (
	benchRoom = "bench"
	// claimWithin bounds the wait for a turn at the unlimited rate.
	claimWithin = 10 * time.Second
)

// edgeOptions say how the edge under test is set up.
type edgeOptions struct {
	site      string
	redis     string // default: one of its own
	challenge bool
	admit     string // default: everybody at once
	secure    bool   // TLS, with a certificate that signs itself
	env       []string
	extra     string // further sites
}

// guarded is a running edge with one guarded site.
type guarded struct {
	url, address string
	ca           string // file with the certificate that it has; empty without TLS
	redis        string
	process      *devstack.Process
	collect      func(context.Context) error // has it collect its garbage
}

// guardedEdge runs an edge whose velocity limits are out of the way: every
// virtual fan comes from this machine.
func (l *lab) guardedEdge(ctx context.Context, o edgeOptions) (guarded, error) {
	if o.redis == "" {
		redis, err := l.redis(ctx)
		if err != nil {
			return guarded{}, err
		}
		o.redis = redis
	}
	port, err := freePort()
	if err != nil {
		return guarded{}, err
	}
	if o.admit == "" {
		o.admit = "600000/m"
	}
	botguard := ""
	if o.challenge {
		botguard = "\tbotguard {\n\t\tvelocity join {botguard.prefix} 1000000 1m\n\t\tchallenge auto\n\t}\n"
	}
	edge := guarded{url: "http://127.0.0.1:" + port, address: "127.0.0.1:" + port, redis: o.redis}
	guard := ""
	if o.secure {
		own, err := l.certificate()
		if err != nil {
			return guarded{}, err
		}
		edge.url, edge.ca, guard = "https://"+edge.address, own.certificate, "\ttls "+own.certificate+" "+own.key+"\n"
	}
	admin := l.dir + "/admin.sock"
	caddyfile := "{\n\tadmin unix/" + admin + "\n\tpersist_config off\n\tauto_https off\n\ttickets {\n\t\tredis " + o.redis + "\n\t\tkeys " + l.dir + "/keys\n\t}\n\tservers {\n\t\tprotocols h1 h2 h2c\n\t}\n}\n" +
		edge.url + " {\n\tbind 127.0.0.1\n" + guard + botguard +
		"\twaitroom " + benchRoom + " {\n\t\tadmit " + o.admit + "\n\t\tqueue all\n\t\tactive 1000000\n\t\tsession 10m\n\t}\n\treverse_proxy " + o.site + "\n}\n" + o.extra
	edge.collect = collector("unix", admin)
	edge.process, err = l.edge(ctx, caddyfile, edge.url, o.env...)
	return edge, err
}

// fan is a virtual fan that has a place in the queue.
type fan struct {
	*rehearse.Client
	place string // its place token, as a Cookie header
}

// address is a source of its own for each fan.
func address(number int) net.IP {
	return net.IPv4(127, byte(1+number/62500), byte(1+number/250%250), byte(1+number%250))
}

// enter loads the page and joins, solving the challenge if there is one.
func enter(ctx context.Context, site string, number int) (*fan, error) {
	target, err := url.Parse(site)
	if err != nil {
		return nil, fmt.Errorf("reading the edge's address: %w", err)
	}
	client := rehearse.NewClient(target, address(number))
	if _, err := client.Do(ctx, rehearse.Call{Method: http.MethodGet, Path: "/", Accept: "text/html"}, nil); err != nil {
		client.Close()
		return nil, fmt.Errorf("opening the page: %w", err)
	}
	joined, err := join(ctx, client)
	if err != nil {
		client.Close()
		return nil, fmt.Errorf("joining: %w", err)
	}
	place, err := cookie(joined, "place-"+benchRoom)
	if err != nil {
		client.Close()
		return nil, err
	}
	return &fan{client, place}, nil
}

// cookie finds a cookie in a reply and returns it as a Cookie header.
func cookie(reply rehearse.Reply, name string) (string, error) {
	for _, c := range (&http.Response{Header: reply.Header}).Cookies() {
		if c.Name == name {
			return c.Name + "=" + c.Value, nil
		}
	}
	return "", fmt.Errorf("the edge's answer sets no cookie %s", name)
}

func join(ctx context.Context, client *rehearse.Client) (rehearse.Reply, error) {
	call := rehearse.Call{Method: http.MethodPost, Path: "/.waitroom/" + benchRoom + "/join", Header: http.Header{}}
	reply, err := client.Do(ctx, call, nil)
	refusal, refused := errors.AsType[*rehearse.Refusal](err)
	if !refused || refusal.Challenge == nil {
		return reply, err
	}
	answer, err := pow.Solve(ctx, refusal.Challenge.Token)
	if err != nil {
		return reply, err
	}
	call.Header.Set("Botguard-Answer", answer)
	return client.Do(ctx, call, nil)
}

// claim takes the pass as soon as it is the fan's turn.
func claim(ctx context.Context, fan *fan) (rehearse.Reply, error) {
	ctx, cancel := context.WithTimeout(ctx, claimWithin)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		reply, err := fan.Do(ctx, rehearse.Call{Method: http.MethodPost, Path: "/.waitroom/" + benchRoom + "/claim"}, nil)
		if refusal, refused := errors.AsType[*rehearse.Refusal](err); !refused || refusal.Code != "not-yet" {
			return reply, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return reply, fmt.Errorf("waiting for the turn: %w", context.Cause(ctx))
		}
	}
}
