package pgstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/caddy-tickets/caddy-tickets/allocator"
)

// Codes of PostgreSQL's appendix A, by what has to be done about them. Names of
// two characters are whole classes.
var (
	// undoneCodes: nothing was done, and doing it again may succeed.
	undoneCodes = codes("40001", "40P01", "55P03", "0A000")
	// lostCodes: the session is over, and with it perhaps the server. 25006 is a
	// server that has become a standby.
	lostCodes = codes("08", "57P01", "57P02", "57P03", "57P05", "25006")
	// unavailableCodes: the server cannot now; somebody may mend that.
	unavailableCodes = codes("40", "53", "55", "57", "58", "28", "3D", "F0", "42P01", "42703")
)

func codes(all ...string) map[string]bool {
	m := make(map[string]bool, len(all))
	for _, code := range all {
		m[code] = true
	}
	return m
}

func among(m map[string]bool, code string) bool { return m[code] || len(code) > 2 && m[code[:2]] }

// verdict is what an error means for the call.
type verdict int

const (
	final       verdict = iota // an answer, or a mistake of ours
	undone                     // repeat it
	lost                       // repeat it on another connection
	unavailable                // the caller may try later
)

// acquireError says that there was no connection to be had: nothing was sent.
type acquireError struct{ cause error }

func (e *acquireError) Error() string { return "connecting to the database: " + e.cause.Error() }
func (e *acquireError) Unwrap() error { return e.cause }

// errAgain has work done again: what it met was gone when it looked closer.
var errAgain = errors.New("the rows changed meanwhile")

// answers are errors that are results.
var answers = []error{
	allocator.ErrEventUnknown, allocator.ErrEventExists, allocator.ErrCellUnknown, allocator.ErrBookingUnknown,
	allocator.ErrKeyInFlight, allocator.ErrKeyMismatch, pgx.ErrNoRows, errUsed,
}

func judge(err error) verdict {
	var refused *pgconn.PgError
	var acquire *acquireError
	var conflict *allocator.ConflictError
	var scan pgx.ScanArgError
	switch {
	case err == nil, errors.As(err, &conflict), errors.As(err, &scan):
		return final
	case errors.Is(err, errAgain):
		return undone
	case errors.As(err, &acquire), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return unavailable
	case errors.As(err, &refused):
		switch {
		case among(undoneCodes, refused.Code):
			return undone
		case among(lostCodes, refused.Code):
			return lost
		case among(unavailableCodes, refused.Code):
			return unavailable
		}
		return final
	}
	for _, answer := range answers {
		if errors.Is(err, answer) {
			return final
		}
	}
	return lost // neither the server's answer nor ours: the connection broke
}

// failed gives an error its place. It wraps ErrUnavailable if a later try may
// succeed. Answers that callers branch on stay what they are.
func failed(doing string, err error) error {
	if judge(err) != final {
		return fmt.Errorf("%s: %w: %w", doing, allocator.ErrUnavailable, advice(err))
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// advice adds what the operator has to do, where that is known.
func advice(err error) error {
	var refused *pgconn.PgError
	if errors.As(err, &refused) && (refused.Code == "42P01" || refused.Code == "42703") {
		return fmt.Errorf("%w; run: caddy-tickets migrate up", err)
	}
	return err
}

// violated is the constraint that refused a statement; empty if none did.
func violated(err error) string {
	var refused *pgconn.PgError
	if errors.As(err, &refused) && len(refused.Code) == 5 && refused.Code[:2] == "23" {
		return refused.ConstraintName
	}
	return ""
}
