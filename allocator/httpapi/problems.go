package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/caddy-tickets/caddy-tickets/allocator"
	"github.com/caddy-tickets/caddy-tickets/allocator/payment"
	"github.com/caddy-tickets/caddy-tickets/allocator/sale"
	"github.com/caddy-tickets/caddy-tickets/internal/pass"
	"github.com/caddy-tickets/caddy-tickets/internal/problem"
)

// The refusals of the surface. Clients branch on the codes.
var (
	problemNotFound = &problem.Problem{
		Code: "not-found", Status: http.StatusNotFound, Title: "Nothing is here",
	}
	problemInternal = &problem.Problem{
		Code: "internal", Status: http.StatusInternalServerError, Title: "Something went wrong on our side",
		Detail: "Ask again with the same Idempotency-Key: it finds whatever was done.",
	}
	problemNotReady = &problem.Problem{
		Code: "not-ready", Status: http.StatusServiceUnavailable, Title: "Not ready", RetryAfter: 2 * time.Second,
	}
	problemUnavailable = &problem.Problem{
		Code: "overloaded", Status: http.StatusServiceUnavailable, Title: "A moment, please",
		Detail: "We are having a technical problem. What you have is safe; ask again in a few seconds with the same Idempotency-Key.", RetryAfter: 2 * time.Second,
	}
	problemPassRequired = &problem.Problem{
		Code: "pass-required", Status: http.StatusUnauthorized, Title: "A pass is needed",
		Detail: "Come in through the waiting room first.",
	}
	problemPassExpired = &problem.Problem{
		Code: "pass-expired", Status: http.StatusUnauthorized, Title: "The pass has ended",
		Detail: "Your visit is over. Come in through the waiting room again.",
	}
	problemEvent = &problem.Problem{
		Code: "event-unknown", Status: http.StatusNotFound, Title: "There is no such event",
	}
	problemNotOpen = &problem.Problem{
		Code: "sale-not-open", Status: http.StatusForbidden, Title: "The sale is not open",
		Detail: "Seats cannot be held now.",
	}
	problemCells = &problem.Problem{
		Code: "cells-unavailable", Status: http.StatusConflict, Title: "Seats are taken",
		Detail: "Somebody else has some of these seats. Nothing was held; choose others.",
	}
	problemArea = &problem.Problem{
		Code: "area-short", Status: http.StatusConflict, Title: "Not that many are left",
		Detail: "The area has fewer free places than you asked for. Nothing was held; ask for fewer.",
	}
	problemCellUnknown = &problem.Problem{
		Code: "cell-unknown", Status: http.StatusUnprocessableEntity, Title: "There is no such seat",
		Detail: "One of the seats is not in this event. Nothing was held.",
	}
	problemAllHeld = &problem.Problem{
		Code: "all-held", Status: http.StatusConflict, Title: "Everything is held right now",
		Detail: "Other people are about to buy all that is left. Some may come back; try again in a moment.", RetryAfter: 2 * time.Second,
	}
	problemSoldOut = &problem.Problem{
		Code: "sold-out", Status: http.StatusGone, Title: "Sold out",
		Detail: "All tickets are sold.",
	}
	problemHoldLimit = &problem.Problem{
		Code: "purchase-limit", Status: http.StatusForbidden, Title: "Too many tickets",
		Detail: "One visitor can have only so many tickets, held and bought together. Ask for fewer; seats that are held and given back count no more.",
	}
	problemHoldUnknown = &problem.Problem{
		Code: "hold-unknown", Status: http.StatusNotFound, Title: "There is no such hold",
	}
	problemHoldExpired = &problem.Problem{
		Code: "hold-expired", Status: http.StatusGone, Title: "The time for these seats is over",
		Detail: "The seats went back to everybody. Choose again; they may still be free.",
	}
	problemNotYours = &problem.Problem{
		Code: "hold-not-yours", Status: http.StatusForbidden, Title: "This hold is somebody else's",
	}
	problemPaying = &problem.Problem{
		Code: "payment-under-way", Status: http.StatusConflict, Title: "A payment for these seats is under way",
		Detail: "Wait for its outcome, or repeat it with its own Idempotency-Key.", RetryAfter: 2 * time.Second,
	}
	problemBooked = &problem.Problem{
		Code: "already-booked", Status: http.StatusConflict, Title: "These seats are booked",
		Detail: "These seats are yours already.",
	}
	problemDeclined = &problem.Problem{
		Code: "payment-declined", Status: http.StatusPaymentRequired, Title: "The payment was declined",
		Detail: "No money was taken. Your seats are still held: try another means of payment.",
	}
	problemPaymentExpired = &problem.Problem{
		Code: "payment-expired", Status: http.StatusGone, Title: "The time to pay is over",
		Detail: "No money was taken, and the seats went back to everybody. Choose again.",
	}
	problemBooking = &problem.Problem{
		Code: "booking-unknown", Status: http.StatusNotFound, Title: "There is no such booking",
	}
	problemKeyMissing = &problem.Problem{
		Code: "idempotency-missing", Status: http.StatusBadRequest, Title: "An Idempotency-Key is needed",
		Detail: `Send a header such as Idempotency-Key: "8e03978e-40d5-43dd-bc93-6894a57f9324", a new one for each thing you want done.`,
	}
	problemKeyInFlight = &problem.Problem{
		Code: "idempotency-in-flight", Status: http.StatusConflict, Title: "This is being done already",
		Detail: "A request with this Idempotency-Key is under way. Ask again in a moment with the same key.", RetryAfter: time.Second,
	}
	problemKeyMismatch = &problem.Problem{
		Code: "idempotency-mismatch", Status: http.StatusUnprocessableEntity, Title: "The Idempotency-Key was used for something else",
		Detail: "Use a new key for a new request.",
	}
	problemMalformed = &problem.Problem{
		Code: "malformed", Status: http.StatusBadRequest, Title: "The request cannot be read",
	}
	problemTooLarge = &problem.Problem{
		Code: "too-large", Status: http.StatusRequestEntityTooLarge, Title: "The request is too large",
		Detail: fmt.Sprintf("At most %d KB are read.", maxBody>>10),
	}
	problemSignature = &problem.Problem{
		Code: "signature-invalid", Status: http.StatusBadRequest, Title: "The signature does not hold",
	}
	problemEarly = &problem.Problem{
		Code: "booking-unknown-yet", Status: http.StatusConflict, Title: "The booking is not known yet",
		Detail: "Send it again later.", RetryAfter: 2 * time.Second,
	}
)

