package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-tickets/caddy-tickets/internal/queue"
	"github.com/caddy-tickets/caddy-tickets/internal/rehearse"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "rehearse",
		Short: "Sends virtual fans through a whole sale and reports what happened",
		Long: `Sends virtual fans through a deployment of yours, from the page to the booking,
and prints what happened to them. The tickets that they buy are bought: use an event
that is made for it. Another machine than this one is refused unless you allow it.
Status 1 if a promise was broken: a seat sold to two fans, a position that went up.

  caddy-tickets rehearse --fans 500 http://127.0.0.1:8080
  caddy-tickets rehearse --fans 5000 --rate 100/s --room arena --event finale http://127.0.0.1:8080`,
		CobraFunc: func(cmd *cobra.Command) {
			var c rehearse.Config
			var asJSON bool
			var rate string
			cmd.Use = "rehearse <site>"
			cmd.Args = cobra.ExactArgs(1)
			f := cmd.Flags()
			f.IntVar(&c.Fans, "fans", 500, "how many come")
			f.StringVar(&c.Room, "room", "arena", "waiting room")
			f.StringVar(&c.Event, "event", "", "event (default: the room's name)")
			f.DurationVar(&c.Arrive, "arrive", 0, "time over which they arrive; 0 is all at once")
			f.StringVar(&rate, "rate", "", "or how many arrive, such as 100/s or 3000/m")
			f.IntVar(&c.AtOnce, "at-once", 0, "most under way at the same time; 0 is all")
			f.IntVar(&c.Tickets, "tickets", 2, "most tickets that one wants")
			f.Float64Var(&c.Declined, "declined", 0.05, "share whose first card is declined")
			f.Float64Var(&c.Abandon, "abandon", 0.05, "share who hold seats and walk away")
			f.Uint64Var(&c.Seed, "seed", 1, "makes their choices repeatable")
			f.DurationVar(&c.Deadline, "deadline", rehearse.DefaultDeadline, "end of it all")
			f.BoolVar(&c.AllowRemote, "allow-remote", false, "the site is another machine, and mine")
			f.BoolVar(&asJSON, "json", false, "as JSON, for scripts")
			cmd.MarkFlagsMutuallyExclusive("arrive", "rate")
			cmd.RunE = func(cmd *cobra.Command, args []string) error {
				if rate != "" {
					n, per, err := queue.ParseRate(rate)
					if err != nil {
						return fmt.Errorf("--rate: %w", err)
					}
					c.Arrive = time.Duration(float64(c.Fans) / float64(n) * float64(per))
				}
				c.Site, c.Event = args[0], orElse(c.Event, c.Room)
				ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
				defer stop()
				report, err := rehearse.Run(ctx, c, progressTo(cmd.ErrOrStderr()))
				if err != nil {
					return fmt.Errorf("rehearsing: %w", err)
				}
				if asJSON {
					err = json.NewEncoder(cmd.OutOrStdout()).Encode(toWire(report))
				} else {
					err = report.WriteTable(cmd.OutOrStdout())
				}
				if err == nil && ctx.Err() != nil {
					err = errors.New("interrupted before every fan was done")
				}
				return errors.Join(err, broken(report.Violations))
			}
		},
	})
}

// errBroken ends a command with status 1.
var errBroken = errors.New("promises were broken; they are listed above")

// rehearsal is a report on the wire.
type rehearsal struct {
	Fans        int            `json:"fans"`
	Joined      int            `json:"joined"`
	Admitted    int            `json:"admitted"`
	Held        int            `json:"held"`
	Booked      int            `json:"booked"`
	Tickets     int            `json:"tickets"`
	Refused     map[string]int `json:"refused"` // by code
	Violations  []string       `json:"violations"`
	Steps       []stepLine     `json:"steps"`
	TookSeconds float64        `json:"tookSeconds"`
}

type stepLine struct {
	Step  string  `json:"step"`
	Count int     `json:"count"`
	P50Ms float64 `json:"p50Ms"`
	P99Ms float64 `json:"p99Ms"`
}

func toWire(r *rehearse.Report) rehearsal {
	wire := rehearsal{
		Fans: r.Fans, Joined: r.Joined, Admitted: r.Admitted, Held: r.Held, Booked: r.Booked, Tickets: r.Tickets,
		Refused: r.Refused, Violations: append([]string{}, r.Violations...), Steps: []stepLine{}, TookSeconds: r.Took.Seconds(),
	}
	for _, step := range rehearse.Steps {
		if q, ok := r.Steps[step]; ok {
			wire.Steps = append(wire.Steps, stepLine{step, q.Count, milliseconds(q.P50), milliseconds(q.P99)})
		}
	}
	return wire
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// quietEvery is how often progress is printed where nobody watches.
const quietEvery = 10

// progressTo prints how far the fans are: on a terminal as one line that is written
// over each second, elsewhere as a line every ten seconds.
func progressTo(w io.Writer) func(rehearse.Progress) {
	terminal := false
	if file, ok := w.(*os.File); ok {
		info, err := file.Stat()
		terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	calls := 0
	return func(p rehearse.Progress) {
		line := fmt.Sprintf("%d of %d fans done: %d joined, %d admitted, %d held, %d booked", p.Done, p.Fans, p.Joined, p.Admitted, p.Held, p.Booked)
		calls++
		switch {
		case p.Done == p.Fans && terminal:
			fmt.Fprintf(w, "\r%s    \n", line)
		case terminal:
			fmt.Fprintf(w, "\r%s    ", line)
		case p.Done == p.Fans || calls%quietEvery == 0:
			fmt.Fprintln(w, line)
		}
	}
}
