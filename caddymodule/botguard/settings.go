package botguard

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-tickets/caddy-tickets/internal/pow"
	"github.com/caddy-tickets/caddy-tickets/internal/velocity"
)

// Settings are the knobs of a handler.
type Settings struct {
	// Mode is enforce (the default) or monitor, which refuses nobody and only
	// counts and logs what it would have done.
	Mode string `json:"mode,omitempty"`
	// Challenge is auto (the default), which asks every visitor without a place
	// for a proof of work, or off.
	Challenge string `json:"challenge,omitempty"`
	// Wait is what a browser without JavaScript waits instead; default 5s, at
	// most 60s. Shorter makes waiting the cheaper way for bots too.
	Wait caddy.Duration `json:"wait,omitempty"`
	// Velocity limits how often a key may act. Default: no limits.
	Velocity []Velocity `json:"velocity,omitempty"`
}

// Velocity is one limit.
type Velocity struct {
	Action string         `json:"action"` // join or claim
	Key    string         `json:"key"`    // with placeholders, such as {botguard.prefix}
	Limit  int            `json:"limit"`
	Window caddy.Duration `json:"window"`
}

// The values of Mode and Challenge.
const (
	modeEnforce   = "enforce"
	modeMonitor   = "monitor"
	challengeAuto = "auto"
	challengeOff  = "off"
)

// The actions that are guarded, as they stand in paths and rules.
const (
	actionJoin  = "join"
	actionClaim = "claim"
)

// Limits that every challenge has, by network (/24 or /64).
const (
	// waitedPerMinute bounds answers that waited instead of working. Few people
	// have no JavaScript; a bot that waits in a thousand connections is stopped here.
	waitedPerMinute = 20
	// failuresPerMinute bounds answers that do not hold. An honest browser has one
	// when it slept over its challenge.
	failuresPerMinute = 60
)

func (s *Settings) enforces() bool   { return s.Mode != modeMonitor }
func (s *Settings) challenges() bool { return s.Challenge != challengeOff }

func (s *Settings) work() pow.Work {
	w := pow.DefaultWork
	if s.Wait != 0 {
		w.Wait = time.Duration(s.Wait)
	}
	return w
}

// check refuses what cannot work, before anything starts.
func (s *Settings) check() error {
	if !slices.Contains([]string{"", modeEnforce, modeMonitor}, s.Mode) {
		return fmt.Errorf("mode must be enforce or monitor, not %q", s.Mode)
	}
	if !slices.Contains([]string{"", challengeAuto, challengeOff}, s.Challenge) {
		return fmt.Errorf("challenge must be auto or off, not %q", s.Challenge)
	}
	if err := s.checkWait(); err != nil {
		return err
	}
	for i, v := range s.Velocity {
		if err := v.check(); err != nil {
			return err
		}
		if slices.Contains(s.Velocity[:i], v) {
			return fmt.Errorf("velocity %s stands there twice: remove one", v.name())
		}
	}
	return nil
}

func (s *Settings) checkWait() error {
	wait := time.Duration(s.Wait)
	if s.Wait != 0 && (wait < time.Second || wait > pow.MaxWait || wait%time.Second != 0) {
		return fmt.Errorf("wait must be whole seconds from 1s to %s, not %s", pow.MaxWait, wait)
	}
	return nil
}

// name identifies the rule: in Redis, in metrics and in logs.
func (v Velocity) name() string {
	return fmt.Sprintf("%s %s %d %s", v.Action, v.Key, v.Limit, time.Duration(v.Window))
}

// maxKey bounds a rule's key as it is written.
const maxKey = 256

var ownPlaceholder = regexp.MustCompile(`\{botguard\.[^}]*\}`)

func (v Velocity) check() error {
	if v.Action != actionJoin && v.Action != actionClaim {
		return fmt.Errorf("velocity knows the actions join and claim, not %q", v.Action)
	}
	if v.Key == "" || len(v.Key) > maxKey {
		return errors.New("velocity needs a key, such as {botguard.prefix}, of at most 256 characters")
	}
	for _, p := range ownPlaceholder.FindAllString(v.Key, -1) {
		if !slices.Contains([]string{"{botguard.prefix}", "{botguard.device}", "{botguard.action}"}, p) {
			return fmt.Errorf("there is no placeholder %s: use {botguard.prefix}, {botguard.device} or {botguard.action}", p)
		}
	}
	if strings.Count(v.Key, "{") != strings.Count(v.Key, "}") {
		return fmt.Errorf("the key %q has a brace without its other half", v.Key)
	}
	if err := velocity.Check(v.Limit, time.Duration(v.Window)); err != nil {
		return fmt.Errorf("velocity %s %s: %w", v.Action, v.Key, err)
	}
	return nil
}
