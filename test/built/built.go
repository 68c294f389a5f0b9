// Package built makes the program under test, for tests that start it as a person would.
package built

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Run builds caddy-tickets into a folder of its own, says in binary where it is, and
// runs the tests of a package. It returns what TestMain exits with. The folder is gone
// when it does.
func Run(m *testing.M, binary *string) (status int) {
	dir, err := os.MkdirTemp("", "tickets-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	*binary = filepath.Join(dir, "caddy-tickets")
	build := exec.Command("go", "build", "-tags", "nobadger,nomysql,nopgx", "-o", *binary, "github.com/caddy-tickets/caddy-tickets/cmd/caddy-tickets")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building caddy-tickets: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}
