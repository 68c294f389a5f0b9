package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/caddy-tickets/caddy-tickets/caddymodule/ticketsapp"
	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

func roomStatus(to *edge) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "status", Short: "Shows the rooms: who waits, who is inside, how fast it goes, and what is wrong", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, err := to.ask(http.MethodGet, "/tickets/rooms", nil)
			if err != nil {
				return err
			}
			if asJSON {
				_, err := cmd.OutOrStdout().Write(text)
				return err
			}
			var rooms []ticketsapp.Report
			if err := json.Unmarshal(text, &rooms); err != nil {
				return fmt.Errorf("reading the edge's answer: %w", err)
			}
			return printStatus(cmd.OutOrStdout(), rooms)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON, for scripts")
	return cmd
}

// printStatus shows a line of numbers for each room, and below what has to be said in words.
func printStatus(out io.Writer, rooms []ticketsapp.Report) error {
	tw := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "room\tstate\twaiting\tinside\tcap\trate\tadmitted/min\tadmitted\tno-shows\tguests\tedges\tstreams here")
	for _, r := range rooms {
		fmt.Fprintf(tw, "%s\t%s\t%d\t%d\t%d\t%s\t%.0f\t%d\t%d\t%s\t%s\t%d\n",
			r.Room, r.State, r.Waiting, r.Active, r.ActiveCap, rateOf(r), r.AdmittedPerMinute, r.AdmittedTotal, r.NoShowsTotal, guestsOf(r), edgesOf(r), r.Streams)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for _, r := range rooms {
		for _, n := range r.Notes {
			mark := " "
			if n.Bad {
				mark = "!"
			}
			fmt.Fprintf(out, "%s %s: %s\n", mark, r.Room, n.Text)
		}
		if d := r.Draw; d != nil && d.Stage != room.DrawEntered {
			fmt.Fprintf(out, "  %s: The draw is %s, with %d entrants.\n", r.Room, stageOf(d.Stage), d.Entrants)
		}
		if r.Stock != nil {
			fmt.Fprintf(out, "  %s: %d of %d seats booked, %d held, %d free.\n", r.Room, r.Stock.Booked, r.Stock.Capacity, r.Stock.Held, r.Stock.Free)
		}
		if r.Message != "" {
			fmt.Fprintf(out, "  %s: Fans read %q.\n", r.Room, r.Message)
		}
		if n := len(r.Orders); n > 0 {
			o := r.Orders[n-1]
			fmt.Fprintf(out, "  %s: The last order was %s at %s by %s.\n", r.Room, quoted(string(o.What)), o.At.UTC().Format("15:04:05 UTC"), author(o.By))
		}
	}
	return nil
}

// edgesOf is how many edges call for admission, and how many find the site unwell.
func edgesOf(r ticketsapp.Report) string {
	if r.EdgesUnwell > 0 {
		return fmt.Sprintf("%d (%d unwell)", r.Edges, r.EdgesUnwell)
	}
	return strconv.Itoa(r.Edges)
}

// stageOf says how far a draw is.
func stageOf(stage string) string {
	switch stage {
	case room.DrawNone:
		return "not announced yet"
	case room.DrawCommitted:
		return "announced; who comes before the opening takes part"
	case room.DrawFrozen:
		return "closed to entrants"
	}
	return "over, and places are being given"
}

// guestsOf is how many invitations were used.
func guestsOf(r ticketsapp.Report) string {
	if r.InvitationsUsed == nil {
		return "?"
	}
	sum := 0
	for _, n := range r.InvitationsUsed {
		sum += n
	}
	return strconv.Itoa(sum)
}

// rateOf writes a rate as it is written in a Caddyfile.
func rateOf(r ticketsapp.Report) string {
	if unit, ok := map[float64]string{1: "s", 60: "m", 3600: "h"}[r.RatePerSeconds]; ok {
		return fmt.Sprintf("%d/%s", r.Rate, unit)
	}
	return fmt.Sprintf("%d per %g s", r.Rate, r.RatePerSeconds)
}
