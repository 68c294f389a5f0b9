package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-tickets/caddy-tickets/allocator"
	"github.com/caddy-tickets/caddy-tickets/allocator/catalog"
	"github.com/caddy-tickets/caddy-tickets/allocator/pgstore"
	"github.com/caddy-tickets/caddy-tickets/internal/money"
	"github.com/caddy-tickets/caddy-tickets/internal/seatplan"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "event",
		Short: "Creates events and opens and closes their sale",
		CobraFunc: func(cmd *cobra.Command) {
			cmd.AddCommand(eventCreate(), eventPhase("open", "Opens the sale of an event", allocator.PhaseOpen),
				eventPhase("close", "Closes the sale of an event; bookings stay", allocator.PhaseClosed), eventList())
		},
	})
}

// newEvent is what `event create` was asked for.
type newEvent struct {
	catalog.Ask
	plan     string
	prices   []string
	seats    int
	standing int
	anyPrice bool // make prices up where none are given, also for a plan
}

func eventCreate() *cobra.Command {
	var s servers
	var ask newEvent
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "create <event>",
		Short: "Creates an event, in draft, of a seating plan and prices",
		Long: `Creates an event of a seating plan in the format of pretix's plan editor, or of a
made-up stadium if no plan is given. Every category of the plan needs a price:

  caddy-tickets event create arena --plan hall.json --currency EUR --price "Stalls=45.00" --price "Balcony=29.50"

Nothing is sold before "event open".`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := s.needDatabase(); err != nil {
				return err
			}
			ask.Slug = args[0]
			e, err := ask.create(cmd.Context(), s.database)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(line(e))
			}
			fmt.Fprintf(cmd.OutOrStdout(), "Created %s with %d places. Open its sale with: caddy-tickets event open %s\n", e.Slug, e.Capacity, e.Slug)
			return nil
		},
	}
	s.databaseFlag(cmd)
	f := cmd.Flags()
	f.StringVar(&ask.plan, "plan", "", "plan file; without it a stadium is made up")
	f.IntVar(&ask.seats, "seats", 50_000, "seats of a made-up stadium")
	f.IntVar(&ask.standing, "standing", 0, "standing places of a made-up stadium")
	f.StringVar(&ask.Name, "name", "", "title (default: the plan's)")
	f.StringVar(&ask.Room, "room", "", "waiting room whose passes are taken (default: the event's name)")
	f.StringVar(&ask.Currency, "currency", "EUR", "ISO 4217 code")
	f.StringArrayVar(&ask.prices, "price", nil, `price of a category, as "Name=45.00"; of a made-up stadium all have one already`)
	f.DurationVar(&ask.Hold, "hold", catalog.DefaultHold, "how long seats are held")
	f.DurationVar(&ask.Pay, "pay", catalog.DefaultPay, "how long a payment may take")
	f.IntVar(&ask.MaxPerPass, "max-per-pass", catalog.DefaultMaxPerPass, "seats that one visitor may have, held and bought together")
	f.BoolVar(&asJSON, "json", false, "as JSON, for scripts")
	cmd.MarkFlagsMutuallyExclusive("plan", "seats")
	cmd.MarkFlagsMutuallyExclusive("plan", "standing")
	return cmd
}

// create makes the event in the database.
func (n *newEvent) create(ctx context.Context, dsn string) (*allocator.Event, error) {
	created, err := n.build()
	if err != nil {
		return nil, err
	}
	store, err := pgstore.Open(dsn, pgstore.Options{})
	if err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	defer store.Close()
	e, err := store.CreateEvent(ctx, created)
	if err != nil {
		return nil, fmt.Errorf("creating event %s: %w", n.Slug, err)
	}
	return e, nil
}

