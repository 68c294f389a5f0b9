package storetest

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/caddy-tickets/caddy-tickets/allocator"
)

func createdEvent(t *testing.T, b Backend) {
	n := NewHall(5)
	created, err := b.CreateEvent(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	want := n.Event
	want.ID, want.Capacity = created.ID, 5 // the blocked seat cannot be sold
	found, err := b.Event(t.Context(), n.Event.Slug)
	if err != nil {
		t.Fatal(err)
	}
	if created.ID == 0 || *created != want || *found != want {
		t.Errorf("created %+v, found %+v, want %+v", created, found, want)
	}
	second := Build(t, b, 1)
	all, err := b.Events(t.Context())
	if err != nil || len(all) != 2 || *all[0] != want || all[1].ID != second.ID {
		t.Errorf("events: %v (%v)", all, err)
	}
	cells, err := b.Cells(t.Context(), created.ID)
	if err != nil || !slices.Equal(cells, n.Cells) {
		t.Errorf("cells: %v (%v), want %v", cells, err, n.Cells)
	}
	categories, err := b.Categories(t.Context(), created.ID)
	if err != nil || !slices.Equal(categories, n.Categories) {
		t.Errorf("categories: %v (%v), want %v", categories, err, n.Categories)
	}
	layout, err := b.Layout(t.Context(), created.ID, n.Event.LayoutHash)
	if err != nil || string(layout) != Layout {
		t.Errorf("layout: %q (%v), want it byte for byte", layout, err)
	}
	if taken, err := b.Taken(t.Context(), created.ID); err != nil || len(taken) != 0 {
		t.Errorf("a new event has taken cells: %v (%v)", taken, err)
	}
}

func createdWhole(t *testing.T, b Backend) {
	for name, spoil := range map[string]func(n *allocator.NewEvent){
		"a cell twice":                 func(n *allocator.NewEvent) { n.Cells[2].ID = n.Cells[1].ID },
		"an ordinal twice":             func(n *allocator.NewEvent) { n.Cells[2].Ordinal = 1 },
		"a category that is not there": func(n *allocator.NewEvent) { n.Cells[2].Category = 9 },
		"a brace in a cell's id":       func(n *allocator.NewEvent) { n.Cells[2].ID = "A{1}" },
		"a space in a cell's id":       func(n *allocator.NewEvent) { n.Cells[2].ID = "A 1" },
		"a slug that is none":          func(n *allocator.NewEvent) { n.Event.Slug = "Hall_1" },
		"a currency that is none":      func(n *allocator.NewEvent) { n.Event.Currency = "eur" },
		"no time to hold":              func(n *allocator.NewEvent) { n.Event.HoldTTL = 0 },
		"a negative price":             func(n *allocator.NewEvent) { n.Categories[0].Price = -1 },
		"no cells":                     func(n *allocator.NewEvent) { n.Cells = nil },
		"no layout":                    func(n *allocator.NewEvent) { n.Layout = nil },
	} {
		n := NewHall(5)
		spoil(&n)
		if _, err := b.CreateEvent(t.Context(), n); err == nil {
			t.Errorf("%s: it was created", name)
		} else if errors.Is(err, allocator.ErrUnavailable) {
			t.Errorf("%s: %v, and no later try may mend it", name, err)
		}
	}
	if all, err := b.Events(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("left behind: %v (%v)", all, err)
	}
}

func createdOnce(t *testing.T, b Backend) {
	n := NewHall(5)
	var created, refused atomic.Int64
	var all errgroup.Group
	for range 8 {
		all.Go(func() error {
			_, err := b.CreateEvent(t.Context(), n)
			switch {
			case err == nil:
				created.Add(1)
			case errors.Is(err, allocator.ErrEventExists):
				refused.Add(1)
			default:
				return err
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil || created.Load() != 1 || refused.Load() != 7 {
		t.Fatalf("%d created, %d refused (%v)", created.Load(), refused.Load(), err)
	}
}

func phaseAndEpoch(t *testing.T, b Backend) {
	h := Build(t, b, 1)
	for _, phase := range []allocator.Phase{allocator.PhaseOpen, allocator.PhaseOpen, allocator.PhaseClosed, allocator.PhaseOpen} {
		e, err := b.SetPhase(t.Context(), h.Slug, phase)
		if err != nil || e.Phase != phase || e.ID != h.ID {
			t.Fatalf("to %s: %+v, %v", phase, e, err)
		}
	}
	for _, phase := range []allocator.Phase{allocator.PhaseDraft, "on sale", ""} {
		if _, err := b.SetPhase(t.Context(), h.Slug, phase); err == nil || errors.Is(err, allocator.ErrUnavailable) {
			t.Errorf("to %q: got %v, want a refusal", phase, err)
		}
	}
	for from := int64(1); from <= 3; from++ {
		var all errgroup.Group
		raised := make([]bool, 20)
		for i := range raised {
			all.Go(func() (err error) {
				raised[i], err = b.RaiseEpoch(t.Context(), h.ID, from)
				return err
			})
		}
		if err := all.Wait(); err != nil {
			t.Fatal(err)
		}
		if n := len(slices.DeleteFunc(raised, func(first bool) bool { return !first })); n != 1 {
			t.Errorf("%d of 20 were told that they raised epoch %d, want 1", n, from)
		}
	}
	if e, err := b.Event(t.Context(), h.Slug); err != nil || e.Epoch != 4 || e.Phase != allocator.PhaseOpen {
		t.Errorf("in the end %+v (%v)", e, err)
	}
}

func unknown(t *testing.T, b Backend) {
	h := Build(t, b, 1)
	for _, slug := range []string{"nowhere", "", h.Slug + "\x00", "\xff\xfe"} {
		_, find := b.Event(t.Context(), slug)
		_, phase := b.SetPhase(t.Context(), slug, allocator.PhaseOpen)
		_, booking := b.Booking(t.Context(), slug)
		if !errors.Is(find, allocator.ErrEventUnknown) || !errors.Is(phase, allocator.ErrEventUnknown) || !errors.Is(booking, allocator.ErrBookingUnknown) {
			t.Errorf("%q: got %v, %v and %v", slug, find, phase, booking)
		}
	}
	_, epoch := b.RaiseEpoch(t.Context(), h.ID+1, 1)
	_, cells := b.Cells(t.Context(), h.ID+1)
	_, categories := b.Categories(t.Context(), h.ID+1)
	_, layout := b.Layout(t.Context(), h.ID, "other")
	for what, err := range map[string]error{"epoch": epoch, "cells": cells, "categories": categories, "layout": layout} {
		if !errors.Is(err, allocator.ErrEventUnknown) {
			t.Errorf("%s: got %v, want ErrEventUnknown", what, err)
		}
	}
	if err := b.Ready(t.Context()); err != nil {
		t.Errorf("a migrated database is not ready: %v", err)
	}
}
