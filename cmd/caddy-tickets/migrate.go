package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-tickets/caddy-tickets/migrations"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "migrate",
		Short: "Brings the allocator's database up to date",
		CobraFunc: func(cmd *cobra.Command) {
			cmd.AddCommand(migrateUp(), migrateStatus())
		},
	})
}

func migrateUp() *cobra.Command {
	var s servers
	cmd := &cobra.Command{
		Use: "up", Short: "Applies the migrations that are missing; safe to run from several machines at once", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.needDatabase(); err != nil {
				return err
			}
			if err := migrations.Up(cmd.Context(), s.database); err != nil {
				return fmt.Errorf("migrating: %w", err)
			}
			fmt.Fprintln(cmd.OutOrStdout(), "The database is up to date.")
			return nil
		},
	}
	s.databaseFlag(cmd)
	return cmd
}

func migrateStatus() *cobra.Command {
	var s servers
	var asJSON bool
	cmd := &cobra.Command{
		Use: "status", Short: "Lists the migrations and which of them the database has", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.needDatabase(); err != nil {
				return err
			}
			return printMigrations(cmd.Context(), cmd.OutOrStdout(), s.database, asJSON)
		},
	}
	s.databaseFlag(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON, for scripts")
	return cmd
}

func printMigrations(ctx context.Context, out io.Writer, dsn string, asJSON bool) error {
	all, err := migrations.Status(ctx, dsn)
	if err != nil {
		return fmt.Errorf("reading the migrations: %w", err)
	}
	if asJSON {
		return json.NewEncoder(out).Encode(all)
	}
	tw := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, m := range all {
		state := "missing"
		if m.Applied {
			state = "applied " + m.AppliedAt.UTC().Format("2006-01-02 15:04:05Z")
		}
		fmt.Fprintf(tw, "%d\t%s\t%s\n", m.Version, m.Name, state)
	}
	return tw.Flush()
}
