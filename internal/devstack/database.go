package devstack

import (
	"context"
	"fmt"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
)

// DSN is the connection string of one database of the server, in a form that
// both pgx and psql take.
func (s *PostgresDaemon) DSN(database string) string {
	query := url.Values{"host": {s.folder.path}, "sslmode": {"disable"}}
	return (&url.URL{Scheme: "postgres", User: url.User("postgres"), Host: "", Path: "/" + database, RawQuery: query.Encode()}).String()
}

// CreateDatabase makes an empty database unless it is there already.
func (s *PostgresDaemon) CreateDatabase(ctx context.Context, name string) error {
	there, err := s.Query(ctx, "postgres", "SELECT count(*) FROM pg_database WHERE datname = "+quoteLiteral(name))
	if err != nil {
		return err
	}
	if there != "0" {
		return nil
	}
	_, err = s.Query(ctx, "postgres", "CREATE DATABASE "+quoteName(name))
	return err
}

// DropDatabase removes a database, closing whoever still uses it.
func (s *PostgresDaemon) DropDatabase(ctx context.Context, name string) error {
	_, err := s.Query(ctx, "postgres", "DROP DATABASE IF EXISTS "+quoteName(name)+" WITH (FORCE)")
	return err
}

// Query runs SQL with psql and returns its output: rows by lines, columns by '|'.
func (s *PostgresDaemon) Query(ctx context.Context, database, sql string) (string, error) {
	return query(ctx, filepath.Join(s.bin, "psql"), s.DSN(database), sql)
}

// Query runs SQL with psql against any server.
func Query(ctx context.Context, dsn, sql string) (string, error) {
	program, err := findProgram("psql", "postgresql-client", postgresFolders[:]...)
	if err != nil {
		return "", err
	}
	return query(ctx, program, dsn, sql)
}

func query(ctx context.Context, program, dsn, sql string) (string, error) {
	cmd := exec.CommandContext(ctx, program, "--no-psqlrc", "--no-align", "--tuples-only", "--quiet", "--set", "ON_ERROR_STOP=1", "--dbname", dsn)
	cmd.Stdin = strings.NewReader(sql) // not an argument: those are seen by everybody on the machine
	var out, failure strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &failure
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("asking PostgreSQL: %w: %s", err, strings.TrimSpace(failure.String()))
	}
	return strings.TrimSpace(out.String()), nil
}

func quoteLiteral(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func quoteName(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
