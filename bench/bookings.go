package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-tickets/caddy-tickets/internal/clock"
	"github.com/caddy-tickets/caddy-tickets/internal/pass"
	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

const (
	bookingWorkers = 24
	bookingLasting = 8 * time.Second
	bookingSeats   = 20_000
)

// confirmedBookings is how many fans a second one allocator takes from "these
// seats" to "they are yours": a hold of one seat and its checkout with the sandbox
// provider, every commit on disk. Each fan has a pass of their own. The target
// sells 50,000 seats in under five minutes.
var confirmedBookings = figure{
	name: "confirmed-bookings", unit: "bookings/s", target: 170,
	measure: func(ctx context.Context, l *lab) (float64, error) {
		shop, err := l.shop(ctx)
		if err != nil {
			return 0, err
		}
		ctx, cancel := context.WithTimeout(ctx, bookingLasting)
		defer cancel()
		var (
			next, booked atomic.Int64
			workers      sync.WaitGroup
			failed       atomic.Pointer[error]
		)
		begun := time.Now()
		for range bookingWorkers {
			workers.Go(func() {
				for ctx.Err() == nil {
					i := next.Add(1) - 1
					if i >= int64(len(shop.cells)) {
						return
					}
					if err := shop.buy(ctx, shop.cells[i]); err != nil {
						if ctx.Err() == nil {
							failed.CompareAndSwap(nil, &err)
						}
						return
					}
					booked.Add(1)
				}
			})
		}
		workers.Wait()
		if err := failed.Load(); err != nil {
			return 0, *err
		}
		return float64(booked.Load()) / time.Since(begun).Seconds(), nil
	},
}

// shop is a running allocator with one event on sale.
type shop struct {
	url    string
	signer *pass.Signer
	client *http.Client
	cells  []string
}

// shop starts an allocator that takes passes signed by us.
func (l *lab) shop(ctx context.Context) (*shop, error) {
	redis, err := l.redis(ctx)
	if err != nil {
		return nil, err
	}
	database, err := l.postgres(ctx)
	if err != nil {
		return nil, err
	}
	ring, err := pass.NewKeyRing(rand.Reader, time.Now())
	if err != nil {
		return nil, err
	}
	keys := filepath.Join(l.dir, "jwks.json")
	if err := os.WriteFile(keys, ring.JWKS(), 0o600); err != nil {
		return nil, fmt.Errorf("writing the public keys: %w", err)
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	env := []string{"TICKETS_REDIS=" + redis, "TICKETS_DATABASE=" + database}
	if err := l.createSale(ctx, env); err != nil {
		return nil, err
	}
	s := &shop{
		url: "http://127.0.0.1:" + port, signer: pass.NewSigner(ring, clock.System()),
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: bookingWorkers}, Timeout: 30 * time.Second},
	}
	if _, err := l.program(ctx, s.url+"/readyz", env, "allocator", "--listen", "127.0.0.1:"+port, "--jwks", keys, "--sandbox"); err != nil {
		return nil, err
	}
	return s, s.readCells(ctx)
}

// createSale brings the database up to date and puts an event on sale, with the
// same commands as an operator.
func (l *lab) createSale(ctx context.Context, env []string) error {
	for _, args := range [][]string{
		{"migrate", "up"},
		{"event", "create", benchRoom, "--seats", strconv.Itoa(bookingSeats)},
		{"event", "open", benchRoom},
	} {
		cmd := exec.CommandContext(ctx, l.binary, args...)
		cmd.Env = append(os.Environ(), env...)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("running %s: %w\n%s", strings.Join(args, " "), err, out)
		}
	}
	return nil
}

// readCells lists the seats of the published layout.
func (s *shop) readCells(ctx context.Context) error {
	var event struct{ Layout string }
	if err := s.call(ctx, http.MethodGet, "/v1/events/"+benchRoom, "", nil, &event); err != nil {
		return err
	}
	var layout struct {
		Zones []struct{ Rows []struct{ IDs []string } }
	}
	if err := s.call(ctx, http.MethodGet, event.Layout, "", nil, &layout); err != nil {
		return err
	}
	for _, zone := range layout.Zones {
		for _, row := range zone.Rows {
			s.cells = append(s.cells, row.IDs...)
		}
	}
	if len(s.cells) == 0 {
		return errors.New("the event has no seats")
	}
	return nil
}

// buy is one fan: a pass, a hold, a checkout.
func (s *shop) buy(ctx context.Context, cell string) error {
	visitor, err := place.NewVisitor(rand.Reader)
	if err != nil {
		return err
	}
	now := time.Now()
	token, err := s.signer.Sign(pass.Claims{
		Room: benchRoom, Visitor: visitor.String(), ID: uuid.NewString(), IssuedAt: now, Expires: now.Add(10 * time.Minute),
	})
	if err != nil {
		return err
	}
	var hold struct{ HoldID string }
	if err := s.call(ctx, http.MethodPost, "/v1/events/"+benchRoom+"/holds", token, map[string]any{"cells": []string{cell}}, &hold); err != nil {
		return err
	}
	var booking struct{ State string }
	buyer := map[string]string{"name": "Bench", "email": "bench@example.org"}
	if err := s.call(ctx, http.MethodPost, "/v1/holds/"+hold.HoldID+"/checkout", token, map[string]any{"method": "tok_ok", "buyer": buyer}, &booking); err != nil {
		return err
	}
	if booking.State != "booked" && booking.State != "captured" {
		return fmt.Errorf("a checkout ended in state %q", booking.State)
	}
	return nil
}

// call makes one request of the allocator and decodes its answer.
func (s *shop) call(ctx context.Context, method, path, token string, body, into any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encoding a request: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, method, s.url+path, bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("building a request: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	if method == http.MethodPost {
		request.Header.Set("Idempotency-Key", `"`+uuid.NewString()+`"`)
	}
	if token != "" {
		request.Header.Set("Waitroom-Pass", token)
	}
	response, err := s.client.Do(request)
	if err != nil {
		return fmt.Errorf("asking the allocator: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	reply, err := io.ReadAll(io.LimitReader(response.Body, 32<<20))
	if err != nil {
		return fmt.Errorf("reading the allocator's answer: %w", err)
	}
	if response.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%s %s was answered %s: %s", method, path, response.Status, reply[:min(len(reply), 300)])
	}
	if err := json.Unmarshal(reply, into); err != nil {
		return fmt.Errorf("reading the allocator's answer: %w", err)
	}
	return nil
}
