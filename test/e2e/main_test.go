// Package e2e proves the promises that only the whole can keep: the real binary,
// real servers, real HTTP and real browsers. Each test starts `caddy-tickets demo`
// as a person would and reads from its first line of JSON where everything is.
package e2e

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
	dir, err := os.MkdirTemp("", "tickets-e2e-")
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
