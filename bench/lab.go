package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
)

// lab is what one figure is measured on. Everything it starts ends with close.
type lab struct {
	binary string
	dir    string
	undo   []func()
}

func newLab(binary string) (*lab, error) {
	path, err := filepath.Abs(binary)
	if err != nil {
		return nil, fmt.Errorf("finding the program: %w", err)
	}
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("finding the program: %w; build it with `make build`", err)
	}
	dir, err := os.MkdirTemp("", "tickets-bench-")
	if err != nil {
		return nil, fmt.Errorf("making a folder: %w", err)
	}
	return &lab{binary: path, dir: dir, undo: []func(){func() { _ = os.RemoveAll(dir) }}}, nil
}

func (l *lab) onClose(undo func()) { l.undo = append(l.undo, undo) }

func (l *lab) close() {
	for _, undo := range slices.Backward(l.undo) {
		undo()
	}
}

func (l *lab) redis(ctx context.Context) (string, error) {
	server, err := devstack.StartRedis(ctx, devstack.RedisOptions{})
	if err != nil {
		return "", err
	}
	l.onClose(func() { _ = server.Stop() })
	return server.URL(), nil
}

func (l *lab) postgres(ctx context.Context) (string, error) {
	server, err := devstack.StartPostgres(ctx, devstack.PostgresOptions{Durable: true})
	if err != nil {
		return "", err
	}
	l.onClose(func() { _ = server.Stop() })
	if err := server.CreateDatabase(ctx, "bench"); err != nil {
		return "", err
	}
	return server.DSN("bench"), nil
}

// backendPage is what the site behind serves: a few hundred bytes.
var backendPage = []byte(strings.Repeat("seat ", 100))

// backend is the site behind, as fast as Go serves it.
func (l *lab) backend() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("starting the site behind: %w", err)
	}
	server := &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(backendPage) }),
	}
	go func() { _ = server.Serve(listener) }()
	l.onClose(func() { _ = server.Close() })
	return "http://" + listener.Addr().String(), nil
}

// freePort is a port of loopback that nobody listens on.
func freePort() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("finding a free port: %w", err)
	}
	defer func() { _ = listener.Close() }()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	return port, err
}

// edge runs the program with a Caddyfile and waits until url answers.
func (l *lab) edge(ctx context.Context, caddyfile, url string, env ...string) (*devstack.Process, error) {
	path := filepath.Join(l.dir, "Caddyfile")
	if err := os.WriteFile(path, []byte(caddyfile), 0o600); err != nil {
		return nil, fmt.Errorf("writing the Caddyfile: %w", err)
	}
	return l.program(ctx, url, env, "run", "--config", path, "--adapter", "caddyfile")
}

// program runs a subcommand and waits until url answers.
func (l *lab) program(ctx context.Context, url string, env []string, args ...string) (*devstack.Process, error) {
	return l.start(ctx, l.binary, url, env, args...)
}

// start runs any program and waits until url answers.
func (l *lab) start(ctx context.Context, program, url string, env []string, args ...string) (*devstack.Process, error) {
	process, err := devstack.Start(devstack.Command{
		Program: program, Args: args, Env: env, Log: filepath.Join(l.dir, args[0]+".log"), OnDeath: syscall.SIGKILL,
	})
	if err != nil {
		return nil, err
	}
	l.onClose(process.Kill)
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // whether it answers, not who it is
	}}
	defer client.CloseIdleConnections()
	err = process.AwaitReady(ctx, func() bool {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return false
		}
		response, err := client.Do(request)
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode < http.StatusInternalServerError
	})
	if err != nil {
		return nil, err
	}
	return process, nil
}

// median of an odd number of rounds is one of them, so that a round that was
// disturbed does not move it.
func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}
