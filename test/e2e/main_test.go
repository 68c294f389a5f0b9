// Package e2e proves the promises that only the whole can keep: the real binary,
// real servers, real HTTP and real browsers. Each test starts `caddy-tickets demo`
// as a person would and reads from its first line of JSON where everything is.
package e2e

import (
	"os"
	"testing"

	"github.com/caddy-tickets/caddy-tickets/test/built"
)

// binary is the program under test, built once for all tests of this package.
var binary string

func TestMain(m *testing.M) { os.Exit(built.Run(m, &binary)) }
