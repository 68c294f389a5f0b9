package main

import (
	"context"
	_ "embed" // for the Caddyfile
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"text/template"
	"time"

	"github.com/caddy-tickets/caddy-tickets/allocator"
	"github.com/caddy-tickets/caddy-tickets/allocator/catalog"
	"github.com/caddy-tickets/caddy-tickets/allocator/pgstore"
	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
	"github.com/caddy-tickets/caddy-tickets/migrations"
)

//go:embed demo.Caddyfile
var demoCaddyfile string

var demoConfig = template.Must(template.New("Caddyfile").Parse(demoCaddyfile))

const (
	demoReadyWithin = time.Minute
	// restartAfter is the pause before a program that died is started again; it doubles
	// up to restartMost while it keeps dying.
	restartAfter = 200 * time.Millisecond
	restartMost  = 5 * time.Second
)

// demo is a running demo.
type demo struct {
	*demoOptions
	said    io.Writer
	places  places
	program string // of ourselves

	undo    []func() error // in the order of starting
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// start starts everything, in the order in which it is needed.
func (d *demo) start(ctx context.Context) error {
	var err error
	if d.program, err = os.Executable(); err != nil {
		return fmt.Errorf("finding our own program: %w", err)
	}
	if d.data, err = filepath.Abs(d.data); err != nil {
		return fmt.Errorf("finding the data folder: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(d.data, "logs"), 0o755); err != nil { //nolint:gosec // PostgreSQL's user has to get through
		return fmt.Errorf("making the data folder: %w", err)
	}
	d.places.Logs = filepath.Join(d.data, "logs")
	for _, step := range []func(context.Context) error{d.startRedis, d.startPostgres, d.createSale, d.startSite} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// stop undoes everything in the opposite order.
func (d *demo) stop() error {
	if d.cancel != nil {
		d.cancel()
	}
	d.running.Wait()
	var errs []error
	for _, undo := range slices.Backward(d.undo) {
		errs = append(errs, undo())
	}
	return errors.Join(errs...)
}

func (d *demo) startRedis(ctx context.Context) error {
	if d.redis != "" {
		d.places.Redis = d.redis
		return nil
	}
	fmt.Fprintln(d.said, "Starting Redis …")
	server, err := devstack.StartRedis(ctx, devstack.RedisOptions{Dir: filepath.Join(d.data, "redis"), Persist: true})
	if err != nil {
		return err
	}
	d.undo = append(d.undo, server.Stop)
	d.places.Redis, d.places.RedisPID = server.URL(), server.PID()
	return nil
}

func (d *demo) startPostgres(ctx context.Context) error {
	if d.database != "" {
		d.places.Database = d.database
		return nil
	}
	dir := filepath.Join(d.data, "postgres")
	if !devstack.Reachable(dir) {
		return fmt.Errorf("the user that PostgreSQL runs as cannot get to %s, because a folder above it is closed to others; choose another with --data, such as /var/tmp/caddy-tickets-demo", d.data)
	}
	fmt.Fprintln(d.said, "Starting PostgreSQL …")
	server, err := devstack.StartPostgres(ctx, devstack.PostgresOptions{Dir: dir, Durable: true})
	if err != nil {
		return err
	}
	d.undo = append(d.undo, server.Stop)
	if err := server.CreateDatabase(ctx, "tickets"); err != nil {
		return err
	}
	d.places.Database, d.places.PostgresPID = server.DSN("tickets"), server.PID()
	return nil
}

// createSale opens the sale, if it is not there from an earlier start.
func (d *demo) createSale(ctx context.Context) error {
	if err := migrations.Up(ctx, d.places.Database); err != nil {
		return fmt.Errorf("migrating: %w", err)
	}
	store, err := pgstore.Open(d.places.Database, pgstore.Options{})
	if err != nil {
		return fmt.Errorf("database: %w", err)
	}
	defer store.Close()
	e, err := store.Event(ctx, demoName)
	switch {
	case errors.Is(err, allocator.ErrEventUnknown):
		if e, err = d.create(ctx); err != nil {
			return err
		}
		fmt.Fprintf(d.said, "Created a sale of %d places.\n", e.Capacity)
	case err != nil:
		return fmt.Errorf("looking for the sale: %w", err)
	default:
		fmt.Fprintf(d.said, "Found the sale of an earlier start: %d places.\n", e.Capacity)
	}
	if _, err := store.SetPhase(ctx, demoName, allocator.PhaseOpen); err != nil {
		return fmt.Errorf("opening the sale: %w", err)
	}
	return nil
}

func (d *demo) create(ctx context.Context) (*allocator.Event, error) {
	n := newEvent{Ask: catalog.Ask{Slug: demoName, Currency: "EUR"}, plan: d.plan, seats: d.seats}
	if d.plan != "" {
		p, err := readPlan(d.plan)
		if err != nil {
			return nil, err
		}
		for name, price := range madeUpPrices(p, n.Currency) {
			n.prices = append(n.prices, fmt.Sprintf("%s=%d.%02d", name, price/100, price%100))
		}
	} else {
		n.Name = "The Big Night"
	}
	return n.create(ctx, d.places.Database)
}

// startSite starts the programs that fans meet.
func (d *demo) startSite(ctx context.Context) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	d.cancel = cancel
	fan, err := freeAddress(d.listen)
	if err != nil {
		return err
	}
	var free [4]string
	for i := range free {
		if free[i], err = freeAddress("127.0.0.1:0"); err != nil {
			return err
		}
	}
	seats, operator, admin, site := free[0], free[1], free[2], free[3]
	if err := d.serveSite(work, site); err != nil {
		return err
	}
	d.places.FanPage, d.places.OperatorPage, d.places.Metrics = "http://"+fan+"/", "http://"+operator+"/", "http://"+operator+"/metrics"
	d.places.Allocator, d.places.Caddyfile = "http://"+seats, filepath.Join(d.data, "Caddyfile")
	var config strings.Builder
	host, port, _ := net.SplitHostPort(fan)
	_, operatorPort, _ := net.SplitHostPort(operator)
	err = demoConfig.Execute(&config, map[string]any{
		"Admin": admin, "Data": d.data, "Redis": d.places.Redis, "Host": host, "Port": port, "OperatorPort": operatorPort,
		"Room": demoName, "Rate": d.rate, "Active": d.active, "Allocator": d.places.Allocator, "Site": site,
	})
	if err != nil {
		return fmt.Errorf("writing the Caddyfile: %w", err)
	}
	if err := os.WriteFile(d.places.Caddyfile, []byte(config.String()), 0o600); err != nil {
		return fmt.Errorf("writing the Caddyfile: %w", err)
	}
	fmt.Fprintln(d.said, "Starting the allocator and the edge …")
	d.places.AllocatorPID, err = d.keep(work, "allocator", devstack.Command{
		Program: d.program, OnDeath: syscall.SIGTERM,
		Args: []string{"allocator", "--listen", seats, "--jwks", d.places.FanPage + ".well-known/jwks.json", "--sandbox", "--sandbox-journal", filepath.Join(d.data, "payments.jsonl")},
		Env:  []string{"TICKETS_REDIS=" + d.places.Redis, "TICKETS_DATABASE=" + d.places.Database},
	})
	if err != nil {
		return err
	}
	d.places.EdgePID, err = d.keep(work, "edge", devstack.Command{
		Program: d.program, OnDeath: syscall.SIGTERM, Args: []string{"run", "--config", d.places.Caddyfile, "--adapter", "caddyfile"},
	})
	if err != nil {
		return err
	}
	for _, address := range []string{d.places.Allocator + "/readyz", d.places.FanPage + ".well-known/jwks.json", d.places.Metrics} {
		if err := answers(ctx, address); err != nil {
			return fmt.Errorf("%w; see the logs in %s", err, d.places.Logs)
		}
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

// keep runs a program, and starts it again when it dies before its time.
func (d *demo) keep(ctx context.Context, name string, c devstack.Command) (pid int, err error) {
	c.Log = filepath.Join(d.places.Logs, name+".log")
	p, err := devstack.Start(c)
	if err != nil {
		return 0, fmt.Errorf("starting the %s: %w", name, err)
	}
	pid = p.PID()
	d.running.Go(func() {
		pause := restartAfter
		for {
			select {
			case <-ctx.Done():
				p.Stop(syscall.SIGTERM)
				return
			case <-p.Done():
			}
			fmt.Fprintf(d.said, "The %s died (%v) and is started again.\n", name, p.Err())
			for {
				timer := time.NewTimer(pause)
				select {
				case <-ctx.Done():
					timer.Stop()
					return
				case <-timer.C:
				}
				pause = min(2*pause, restartMost)
				next, err := devstack.Start(c)
				if err == nil {
					p = next
					break
				}
				fmt.Fprintf(d.said, "The %s could not be started: %v\n", name, err)
			}
		}
	})
	return pid, nil
}

// freeAddress checks an address, and puts a free port for port 0.
func freeAddress(address string) (string, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return "", fmt.Errorf("%w; choose another address with --listen", err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String(), nil
}

// answers waits until an address answers well.
func answers(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, demoReadyWithin)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	last := "no answer"
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return fmt.Errorf("asking %s: %w", address, err)
		}
		if reply, err := http.DefaultClient.Do(request); err == nil {
			_ = reply.Body.Close()
			if reply.StatusCode < http.StatusMultipleChoices {
				return nil
			}
			last = reply.Status
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer within %s: %s", address, demoReadyWithin, last)
		}
	}
}
