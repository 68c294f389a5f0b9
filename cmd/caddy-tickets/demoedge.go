package main

import (
	"context"
	_ "embed" // for the Caddyfile
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"text/template"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
)

//go:embed demo.Caddyfile
var demoCaddyfile string

var demoConfig = template.Must(template.New("Caddyfile").Parse(demoCaddyfile))

// addresses are where the programs of the demo listen.
type addresses struct{ fans, operator, seats, admin, site string }

// startSite starts the programs that fans meet: the ticket site in this process,
// the allocator and the edge as programs of their own.
func (d *demo) startSite(ctx context.Context) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	d.cancel = cancel
	at, err := d.choose()
	if err != nil {
		return err
	}
	if err := d.serveSite(work, at.site); err != nil {
		return err
	}
	fans := "http://" + reachedAt(at.fans)
	d.places.FanPage, d.places.OperatorPage, d.places.Metrics = fans+"/", "http://"+at.operator+"/", "http://"+at.operator+"/metrics"
	d.places.Allocator = "http://" + at.seats
	if err := d.writeCaddyfile(at); err != nil {
		return err
	}
	fmt.Fprintln(d.said, "Starting the allocator and the edge …")
	servers := []string{"TICKETS_REDIS=" + d.redis, "TICKETS_DATABASE=" + d.database} // not arguments: everybody sees those
	d.places.AllocatorPID, err = d.keep(work, "allocator", devstack.Command{
		Program: d.program, OnDeath: syscall.SIGTERM, Env: servers,
		Args: []string{"allocator", "--listen", at.seats, "--jwks", fans + "/.well-known/jwks.json", "--sandbox", "--sandbox-journal", filepath.Join(d.data, "payments.jsonl")},
	})
	if err != nil {
		return err
	}
	d.places.EdgePID, err = d.keep(work, "edge", devstack.Command{
		Program: d.program, OnDeath: syscall.SIGTERM, Env: servers[:1],
		Args: []string{"run", "--config", d.places.Caddyfile, "--adapter", "caddyfile"},
	})
	if err != nil {
		return err
	}
	for _, address := range []string{d.places.Allocator + "/readyz", fans + "/.well-known/jwks.json", d.places.Metrics} {
		if err := answers(ctx, address); err != nil {
			return fmt.Errorf("%w; see the logs in %s", err, d.places.Logs)
		}
	}
	return nil
}

// askForAddress says at once, and not after the servers were started, that the fan
// page cannot be where it was asked for. The other addresses are chosen as late as
// possible, so that nobody takes them meanwhile.
func (d *demo) askForAddress() error {
	listener, err := net.Listen("tcp", d.listen)
	if err != nil {
		return fmt.Errorf("the fan page: %w; choose another address with --listen", err)
	}
	return listener.Close()
}

// choose finds addresses for all. The operator's follows the fans' where that is
// free, so that it is the same with every start.
func (d *demo) choose() (addresses, error) {
	host, port, err := net.SplitHostPort(d.listen)
	if err != nil {
		return addresses{}, fmt.Errorf("--listen: %w; write it as 127.0.0.1:8080", err)
	}
	operator := "127.0.0.1:0"
	if n, err := strconv.Atoi(port); err == nil && n > 0 && n < 65535 {
		operator = net.JoinHostPort("127.0.0.1", strconv.Itoa(n+1))
	}
	// All are held until all are chosen: none is given twice.
	var held []net.Listener
	defer func() {
		for _, listener := range held {
			_ = listener.Close()
		}
	}()
	take := func(address string) (string, error) {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			return "", err
		}
		held = append(held, listener)
		return listener.Addr().String(), nil
	}
	var at addresses
	if at.fans, err = take(net.JoinHostPort(host, port)); err != nil {
		return at, fmt.Errorf("the fan page: %w; choose another address with --listen", err)
	}
	if at.operator, err = take(operator); err != nil {
		at.operator, err = take("127.0.0.1:0")
	}
	errs := []error{err}
	for _, address := range []*string{&at.seats, &at.admin, &at.site} {
		*address, err = take("127.0.0.1:0")
		errs = append(errs, err)
	}
	return at, errors.Join(errs...)
}

// reachedAt is an address for a browser on this machine.
func reachedAt(address string) string {
	host, port, _ := net.SplitHostPort(address)
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// writeCaddyfile writes the edge's config, anew with every start. A Redis that was
// given may have a password in its address, which then is in the edge's environment
// only.
func (d *demo) writeCaddyfile(at addresses) error {
	d.places.Caddyfile = filepath.Join(d.data, "Caddyfile")
	redis := "{env.TICKETS_REDIS}"
	if d.places.RedisPID != 0 {
		redis = d.redis
	}
	host, port, _ := net.SplitHostPort(at.fans)
	_, operator, _ := net.SplitHostPort(at.operator)
	var config strings.Builder
	err := demoConfig.Execute(&config, map[string]any{
		"Admin": at.admin, "Storage": strconv.Quote(filepath.Join(d.data, "edge")), "Redis": redis, "Host": host, "Port": port,
		"OperatorPort": operator, "Room": demoName, "Rate": d.rate, "Active": d.active, "Allocator": d.places.Allocator, "Site": at.site,
	})
	if err == nil {
		err = os.WriteFile(d.places.Caddyfile, []byte(config.String()), 0o600)
	}
	if err != nil {
		return fmt.Errorf("writing the Caddyfile: %w", err)
	}
	return nil
}

// serveSite serves the ticket site that stands behind the edge.
func (d *demo) serveSite(ctx context.Context, address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("starting the ticket site: %w", err)
	}
	server := &http.Server{Handler: newDemoSite(demoName), ReadHeaderTimeout: 10 * time.Second}
	d.running.Go(func() { _ = server.Serve(listener) })
	d.running.Go(func() {
		<-ctx.Done()
		_ = server.Close()
	})
	return nil
}
