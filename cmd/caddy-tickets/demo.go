package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"syscall"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-tickets/caddy-tickets/internal/queue"
	"github.com/caddy-tickets/caddy-tickets/internal/rehearse"
)

// demoName is the room and the event of the demo.
const demoName = "arena"

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "demo",
		Short: "Runs the whole of it on this machine: servers, edge, allocator, ticket site, a sale",
		Long: `Runs a private Redis and a private PostgreSQL (or yours), the allocator, the edge and a
small ticket site, and opens the sale of a stadium. It prints where everything is and
stays up until it is interrupted; a second start finds its data again. It starts no
system service and stops everything that it has started.

  caddy-tickets demo                        look around with a browser
  caddy-tickets demo --fans 2000 --exit     2,000 virtual fans, a table, and status 0
                                            only if no promise was broken
  caddy-tickets demo --plan hall.json       the sale of your own hall

Redis and PostgreSQL never run as root, and neither can be reached from elsewhere.`,
		CobraFunc: func(cmd *cobra.Command) {
			var o demoOptions
			f := cmd.Flags()
			f.StringVar(&o.data, "data", ".demo", "folder that keeps everything")
			f.StringVar(&o.listen, "listen", "127.0.0.1:8080", "address of the fan page; port 0 takes a free one")
			f.StringVar(&o.redis, "redis", "", "an existing Redis instead of a private one")
			f.StringVar(&o.database, "database", "", "an existing, empty or demo PostgreSQL database instead of a private one")
			f.StringVar(&o.plan, "plan", "", "seating plan of the sale, in pretix's format (default: a made-up stadium)")
			f.IntVar(&o.seats, "seats", 50_000, "seats of the made-up stadium")
			f.StringVar(&o.rate, "rate", "1800/m", "admission rate")
			f.IntVar(&o.active, "active", 2000, "passes at once")
			f.IntVar(&o.fans, "fans", 0, "send that many virtual fans through the whole path and print what happened")
			f.BoolVar(&o.exit, "exit", false, "end after the fans; status 0 only if no promise was broken")
			f.BoolVar(&o.json, "json", false, "say where everything is, and what happened, each as a line of JSON")
			cmd.MarkFlagsMutuallyExclusive("plan", "seats")
			cmd.Args = cobra.NoArgs
			cmd.RunE = func(cmd *cobra.Command, _ []string) error {
				o.dataChosen = cmd.Flags().Changed("data")
				if err := o.check(); err != nil {
					return err
				}
				ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
				defer stop()
				defer context.AfterFunc(ctx, stop)() // a second Ctrl-C does not wait for an orderly end
				return o.run(ctx, cmd.OutOrStdout(), cmd.ErrOrStderr())
			}
		},
	})
}

// demoOptions are the flags of the demo.
type demoOptions struct {
	data, listen, redis, database, plan, rate string
	seats, active, fans                       int
	dataChosen, exit, json                    bool
}

// check refuses what could only fail after everything was started.
func (o *demoOptions) check() error {
	if _, _, err := queue.ParseRate(o.rate); err != nil {
		return fmt.Errorf("--rate: %w", err)
	}
	switch {
	case o.active < 1:
		return fmt.Errorf("--active: %d passes let nobody in; give 1 or more", o.active)
	case o.fans < 0 || o.fans > rehearse.MaxFans:
		return fmt.Errorf("--fans: %d is not between 0 and %d", o.fans, rehearse.MaxFans)
	case o.exit && o.fans == 0:
		return errors.New("--exit ends after the fans: say how many with --fans")
	}
	return nil
}

func (o *demoOptions) run(ctx context.Context, out, progress io.Writer) (err error) {
	d := &demo{demoOptions: o, said: progress}
	defer func() { err = errors.Join(err, d.stop()) }()
	if err := d.start(ctx); err != nil {
		if ctx.Err() != nil && !o.exit {
			return nil // interrupted while it started
		}
		return err
	}
	if err := d.where(out); err != nil {
		return err
	}
	if o.fans > 0 {
		err := d.sendFans(ctx, out, progress)
		if o.exit {
			return err
		}
		if err != nil {
			fmt.Fprintln(progress, "Error:", err)
		}
	}
	<-ctx.Done()
	fmt.Fprintln(progress, "Stopping everything …")
	return nil
}
