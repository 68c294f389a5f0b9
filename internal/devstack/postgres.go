package devstack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// PostgresOptions are the settings of a private PostgreSQL server.
type PostgresOptions struct {
	// Dir keeps the data between starts; empty means a folder that is removed.
	// When we are root, the user postgres must be able to reach it; see Reachable.
	Dir string
	// Durable turns fsync on. Off, a killed server loses nothing, but a machine
	// that loses power may lose everything: right for tests and the demo.
	Durable bool
}

// PostgresDaemon is a private PostgreSQL server on a unix socket. Its methods may be
// called from any goroutine.
type PostgresDaemon struct {
	bin     string // folder of its programs
	options PostgresOptions
	folder  *folder
	user    *syscall.Credential

	mu      sync.Mutex
	process *Process // guarded by mu; nil while down
}

// StartPostgres starts a server, making its data folder if there is none yet,
// and returns when it accepts connections. ctx bounds the start only; the server
// runs until Stop.
func StartPostgres(ctx context.Context, options PostgresOptions) (*PostgresDaemon, error) {
	program, err := findProgram("initdb", "postgresql", postgresFolders[:]...)
	if err != nil {
		return nil, err
	}
	if program, err = filepath.EvalSymlinks(program); err != nil { // its neighbours are at the far end
		return nil, fmt.Errorf("finding PostgreSQL's programs: %w", err)
	}
	user, err := unprivileged("postgres")
	if err != nil {
		return nil, err
	}
	folder, err := newFolder()
	if err != nil {
		return nil, err
	}
	s := &PostgresDaemon{bin: filepath.Dir(program), options: options, folder: folder, user: user}
	if s.options.Dir == "" {
		s.options.Dir = filepath.Join(folder.path, "data")
	}
	if err := errors.Join(own(user, folder.path, 0o755), s.initialise(ctx)); err != nil {
		return nil, errors.Join(err, folder.remove())
	}
	if err := s.Start(ctx); err != nil {
		return nil, errors.Join(err, folder.remove())
	}
	return s, nil
}

// initialise makes the data folder once. An interrupted initdb leaves no
// PG_VERSION in place of a whole folder: it cleans up after itself.
func (s *PostgresDaemon) initialise(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(s.options.Dir, "PG_VERSION")); err == nil {
		return nil
	}
	if err := own(s.user, s.options.Dir, 0o700); err != nil {
		return err
	}
	p, err := Start(Command{
		Program: filepath.Join(s.bin, "initdb"),
		Args: []string{"--pgdata", s.options.Dir, "--username", "postgres", "--auth", "trust",
			"--encoding", "UTF8", "--no-locale", "--no-sync", "--no-instructions"},
		Log: s.logPath("initdb"), user: s.user, OnDeath: syscall.SIGKILL,
	})
	if err != nil {
		return err
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		p.Kill()
		return fmt.Errorf("making the PostgreSQL data folder: %w", context.Cause(ctx))
	}
	if p.err != nil {
		return fmt.Errorf("making the PostgreSQL data folder: %w; its log:\n%s", p.err, p.Tail())
	}
	return nil
}

func (s *PostgresDaemon) logPath(name string) string {
	return filepath.Join(s.folder.path, name+".log")
}

// Start starts the server again on the same data. A running one is left alone.
func (s *PostgresDaemon) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process != nil {
		return nil
	}
	durable := "off"
	if s.options.Durable {
		durable = "on"
	}
	p, err := Start(Command{
		Program: filepath.Join(s.bin, "postgres"),
		Args: []string{"-D", s.options.Dir, "-k", s.folder.path, "-c", "listen_addresses=",
			"-c", "fsync=" + durable, "-c", "full_page_writes=" + durable,
			"-c", "synchronous_commit=on", // off would lose acknowledged commits when the server is killed
			"-c", "max_connections=200", "-c", "shared_buffers=64MB", "-c", "logging_collector=off"},
		Log: s.logPath("postgres"), user: s.user,
		OnDeath: s.ending(),
	})
	if err != nil {
		return err
	}
	if err := p.AwaitReady(ctx, func() bool { return s.accepts(p.pid) }); err != nil {
		return err
	}
	s.process = p
	return nil
}

// ending is the signal that ends the server: SIGINT writes everything down
// first, SIGQUIT skips that for data that goes away anyway.
func (s *PostgresDaemon) ending() syscall.Signal {
	if strings.HasPrefix(s.options.Dir, s.folder.path) {
		return syscall.SIGQUIT
	}
	return syscall.SIGINT
}

// accepts reads what the server itself writes about its state: line 1 of
// postmaster.pid is its pid, line 8 its status. An older file has another pid.
func (s *PostgresDaemon) accepts(pid int) bool {
	status, err := os.ReadFile(filepath.Join(s.options.Dir, "postmaster.pid"))
	if err != nil {
		return false
	}
	lines := bytes.Split(status, []byte("\n"))
	return len(lines) >= 8 && string(lines[0]) == strconv.Itoa(pid) && bytes.HasPrefix(lines[7], []byte("ready"))
}

// PID is the server's process id, 0 while it is down.
func (s *PostgresDaemon) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		return 0
	}
	return s.process.pid
}

// Kill ends the server and its sessions at once, as a power cut would.
func (s *PostgresDaemon) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process != nil {
		s.process.Kill()
		s.process = nil
	}
}

// Log is the end of the server's log.
func (s *PostgresDaemon) Log() string {
	return (&Process{command: Command{Log: s.logPath("postgres")}}).Tail()
}

// Stop ends the server and removes what was temporary.
func (s *PostgresDaemon) Stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process != nil {
		s.process.Stop(s.ending())
		s.process = nil
	}
	return s.folder.remove()
}
