// Package fleet proves what only several edges can keep: one queue for all of
// them, one rate, one order, whichever of them dies, and whichever Redis server
// behind them. Each test starts `caddy-tickets run` three times, as an operator
// would, on one Redis, on one with sentinels and on a Redis Cluster.
package fleet

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// binary is the program under test, built once for all tests of this package.
var binary string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "tickets-fleet-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary = filepath.Join(dir, "caddy-tickets")
	build := exec.Command("go", "build", "-tags", "nobadger,nomysql,nopgx", "-o", binary, "../../cmd/caddy-tickets")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building caddy-tickets: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}
