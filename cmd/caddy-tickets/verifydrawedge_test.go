package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/caddy-tickets/caddy-tickets/internal/browsertest"
	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
	"github.com/caddy-tickets/caddy-tickets/internal/draw"
	"github.com/caddy-tickets/caddy-tickets/internal/eventually"
	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

// TestQ7TheDrawOfARunningRoomIsVerified is the whole of it: a real edge and a real
// Redis, a lobby that ends, a fan whose browser checks their place, and the
// command that recomputes everybody's.
func TestQ7TheDrawOfARunningRoomIsVerified(t *testing.T) {
	opens := time.Now().Add(20 * time.Second).Truncate(time.Second)
	site := "http://" + freeAddress(t)
	config := runningEdgeWith(t, devstack.Redis(t), site, "admit 1/s\nactive 20\nopens "+opens.Format(time.RFC3339)+"\nlobby 1h")
	must(t, "room", "pause", "arena", "--config", config) // so that places stay where they were drawn

	fans := make([]*http.Client, 30)
	for i := range fans {
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		fans[i] = &http.Client{Jar: jar}
		if code, text := asks(t, fans[i], http.MethodPost, site+"/.waitroom/arena/join"); code != http.StatusCreated {
			t.Fatalf("joining: %d %s", code, text)
		}
	}
	var before []byte
	eventually.Holds(t, "the commitment is published", func() (published bool) {
		code, text := asks(t, http.DefaultClient, http.MethodGet, site+"/.waitroom/arena/draw")
		before = text
		return code == http.StatusOK
	})
	if time.Now().After(opens) {
		t.Fatal("this machine is too slow: the lobby is over already")
	}
	b := browsertest.NewBrowser(t, "a fan", site).Open("/")
	b.State("lobby")
	if out, err := invoke(t, "verify-draw", site); err == nil || !strings.Contains(err.Error(), "is not finished") {
		t.Errorf("before the draw: %v\n%s", err, out)
	}

	b.State("paused") // by its stream, when the draw is over
	b.Until("the fan can ask how", browsertest.Seen("drawn"))
	b.Do("asking how", chromedp.Click("#drawn summary"))
	b.Until("the fan has a position", browsertest.Seen("numbers"))
	b.Until("the browser has checked", `document.getElementById("verdict").dataset.holds === "true"`)

	shown, err := strconv.Atoi(b.Value(`document.getElementById("position").textContent`))
	if err != nil {
		t.Fatal(err)
	}
	left := 31 * 32 / 2 // of the numbers 1 to 31: the browser's
	for _, fan := range fans {
		var status struct{ Position int }
		var own draw.Drawn
		for path, into := range map[string]any{"status": &status, "draw/proof": &own} {
			if code, text := asks(t, fan, http.MethodGet, site+"/.waitroom/arena/"+path); code != http.StatusOK || json.Unmarshal(text, into) != nil {
				t.Fatalf("%s: %d %s", path, code, text)
			}
		}
		var found struct {
			Holds   bool
			Entrant struct {
				Rank  int
				Score place.Score
			}
		}
		out := must(t, "verify-draw", site, "--json", "--before", kept(t, "kept.json", before), "--visitor", own.Visitor, "--score", fmt.Sprint(own.Score))
		if err := json.Unmarshal([]byte(out), &found); err != nil || !found.Holds {
			t.Fatalf("%v: %s", err, out)
		}
		if status.Position != found.Entrant.Rank { // all 31 are there: nobody has left or gone in
			t.Errorf("the fan who was drawn as number %d is at position %d", found.Entrant.Rank, status.Position)
		}
		left -= found.Entrant.Rank
	}
	if shown != left {
		t.Errorf("the page shows position %d to the fan who was drawn as number %d", shown, left)
	}
}

func asks(t *testing.T, fan *http.Client, method, address string) (code int, body []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "application/json")
	reply, err := fan.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reply.Body.Close() }()
	if body, err = io.ReadAll(reply.Body); err != nil {
		t.Fatal(err)
	}
	return reply.StatusCode, body
}
