package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"syscall"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
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
system service and stops everything that it has started.`,
		CobraFunc: func(cmd *cobra.Command) {
			var o demoOptions
			f := cmd.Flags()
			f.StringVar(&o.data, "data", ".demo", "folder that keeps everything")
			f.StringVar(&o.listen, "listen", "127.0.0.1:8080", "address of the fan page; port 0 takes a free one")
			f.StringVar(&o.redis, "redis", "", "an existing Redis instead of a private one")
			f.StringVar(&o.database, "database", "", "an existing, empty or demo PostgreSQL database instead of a private one")
			f.StringVar(&o.plan, "plan", "", "seating plan of the sale, in pretix's format; default a made-up stadium")
			f.IntVar(&o.seats, "seats", 50_000, "seats of the made-up stadium")
			f.StringVar(&o.rate, "rate", "6000/m", "admission rate")
			f.IntVar(&o.active, "active", 2000, "passes at once")
			f.IntVar(&o.fans, "fans", 0, "send that many virtual fans through the whole path and print what happened")
			f.BoolVar(&o.exit, "exit", false, "end after the fans; status 0 only if no promise was broken")
			f.BoolVar(&o.json, "json", false, "say where everything is as one line of JSON")
			cmd.Args = cobra.NoArgs
			cmd.RunE = func(cmd *cobra.Command, _ []string) error {
				ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
				defer stop()
				return o.run(ctx, cmd.OutOrStdout(), cmd.ErrOrStderr())
			}
		},
	})
}

// demoOptions are the flags of the demo.
type demoOptions struct {
	data, listen, redis, database, plan, rate string
	seats, active, fans                       int
	exit, json                                bool
}

func (o *demoOptions) run(ctx context.Context, out, progress io.Writer) (err error) {
	d := &demo{demoOptions: o, said: progress}
	defer func() { err = errors.Join(err, d.stop()) }()
	if err := d.start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // interrupted while it started
		}
		return err
	}
	if err := d.where(out); err != nil {
		return err
	}
	if o.fans > 0 {
		if err := d.rehearse(ctx, out, progress); err != nil || o.exit {
			return err
		}
	}
	<-ctx.Done()
	return nil
}

// places says where everything is.
type places struct {
	FanPage      string `json:"fanPage"`
	OperatorPage string `json:"operatorPage"`
	Metrics      string `json:"metrics"`
	Allocator    string `json:"allocator"`
	Caddyfile    string `json:"caddyfile"`
	Redis        string `json:"redis"`
	Database     string `json:"database"`
	Logs         string `json:"logs"`
	AllocatorPID int    `json:"allocatorPID"`
	EdgePID      int    `json:"edgePID"`
	RedisPID     int    `json:"redisPID,omitempty"`
	PostgresPID  int    `json:"postgresPID,omitempty"`
}

func (d *demo) where(out io.Writer) error {
	if d.json {
		return json.NewEncoder(out).Encode(d.places)
	}
	_, err := fmt.Fprintf(out, `
  Fan page       %s
  Operator page  %s
  Metrics        %s
  Logs           %s

  To let more or fewer people in, change "admit" in %s and run
      %s reload --adapter caddyfile --config %s

  Ctrl-C stops everything. The next start finds the same sale.

`, d.places.FanPage, d.places.OperatorPage, d.places.Metrics, d.places.Logs, d.places.Caddyfile, d.program, d.places.Caddyfile)
	return err
}

// What the database says about the sale.
const (
	soldSQL   = `SELECT count(*) FROM claim WHERE status = 'BOOKED'`
	doubleSQL = `SELECT count(*) FROM (SELECT 1 FROM claim WHERE status = 'BOOKED' GROUP BY event_id, cell_id HAVING count(*) > 1) AS twice`
	payingSQL = `SELECT count(*) FROM claim WHERE status = 'PAYING'`
)

// quietWithin is how long payments that were under way may take to be finished.
const quietWithin = time.Minute

// rehearse sends fans and compares what they were told with what the database has.
func (d *demo) rehearse(ctx context.Context, out, progress io.Writer) error {
	before, err := d.count(ctx, soldSQL)
	if err != nil {
		return err
	}
	report, err := rehearse.Run(ctx, rehearse.Config{
		Site: d.places.FanPage, Room: demoName, Event: demoName, Fans: d.fans,
		Arrive:  min(10*time.Second, time.Duration(d.fans)*5*time.Millisecond),
		Tickets: 2, Declined: 0.05, Abandon: 0.02, Seed: uint64(time.Now().UnixNano()), //nolint:gosec // the clock is not negative
		Deadline: 15 * time.Minute,
	}, progressTo(progress))
	if err != nil {
		return fmt.Errorf("rehearsing: %w", err)
	}
	if err := d.awaitQuiet(ctx); err != nil {
		return err
	}
	sold, err := d.count(ctx, soldSQL)
	if err != nil {
		return err
	}
	double, err := d.count(ctx, doubleSQL)
	if err != nil {
		return err
	}
	if double > 0 {
		report.Violations = append(report.Violations, fmt.Sprintf("%d seats are sold twice in the database", double))
	}
	if sold-before != report.Tickets {
		report.Violations = append(report.Violations, fmt.Sprintf("the database sold %d tickets and the fans know of %d", sold-before, report.Tickets))
	}
	if err := report.WriteTable(out); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nsold in the database: %d   double-booked: %d   broken promises: %d\n", sold-before, double, len(report.Violations))
	if len(report.Violations) > 0 {
		return errors.New("promises were broken; see the table")
	}
	return nil
}

// awaitQuiet waits until no payment is under way.
func (d *demo) awaitQuiet(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, quietWithin)
	defer cancel()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		paying, err := d.count(ctx, payingSQL)
		if err != nil {
			return err
		}
		if paying == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%d seats are still being paid for after %s", paying, quietWithin)
		}
	}
}

func (d *demo) count(ctx context.Context, sql string) (int, error) {
	text, err := devstack.Query(ctx, d.places.Database, sql)
	if err != nil {
		return 0, err
	}
	var n int
	if _, err := fmt.Sscan(text, &n); err != nil {
		return 0, fmt.Errorf("reading the database's answer: %w", err)
	}
	return n, nil
}
