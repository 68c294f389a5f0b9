// Package fleet proves what only several edges can keep: one queue for all of
// them, one rate, one order, whichever of them dies, and whichever Redis server
// behind them. Each test starts `caddy-tickets run` three times, as an operator
// would, on one Redis, on one with sentinels and on a Redis Cluster.
package fleet

import (
	"os"
	"testing"

	"github.com/caddy-tickets/caddy-tickets/test/built"
)

// binary is the program under test, built once for all tests of this package.
var binary string

func TestMain(m *testing.M) { os.Exit(built.Run(m, &binary)) }
