// Package problem writes errors as RFC 9457 problem documents. Every refusal
// that a client can meet, at the edge and in the allocator, goes through it, so
// that each has a stable code to branch on and a sentence that says what to do.
package problem

import (
	"encoding/json"
	"maps"
	"net/http"
	"strconv"
	"time"
)

// ContentType is the media type of every problem document (RFC 9457, section 3).
const ContentType = "application/problem+json"

// Problem is one refusal. The zero Status is sent as 500.
type Problem struct {
	Code   string // stable and kebab-case, e.g. "not-queued"; clients branch on it
	Title  string // the same for every occurrence of Code
	Status int
	Detail string // what happened here and what to do about it, for a person

	// RetryAfter is sent as a header and as retryAfterMs when it is positive.
	// The header has whole seconds, rounded up: asking too early helps nobody.
	RetryAfter time.Duration

	// Members are further members of the document, such as conflicts or alternatives.
	Members map[string]any
}

// Error makes a Problem usable as an error inside the process.
func (p *Problem) Error() string {
	if p.Detail == "" {
		return p.Title
	}
	return p.Title + ": " + p.Detail
}

// With returns a copy of p with one more member, leaving p as it was.
func (p *Problem) With(member string, value any) *Problem {
	c := *p
	c.Members = maps.Clone(p.Members)
	if c.Members == nil {
		c.Members = make(map[string]any, 1)
	}
	c.Members[member] = value
	return &c
}

// Because returns a copy of p with another detail.
func (p *Problem) Because(detail string) *Problem {
	c := *p
	c.Detail = detail
	return &c
}

// After returns a copy of p that asks the client to come back after d.
func (p *Problem) After(d time.Duration) *Problem {
	c := *p
	c.RetryAfter = d
	return &c
}

// Write sends p. Nothing may have been written to w before.
func Write(w http.ResponseWriter, p *Problem) {
	status := p.Status
	if status == 0 {
		status = http.StatusInternalServerError
	}
	doc := map[string]any{
		"type":   "urn:caddy-tickets:problem:" + p.Code,
		"title":  p.Title,
		"status": status,
		"code":   p.Code,
	}
	if p.Detail != "" {
		doc["detail"] = p.Detail
	}
	h := w.Header()
	if p.RetryAfter > 0 {
		doc["retryAfterMs"] = p.RetryAfter.Milliseconds()
		seconds := int64((p.RetryAfter + time.Second - 1) / time.Second)
		h.Set("Retry-After", strconv.FormatInt(seconds, 10))
	}
	for k, v := range p.Members {
		if _, taken := doc[k]; !taken {
			doc[k] = v
		}
	}
	body, err := json.Marshal(doc)
	if err != nil { // a member that cannot be encoded must not hide the refusal itself
		body = []byte(`{"code":` + strconv.Quote(p.Code) + `,"status":` + strconv.Itoa(status) + `}`)
	}
	h.Set("Content-Type", ContentType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client is gone if this fails; there is nobody left to tell
}
