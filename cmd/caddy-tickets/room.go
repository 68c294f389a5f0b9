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
	"strings"

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
				roomOrder(&to, "beacon <room> <value>", "Announces the value of the draw's beacon, once the lobby is over", func(o *ticketsapp.Order, s string) { o.Beacon = s }),
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
