package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"text/tabwriter"
	"time"

	"github.com/caddy-tickets/caddy-tickets/allocator/pgstore"
	"github.com/caddy-tickets/caddy-tickets/internal/rehearse"
)

const (
	// quietWithin is how long payments that were under way may take to be finished.
	quietWithin = time.Minute
	// mapWithin is how long the live map may differ from the database.
	mapWithin = 2 * time.Second
	// Fans arrive one every arriveEvery, so that the machine that plays all of them
	// has time to; more than arriveWithin would bore.
	arriveEvery, arriveWithin = 5 * time.Millisecond, 10 * time.Second

	fansEnd = 15 * time.Minute // of a rehearsal that does not end by itself
)

// sendFans sends fans and compares what they were told with what the database has.
func (d *demo) sendFans(ctx context.Context, out, progress io.Writer) error {
	store, err := pgstore.Open(d.database, pgstore.Options{})
	if err != nil {
		return fmt.Errorf("database: %w", err)
	}
	defer store.Close()
	before, err := store.Audit(ctx, demoName, auditGrace)
	if err != nil {
		return err
	}
	report, err := rehearse.Run(ctx, rehearse.Config{
		Site: d.places.FanPage, Room: demoName, Event: demoName, Fans: d.fans,
		Arrive:  min(arriveWithin, time.Duration(d.fans)*arriveEvery),
		Tickets: 2, Declined: 0.05, Abandon: 0.02, Seed: uint64(time.Now().UnixNano()), //nolint:gosec // the clock is not negative
		Deadline: fansEnd,
	}, progressTo(progress))
	if err != nil {
		return fmt.Errorf("rehearsing: %w", err)
	}
	if ctx.Err() != nil {
		report.Violations = append(report.Violations, "the rehearsal was interrupted before its end")
		return errors.Join(report.WriteTable(out), broken(report.Violations))
	}
	after, err := settled(ctx, store)
	if err != nil {
		return err
	}
	report.Violations = append(report.Violations, differences(before, after, report)...)
	if seen, err := d.seenOnMap(ctx, after.Sold); err != nil {
		report.Violations = append(report.Violations, err.Error())
	} else if seen != after.Sold {
		report.Violations = append(report.Violations, fmt.Sprintf("the live map shows %d seats as sold, the database %d", seen, after.Sold))
	}
	return errors.Join(d.tell(out, report, before, after), broken(report.Violations))
}

func broken(violations []string) error {
	if len(violations) == 0 {
		return nil
	}
	return errBroken
}

// settled is the audit as soon as no payment is under way.
func settled(ctx context.Context, store *pgstore.Store) (*pgstore.Audit, error) {
	ctx, cancel := context.WithTimeout(ctx, quietWithin)
	defer cancel()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		a, err := store.Audit(ctx, demoName, auditGrace)
		if err != nil || a.Paying == 0 {
			return a, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("%d seats are still being paid for after %s", a.Paying, quietWithin)
		}
	}
}

// differences are what the database has and the fans have not, or the reverse.
func differences(before, after *pgstore.Audit, report *rehearse.Report) (all []string) {
	for _, c := range after.Checks {
		if c.Broken > 0 {
			all = append(all, fmt.Sprintf("%s: %s: broken %d times in the database", c.ID, c.Promise, c.Broken))
		}
	}
	if sold := after.Sold - before.Sold; sold != report.Tickets {
		all = append(all, fmt.Sprintf("the database sold %d tickets and the fans know of %d", sold, report.Tickets))
	}
	if bookings := after.Bookings - before.Bookings; bookings != report.Booked {
		all = append(all, fmt.Sprintf("the database has %d bookings and the fans know of %d", bookings, report.Booked))
	}
	return all
}

// seenOnMap is how many seats the allocator shows as sold, once that is right or
// has had its time.
func (d *demo) seenOnMap(ctx context.Context, want int) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*mapWithin)
	defer cancel()
	deadline := time.Now().Add(mapWithin)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		seen, err := d.bookedInSummary(ctx)
		if err == nil && seen == want || time.Now().After(deadline) {
			return seen, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return 0, fmt.Errorf("asking what the map shows: %w", context.Cause(ctx))
		}
	}
}

func (d *demo) bookedInSummary(ctx context.Context) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, d.places.Allocator+"/v1/events/"+demoName+"/summary", nil)
	if err != nil {
		return 0, fmt.Errorf("asking what the map shows: %w", err)
	}
	reply, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, fmt.Errorf("asking what the map shows: %w", err)
	}
	defer func() { _ = reply.Body.Close() }()
	var summary struct{ Booked int }
	if err := json.NewDecoder(io.LimitReader(reply.Body, 1<<20)).Decode(&summary); err != nil {
		return 0, fmt.Errorf("reading what the map shows: %w", err)
	}
	return summary.Booked, nil
}

// tell prints what happened.
func (d *demo) tell(out io.Writer, report *rehearse.Report, before, after *pgstore.Audit) error {
	if d.json {
		return json.NewEncoder(out).Encode(struct {
			rehearsal
			Audit *pgstore.Audit `json:"audit"`
		}{toWire(report), after})
	}
	if err := report.WriteTable(out); err != nil {
		return err
	}
	kept := 0
	for _, c := range after.Checks {
		if c.Broken == 0 {
			kept++
		}
	}
	tw := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "\nin the database:\tsold\tof\tdouble-booked\tstill paying\tchecks kept\tpromises broken\t")
	fmt.Fprintf(tw, "\t%d\t%d\t%d\t%d\t%d of %d\t%d\t\n", after.Sold-before.Sold, after.Capacity-before.Sold, after.DoubleBooked(), after.Paying, kept, len(after.Checks), len(report.Violations))
	return tw.Flush()
}
