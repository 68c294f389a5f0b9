package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/caddy-tickets/caddy-tickets/internal/problem"
)

// Limits of what a client sends.
const (
	maxBody  = 64 << 10
	maxCells = 100 // in one hold
	maxDepth = 8   // of nested JSON
	maxKey   = 255 // of an idempotency key
	maxText  = 200 // of a name or an address, in bytes
)

// read reads a JSON body into a value. Every fault is a problem that names it.
func read(w http.ResponseWriter, r *http.Request, into any) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return nil, problemTooLarge
	}
	if err != nil {
		return nil, malformed("The body ended early.")
	}
	if deep(body) {
		return nil, malformed("The JSON is nested too deeply.")
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return nil, malformed(fault(err))
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, malformed("There is something after the JSON.")
	}
	return body, nil
}

func malformed(detail string) *problem.Problem { return problemMalformed.Because(detail) }

// fault says what is wrong with JSON in words that contain nothing of it but names.
func fault(err error) string {
	var kind *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &kind):
		return "The member " + kind.Field + " is of the wrong kind."
	case errors.As(err, &syntax), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return "The body is no JSON object."
	case strings.HasPrefix(err.Error(), "json: unknown field ") && len(err.Error()) < maxText:
		return "There is an unknown member: " + strings.TrimPrefix(err.Error(), "json: unknown field ") + "."
	}
	return "The body is not what is expected here."
}

// deep says whether JSON is nested beyond the limit, before a decoder recurses.
func deep(body []byte) bool {
	depth, text, escaped := 0, false, false
	for _, c := range body {
		switch {
		case escaped:
			escaped = false
		case text:
			escaped, text = c == '\\', c != '"'
		case c == '"':
			text = true
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// keyOf is the idempotency key of a request: a quoted string, as the IETF draft
// has it, or bare.
func keyOf(r *http.Request) (string, error) {
	key := r.Header.Get("Idempotency-Key")
	if n := len(key); n >= 2 && key[0] == '"' && key[n-1] == '"' {
		key = key[1 : n-1]
	}
	if key == "" {
		return "", problemKeyMissing
	}
	if len(key) > maxKey || strings.ContainsFunc(key, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == '"' || c == '\\' }) {
		return "", problemKeyMissing.Because("The Idempotency-Key must have 1 to 255 printable ASCII characters without spaces, quotes and backslashes.")
	}
	return key, nil
}
