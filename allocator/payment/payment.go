// Package payment is the seam to whoever moves the money. A provider is the
// sandbox or Stripe; both pass the same suite in paymenttest.
package payment

import (
	"context"
	"errors"
	"time"
)

// Status is where a payment stands at the provider.
type Status string

// The states of a payment. Succeeded, Cancelled and Declined never change again.
const (
	Pending    Status = "pending"    // the provider has not decided; ask again or wait for its webhook
	Authorised Status = "authorised" // money is reserved; Capture or Cancel it
	Succeeded  Status = "succeeded"  // captured
	Cancelled  Status = "cancelled"  // can never succeed any more
	Declined   Status = "declined"   // refused; the same method will not work
)

// Payment is the provider's view of one attempt.
type Payment struct {
	ID       string
	Booking  string // from Request.Booking
	Status   Status
	Amount   int64
	Currency string
	Reason   string // a code for Declined: "card-declined", "insufficient-funds", "expired-card"
}

// Request asks for an authorisation.
type Request struct {
	Key      string // idempotency key, one per attempt; the same key gives the same payment
	Booking  string
	Amount   int64 // minor units
	Currency string
	Method   string // token that stands for the fan's means of payment; never a card number
}

// Answers that callers branch on.
var (
	// ErrUnknown means that nobody knows whether the call had an effect: retry
	// with the same key, never with a new one.
	ErrUnknown = errors.New("payment outcome unknown")
	// ErrKeyInUse means that a call with this key is under way: retry later.
	ErrKeyInUse = errors.New("payment key in use")
	// ErrKeyReused means that the key was used with other parameters: a bug.
	ErrKeyReused = errors.New("payment key reused with other parameters")
	// ErrNotFound means that the provider has no such payment.
	ErrNotFound = errors.New("no such payment")
	// ErrTooLate means that the payment already succeeded and cannot be cancelled.
	ErrTooLate = errors.New("payment already succeeded")
)

// Provider moves money. Every method is safe for concurrent use and safe to
// repeat with the same key; each honours the context's deadline. An error that
// is none of the above means that the call had no effect.
type Provider interface {
	Name() string // lower case, in webhook URLs
	// Authorise reserves the amount. A refusal is no error: it is Declined.
	Authorise(ctx context.Context, r Request) (Payment, error)
	// Capture takes an authorised payment. Capturing a captured one returns it.
	Capture(ctx context.Context, id, key string) (Payment, error)
	// Cancel makes sure that the payment can never succeed. ErrTooLate if it did.
	Cancel(ctx context.Context, id, key string) (Payment, error)
	// Get reads a payment. Find reads all payments of a booking.
	Get(ctx context.Context, id string) (Payment, error)
	Find(ctx context.Context, booking string) ([]Payment, error)
	// ParseWebhook checks the signature over the raw body and returns what it says.
	ParseWebhook(body []byte, signature string, now time.Time) (Event, error)
}

// Event is a verified webhook. It is a hint: the payment is read again before
// anything is done about it.
type Event struct {
	ID      string // unique at the provider; seen once, done once
	Payment string
	Booking string
}

// ErrSignature is returned by ParseWebhook for a forged, stale or unreadable webhook.
var ErrSignature = errors.New("webhook signature does not hold")
