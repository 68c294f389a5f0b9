package allocator

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Answers that callers branch on. The surface maps each to one problem type.
var (
	ErrEventUnknown   = errors.New("no such event")
	ErrCellUnknown    = errors.New("no such cell")
	ErrHoldUnknown    = errors.New("no such hold")       // never made, or made for another event
	ErrHoldExpired    = errors.New("the hold has ended") // its cells may be somebody else's by now
	ErrHoldNotYours   = errors.New("the hold is another pass's")
	ErrHoldLimit      = errors.New("too many cells for one pass")
	ErrAllHeld        = errors.New("everything is held right now")
	ErrSoldOut        = errors.New("sold out")
	ErrNotOpen        = errors.New("the sale is not open")
	ErrEpoch          = errors.New("the seat locks are being rebuilt")
	ErrUnavailable    = errors.New("a store is unreachable") // wraps the cause; nothing was decided
	ErrBookingUnknown = errors.New("no such booking")
	ErrEventExists    = errors.New("an event of this name exists already")
)

// ConflictError says which of the wanted cells somebody else has. Nothing was held.
type ConflictError struct{ Cells []string }

func (e *ConflictError) Error() string { return fmt.Sprintf("%d cells are taken", len(e.Cells)) }

// AreaShortError says that a standing area has fewer free units than wanted. Nothing was held.
type AreaShortError struct {
	Area      string
	Available int
}

func (e *AreaShortError) Error() string {
	return fmt.Sprintf("area %q has %d units left", e.Area, e.Available)
}

// HoldRequest asks for cells by id, or for Quantity units of Area, not both.
type HoldRequest struct {
	Event    *Event
	HoldID   string // chosen by the caller, so that a repeated request finds its own hold
	Holder   string
	Cells    []string // sorted, no duplicates
	Area     string
	Quantity int
}

// Locks are the timed locks on cells. They are for efficiency and fairness: no
// method decides about money, and the database may overrule all of them.
//
// Every method is atomic, safe for concurrent use by any number of processes,
// and safe to repeat: a second call with the same arguments finds the effect of
// the first. Times are the lock server's own. When the server cannot be reached
// the error wraps ErrUnavailable; when its state is gone or older than the
// event's epoch it is ErrEpoch, and the caller rebuilds.
type Locks interface {
	// Rebuild replaces all state of the event by what the database says: cells
	// as booked or paying, everything else free. What a holder has bought counts
	// for the limit again. Holds that were not paying are
	// gone. event.Epoch must have been raised before.
	Rebuild(ctx context.Context, event *Event, cells []Cell, taken []Taken) error

	// Hold locks all wanted cells for event.HoldTTL or none. A holder has at most
	// event.MaxPerPass cells, held and booked ones together.
	// Errors: *ConflictError, *AreaShortError, ErrHoldLimit, ErrAllHeld, ErrSoldOut, ErrCellUnknown,
	// and for an id that was used before ErrHoldExpired, ErrHoldNotYours, and
	// ErrKeyMismatch if it was for another area.
	Hold(ctx context.Context, req HoldRequest) (Hold, error)

	// Get returns a live hold. Errors: ErrHoldUnknown, ErrHoldExpired, ErrHoldNotYours.
	Get(ctx context.Context, event *Event, holdID, holder string) (Hold, error)

	// Release frees a hold that is not paying. A hold that is gone is no error.
	Release(ctx context.Context, event *Event, holdID, holder string) error

	// BeginPayment stops the hold's own timer; the cells stay until EndPayment,
	// Book, or until plus a grace, which only catches a caller that died.
	// Errors: ErrHoldExpired, ErrHoldUnknown, ErrHoldNotYours.
	BeginPayment(ctx context.Context, event *Event, holdID, holder string, until time.Time) (Hold, error)

	// EndPayment undoes BeginPayment after a refusal: the hold goes on for the
	// rest of its time but at least for a minute, so the fan can try another card.
	// A payment whose until is later than this one is another, begun since: it
	// goes on. The zero time ends any.
	EndPayment(ctx context.Context, event *Event, holdID string, until time.Time) error

	// Book marks cells as booked for good, whoever held them, and drops the hold. They
	// count for the limit of the hold's holder, if the locks know the hold.
	Book(ctx context.Context, event *Event, holdID string, cells []string) error

	// Free makes cells free again unless they are booked, and drops the hold.
	Free(ctx context.Context, event *Event, holdID string, cells []string) error

	// Sweep ends holds whose time is over, at most limit, and says how many.
	// Locks end by themselves; sweeping corrects counters and the map.
	Sweep(ctx context.Context, event *Event, limit int) (int, error)

	// Counts is cheap enough to be asked once a second by every edge.
	Counts(ctx context.Context, event *Event) (Counts, error)
}

// Taken is a cell that the database has a live claim on.
type Taken struct {
	Cell   string
	HoldID string
	Holder string // whose claim it is; without it a refused payment cannot go back to a hold
	Booked bool   // else paying
	Until  time.Time
}

