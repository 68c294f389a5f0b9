package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"

	"github.com/caddy-tickets/caddy-tickets/caddymodule/ticketsapp"
)

// roomInvite makes links that let guests past the queue.
func roomInvite(to *edge) *cobra.Command {
	var order ticketsapp.InvitationOrder
	var site, valid string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "invite <room>", Short: "Makes links that each let one guest past the queue, or into a tier", Args: cobra.ExactArgs(1),
		Long: `Makes links that each let one guest in past the queue, once; with --tier, they give a
place in that tier of the queue instead. A link opens no door that is shut: not before
the room's time, not while it is paused, and not beyond its cap of active passes.

Whoever has a link can use it, so send each to one person, over a way that nobody else
reads. The links are written down nowhere; that they were made is in the room's log.`,
		Example: `  caddy-tickets room invite arena --site https://tickets.example.com --count 10 --valid 24h --name press
  caddy-tickets room invite arena --site https://tickets.example.com --count 200 --valid 7d --tier Members`,
		RunE: func(cmd *cobra.Command, args []string) error {
			base, err := siteOf(site)
			if err != nil {
				return err
			}
			life, err := caddy.ParseDuration(valid)
			if err != nil || life <= 0 {
				return fmt.Errorf("--valid %q is not a time: write it as 90m, 24h or 7d", valid)
			}
			order.ValidSeconds = int64(life / time.Second)
			order.User, order.Host = whoami()
			text, err := to.ask(http.MethodPost, "/tickets/invitations/"+url.PathEscape(args[0]), order)
			if err != nil {
				return err
			}
			var made ticketsapp.Invitations
			if err := json.Unmarshal(text, &made); err != nil {
				return fmt.Errorf("reading the edge's answer: %w", err)
			}
			out := cmd.OutOrStdout()
			if asJSON {
				for i, path := range made.Paths {
					made.Paths[i] = base + path
				}
				return json.NewEncoder(out).Encode(struct {
					Links   []string  `json:"links"`
					Expires time.Time `json:"expires"`
				}{made.Paths, made.Expires})
			}
			for _, path := range made.Paths {
				fmt.Fprintln(out, base+path)
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%d made, each good once until %s.\n", len(made.Paths), made.Expires.Local().Format("2 January 2006, 15:04 MST"))
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&site, "site", "", "address of the site that the links lead to, such as https://tickets.example.com (required)")
	flags.IntVar(&order.Count, "count", 1, "how many")
	flags.StringVar(&valid, "valid", "24h", "how long they can be used")
	flags.StringVar(&order.Tier, "tier", "", "give a place in this tier instead of letting in")
	flags.StringVar(&order.Name, "name", "", "what they are counted under, such as press")
	flags.StringVar(&order.Reason, "reason", "", "why, for the log of orders")
	flags.BoolVar(&asJSON, "json", false, "as JSON, for scripts")
	return cmd
}

// siteOf checks the address that links begin with: a slip in it is noticed by guests
// alone, and late.
func siteOf(site string) (string, error) {
	if site == "" {
		return "", errors.New("say which site the links lead to: --site https://tickets.example.com")
	}
	u, err := url.Parse(site)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return "", fmt.Errorf("--site %q is not the address of a site: write scheme and host alone, such as https://tickets.example.com", site)
	}
	return u.Scheme + "://" + u.Host, nil
}
