package httpapi

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/caddy-tickets/caddy-tickets/allocator"
	"github.com/caddy-tickets/caddy-tickets/allocator/sale"
)

// eventReply is an event as anybody may see it.
type eventReply struct {
	Event       string               `json:"event"`
	Name        string               `json:"name"`
	Phase       allocator.Phase      `json:"phase"`
	Currency    string               `json:"currency"`
	Capacity    int                  `json:"capacity"`
	Categories  []allocator.Category `json:"categories"`
	Layout      string               `json:"layout"` // path of the layout document
	HoldSeconds int64                `json:"holdSeconds"`
	PaySeconds  int64                `json:"paySeconds"`
	MaxPerPass  int                  `json:"maxPerPass"`
}

// holdReply is a hold as its holder sees it. Both forms of the end are sent: the
// seconds are right whatever the client's clock says.
type holdReply struct {
	HoldID           string          `json:"holdId"`
	Event            string          `json:"event"`
	Cells            []string        `json:"cells"`
	Fence            int64           `json:"fence,string"` // beyond 2^53
	Price            allocator.Money `json:"price"`
	Paying           bool            `json:"paying"`
	ExpiresAt        time.Time       `json:"expiresAt"`
	ExpiresInSeconds int64           `json:"expiresInSeconds"`
	ServerTime       time.Time       `json:"serverTime"`
}

func holdOf(h sale.Held, now time.Time) holdReply {
	return holdReply{
		HoldID: h.ID, Event: h.Event, Cells: h.Cells, Fence: h.Fence, Price: h.Total, Paying: h.Paying,
		ExpiresAt: h.Expires.UTC(), ExpiresInSeconds: int64(max(0, h.Expires.Sub(now)) / time.Second), ServerTime: now.UTC().Truncate(time.Millisecond),
	}
}

// bookingReply is a booking as its holder sees it.
type bookingReply struct {
	BookingID string                 `json:"bookingId"`
	Event     string                 `json:"event"`
	HoldID    string                 `json:"holdId"`
	State     allocator.BookingState `json:"state"`
	Cells     []string               `json:"cells"`
	Price     allocator.Money        `json:"price"`
	Buyer     allocator.Buyer        `json:"buyer"`
	Reason    string                 `json:"reason,omitempty"`
	PayBy     time.Time              `json:"payBy"`
	CreatedAt time.Time              `json:"createdAt"`
}

func bookingOf(b *allocator.Booking) bookingReply {
	return bookingReply{
		BookingID: b.ID, Event: b.Event, HoldID: b.HoldID, State: b.State, Cells: b.Cells, Price: b.Amount, Buyer: b.Buyer,
		Reason: b.Reason, PayBy: b.Deadline.UTC(), CreatedAt: b.CreatedAt.UTC(),
	}
}

func send(w http.ResponseWriter, status int, doc any) {
	body, err := json.Marshal(doc)
	if err != nil {
		body, status = []byte(`{"code":"internal","status":500}`), http.StatusInternalServerError
	}
	sendBody(w, status, body)
}

func sendBody(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", "application/json")
	}
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client is gone if this fails; there is nobody left to tell
}
