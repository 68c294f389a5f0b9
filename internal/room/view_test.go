package room

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/clock"
	"github.com/caddy-tickets/caddy-tickets/internal/hub"
	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/queue"
)

func TestTheStateFollowsTheScheduleTheStockAndTheOperator(t *testing.T) {
	t.Parallel()
	opens := time.Date(2026, 12, 1, 10, 0, 0, 0, time.UTC)
	cfg := &Config{Opens: opens, Lobby: 30 * time.Minute, Closes: opens.Add(time.Hour)}
	gone := &Stock{State: StockSoldOut}
	for name, tc := range map[string]struct {
		at     time.Duration
		stock  *Stock
		paused bool
		want   State
	}{
		"long before":           {-time.Hour, nil, false, Scheduled},
		"just before the lobby": {-30*time.Minute - 1, nil, false, Scheduled},
		"the lobby opens":       {-30 * time.Minute, nil, false, Lobby},
		"a paused lobby":        {-1, nil, true, Lobby},
		"the room opens":        {0, nil, false, Open},
		"paused":                {time.Minute, nil, true, Paused},
		"sold out":              {time.Minute, gone, false, SoldOut},
		"sold out while paused": {time.Minute, gone, true, SoldOut},
		"closed":                {time.Hour, gone, true, Closed},
	} {
		if got := stateAt(cfg, opens.Add(tc.at), tc.stock, tc.paused, true); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
	cfg.Method = Lottery
	if got := stateAt(cfg, opens, nil, true, false); got != Drawing {
		t.Errorf("before the draw is over: %s", got)
	}
	if got := stateAt(&Config{}, opens, nil, false, false); got != Open {
		t.Errorf("without a schedule: %s", got)
	}
}

func TestBeforeTheLobbyJoinsAreRefused(t *testing.T) {
	t.Parallel()
	cfg := usual()
	cfg.Opens = time.Now().Add(time.Hour)
	e := openEdge(t, cfg)
	if _, err := e.Join(t.Context(), visitor(t), JoinOptions{}); !errors.Is(err, ErrNotOpenYet) {
		t.Fatal(err)
	}
	cfg.Opens, cfg.Closes = time.Time{}, time.Now().Add(-time.Minute)
	e.Apply(cfg)
	if _, err := e.Join(t.Context(), visitor(t), JoinOptions{}); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
}

func TestADeprioritisedVisitorIsBehindEverybody(t *testing.T) {
	t.Parallel()
	e := paused(t)
	j, err := e.Join(t.Context(), visitor(t), JoinOptions{Tier: place.Deprioritised})
	if err != nil || j.Token.Score < place.Deprioritised.Base() {
		t.Fatalf("%+v, %v", j, err)
	}
	e.lose()
	j, err = e.Join(t.Context(), visitor(t), JoinOptions{Tier: place.Deprioritised})
	if err != nil || j.Token.Score < place.Deprioritised.Base() {
		t.Fatalf("while Redis is away: %+v, %v", j, err)
	}
}

func TestThePulseNeedsTenSecondsAndForgetsAfterAMinute(t *testing.T) {
	t.Parallel()
	var p pulse
	start := time.Unix(1e9, 0)
	for i := range 10 {
		p.note(start.Add(time.Duration(i)*time.Second), int64(5*i))
	}
	if _, ok := p.perSecond(); ok {
		t.Error("believed after nine seconds")
	}
	for i := 10; i < 300; i++ {
		p.note(start.Add(time.Duration(i)*time.Second), 50+int64(i))
	}
	if got, ok := p.perSecond(); !ok || got != 1 {
		t.Errorf("%v, %v, want 1 of the last minute", got, ok)
	}
	if len(p.beats) > 62 || cap(p.beats) > 4*62 {
		t.Errorf("%d beats in %d", len(p.beats), cap(p.beats))
	}
	p.note(start.Add(301*time.Second), 0) // Redis lost the counter
	if _, ok := p.perSecond(); ok {
		t.Error("a lost counter is taken for a rate")
	}
}

// Every line is a well-formed event with JSON that says what a status says.
func TestALineSaysWhatAStatusSays(t *testing.T) {
	t.Parallel()
	s := newSeats(t, plenty)
	e := selling(t, s)
	if err := e.queue.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := e.queue.SetMessage(t.Context(), "Line\nbreak \"quoted\" </script>"); err != nil {
		t.Fatal(err)
	}
	e.tick(t.Context())
	fan := e.crowd(3)[2]
	e.readBoard(t.Context())
	v := e.View()
	line, shown, last := v.Append(nil, hub.Fan{Visitor: fan.Visitor, Score: uint64(fan.Score)})
	if shown != 3 || last {
		t.Fatalf("shown %d, last %v", shown, last)
	}
	event := string(line)
	if !strings.HasSuffix(event, "\n\n") || !strings.Contains(event, "id: 3\n") {
		t.Fatalf("%q", event)
	}
	at := strings.LastIndex(event, "data: ")
	var got, want map[string]any
	if err := json.Unmarshal([]byte(event[at+6:]), &got); err != nil {
		t.Fatalf("%v in %q", err, event)
	}
	status, err := json.Marshal(v.Status(fan, 0))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(status, &want); err != nil {
		t.Fatal(err)
	}
	for _, member := range []string{"state", "position", "ahead", "waiting", "eta", "chance", "message", "stock", "degraded", "opens"} {
		g, _ := json.Marshal(got[member])
		w, _ := json.Marshal(want[member])
		if string(g) != string(w) {
			t.Errorf("%s: the line says %s, the status %s", member, g, w)
		}
	}
}

func TestALineAndAStatusSayThatRedisIsAway(t *testing.T) {
	t.Parallel()
	for _, away := range []bool{false, true} {
		v := &View{State: Open, Degraded: away}
		v.common = commonMembers(v)
		line, _, _ := v.Append(nil, hub.Fan{Score: 5})
		if got := strings.Contains(string(line), `"degraded":true`); got != away {
			t.Errorf("away %v: %s", away, line)
		}
		if got := v.Status(place.Token{Score: 5}, 0).Degraded; got != away {
			t.Errorf("away %v: the status says %v", away, got)
		}
	}
}

func BenchmarkLine(b *testing.B) {
	v := &View{State: Open, Settings: queue.Settings{Rate: 500, Per: time.Minute}, Stock: &Stock{State: StockAvailable, Free: 9}}
	v.common = commonMembers(v)
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buf, _, _ = v.Append(buf[:0], hub.Fan{Score: 5, Shown: 77})
	}
}

// A quiet hour says nothing about how fast a queue will move.
func TestTheEstimateBelievesOnlyWhatWasMeasuredWhileSomebodyWaited(t *testing.T) {
	t.Parallel()
	r := New(Deps{Queue: queue.Open(nil, "arena"), Clock: clock.NewFake(time.Unix(2e9, 0))}, usual())
	now := time.Unix(2e9, 0)
	tick := func(waiting int, admitted int64) {
		now = now.Add(time.Second)
		r.took(queue.Tick{Now: now, Generations: []uint32{1}, Waiting: waiting, AdmittedTotal: admitted, Settings: inForce(usual().Queue)}, now)
	}
	for range 30 {
		tick(0, 1) // one fan came and went straight in
	}
	if got := r.View().measured; got != 0 {
		t.Errorf("an idle room is measured at %v a second", got)
	}
	for i := range int64(15) {
		tick(100, 1+5*i)
	}
	if got := r.View().measured; got != 5 {
		t.Errorf("a queue that moves at 5 a second is measured at %v", got)
	}
}