// build makes the event of plan and prices.
func (n *newEvent) build() (allocator.NewEvent, error) {
	var p *seatplan.Plan
	var err error
	if n.plan != "" {
		p, err = readPlan(n.plan)
	} else {
		p, err = seatplan.Generate(seatplan.Ask{Name: orElse(n.Name, "Stadium"), Seats: n.seats, Standing: n.standing})
	}
	if err != nil {
		return allocator.NewEvent{}, err
	}
	if n.Prices, err = parsePrices(n.prices, n.Currency); err != nil {
		return allocator.NewEvent{}, err
	}
	if len(n.prices) == 0 && (n.plan == "" || n.anyPrice) {
		n.Prices = madeUpPrices(p, n.Currency)
	}
	created, err := catalog.Event(p, n.Ask)
	if err != nil {
		return allocator.NewEvent{}, fmt.Errorf("event %s: %w", n.Slug, err)
	}
	return created, nil
}

func parsePrices(texts []string, currency string) (map[string]int64, error) {
	prices := make(map[string]int64, len(texts))
	for _, text := range texts {
		at := strings.LastIndex(text, "=")
		if at < 1 {
			return nil, fmt.Errorf("%q is no price of a category: write it as Stalls=45.00", text)
		}
		amount, err := money.Parse(text[at+1:], currency)
		if err != nil {
			return nil, fmt.Errorf("price of %s: %w", text[:at], err)
		}
		prices[text[:at]] = amount
	}
	return prices, nil
}

// madeUpPrices go with a made-up stadium: 90 for its best category, and ten less
// for each that follows.
func madeUpPrices(p *seatplan.Plan, currency string) map[string]int64 {
	exponent, err := money.Exponent(currency)
	if err != nil {
		return nil // catalog.Event says so
	}
	unit := int64(1)
	for range exponent {
		unit *= 10
	}
	prices := make(map[string]int64, len(p.Categories))
	for i, c := range p.Categories {
		prices[c.Name] = int64(max(20, 90-10*i)) * unit
	}
	return prices
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func eventPhase(name, short string, phase allocator.Phase) *cobra.Command {
	var s servers
	var asJSON bool
	cmd := &cobra.Command{
		Use: name + " <event>", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := s.needDatabase(); err != nil {
				return err
			}
			store, err := pgstore.Open(s.database, pgstore.Options{})
			if err != nil {
				return fmt.Errorf("database: %w", err)
			}
			defer store.Close()
			e, err := store.SetPhase(cmd.Context(), args[0], phase)
			if err != nil {
				return fmt.Errorf("event %s: %w", args[0], err)
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(line(e))
			}
			fmt.Fprintf(cmd.OutOrStdout(), "The sale of %s is %s.\n", e.Slug, e.Phase)
			return nil
		},
	}
	s.databaseFlag(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON, for scripts")
	return cmd
}

func eventList() *cobra.Command {
	var s servers
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "Lists the events", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.needDatabase(); err != nil {
				return err
			}
			store, err := pgstore.Open(s.database, pgstore.Options{})
			if err != nil {
				return fmt.Errorf("database: %w", err)
			}
			defer store.Close()
			events, err := store.Events(cmd.Context())
			if err != nil {
				return fmt.Errorf("listing the events: %w", err)
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(listed(events))
			}
			tw := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, e := range listed(events) {
				fmt.Fprintf(tw, "%s\t%s\t%s\t%d places\n", e.Event, e.Phase, e.Name, e.Capacity)
			}
			return tw.Flush()
		},
	}
	s.databaseFlag(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON, for scripts")
	return cmd
}

// eventLine is an event on the wire.
type eventLine struct {
	Event    string          `json:"event"`
	Name     string          `json:"name"`
	Room     string          `json:"room"`
	Phase    allocator.Phase `json:"phase"`
	Currency string          `json:"currency"`
	Capacity int             `json:"capacity"`
}

func listed(events []*allocator.Event) []eventLine {
	lines := make([]eventLine, 0, len(events))
	for _, e := range events {
		lines = append(lines, line(e))
	}
	return lines
}

func line(e *allocator.Event) eventLine {
	return eventLine{e.Slug, e.Name, e.Room, e.Phase, e.Currency, e.Capacity}
}