// Store is the truth. Errors that a later try may mend wrap ErrUnavailable.
// No method talks to anything but the database, and none is called while
// another call of the same request still holds a connection.
type Store interface {
	Events(ctx context.Context) ([]*Event, error)
	Event(ctx context.Context, slug string) (*Event, error)   // ErrEventUnknown
	Cells(ctx context.Context, eventID int64) ([]Cell, error) // by ordinal
	Categories(ctx context.Context, eventID int64) ([]Category, error)
	Layout(ctx context.Context, eventID int64, hash string) ([]byte, error)
	CreateEvent(ctx context.Context, e NewEvent) (*Event, error) // ErrEventExists
	SetPhase(ctx context.Context, slug string, phase Phase) (*Event, error)
	// RaiseEpoch raises an event's epoch by one, if it still is from: of several that
	// find the locks gone, one is told true and rebuilds them.
	RaiseEpoch(ctx context.Context, eventID, from int64) (bool, error)
	Taken(ctx context.Context, eventID int64) ([]Taken, error)

	// Claim writes the booking and its PAYING claims, all or none.
	// Errors: *ConflictError. Repeating it with the same booking id is no error.
	Claim(ctx context.Context, b *Booking) error

	// Advance moves a booking from one of the states in from to its new state
	// together with its claims and the outbox rows that follow from it, in one
	// transaction. It reports false, and changes nothing, if the booking was in
	// none of them: somebody else was first.
	Advance(ctx context.Context, b *Booking, to BookingState, from ...BookingState) (bool, error)

	Booking(ctx context.Context, id string) (*Booking, error) // ErrBookingUnknown
	// BookingOfHold is the booking that a holder's hold was sold in. ErrBookingUnknown
	// if nothing came of it, nothing has yet, or it is another's.
	BookingOfHold(ctx context.Context, holdID, holder string) (*Booking, error)
	// Unfinished lists bookings that money may still be moving for (claimed,
	// authorising) and that have not moved since olderThan, oldest first.
	Unfinished(ctx context.Context, olderThan time.Time, limit int) ([]*Booking, error)

	// Ready says whether this is a database that can be written to now and that
	// has the migrations this program needs.
	Ready(ctx context.Context) error
}

// TaskKind says what an outbox row asks for.
type TaskKind string

// The tasks that follow from a booking's moves. Advance writes them in the
// transaction of the move, so none is forgotten; each is done at least once.
const (
	TaskMark    TaskKind = "mark"    // → BookedState: show the cells as booked in the locks
	TaskCapture TaskKind = "capture" // → BookedState: take the authorised money
	TaskUnpay   TaskKind = "unpay"   // → Declined: the cells go back to their hold
	TaskFree    TaskKind = "free"    // → Expired: the cells go back to everybody
)

// Task is an outbox row under lease.
type Task struct {
	ID       int64
	Kind     TaskKind
	Booking  string
	Attempts int // tries before this one
}

// Outbox hands out what has to be done outside of the database.
type Outbox interface {
	// Lease takes up to limit due tasks, oldest first, and hides them from every
	// other worker until the lease ends; a worker that dies loses only time.
	Lease(ctx context.Context, limit int, lease time.Duration) ([]Task, error)
	// Done removes a task. Removing it twice is no error.
	Done(ctx context.Context, id int64) error
	// Retry makes a task due again after a pause. Reason is for the operator.
	Retry(ctx context.Context, id int64, after time.Duration, reason string) error
}

// Answers of Idempotency that callers branch on.
var (
	ErrKeyInFlight = errors.New("a request with this idempotency key is under way")
	ErrKeyMismatch = errors.New("the idempotency key was used for another request")
)

// IdempotencyKey names one request of one caller. Scope is who asks (the holder):
// nobody finds another's reply by guessing a key.
type IdempotencyKey struct {
	Scope       string
	Key         string   // 1-255 printable ASCII characters, as the client chose it
	Fingerprint [32]byte // SHA-256 of method, path and body
}

// StoredReply is the answer that a repeated request gets again.
type StoredReply struct {
	Status int
	Body   []byte
}

// Idempotency makes a repeated POST find its first answer. All of it is kept in
// the database: one effect for one key, whatever restarts in between (I8).
type Idempotency interface {
	// Reserve begins a request. A reply that is not nil is the finished one of an
	// earlier try. Errors: ErrKeyInFlight while another try runs (its lock ends
	// after lock, should it have died), ErrKeyMismatch.
	Reserve(ctx context.Context, k IdempotencyKey, lock time.Duration) (*StoredReply, error)
	// Finish keeps the reply for good.
	Finish(ctx context.Context, k IdempotencyKey, r StoredReply) error
	// Abandon forgets a try whose answer was transient (429, 5xx), so that the
	// client may come again with the same key.
	Abandon(ctx context.Context, k IdempotencyKey) error
	// PruneReplies forgets finished replies older than age, at most limit, and says how many.
	PruneReplies(ctx context.Context, age time.Duration, limit int) (int, error)
}

// Webhooks remembers which of a provider's webhooks were dealt with.
type Webhooks interface {
	// NoteWebhook reports whether the webhook is new. It is called after the
	// effect, which is a compare-and-set of its own, so a crash in between costs
	// one more look and nothing else.
	NoteWebhook(ctx context.Context, provider, eventID string) (fresh bool, err error)
}

// NewEvent is an event about to be created in phase draft.
type NewEvent struct {
	Event      Event
	Categories []Category
	Cells      []Cell
	Layout     []byte // the published layout document, JSON
}