// refusals says which problem an error of the domain is.
var refusals = []struct {
	err     error
	problem *problem.Problem
}{
	{allocator.ErrEventUnknown, problemEvent},
	{allocator.ErrCellUnknown, problemCellUnknown},
	{allocator.ErrHoldUnknown, problemHoldUnknown},
	{allocator.ErrHoldExpired, problemHoldExpired},
	{allocator.ErrHoldNotYours, problemNotYours},
	{allocator.ErrHoldLimit, problemHoldLimit},
	{allocator.ErrAllHeld, problemAllHeld},
	{allocator.ErrSoldOut, problemSoldOut},
	{allocator.ErrNotOpen, problemNotOpen},
	{allocator.ErrBookingUnknown, problemBooking},
	{allocator.ErrKeyInFlight, problemKeyInFlight},
	{allocator.ErrKeyMismatch, problemKeyMismatch},
	{sale.ErrPaymentUnderWay, problemPaying},
	{sale.ErrWebhookEarly, problemEarly},
	{payment.ErrSignature, problemSignature},
	{pass.ErrExpired, problemPassExpired},
	{pass.ErrMissing, problemPassRequired},
	{pass.ErrMalformed, problemPassRequired},
	{pass.ErrForged, problemPassRequired},
	{pass.ErrForeign, problemPassRequired},
	{pass.ErrNotYet, problemPassRequired},
	{allocator.ErrUnavailable, problemUnavailable},
	{allocator.ErrEpoch, problemUnavailable},
}

// refusal turns an error into what the client is told. The details of what is not
// known are for the log.
func refusal(err error) *problem.Problem {
	var p *problem.Problem
	var conflict *allocator.ConflictError
	var short *allocator.AreaShortError
	var booked *sale.BookedError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &conflict):
		return problemCells.With("conflicts", conflict.Cells)
	case errors.As(err, &short):
		return problemArea.With("area", short.Area).With("available", short.Available)
	case errors.As(err, &booked):
		return problemBooked.With("bookingId", booked.Booking)
	}
	for _, r := range refusals {
		if errors.Is(err, r.err) {
			return r.problem
		}
	}
	return problemInternal
}
