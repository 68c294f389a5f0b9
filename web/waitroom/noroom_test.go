package waitroompage

import (
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/browsertest"
	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

// Where no places are given the page promises none, and opens the site again by itself.
func TestAFanWhoFindsNoRoomLooksAgainAndJoinsNothing(t *testing.T) {
	t.Parallel()
	s := newStage(t, room.Status{State: "open", Method: room.Reject, PollAfter: 1}, false)
	s.change(func(p *Page) { p.Full = true })
	b := openTab(t, s).Open("/")
	b.State("no-room")
	b.Reads("head", "There is no room right now")
	for id, want := range map[string]bool{"retry": true, "join": false, "numbers": false, "options": false, "hint": false, "work": false} {
		if b.Holds(browsertest.Seen(id)) != want {
			t.Errorf("%s is seen: %v", id, !want)
		}
	}
	s.until("it looks again", func() bool { return len(s.calls) > 1 })
	s.change(func(p *Page) { p.Full, p.Joined, p.Status = false, true, waiting() })
	b.Reads("position", "1,205")
	if got := s.called("POST join"); len(got) != 0 {
		t.Errorf("it joined: %q", got)
	}
}

func TestWhoIsTooLateAtTheDoorsIsToldThatThereIsNoRoom(t *testing.T) {
	t.Parallel()
	opens := time.Now().Add(time.Second)
	s := newStage(t, room.Status{State: "scheduled", Method: room.Reject, Opens: &opens, PollAfter: 1}, false)
	s.refuse("join", refusal{status: 503, code: "room-full", retry: "1"})
	b := openTab(t, s).Open("/")
	b.Reads("head", "The doors are still closed")
	s.change(func(p *Page) { p.Status = room.Status{State: "open", Method: room.Reject, PollAfter: 1} })
	b.Reads("head", "There is no room right now")
	s.change(func(p *Page) { p.Joined, p.Status = true, waiting() })
	b.Reads("position", "1,205")
}

func TestALobbyInTheOrderOfArrivalShowsThePlace(t *testing.T) {
	t.Parallel()
	opens := time.Now().Add(90 * time.Second)
	status := waiting()
	status.State, status.Method, status.Opens = "lobby", room.Fifo, &opens
	s := newStage(t, status, true)
	b := openTab(t, s).Open("/")
	b.Reads("head", "You are in the queue, and the sale opens soon")
	b.Reads("position", "1,205")
	b.Reads("until", "The sale opens in")
	if b.Holds(browsertest.Seen("crowd")) {
		t.Error("the number of people is said twice")
	}
	s.send("position", with(with(line(1100), "state", "lobby"), "opens", opens))
	b.Reads("position", "1,100")
	s.send("position", with(line(900), "opens", opens))
	b.Reads("head", "You are in the queue")
}
