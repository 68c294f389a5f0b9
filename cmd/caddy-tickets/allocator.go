package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/signal"
	"syscall"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-tickets/caddy-tickets/allocator/payment/sandbox"
	"github.com/caddy-tickets/caddy-tickets/allocator/service"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "allocator",
		Short: "Runs the seat service: holds, payment, bookings, live map",
		Long: `Runs the seat service behind the ticket site.

It locks seats in Redis, takes payment once and writes bookings to PostgreSQL. Any
number of them may run on the same two servers. It starts while either is missing,
says so at /readyz and in its log, and goes on by itself when it is there.`,
		CobraFunc: func(cmd *cobra.Command) {
			var s servers
			var listen, jwks, journal string
			var demoPayments bool
			s.redisFlag(cmd)
			s.databaseFlag(cmd)
			cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:7100", "address to serve on; keep it away from the internet")
			cmd.Flags().StringVar(&jwks, "jwks", "", "URL or file of the keys that passes are checked with: https://<site>/.well-known/jwks.json")
			cmd.Flags().BoolVar(&demoPayments, "sandbox", false, "take payments in the sandbox, where no money exists; the only provider so far")
			cmd.Flags().StringVar(&journal, "sandbox-journal", "", "file that keeps the sandbox's payments over a restart")
			cmd.Args = cobra.NoArgs
			cmd.RunE = func(cmd *cobra.Command, _ []string) error {
				if err := errors.Join(s.needRedis(), s.needDatabase()); err != nil {
					return err
				}
				if jwks == "" {
					return errors.New("no keys: give --jwks, such as https://tickets.example.com/.well-known/jwks.json")
				}
				if !demoPayments {
					return errors.New("no payment provider: give --sandbox, the only one so far")
				}
				return runAllocator(cmd.Context(), listen, service.Config{
					Redis: s.redis, Database: s.database, JWKS: jwks, Sandbox: sandbox.Options{Journal: journal}, Log: logger(),
				})
			}
		},
	})
}

func runAllocator(ctx context.Context, listen string, c service.Config) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	s, err := service.New(c)
	if err != nil {
		return fmt.Errorf("starting the allocator: %w", err)
	}
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return fmt.Errorf("starting the allocator: %w", err)
	}
	return s.Run(ctx, listener)
}
