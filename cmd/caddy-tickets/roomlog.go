package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-tickets/caddy-tickets/internal/queue"
)

// errLogBroken makes the command fail where a script asks for the log.
var errLogBroken = errors.New("the log of orders is not as it was written")

func roomLog(to *edge) *cobra.Command {
	var asJSON bool
	var last int
	cmd := &cobra.Command{
		Use: "log <room>", Short: "Shows who ordered what and when, newest last, and checks that nothing was changed", Args: cobra.ExactArgs(1),
		Long: `Shows the orders that a room was given: what changed, when by Redis' clock, by whom and
why. Each entry holds the hash of the one before, and the whole chain is checked here. Whoever
can write to Redis could make all of it anew; every edge writes the number and the hash of
the orders it takes to its own log, to compare. Status 1 if the chain is broken.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := to.ask(http.MethodGet, roomPath(args[0])+"/log", nil)
			if err != nil {
				return err
			}
			var log queue.Log
			if err := json.Unmarshal(text, &log); err != nil {
				return fmt.Errorf("reading the edge's answer: %w", err)
			}
			records, faults := log.Check()
			if last > 0 && len(records) > last {
				records = records[len(records)-last:]
			}
			if err := printLog(cmd.OutOrStdout(), asJSON, records, faults); err != nil {
				return err
			}
			if len(faults) > 0 {
				return errLogBroken
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON, for scripts")
	cmd.Flags().IntVar(&last, "last", 100, "show so many; all are checked; 0 shows all")
	return cmd
}

// hashed is a record with its own hash beside it.
type hashed struct {
	queue.Record
	Hash string `json:"hash"`
}

func printLog(out io.Writer, asJSON bool, records []queue.Record, faults []string) error {
	if asJSON {
		all := struct {
			Orders []hashed `json:"orders"`
			Faults []string `json:"faults"`
		}{[]hashed{}, append([]string{}, faults...)}
		for _, r := range records {
			all.Orders = append(all.Orders, hashed{r, r.Hash})
		}
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(all)
	}
	for _, r := range records {
		fmt.Fprintf(out, "%d  %s  %s  %s\n    by %s\n", r.Number, r.At.UTC().Format(time.DateTime+"Z"), quoted(string(r.What)), changes(r.Before, r.After), author(r.By))
	}
	if len(records) == 0 {
		fmt.Fprintln(out, "Nothing was ordered.")
	}
	for _, fault := range faults {
		fmt.Fprintln(out, "BROKEN:", fault)
	}
	if n := len(records); n > 0 && len(faults) == 0 {
		fmt.Fprintf(out, "The chain holds. It ends with entry %d, hash %s.\n", records[n-1].Number, records[n-1].Hash)
	}
	return nil
}

// changes says what an order changed. Texts are quoted: what somebody wrote must not
// steer the terminal of whoever reads it.
func changes(before, after map[string]string) string {
	names := slices.Sorted(maps.Keys(after))
	for name := range before {
		if _, both := after[name]; !both {
			names = append(names, name)
		}
	}
	same := func(name string) bool { was, had := before[name]; return had && was == after[name] }
	if slices.ContainsFunc(names, func(name string) bool { return !same(name) }) {
		names = slices.DeleteFunc(names, same) // what stayed is of interest where nothing changed
	}
	var all []string
	for _, name := range names {
		was, had := before[name]
		is, has := after[name]
		name = quoted(name)
		switch {
		case had && has && was == is:
			all = append(all, fmt.Sprintf("%s %s as before", name, quoted(is)))
		case had && has:
			all = append(all, fmt.Sprintf("%s %s → %s", name, quoted(was), quoted(is)))
		case has:
			all = append(all, fmt.Sprintf("%s %s", name, quoted(is)))
		default:
			all = append(all, fmt.Sprintf("%s %s", name, quoted(was)))
		}
	}
	return strings.Join(all, ", ")
}

// quoted leaves a plain word as it is.
func quoted(s string) string {
	plain := func(r rune) bool {
		return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune("/.-_:", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return fmt.Sprintf("%q", s)
}

func author(by queue.By) string {
	var all []string
	if by.User != "" || by.Host != "" {
		all = append(all, fmt.Sprintf("%s at %s", quoted(by.User), quoted(by.Host)))
	}
	if by.Address != "" {
		all = append(all, "from "+quoted(by.Address))
	}
	switch {
	case by.Edge != "" && len(all) == 0: // nobody told it to
		all = append(all, "edge "+quoted(by.Edge))
	case by.Edge != "":
		all = append(all, "through edge "+quoted(by.Edge))
	}
	if by.Reason != "" {
		all = append(all, "because "+quoted(by.Reason))
	}
	if len(all) == 0 {
		return "unknown"
	}
	return strings.Join(all, ", ")
}
