package waitroom

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

// seats is a seat service that says what the test wants.
func seats(t testing.TB, summary string) (address string, say func(string)) {
	var now atomic.Value
	now.Store(summary)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/events/summer/summary" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, now.Load().(string))
	}))
	t.Cleanup(server.Close)
	return server.URL, func(s string) { now.Store(s) }
}

const (
	someLeft = `{"state":"available","capacity":500,"free":400,"held":10,"booked":90,"currency":"EUR","categories":[{"name":"Parkett","price":4550,"capacity":500,"free":400,"held":10}]}`
	allSold  = `{"state":"sold-out","capacity":500,"free":0,"held":0,"booked":500}`
)

func TestSoldOutIsSaidToEverybodyAtOnceAndCostsNothing(t *testing.T) {
	address, say := seats(t, someLeft)
	s := start(t, closed+"\ninventory "+address+" summer")
	s.until("the stock is known", func(v *room.View) bool { return v.Stock != nil })
	fans, lines := s.parked(3, s.fan)
	lines[0].next("position")
	s.until("the board has all of them", func(v *room.View) bool { return v.Board != nil && v.Board.Waiting() == 3 })
	if got := fans[0].get(arena + "status"); got.Chance != "likely" || !strings.Contains(got.body, `"price":4550`) || !strings.Contains(got.body, `"currency":"EUR"`) {
		t.Errorf("the queue does not see the stock: %s", got.body)
	}
	say(allSold)
	for _, line := range lines {
		if e := line.next("soldout"); e.State != "sold-out" {
			t.Errorf("%+v", e)
		}
		line.ends()
	}
	fans[0].post(arena+"claim").is(t, http.StatusGone, "sold-out")
	fresh := s.fan()
	fresh.post(arena+"join").is(t, http.StatusGone, "sold-out")
	page := fresh.page("/")
	if page.status != http.StatusOK || !strings.Contains(page.body, "Sold out") || page.header.Get("Set-Cookie") != "" {
		t.Errorf("the page: %d %v", page.status, page.header)
	}
	// A token of a queue that was lost costs a call to Redis, but not any more.
	old := s.fan()
	old.setCookie("place-arena", s.app().Places().Seal("arena", place.Token{Visitor: place.Visitor{7}, Score: place.LiveBase * 2, Generation: 1}))
	if got := old.page("/"); got.header.Get("Set-Cookie") != "" {
		t.Error("the page entered a place of a sale that is over")
	}
	say(someLeft)
	s.until("seats came back", func(v *room.View) bool { return v.State == room.Open })
	if got := old.page("/"); got.header.Get("Set-Cookie") == "" {
		t.Error("a place of a lost queue was not entered again")
	}
}

func TestTheBoardIsPublicAndSmall(t *testing.T) {
	address, _ := seats(t, someLeft)
	s := start(t, closed+"\ninventory "+address+" summer")
	for range 3 {
		s.fan().joined()
	}
	s.until("three wait", func(v *room.View) bool { return v.Board != nil && v.Board.Waiting() == 3 && v.Stock != nil })
	got := s.fan().get(arena + "board")
	if got.status != http.StatusOK || got.header.Get("Set-Cookie") != "" || !strings.HasPrefix(got.header.Get("Cache-Control"), "public") {
		t.Fatalf("%d %v", got.status, got.header)
	}
	var doc struct {
		State          string
		Waiting, Rate  int
		RatePerSeconds float64
		Stock          *room.Stock
		Order          struct{ Ranks [][2]int64 }
	}
	if err := json.Unmarshal([]byte(got.body), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.State != "open" || doc.Waiting != 3 || doc.Rate != 1 || doc.RatePerSeconds != 3600 || doc.Stock.Free != 400 || len(doc.Order.Ranks) != 3 {
		t.Errorf("%s", got.body)
	}
	if strings.Contains(got.body, `"visitor"`) {
		t.Error("the board names visitors")
	}
	plain := s.fan().do(http.MethodGet, arena+"board", map[string]string{"Accept-Encoding": "identity"})
	if plain.header.Get("Content-Encoding") != "" || plain.status != http.StatusOK {
		t.Errorf("%v", plain.header)
	}
}
