// Package rehearse sends virtual fans through a whole sale, over real HTTP and
// from the outside, and reports what happened to them. It is how an operator
// tries a deployment before the day, how the demo fills a stadium, and how the
// tests sell out a hall.
//
// A fan does what a browser does: it loads the page, solves the challenge,
// joins, waits on the stream, claims its pass, looks at the map, holds seats,
// pays and leaves. It knows nothing that a browser could not know, and
// believes nobody: seats that two fans were both told they own are reported as
// a violation, whatever the servers say.
//
//	page → join → wait → claim → map → hold → checkout → done
//
// The package knows no Caddy and no server of this project, only their surfaces.
package rehearse

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"net/url"
	"runtime"
	"sync"
	"time"
)

// Limits of one rehearsal, so that a slip of the hand is no attack.
const (
	// MaxFans is bounded by the files a process may open: two sockets a fan.
	MaxFans = 200_000
	// DefaultDeadline ends a rehearsal that does not end by itself.
	DefaultDeadline = 30 * time.Minute
)

// Config says who comes, when, and what they do. Site, Room, Event and Fans are required.
type Config struct {
	Site  string // guarded site, e.g. http://127.0.0.1:8080; the API is under its /api/v1
	Room  string
	Event string
	Fans  int

	// Arrive spreads the arrivals evenly over this long; 0 is everybody at once.
	Arrive time.Duration
	// AtOnce bounds the fans under way at the same time; 0 is all of them.
	AtOnce int
	// Tickets is the most that one fan wants; each wants 1 to Tickets. Default 2.
	Tickets int
	// Declined is the share of fans whose first card is declined, 0 to 1.
	Declined float64
	// Abandon is the share of fans who hold seats and then walk away, 0 to 1.
	Abandon float64
	// Seed makes the fans' choices repeatable; their timing never is.
	Seed uint64
	// Deadline ends the whole rehearsal. Default DefaultDeadline.
	Deadline time.Duration
	// AllowRemote lets the target be another machine than this one.
	AllowRemote bool
}

// Run sends the fans and waits until each is done or the deadline has passed.
// It calls progress about once a second, from one goroutine, if it is not nil.
// The error says that the rehearsal could not be held at all; what went wrong
// for single fans is in the report.
func Run(ctx context.Context, cfg Config, progress func(Progress)) (*Report, error) {
	site, err := cfg.check()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.Deadline)
	defer cancel()

	sale := &sale{cfg: cfg, site: site, tally: newTally(), desks: make(chan struct{}, max(1, runtime.NumCPU()/2))}
	stop := sale.tally.watch(cfg.Fans, progress)
	defer stop()

	atOnce := make(chan struct{}, cfg.AtOnce)
	var fans sync.WaitGroup
	begun := time.Now()
	for i := range cfg.Fans {
		if !sleepUntil(ctx, begun.Add(cfg.Arrive*time.Duration(i)/time.Duration(cfg.Fans))) {
			break
		}
		select {
		case atOnce <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
		fans.Go(func() {
			defer func() { <-atOnce }()
			f := newFan(sale, i)
			defer f.close()
			sale.tally.end(f.live(ctx))
		})
	}
	fans.Wait()
	return sale.tally.report(cfg.Fans, time.Since(begun)), nil
}

// sale is what all fans of one rehearsal share.
type sale struct {
	cfg   Config
	site  *url.URL
	tally *tally
	plan  planCache
	desks chan struct{} // where challenges are solved
}

func (c *Config) check() (*url.URL, error) {
	if c.Fans < 1 || c.Fans > MaxFans {
		return nil, fmt.Errorf("the number of fans must be from 1 to %d, not %d", MaxFans, c.Fans)
	}
	if c.Room == "" || c.Event == "" {
		return nil, errors.New("a rehearsal needs the name of the room and of the event")
	}
	site, err := url.Parse(c.Site)
	if err != nil || site.Host == "" || (site.Scheme != "http" && site.Scheme != "https") {
		return nil, fmt.Errorf("the site must be an http:// or https:// address, not %q", c.Site)
	}
	if !c.AllowRemote && !loopback(site.Hostname()) {
		return nil, fmt.Errorf("%s is not this machine: virtual fans are a load test; point them at your own deployment and allow it explicitly", site.Hostname())
	}
	if c.Declined < 0 || c.Declined > 1 || c.Abandon < 0 || c.Abandon > 1 {
		return nil, errors.New("shares of fans must be from 0 to 1")
	}
	if c.Tickets == 0 {
		c.Tickets = 2
	}
	if c.AtOnce <= 0 || c.AtOnce > c.Fans {
		c.AtOnce = c.Fans
	}
	if c.Deadline <= 0 {
		c.Deadline = DefaultDeadline
	}
	return site, nil
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// fanRand is a fan's own dice, so that its choices do not depend on the others'.
func fanRand(seed uint64, fan int) *rand.Rand { return rand.New(rand.NewPCG(seed, uint64(fan))) }

// sleepUntil reports whether t came before the context ended.
func sleepUntil(ctx context.Context, t time.Time) bool {
	d := time.Until(t)
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func sleep(ctx context.Context, d time.Duration) bool { return sleepUntil(ctx, time.Now().Add(d)) }
