package main

import (
	"errors"
	"log/slog"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// servers are the two that a command may need. Addresses may hold passwords, so
// they come from the environment and are never printed.
type servers struct{ redis, database string }

func (s *servers) redisFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.redis, "redis", os.Getenv("TICKETS_REDIS"), "address of Redis, as redis://127.0.0.1:6379/0 (default: TICKETS_REDIS)")
	cmd.Flags().Lookup("redis").DefValue = ""
}

func (s *servers) databaseFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.database, "database", os.Getenv("TICKETS_DATABASE"), "PostgreSQL, as postgres://user@host/name (default: TICKETS_DATABASE)")
	cmd.Flags().Lookup("database").DefValue = ""
}

func (s *servers) needRedis() error {
	if s.redis == "" {
		return errors.New("no Redis: set TICKETS_REDIS or give --redis, such as redis://127.0.0.1:6379/0")
	}
	return nil
}

func (s *servers) needDatabase() error {
	if s.database == "" {
		return errors.New("no database: set TICKETS_DATABASE or give --database, such as postgres://tickets@localhost/tickets")
	}
	return nil
}

// logger writes what an operator reads, one line for each event, to stderr.
func logger() *slog.Logger { return slog.New(slog.NewTextHandler(os.Stderr, nil)) }

// withoutPassword is an address as it may be shown. One that is no URL, and may have
// its password anywhere, is not shown.
func withoutPassword(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme == "" || u.User == nil && strings.Contains(address, "@") {
		return "as given"
	}
	query := u.Query()
	for _, name := range []string{"password", "sslpassword"} {
		if query.Has(name) {
			query.Set(name, "xxxxx")
			u.RawQuery = query.Encode()
		}
	}
	return u.Redacted()
}
