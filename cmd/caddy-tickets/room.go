package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/user"
	"strconv"
	"strings"
	"text/tabwriter"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-tickets/caddy-tickets/caddymodule/ticketsapp"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "room",
		Short: "Watches and steers the waiting rooms of a running edge",
		Long: `Watches and steers waiting rooms through the admin endpoint of a running edge. An
order given to one edge holds for all that share its Redis, within a second.`,
		CobraFunc: func(cmd *cobra.Command) {
			var to edge
			cmd.PersistentFlags().StringVar(&to.address, "address", "", "admin endpoint of the edge (default: that of --config, or localhost:2019)")
			cmd.PersistentFlags().StringVarP(&to.config, "config", "c", "", "config file to read the admin endpoint from")
			cmd.AddCommand(
				roomStatus(&to),
				roomOrder(&to, "pause <room>", "Stops admission; nobody loses their place", nil),
				roomOrder(&to, "resume <room>", "Lets fans in again", nil),
				roomOrder(&to, "rate <room> <rate>", "Changes the rate, such as 500/m, until a config is loaded anywhere", func(o *ticketsapp.Order, s string) { o.Rate = s }),
				roomLog(&to),
				roomInvite(&to),
				roomOrder(&to, "message <room> <text>", `Shows a text to everybody who waits; "" takes it away`, func(o *ticketsapp.Order, s string) { o.Message = s }),
			)
		},
	})
}

// edge is a running edge.
type edge struct{ address, config string }

func (e *edge) ask(method, path string, body any) ([]byte, error) {
	address, err := caddycmd.DetermineAdminAPIAddress(e.address, nil, e.config, "")
	if err != nil {
		return nil, fmt.Errorf("finding the edge's admin endpoint: %w", err)
	}
	var reader io.Reader
	header := http.Header{}
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("writing the order: %w", err)
		}
		reader = bytes.NewReader(text)
		header.Set("Content-Type", "application/json")
	}
	reply, err := caddycmd.AdminAPIRequest(address, method, path, header, reader)
	if err != nil {
		return nil, fmt.Errorf("asking the edge at %s: %w", address, refusal(err))
	}
	defer func() { _ = reply.Body.Close() }()
	return io.ReadAll(io.LimitReader(reply.Body, maxAnswer))
}

// maxAnswer is more than the longest answer of an edge, a full log of orders.
const maxAnswer = 128 << 20

// refusal is what the edge itself says, without the wrapping that Caddy puts round it.
func refusal(err error) error {
	_, body, found := strings.Cut(err.Error(), "caddy responded with error: HTTP ")
	var said struct{ Error string }
	if at := strings.IndexByte(body, '{'); found && at >= 0 && json.Unmarshal([]byte(body[at:]), &said) == nil && said.Error != "" {
		return errors.New(said.Error)
	}
	return err
}

func roomOrder(to *edge, use, short string, set func(*ticketsapp.Order, string)) *cobra.Command {
	wants := 1
	if set != nil {
		wants = 2
	}
	var order ticketsapp.Order
	cmd := &cobra.Command{
		Use: use, Short: short, Args: cobra.ExactArgs(wants),
		RunE: func(cmd *cobra.Command, args []string) error {
			order.User, order.Host = whoami()
			if set != nil {
				set(&order, args[1])
			}
			if _, err := to.ask(http.MethodPost, roomPath(args[0])+"/"+cmd.Name(), order); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), "Done. Every edge follows within a second.")
			return nil
		},
	}
	cmd.Flags().StringVar(&order.Reason, "reason", "", "why, for the log of orders")
	return cmd
}

func roomPath(room string) string { return "/tickets/rooms/" + url.PathEscape(room) }

// whoami is what the log of orders says of who gave one: the user and the host.
func whoami() (name, host string) {
	name = "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return name, host
}

func roomStatus(to *edge) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "status", Short: "Shows the rooms: who waits, who is inside, how fast it goes", Args: cobra.NoArgs,
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
			tw := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(tw, "room\tstate\twaiting\tinside\tcap\trate\tadmitted/min\tadmitted\tno-shows\tguests\tstreams here")
			for _, r := range rooms {
				state := r.State
				if r.Degraded {
					state += " (Redis is away)"
				}
				if r.SettingsDiffer {
					state += " (settings differ from this edge's file)"
				}
				fmt.Fprintf(tw, "%s\t%s\t%d\t%d\t%d\t%s\t%.0f\t%d\t%d\t%s\t%d\n",
					r.Room, state, r.Waiting, r.Active, r.ActiveCap, rateOf(r), r.AdmittedPerMinute, r.AdmittedTotal, r.NoShowsTotal, guestsOf(r), r.Streams)
			}
			return tw.Flush()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON, for scripts")
	return cmd
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
