// Command caddy-tickets is Caddy with a waiting room, bot protection and a live
// seat map, and the seat allocator that stands behind them, in one binary.
//
// This file only links things together. Every subcommand has a file of its own
// that registers it; run, reload, validate and the others are Caddy's.
package main

import (
	"os"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-tickets/caddy-tickets/caddymodule/imports"
)

func main() {
	tuneMemory(os.Args, os.Getenv("GOGC"))
	caddycmd.Main()
}
