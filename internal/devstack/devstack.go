// Package devstack runs a private redis-server and a private PostgreSQL for
// tests, benchmarks and the demo, and for tests a Redis with sentinels and a Redis
// Cluster. It touches no server that is already there.
//
// What must hold: a server started here listens only on a unix socket in its own
// folder, or on loopback where servers have to find each other; it never runs
// PostgreSQL as root, and does not outlive the process that started it, however
// that process ends. Data given a folder is found again by the next start; data
// without one is gone when the server is stopped.
//
// It may be imported by tests, benchmarks and cmd/caddy-tickets; nothing that
// serves fans needs it. It drives the servers with their own programs (initdb,
// psql), so that it needs no database driver.
package devstack

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// startWithin bounds how long a server may take until it answers. A cold initdb
// on two busy cores has been seen to take 8 s.
const startWithin = 60 * time.Second

// stopWithin is how long a server gets to end by itself before it is killed.
const stopWithin = 10 * time.Second

// ErrMissing says that a server program is not installed.
var ErrMissing = errors.New("a server program is not installed")

// postgresFolders are looked at before PATH: Debian keeps the server programs out
// of it, and its psql there is a script that picks a server by itself.
var postgresFolders = [...]string{
	"/usr/lib/postgresql/15/bin", "/usr/lib/postgresql/16/bin", "/usr/lib/postgresql/17/bin",
}

// findProgram looks in folders and then in PATH. Its error wraps ErrMissing and
// says which command installs the program.
func findProgram(name, aptPackage string, folders ...string) (string, error) {
	for _, folder := range folders {
		path := filepath.Join(folder, name)
		if info, err := os.Stat(path); err == nil && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	return "", fmt.Errorf("finding %s: %w; install it with: sudo apt-get install -y --no-install-recommends %s", name, ErrMissing, aptPackage)
}
