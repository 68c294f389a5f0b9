// Package crowd proves what only many fans can show: that reloads, restarts and the
// loss of Redis cost nobody their place. Each test starts `caddy-tickets run` as an
// operator would, and thousands of fans in processes of their own, and prints at the
// end what was done to them and what they kept.
package crowd

import (
	"flag"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9/logging"

	"github.com/caddy-tickets/caddy-tickets/test/built"
)

// atATime is how many of these tests run side by side.
const atATime = "6"

// binary is the program under test, built once for all tests of this package.
var binary string

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == fansCommand {
		if err := runFans(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	defer account.print()
	logging.Disable() // that Redis is away is what is tested
	flag.Parse()
	// Most of the time these tests wait, for an outage to end or for fans to come back.
	if err := flag.Set("test.parallel", atATime); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return built.Run(m, &binary)
}

// account is what was injected and what survived it, a row for each injection.
var account table

type table struct {
	mu   sync.Mutex
	rows [][2]string
}

// row notes an injection whose consequences were checked.
func (a *table) row(injected, survived string, args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.rows = append(a.rows, [2]string{injected, fmt.Sprintf(survived, args...)})
}

func (a *table) print() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.rows) == 0 {
		return
	}
	fmt.Println("| injected | survived |\n|---|---|")
	for _, r := range a.rows {
		fmt.Printf("| %s | %s |\n", r[0], r[1])
	}
}
