// Package dsn reads how to reach PostgreSQL. It is one place so that a password
// never gets from a connection string into an error or a log.
package dsn

import (
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// ErrMalformed says nothing of the string itself: the parser's own errors quote
// what they could not read, and that may be half of a password.
var ErrMalformed = errors.New("the database's address cannot be read: write it as postgres://user:password@host:5432/database" +
	" or as host=… user=… dbname=…, and in a URL write each of / ? # @ : in a password as %2F %3F %23 %40 %3A")

// Parse reads a connection string, a URL or keywords and values, with the
// environment variables of libpq as its defaults. What it returns connects to
// servers that can be written to only: a standby's data is old, and sold seats
// look free on it.
func Parse(dsn string) (*pgxpool.Config, error) {
	if strings.TrimSpace(dsn) == "" || torn(dsn) {
		return nil, ErrMalformed
	}
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, ErrMalformed
	}
	config.ConnConfig.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	return config, nil
}

// torn says that a password was probably not percent-encoded and ends the address
// early. Such a URL can be read, but as another one: the password's beginning is a
// port in it and its end a database's name, and both are in errors and logs.
func torn(dsn string) bool {
	_, rest, isURL := strings.Cut(dsn, "://")
	if !isURL || strings.ContainsAny(dsn[:len(dsn)-len(rest)], "= ") {
		return false
	}
	end := strings.IndexAny(rest, "/?#")
	return end >= 0 && strings.ContainsAny(rest[end:], "@#")
}
