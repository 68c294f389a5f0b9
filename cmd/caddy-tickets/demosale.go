package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/caddy-tickets/caddy-tickets/allocator"
	"github.com/caddy-tickets/caddy-tickets/allocator/catalog"
	"github.com/caddy-tickets/caddy-tickets/allocator/pgstore"
	"github.com/caddy-tickets/caddy-tickets/migrations"
)

// openSale opens the sale, and creates it if it is not there from an earlier start.
func (d *demo) openSale(ctx context.Context) error {
	if err := migrations.Up(ctx, d.database); err != nil {
		return fmt.Errorf("migrating: %w", err)
	}
	store, err := pgstore.Open(d.database, pgstore.Options{})
	if err != nil {
		return fmt.Errorf("database: %w", err)
	}
	defer store.Close()
	e, err := store.Event(ctx, demoName)
	switch {
	case errors.Is(err, allocator.ErrEventUnknown):
		sale := newEvent{Ask: catalog.Ask{Slug: demoName, Currency: "EUR"}, plan: d.plan, seats: d.seats, anyPrice: true}
		if d.plan == "" {
			sale.Name = "The Big Night"
		}
		if e, err = sale.create(ctx, d.database); err != nil {
			return err
		}
		fmt.Fprintf(d.said, "Created a sale of %d places.\n", e.Capacity)
	case err != nil:
		return fmt.Errorf("looking for the sale: %w", err)
	default:
		fmt.Fprintf(d.said, "Found the sale of an earlier start: %d places.\n", e.Capacity)
	}
	if _, err := store.SetPhase(ctx, demoName, allocator.PhaseOpen); err != nil {
		return fmt.Errorf("opening the sale: %w", err)
	}
	return nil
}
