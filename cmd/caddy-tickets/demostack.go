package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
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

// start starts everything, in the order in which it is needed. Whatever of it has
// been started when it fails, stop stops.
func (d *demo) start(ctx context.Context) error {
	var err error
	if d.program, err = os.Executable(); err != nil {
		return fmt.Errorf("finding our own program: %w", err)
	}
	if err := d.openData(); err != nil {
		return err
	}
	if err := d.askForAddress(); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{d.startRedis, d.startPostgres, d.openSale, d.startSite} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// stop undoes everything in the opposite order: first the programs that fans meet,
// so that their last requests find their servers.
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
		d.places.Redis = withoutPassword(d.redis)
		return nil
	}
	fmt.Fprintln(d.said, "Starting Redis …")
	server, err := devstack.StartRedis(ctx, devstack.RedisOptions{Dir: filepath.Join(d.data, "redis"), Persist: true})
	if err != nil {
		return err
	}
	d.undo = append(d.undo, server.Stop)
	d.redis = server.URL()
	d.places.Redis, d.places.RedisPID = server.URL(), server.PID()
	return nil
}

func (d *demo) startPostgres(ctx context.Context) error {
	if d.database != "" {
		d.places.Database = withoutPassword(d.database)
		return nil
	}
	fmt.Fprintln(d.said, "Starting PostgreSQL …")
	server, err := devstack.StartPostgres(ctx, devstack.PostgresOptions{Dir: filepath.Join(d.data, "postgres"), Durable: true})
	if err != nil {
		return err
	}
	d.undo = append(d.undo, server.Stop)
	if err := server.CreateDatabase(ctx, "tickets"); err != nil {
		return err
	}
	d.database = server.DSN("tickets")
	d.places.Database, d.places.PostgresPID = d.database, server.PID()
	return nil
}
