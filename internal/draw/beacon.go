package draw

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"
)

// Bounds of what an operator may announce, in bytes, and of the wait for it.
const (
	MaxBeacon = 1024
	maxSource = 512
	maxURL    = 2048
	MaxWithin = 24 * time.Hour
)

// Beacon is the public randomness: what was announced, and its value once known.
// An empty Source means that there is none.
type Beacon struct {
	Source string `json:"source,omitempty"` // in words that let anybody find it, e.g. "drand quicknet round 12345678"
	URL    string `json:"url,omitempty"`    // where it is fetched, if it is
	// Within is for how many seconds after opening the draw waits; 0 for as long as it takes.
	Within int   `json:"within,omitempty"`
	Value  Bytes `json:"value,omitempty"`
	// Missed says that it did not come in time, and that the draw went on without.
	Missed bool `json:"missed,omitempty"`
}

// Deadline is until when a draw that opens then waits for its beacon; zero for ever.
func (b Beacon) Deadline(opens time.Time) time.Time {
	if b.Source == "" || b.Within == 0 {
		return time.Time{}
	}
	return opens.Add(time.Duration(b.Within) * time.Second)
}

// ValueOf takes the value out of what was announced or fetched. An answer of drand,
// a JSON object, gives the bytes of its "randomness", if it is of the round that
// was announced. Anything else is the value itself, without the space around it.
func (b Beacon) ValueOf(text []byte) (Bytes, error) {
	text = bytes.TrimSpace(text)
	var value Bytes
	if bytes.HasPrefix(text, []byte("{")) {
		var answer struct {
			Round      int64 `json:"round"`
			Randomness Bytes `json:"randomness"`
		}
		if err := json.Unmarshal(text, &answer); err != nil {
			return nil, fmt.Errorf("reading the beacon: %w", err)
		}
		if d, of := b.Drand(); of && answer.Round != d.Round {
			return nil, fmt.Errorf("the beacon is of round %d, and %q was announced", answer.Round, b.Source)
		}
		value = answer.Randomness
	} else {
		value = bytes.Clone(text)
	}
	if len(value) == 0 || len(value) > MaxBeacon {
		return nil, fmt.Errorf("the beacon has %d bytes: it needs 1 to %d", len(value), MaxBeacon)
	}
	return value, nil
}

// announceable says what must not be announced.
func (b Beacon) announceable() error {
	switch {
	case len(b.Value) > 0 || b.Missed:
		return errors.New("a beacon whose value is known in advance is none")
	case b.Source == "" && (b.URL != "" || b.Within != 0):
		return errors.New("a beacon needs a source, in words that let anybody find it")
	case len(b.Source) > maxSource:
		return fmt.Errorf("the source of the beacon is longer than %d bytes", maxSource)
	case b.Within < 0 || b.Within > int(MaxWithin/time.Second):
		return fmt.Errorf("a draw waits up to %s for its beacon, not %d seconds", MaxWithin, b.Within)
	case b.URL == "":
		return nil
	}
	if at, err := url.Parse(b.URL); err != nil || len(b.URL) > maxURL || at.Scheme != "http" && at.Scheme != "https" || at.Host == "" || at.User != nil {
		return errors.New("the beacon's url must be a web address without user and password, since it is published")
	}
	return nil
}
