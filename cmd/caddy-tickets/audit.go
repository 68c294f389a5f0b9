package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-tickets/caddy-tickets/allocator/pgstore"
)

// auditGrace is how long recovery may take over a payment whose deadline has passed.
const auditGrace = 2 * time.Minute

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "audit",
		Short: "Checks in the database that a sale keeps its promises",
		Long: `Checks in the database that no seat of an event is sold twice, that every sold seat is
paid for and the reverse, that no payment hangs and that no more is sold than there is.
It reads only, on one snapshot, and may run during the sale. Status 1 if a promise is
broken.`,
		CobraFunc: func(cmd *cobra.Command) {
			var s servers
			var asJSON bool
			var grace time.Duration
			cmd.Use = "audit <event>"
			cmd.Args = cobra.ExactArgs(1)
			s.databaseFlag(cmd)
			cmd.Flags().DurationVar(&grace, "grace", auditGrace, "how long a payment may be past its deadline")
			cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON, for scripts")
			cmd.RunE = func(cmd *cobra.Command, args []string) error {
				if err := s.needDatabase(); err != nil {
					return err
				}
				store, err := pgstore.Open(s.database, pgstore.Options{ApplicationName: "caddy-tickets audit"})
				if err != nil {
					return fmt.Errorf("database: %w", err)
				}
				defer store.Close()
				a, err := store.Audit(cmd.Context(), args[0], grace)
				if err != nil {
					return fmt.Errorf("event %s: %w", args[0], err)
				}
				if err := printAudit(cmd.OutOrStdout(), a, asJSON); err != nil {
					return err
				}
				if !a.Kept() {
					return errBroken
				}
				return nil
			}
		},
	})
}

func printAudit(out io.Writer, a *pgstore.Audit, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(a)
	}
	fmt.Fprintf(out, "%s: %d of %d sold in %d bookings, %d being paid for\n\n", a.Event, a.Sold, a.Capacity, a.Bookings, a.Paying)
	tw := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, c := range a.Checks {
		verdict := "kept"
		if c.Broken > 0 {
			verdict = fmt.Sprintf("BROKEN %d times", c.Broken)
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\n", c.ID, c.Promise, verdict)
	}
	return tw.Flush()
}
