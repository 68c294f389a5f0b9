package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/draw"
)

// drawPatience is how long a site may say nothing; a file that comes slowly comes.
const drawPatience = 30 * time.Second

// cohortLimit is that of a cohort's file.
const cohortLimit = draw.MaxEntrants * draw.EntrantLength

// run gets record and cohort and recomputes the draw.
func (v *verification) run(ctx context.Context, progress io.Writer) (*finding, error) {
	var before draw.Record
	if v.beforeFile != "" {
		text, err := readFile(v.beforeFile, draw.MaxRecord)
		if err == nil {
			before, err = draw.ParseRecord(text)
		}
		if err != nil {
			return nil, fmt.Errorf("the record from before, %s: %w", v.beforeFile, err)
		}
	}
	text, err := v.get(ctx, v.recordFile, "draw", draw.MaxRecord, io.Discard)
	if err != nil {
		return nil, fmt.Errorf("getting the record: %w", err)
	}
	f := new(finding)
	if f.Record, err = draw.ParseRecord(text); err != nil {
		return nil, fmt.Errorf("reading the record: %w", err)
	}
	f.Room = f.Record.Room
	if v.recordFile == "" && f.Room != v.room {
		return nil, fmt.Errorf("the site answers for room %q with the draw of room %q", v.room, f.Room)
	}
	if !f.Record.Finished() {
		return nil, v.unfinished(f.Record)
	}
	file, err := v.get(ctx, v.cohortFile, "draw/cohort", cohortLimit, progress)
	if err != nil {
		return nil, fmt.Errorf("getting the cohort: %w", err)
	}
	f.Report = draw.Examine(before, f.Record, file)
	if v.visitor != "" && f.Cohort != nil {
		f.lookUp(f.Cohort, v)
	}
	f.Holds = f.Err() == nil
	return f, nil
}

// unfinished says how far the draw is and what to do until then.
func (v *verification) unfinished(r draw.Record) error {
	so := fmt.Sprintf("the draw of room %q is not finished: the lobby ends at %s", r.Room, utc(r.Opens))
	if r.Frozen() {
		so = fmt.Sprintf("the draw of room %q is not finished: its %d entrants are fixed, and it waits for its beacon (%q)", r.Room, *r.Count, r.Beacon.Source)
	}
	return errors.New(so + ". Keep a copy of its record, and give it with --before when the draw is over")
}

// get reads a file if there is one, and else asks the site.
func (v *verification) get(ctx context.Context, file, path string, limit int, progress io.Writer) ([]byte, error) {
	if file != "" {
		return readFile(file, limit)
	}
	site, err := url.Parse(v.site)
	if err != nil || site.Scheme != "http" && site.Scheme != "https" || site.Host == "" {
		return nil, fmt.Errorf("%q is no site: name it like https://tickets.example.com", v.site)
	}
	return fetch(ctx, site.JoinPath("/.waitroom", url.PathEscape(v.room), path).String(), limit, drawPatience, progress)
}

func readFile(name string, limit int) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	return readAll(file, limit, nil)
}

// readAll reads at most limit bytes, and calls alive with how many there are so far.
func readAll(from io.Reader, limit int, alive func(int)) ([]byte, error) {
	var all []byte
	part := make([]byte, 256<<10)
	for {
		n, err := from.Read(part)
		all = append(all, part[:n]...)
		if alive != nil {
			alive(len(all))
		}
		switch {
		case len(all) > limit:
			return nil, fmt.Errorf("it is longer than the %d bytes that it may have", limit)
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, err
		}
	}
}

// fetch gets a public file of a site.
func fetch(ctx context.Context, address string, limit int, patience time.Duration, progress io.Writer) ([]byte, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silent := time.AfterFunc(patience, func() { cancel(fmt.Errorf("%s said nothing for %s", address, patience)) })
	defer silent.Stop()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/json, application/octet-stream, application/problem+json")
	reply, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, givenUp(ctx, err)
	}
	defer func() { _ = reply.Body.Close() }()
	if reply.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s%s", address, reply.Status, because(reply.Body))
	}
	show := bytesTo(progress, reply.ContentLength)
	all, err := readAll(reply.Body, limit, func(n int) {
		silent.Reset(patience)
		show(n)
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", address, givenUp(ctx, err))
	}
	return all, nil
}

// givenUp is why it was given up, if that is more than an error of the network.
func givenUp(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// because is what the site has to say about a refusal.
func because(body io.Reader) string {
	text, _ := io.ReadAll(io.LimitReader(body, 16<<10))
	var problem struct{ Detail string }
	if json.Unmarshal(text, &problem) != nil || problem.Detail == "" {
		return ""
	}
	return ": " + strings.Map(printable, problem.Detail)
}

// bytesTo prints how much has come: on a terminal once a second on one line, elsewhere nothing.
func bytesTo(w io.Writer, all int64) func(int) {
	if !watched(w) {
		return func(int) {}
	}
	last := time.Now()
	return func(n int) {
		if int64(n) != all && time.Since(last) < time.Second {
			return
		}
		last = time.Now()
		if fmt.Fprintf(w, "\r%.1f MB of the cohort   ", float64(n)/1e6); int64(n) == all {
			fmt.Fprintln(w)
		}
	}
}
