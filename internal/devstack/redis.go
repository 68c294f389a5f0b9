package devstack

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// RedisOptions are the settings of a private redis-server.
type RedisOptions struct {
	// Dir keeps the data between starts; empty means a folder that is removed.
	// When we are root and the user redis cannot reach it (see Reachable), the server
	// runs as root after all.
	Dir string
	// Persist writes every change to an append-only file, synced once a second.
	// Without it a killed server comes back empty.
	Persist bool
}

// RedisDaemon is a private redis-server on a unix socket. Its methods may be called
// from any goroutine.
type RedisDaemon struct {
	program string
	options RedisOptions
	folder  *folder
	user    *syscall.Credential

	mu      sync.Mutex
	process *Process // guarded by mu; nil while down
}

// StartRedis starts a server and returns when it answers. ctx bounds the start
// only; the server runs until Stop.
func StartRedis(ctx context.Context, options RedisOptions) (*RedisDaemon, error) {
	program, err := findProgram("redis-server", "redis-server")
	if err != nil {
		return nil, err
	}
	user, err := unprivileged("redis")
	if err != nil {
		return nil, err
	}
	if options.Dir != "" && !Reachable(options.Dir) {
		user = nil
	}
	folder, err := newFolder()
	if err != nil {
		return nil, err
	}
	if options.Dir == "" {
		options.Dir = folder.path
	}
	if err := errors.Join(own(user, folder.path, 0o755), own(user, options.Dir, 0o700)); err != nil {
		return nil, errors.Join(err, folder.remove())
	}
	r := &RedisDaemon{program: program, options: options, folder: folder, user: user}
	if err := r.Start(ctx); err != nil {
		return nil, errors.Join(err, folder.remove())
	}
	return r, nil
}

func (r *RedisDaemon) socket() string { return filepath.Join(r.folder.path, "redis.sock") }

// URL is where the server listens, in the form that redis.ParseURL takes.
func (r *RedisDaemon) URL() string { return "unix://" + r.socket() + "?db=0" }

// PID is the server's process id, 0 while it is down.
func (r *RedisDaemon) PID() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.process == nil {
		return 0
	}
	return r.process.pid
}

// Start starts the server again on the same socket. A running one is left alone.
func (r *RedisDaemon) Start(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.process != nil {
		return nil
	}
	persist := "no"
	if r.options.Persist {
		persist = "yes"
	}
	p, err := Start(Command{
		Program: r.program,
		Args: []string{
			"--port", "0", "--unixsocket", r.socket(), "--unixsocketperm", "700",
			"--save", "", "--appendonly", persist, "--dir", r.options.Dir, "--daemonize", "no",
		},
		Log:     filepath.Join(r.folder.path, "redis.log"),
		OnDeath: syscall.SIGTERM, user: r.user,
	})
	if err != nil {
		return err
	}
	if err := p.AwaitReady(ctx, r.answers); err != nil {
		return err
	}
	r.process = p
	return nil
}

// answers says whether the server replies to PING. While it loads its data it
// replies with an error instead.
func (r *RedisDaemon) answers() bool {
	conn, err := net.DialTimeout("unix", r.socket(), time.Second)
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return false
	}
	reply := make([]byte, 7)
	n, err := conn.Read(reply)
	return err == nil && string(reply[:n]) == "+PONG\r\n"
}

// Kill ends the server at once, as a power cut would.
func (r *RedisDaemon) Kill() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.process != nil {
		r.process.Kill()
		r.process = nil
	}
}

// Pause stops the server in its tracks: connections stay open and nothing
// answers, as behind a network that drops packets.
func (r *RedisDaemon) Pause() { r.signal(syscall.SIGSTOP) }

// Resume lets a paused server go on.
func (r *RedisDaemon) Resume() { r.signal(syscall.SIGCONT) }

func (r *RedisDaemon) signal(sig syscall.Signal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.process != nil {
		r.process.Signal(sig)
	}
}

// Log is the end of the server's log.
func (r *RedisDaemon) Log() string {
	return (&Process{command: Command{Log: filepath.Join(r.folder.path, "redis.log")}}).Tail()
}

// Stop ends the server and removes what was temporary.
func (r *RedisDaemon) Stop() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.process != nil {
		r.process.Signal(syscall.SIGCONT) // a paused one would not hear the next signal
		r.process.Stop(syscall.SIGTERM)
		r.process = nil
	}
	return r.folder.remove()
}
