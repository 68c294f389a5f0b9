package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
)

func TestAnEventGoesFromNothingToOpenToClosed(t *testing.T) {
	t.Parallel()
	database := "--database=" + devstack.Postgres(t).DSN()

	if _, err := invoke(t, "event", "create", "arena", "--seats", "100", database); err == nil || !strings.Contains(err.Error(), "migrate up") {
		t.Errorf("an empty database is not answered with what to do: %v", err)
	}
	var migrations []struct {
		Version int64
		Name    string
		Applied bool
	}
	status := func() {
		t.Helper()
		if err := json.Unmarshal([]byte(must(t, "migrate", "status", "--json", database)), &migrations); err != nil || len(migrations) == 0 {
			t.Fatalf("the status cannot be read: %v", err)
		}
	}
	if status(); migrations[0].Applied {
		t.Errorf("a new database has migrations: %+v", migrations)
	}
	must(t, "migrate", "up", database)
	must(t, "migrate", "up", database) // again is harmless
	if status(); !migrations[len(migrations)-1].Applied {
		t.Errorf("not every migration was applied: %+v", migrations)
	}

	must(t, "event", "create", "arena", "--seats", "100", database)
	if _, err := invoke(t, "event", "create", "arena", "--seats", "100", database); err == nil || !strings.Contains(err.Error(), "exists already") {
		t.Errorf("the same event again: %v", err)
	}
	var created struct {
		Event, Name, Room, Phase, Currency string
		Capacity                           int
	}
	text := must(t, "event", "create", "hall", "--json", "--plan", realHall, "--currency", "CHF", "--room", "arena", "--name", "The Night",
		"--price", "Kategorie I=45.00", "--price", "Kategorie II=29.50", "--hold", "3m", "--max-per-pass", "4", database)
	if err := json.Unmarshal([]byte(text), &created); err != nil || created.Event != "hall" || created.Name != "The Night" ||
		created.Room != "arena" || created.Phase != "draft" || created.Currency != "CHF" || created.Capacity != 556 {
		t.Errorf("created %s (%v)", text, err)
	}
	if said := must(t, "event", "open", "arena", database); !strings.Contains(said, "arena is open") {
		t.Errorf("it says %q", said)
	}
	must(t, "event", "close", "arena", database)
	if _, err := invoke(t, "event", "open", "nothing", database); err == nil || !strings.Contains(err.Error(), "no such event") {
		t.Errorf("an unknown event: %v", err)
	}
	var listed []struct {
		Event, Phase string
		Capacity     int
	}
	if err := json.Unmarshal([]byte(must(t, "event", "list", "--json", database)), &listed); err != nil || len(listed) != 2 ||
		listed[0].Event != "arena" || listed[0].Phase != "closed" || listed[0].Capacity != 100 || listed[1].Phase != "draft" {
		t.Errorf("listed %+v (%v)", listed, err)
	}

	var audit struct {
		Event                    string
		Capacity, Sold, Bookings int
		Checks                   []struct {
			ID, Promise string
			Broken      int
		}
	}
	if err := json.Unmarshal([]byte(must(t, "audit", "arena", "--json", database)), &audit); err != nil ||
		audit.Event != "arena" || audit.Capacity != 100 || audit.Sold != 0 || len(audit.Checks) < 5 {
		t.Errorf("audited %+v (%v)", audit, err)
	}
	if said := must(t, "audit", "hall", database); !strings.Contains(said, "no cell is sold twice") || strings.Contains(said, "BROKEN") {
		t.Errorf("it says %q", said)
	}
}

func TestABrokenPromiseEndsAnAuditWithAnError(t *testing.T) {
	t.Parallel()
	address := devstack.Postgres(t).DSN()
	database := "--database=" + address
	must(t, "migrate", "up", database)
	must(t, "event", "create", "arena", "--seats", "100", database)
	_, err := devstack.Query(t.Context(), address, `
		INSERT INTO booking (id, event_id, hold_id, holder, buyer_name, buyer_email, fence, state, amount, currency, deadline, created_at, updated_at)
		SELECT 'b_1', id, 'h_1', 'v', 'Ada', 'ada@example.org', 1, 'claimed', 1, 'EUR', now() - interval '1 hour', now(), now() FROM event`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := invoke(t, "audit", "arena", database); err == nil || !strings.Contains(err.Error(), "broken") {
		t.Errorf("a payment that hangs for an hour is not complained about: %v", err)
	}
	must(t, "audit", "arena", "--grace", "2h", database)
}
