package waitroom

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/draw"
	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

func TestQ7_TheDrawIsPublishedAndEveryFanCanProveTheirPlace(t *testing.T) {
	opens := time.Now().Add(2 * time.Second).Truncate(time.Second).Add(time.Second)
	s := start(t, "admit 6000/s\nopens "+opens.Format(time.RFC3339)+"\nlobby 1h")
	fans := make([]*fan, 5)
	for i := range fans {
		fans[i] = s.fan()
		if got := fans[i].post(arena + "join"); got.status != http.StatusCreated {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	s.until("the commitment is published", func(*room.View) bool { return fans[0].get(arena+"draw").status == http.StatusOK })
	before := fans[0].get(arena + "draw")
	kept, err := draw.ParseRecord([]byte(before.body))
	if err != nil || kept.Frozen() {
		t.Fatalf("%s: %v", before.body, err)
	}
	for path, code := range map[string]string{"draw/cohort": "not-drawn", "draw/proof": "not-drawn"} {
		if got := fans[0].get(arena + path); got.Code != code || got.status != http.StatusNotFound {
			t.Errorf("%s before the draw: %d %s", path, got.status, got.body)
		}
	}

	s.until("the draw is over", func(v *room.View) bool { return v.State == room.Open })
	late := s.fan()
	late.post(arena + "join")
	got := fans[0].get(arena + "draw")
	record, err := draw.ParseRecord([]byte(got.body))
	if err != nil || got.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Fatalf("%s: %v", got.body, err)
	}
	file := fans[0].get(arena + "draw/cohort")
	if report := draw.Examine(kept, record, []byte(file.body)); report.Err() != nil || report.Cohort.Len() != 5 {
		t.Fatalf("%v", report.Err())
	}
	for i, f := range fans {
		status := f.get(arena + "status")
		var mine draw.Drawn
		if err := json.Unmarshal([]byte(f.get(arena+"draw/proof").body), &mine); err != nil {
			t.Fatal(err)
		}
		if status.status != http.StatusOK || f.place().Score != mine.Score || mine.Visitor != f.place().Visitor.String() {
			t.Errorf("fan %d: the place is %d and the proof says %+v; %s", i, f.place().Score, mine, status.body)
		}
		if err := mine.Proof.Check(draw.Entrant{Visitor: f.place().Visitor, Tier: mine.Tier}, *record.Root); err != nil {
			t.Errorf("fan %d: %v", i, err)
		}
	}
	if got := late.get(arena + "draw/proof"); got.Code != "not-in-draw" {
		t.Errorf("one who came later: %d %s", got.status, got.body)
	}
	if got := s.fan().get(arena + "draw/proof"); got.Code != "not-queued" {
		t.Errorf("one without a place: %d %s", got.status, got.body)
	}
	req, err := http.NewRequest(http.MethodGet, s.url+arena+"draw/cohort", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Range", "bytes=17-33")
	part, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer part.Body.Close()
	if part.StatusCode != http.StatusPartialContent || part.ContentLength != draw.EntrantLength {
		t.Errorf("a part of the cohort: %d, %d bytes", part.StatusCode, part.ContentLength)
	}
}

func TestARoomWithoutALobbyHasNoDraw(t *testing.T) {
	s := start(t, open)
	if got := s.fan().get(arena + "draw"); got.Code != "no-draw" {
		t.Fatalf("%d %s", got.status, got.body)
	}
}
