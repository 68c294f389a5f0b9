package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"text/tabwriter"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-tickets/caddy-tickets/internal/seatplan"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "venue",
		Short: "Makes and checks seating plans",
		CobraFunc: func(cmd *cobra.Command) {
			cmd.AddCommand(venueGenerate(), venueImport())
		},
	})
}

func venueGenerate() *cobra.Command {
	ask := seatplan.Ask{}
	cmd := &cobra.Command{
		Use: "generate", Short: "Writes the plan of a made-up stadium, in the format of pretix's plan editor, to stdout", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := seatplan.Generate(ask)
			if err != nil {
				return err
			}
			return p.Write(cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&ask.Name, "name", "Stadium", "name of the venue")
	cmd.Flags().IntVar(&ask.Seats, "seats", 50_000, "numbered seats")
	cmd.Flags().IntVar(&ask.Standing, "standing", 0, "standing places on the pitch")
	return cmd
}

func venueImport() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "import <plan.json>", Short: "Checks a plan and says what is in it, or every fault with its path", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := readPlan(args[0])
			if err != nil {
				return err
			}
			return printPlan(cmd, p, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON, for scripts")
	return cmd
}

// readPlan reads a plan file; every fault in it is named with its path.
func readPlan(path string) (*seatplan.Plan, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the plan: %w", err)
	}
	defer func() { _ = file.Close() }()
	p, err := seatplan.Read(file)
	if err != nil {
		return nil, fmt.Errorf("the plan %s cannot be used:\n%w", path, err)
	}
	return p, nil
}

func printPlan(cmd *cobra.Command, p *seatplan.Plan, asJSON bool) error {
	cells := p.Cells()
	if len(cells) == 0 {
		return errors.New("the plan has no seats and no standing places")
	}
	counts := make([]int, len(p.Categories))
	for _, c := range cells {
		counts[c.Category]++
	}
	if asJSON {
		byName := make(map[string]int, len(counts))
		for i, c := range p.Categories {
			byName[c.Name] = counts[i]
		}
		return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{"name": p.Name, "cells": len(cells), "categories": byName})
	}
	tw := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "%s\t%d places\n", p.Name, len(cells))
	for i, c := range p.Categories {
		fmt.Fprintf(tw, "  %s\t%d\n", c.Name, counts[i])
	}
	return tw.Flush()
}
