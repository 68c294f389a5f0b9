package storetest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/caddy-tickets/caddy-tickets/allocator"
)

func key(scope, name, request string) allocator.IdempotencyKey {
	return allocator.IdempotencyKey{Scope: scope, Key: name, Fingerprint: sha256.Sum256([]byte(request))}
}

// reserve fails the test unless the key is free.
func reserve(t testing.TB, b Backend, k allocator.IdempotencyKey, lock time.Duration) {
	t.Helper()
	if reply, err := b.Reserve(t.Context(), k, lock); reply != nil || err != nil {
		t.Fatalf("reserving %s: %+v, %v", k.Key, reply, err)
	}
}

func idempotentReply(t *testing.T, b Backend) {
	k := key("ada", "k1", "POST /x")
	reserve(t, b, k, time.Minute)
	if _, err := b.Reserve(t.Context(), k, time.Minute); !errors.Is(err, allocator.ErrKeyInFlight) {
		t.Errorf("while it runs: got %v, want ErrKeyInFlight", err)
	}
	want := allocator.StoredReply{Status: 201, Body: []byte(`{"id":"b_1"}`)}
	for _, late := range []allocator.StoredReply{want, {Status: 500, Body: []byte("late")}} { // the first stays
		if err := b.Finish(t.Context(), k, late); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Abandon(t.Context(), k); err != nil { // nor does giving up undo it
		t.Fatal(err)
	}
	for range 2 {
		reply, err := b.Reserve(t.Context(), k, time.Minute)
		if err != nil || reply == nil || reply.Status != want.Status || !bytes.Equal(reply.Body, want.Body) {
			t.Errorf("got %+v, %v, want %+v", reply, err, want)
		}
	}
	unreserved := key("ada", "k2", "POST /x") // its row was lost, the effect was not
	if err := b.Finish(t.Context(), unreserved, want); err != nil {
		t.Fatal(err)
	}
	if reply, err := b.Reserve(t.Context(), unreserved, time.Minute); err != nil || reply == nil {
		t.Errorf("got %+v, %v, want the reply", reply, err)
	}
}

func idempotentOnce(t *testing.T, b Backend) {
	k := key("ada", "k1", "POST /x")
	var proceeded, waited atomic.Int64
	var all errgroup.Group
	const callers = 500
	for range callers {
		all.Go(func() error {
			reply, err := b.Reserve(t.Context(), k, time.Minute)
			switch {
			case errors.Is(err, allocator.ErrKeyInFlight):
				waited.Add(1)
			case err != nil || reply != nil:
				return fmt.Errorf("got %+v, %w", reply, err)
			default:
				proceeded.Add(1)
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil || proceeded.Load() != 1 || waited.Load() != callers-1 {
		t.Fatalf("%d proceeded, %d were told to wait (%v)", proceeded.Load(), waited.Load(), err)
	}
}

func idempotentTakeover(t *testing.T, b Backend) {
	k := key("ada", "k1", "POST /x")
	reserve(t, b, k, 0) // it died at once
	var proceeded atomic.Int64
	var all errgroup.Group
	for range 30 {
		all.Go(func() error {
			_, err := b.Reserve(t.Context(), k, time.Minute)
			if err == nil {
				proceeded.Add(1)
			} else if !errors.Is(err, allocator.ErrKeyInFlight) {
				return err
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil || proceeded.Load() != 1 {
		t.Fatalf("%d took the dead try over (%v)", proceeded.Load(), err)
	}
	dead := key("ada", "k2", "POST /x")
	reserve(t, b, dead, 0)
	if _, err := b.Reserve(t.Context(), key("ada", "k2", "POST /y"), time.Minute); !errors.Is(err, allocator.ErrKeyMismatch) {
		t.Errorf("another request took a dead try over: %v", err)
	}
}

func idempotentScope(t *testing.T, b Backend) {
	first := key("ada", "k1", "POST /x")
	reserve(t, b, first, time.Minute)
	other := key("ada", "k1", "POST /y")
	if _, err := b.Reserve(t.Context(), other, time.Minute); !errors.Is(err, allocator.ErrKeyMismatch) {
		t.Errorf("another request while it runs: got %v", err)
	}
	if err := errors.Join(b.Abandon(t.Context(), other), b.Finish(t.Context(), other, allocator.StoredReply{Status: 200})); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Reserve(t.Context(), first, time.Minute); !errors.Is(err, allocator.ErrKeyInFlight) {
		t.Errorf("another request's end ended this one: %v", err)
	}
	if err := b.Finish(t.Context(), first, allocator.StoredReply{Status: 200, Body: []byte("ada's")}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Reserve(t.Context(), other, time.Minute); !errors.Is(err, allocator.ErrKeyMismatch) {
		t.Errorf("another request after its end: got %v", err)
	}
	reserve(t, b, key("eve", "k1", "POST /x"), time.Minute) // hers is another key
}

func idempotentAbandon(t *testing.T, b Backend) {
	k := key("ada", "k1", "POST /x")
	for range 3 {
		reserve(t, b, k, time.Minute)
		if err := b.Abandon(t.Context(), k); err != nil {
			t.Fatal(err)
		}
	}
	reserve(t, b, key("ada", "k1", "POST /y"), time.Minute) // the key is free for anything
}

func idempotentKey(t *testing.T, b Backend) {
	for _, name := range []string{"k", "~ !\"{}", strings.Repeat("k", 255)} {
		reserve(t, b, key("ada", name, "POST /x"), time.Minute)
	}
	for _, name := range []string{"", strings.Repeat("k", 256), "two\nlines", "caf\u00e9", "a\x00b", "\xff", "\x7f"} {
		k := key("ada", name, "POST /x")
		if _, err := b.Reserve(t.Context(), k, time.Minute); err == nil || errors.Is(err, allocator.ErrUnavailable) {
			t.Errorf("%.20q: got %v, want a refusal for good", name, err)
		}
		if err := b.Finish(t.Context(), k, allocator.StoredReply{Status: 200}); err == nil {
			t.Errorf("%.20q: a reply was kept", name)
		}
	}
}

func idempotentSize(t *testing.T, b Backend) {
	for size, fits := range map[int]bool{0: true, 64 << 10: true, 64<<10 + 1: false} {
		k := key("ada", fmt.Sprint("k", size), "POST /x")
		reserve(t, b, k, time.Minute)
		var body []byte
		if size > 0 {
			body = bytes.Repeat([]byte{0}, size)
		}
		err := b.Finish(t.Context(), k, allocator.StoredReply{Status: 204, Body: body})
		if (err == nil) != fits {
			t.Errorf("%d bytes: %v", size, err)
			continue
		}
		if !fits {
			continue
		}
		if reply, err := b.Reserve(t.Context(), k, time.Minute); err != nil || reply == nil || len(reply.Body) != size {
			t.Errorf("%d bytes: got %v, %v", size, reply, err)
		}
	}
}

func idempotentPrune(t *testing.T, b Backend) {
	running := key("ada", "running", "POST /x")
	reserve(t, b, running, time.Hour)
	for i := range 5 {
		k := key("ada", fmt.Sprint("k", i), "POST /x")
		reserve(t, b, k, time.Minute)
		if err := b.Finish(t.Context(), k, allocator.StoredReply{Status: 200}); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		age  time.Duration
		want int
	}{{time.Hour, 0}, {0, 3}, {0, 2}, {0, 0}} {
		if n, err := b.PruneReplies(t.Context(), tt.age, 3); err != nil || n != tt.want {
			t.Errorf("older than %v: %d forgotten (%v), want %d", tt.age, n, err, tt.want)
		}
	}
	if _, err := b.Reserve(t.Context(), running, time.Hour); !errors.Is(err, allocator.ErrKeyInFlight) {
		t.Errorf("a running try was forgotten: %v", err)
	}
	reserve(t, b, key("ada", "k0", "POST /y"), time.Minute)
}

func webhookOnce(t *testing.T, b Backend) {
	var fresh atomic.Int64
	var all errgroup.Group
	for range 50 {
		all.Go(func() error {
			isNew, err := b.NoteWebhook(t.Context(), "sandbox", "evt_1")
			if isNew {
				fresh.Add(1)
			}
			return err
		})
	}
	if err := all.Wait(); err != nil || fresh.Load() != 1 {
		t.Fatalf("%d were told that it is new (%v)", fresh.Load(), err)
	}
	for _, id := range [][2]string{{"sandbox", "evt_2"}, {"other", "evt_1"}} {
		if isNew, err := b.NoteWebhook(t.Context(), id[0], id[1]); err != nil || !isNew {
			t.Errorf("%v is not new (%v)", id, err)
		}
	}
}
