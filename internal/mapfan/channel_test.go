package mapfan

import (
	"errors"
	"testing"

	"github.com/caddy-tickets/caddy-tickets/internal/mapframe"
)

func TestAViewerIsTakenToThePresentByTheShortestWay(t *testing.T) {
	t.Parallel()
	c := channel(t, 10, 100)
	set(t, c, 5, mapframe.Held)
	set(t, c, 6, mapframe.Booked)
	for name, tt := range map[string]struct {
		from    *mapframe.Version
		kind    mapframe.Kind
		changes int
	}{
		"comes new":                 {nil, mapframe.KindSnapshot, 0},
		"has the present":           {&mapframe.Version{Epoch: 1, Ver: 2}, mapframe.KindDelta, 0},
		"missed one change":         {&mapframe.Version{Epoch: 1, Ver: 1}, mapframe.KindDelta, 1},
		"missed both":               {&mapframe.Version{Epoch: 1, Ver: 0}, mapframe.KindDelta, 2},
		"knows another epoch":       {&mapframe.Version{Epoch: 2, Ver: 1}, mapframe.KindSnapshot, 0},
		"knows more than there was": {&mapframe.Version{Epoch: 1, Ver: 9}, mapframe.KindSnapshot, 0},
	} {
		v, refusal := c.join(tt.from)
		if refusal != nil {
			t.Fatalf("%s: %v", name, refusal)
		}
		frame, err := mapframe.Decode(<-v.frames)
		if err != nil || frame.Kind != tt.kind || len(frame.Delta.Changes) != tt.changes {
			t.Errorf("%s: got %+v, %v", name, frame, err)
		}
		if frame, err := mapframe.Decode(<-v.frames); err != nil || frame.Kind != mapframe.KindCounts {
			t.Errorf("%s: the counts do not follow: %+v, %v", name, frame, err)
		}
	}
}

func TestAViewerWhoIsTooSlowIsDroppedAndTheOthersDoNotWait(t *testing.T) {
	t.Parallel()
	c := channel(t, 10, 100)
	slow, _ := c.join(nil)
	quick, _ := c.join(nil)
	drain := func() (n int) {
		for {
			select {
			case <-quick.frames:
				n++
			default:
				return n
			}
		}
	}
	seen := drain()
	for i := range queueLength {
		set(t, c, i, mapframe.Held)
		seen += drain()
	}
	if want := 2 + queueLength; seen != want {
		t.Errorf("the quick one saw %d frames, want %d", seen, want)
	}
	if s := c.Stats(); s.Viewers != 1 || s.Slow != 1 || !c.wasSlow(slow) || c.wasSlow(quick) {
		t.Errorf("got %+v", s)
	}
	kept := 0
	for range slow.frames { // it is closed: this ends
		kept++
	}
	if kept != queueLength {
		t.Errorf("%d frames were kept for the slow one, want %d", kept, queueLength)
	}
	c.leave(slow) // as its handler does
}

func TestNoMoreViewersThanTheLimit(t *testing.T) {
	t.Parallel()
	c := channel(t, 2, 4)
	one, _ := c.join(nil)
	if _, refusal := c.join(nil); refusal != nil {
		t.Fatal(refusal)
	}
	if _, refusal := c.join(nil); refusal == nil || refusal.Code != "too-many-viewers" || refusal.RetryAfter <= 0 {
		t.Errorf("the third was told %v", refusal)
	}
	c.leave(one)
	c.leave(one)
	if _, refusal := c.join(nil); refusal != nil {
		t.Errorf("after one left: %v", refusal)
	}
	if s := c.Stats(); s.Refused != 1 || s.Viewers != 2 {
		t.Errorf("got %+v", s)
	}
}

func TestAfterAGapTheMapStaysAsItWasUntilTheNextSnapshot(t *testing.T) {
	t.Parallel()
	c := channel(t, 10, 8)
	set(t, c, 3, mapframe.Held)
	v, _ := c.join(nil)
	<-v.frames
	<-v.frames
	if err := c.Apply(mapframe.Delta{Epoch: 1, From: 5, To: 6}); !errors.Is(err, mapframe.ErrGap) {
		t.Fatalf("got %v", err)
	}
	if _, ok := c.At(); ok {
		t.Error("the map can still be taken on")
	}
	// Not even by the delta that would have fitted: what came between is unknown.
	if err := c.Apply(mapframe.Delta{Epoch: 1, From: 1, To: 2}); !errors.Is(err, mapframe.ErrGap) {
		t.Errorf("got %v", err)
	}
	if _, at, ok := c.Snapshot(); !ok || at.Ver != 1 || !c.Ready() {
		t.Errorf("viewers see no map: %v %v", at, ok)
	}
	if len(v.frames) != 0 {
		t.Error("a viewer was sent something")
	}
	s := mapframe.Snapshot{At: mapframe.Version{Epoch: 1, Ver: 6}, Cells: 8, Bits: []byte{0, 2}}
	if err := c.Reset(s); err != nil {
		t.Fatal(err)
	}
	if frame, err := mapframe.Decode(<-v.frames); err != nil || frame.Kind != mapframe.KindSnapshot || frame.Snapshot.At.Ver != 6 {
		t.Errorf("got %+v, %v", frame, err)
	}
	set(t, c, 0, mapframe.Held)
}

func TestASnapshotThatIsNoMapIsRefusedAndChangesNothing(t *testing.T) {
	t.Parallel()
	c := channel(t, 10, 8)
	if err := c.Reset(mapframe.Snapshot{Cells: 100, Bits: []byte{0}}); !errors.Is(err, mapframe.ErrMalformed) {
		t.Errorf("got %v", err)
	}
	if _, at, ok := c.Snapshot(); !ok || at.Epoch != 1 {
		t.Error("the map is gone")
	}
}

func TestCountsAreShownWhenTheyChange(t *testing.T) {
	t.Parallel()
	c := channel(t, 10, 8)
	v, _ := c.join(nil)
	<-v.frames
	<-v.frames
	c.SetCounts([]byte(`{"free":0}`))
	if len(v.frames) != 0 {
		t.Error("the same counts were sent again")
	}
	c.SetCounts([]byte(`{"free":1}`))
	if frame, err := mapframe.Decode(<-v.frames); err != nil || string(frame.Counts) != `{"free":1}` {
		t.Errorf("got %+v, %v", frame, err)
	}
}

func TestNobodyJoinsAChannelWithoutAMapOrAfterItsEnd(t *testing.T) {
	t.Parallel()
	if _, refusal := New(10).join(nil); refusal != ProblemUnavailable {
		t.Errorf("without a map: %v", refusal)
	}
	c := channel(t, 10, 8)
	c.Close()
	if _, refusal := c.join(nil); refusal != ProblemUnavailable {
		t.Errorf("after the end: %v", refusal)
	}
}
