package botguard

import (
	"crypto/sha256"
	"encoding/base64"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/pow"
)

func TestAJoinCostsWork(t *testing.T) {
	s := start(t, "challenge auto")
	b := s.from("127.0.0.1")
	asked := b.join("")
	asked.is(t, http.StatusForbidden, "challenge-required")
	if c := asked.Challenge; c == nil || c.Wait != 5 || c.Puzzles != 16 || c.Bits != 14 || c.Life != 300 {
		t.Fatalf("challenge: %+v", c)
	}
	cookie := asked.header.Get("Set-Cookie")
	if !strings.HasPrefix(cookie, "place-arena=") || !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Lax") {
		t.Errorf("cookie: %q", cookie)
	}
	answer := b.solved()
	got := b.join(answer)
	got.cameThrough(t, "solved")
	if got.header.Get("Set-Cookie") != "" {
		t.Error("a visitor that is known is given another cookie")
	}
	// T-01: sent again it enters the same visitor, who has one place (docs/adr/0002).
	b.join(answer).cameThrough(t, "solved")
}

func TestAVisitorKeepsItsIdFromChallengeToChallenge(t *testing.T) {
	s := start(t, "challenge auto")
	b := s.from("127.0.0.1")
	first := b.join("")
	if second := b.join(""); second.Challenge.Token == first.Challenge.Token || second.header.Get("Set-Cookie") != "" {
		t.Error("asking again gives the same challenge or another visitor")
	}
	answer, err := pow.Solve(t.Context(), first.Challenge.Token)
	if err != nil {
		t.Fatal(err)
	}
	b.join(answer).cameThrough(t, "solved")
}

func TestAVisitorWithAPlaceJoinsAgainWithoutAChallenge(t *testing.T) {
	s := start(t, "challenge auto")
	visitor := place.Visitor{1, 2, 3}
	seal := func(room string, score place.Score) map[string]string {
		return map[string]string{"Cookie": "place-arena=" + s.app().Places().Seal(room, place.Token{Visitor: visitor, Score: score, Joined: time.Now()})}
	}
	b := s.from("127.0.0.1")
	b.do(http.MethodPost, joinPath, seal("arena", place.LiveBase), "").cameThrough(t, "place")
	b.do(http.MethodPost, joinPath, seal("arena", 0), "").is(t, http.StatusForbidden, "challenge-required")
	b.do(http.MethodPost, joinPath, seal("other", place.LiveBase), "").is(t, http.StatusForbidden, "challenge-required")
}

// T-07, T-08: an answer is for one room, one action, one visitor.
func TestT07T08AnAnswerIsForOneRoomAndOneVisitor(t *testing.T) {
	s := start(t, "challenge auto")
	b, other := s.from("127.0.0.1"), s.from("127.0.0.1")
	answer := b.solved()
	other.join("")
	foreign := other.join(answer)
	foreign.is(t, http.StatusForbidden, "challenge-failed")
	if foreign.Challenge == nil {
		t.Fatal("no new challenge")
	}
	b.do(http.MethodPost, "/.waitroom/other/join", nil, "").is(t, http.StatusForbidden, "challenge-required")
	b.do(http.MethodPost, "/.waitroom/other/join", map[string]string{headerAnswer: answer}, "").is(t, http.StatusForbidden, "challenge-failed")
	b.forget()
	b.join(answer).is(t, http.StatusForbidden, "challenge-failed")

	for _, bound := range []pow.Binding{{Room: "arena", Action: pow.Claim}, {Room: "other", Action: pow.Join}} {
		key := pow.Key{ID: challengeKeyID, Secret: [32]byte(s.app().Secret("botguard challenge"))}
		bound.Visitor = place.Visitor{7}
		token, err := pow.NewIssuer(s.clock, key).Issue(bound, pow.DefaultWork)
		if err != nil {
			t.Fatal(err)
		}
		solved, err := pow.Solve(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		cookie := "place-arena=" + s.app().Places().Seal("arena", place.Token{Visitor: bound.Visitor})
		b.do(http.MethodPost, joinPath, map[string]string{headerAnswer: solved, "Cookie": cookie}, "").is(t, http.StatusForbidden, "challenge-failed")
	}
	b.join(b.solved()).cameThrough(t, "solved")
}

func TestT05AnExpiredAnswerGetsANewChallenge(t *testing.T) {
	s := start(t, "challenge auto")
	b := s.from("127.0.0.1")
	answer := b.solved()
	s.clock.Advance(pow.DefaultWork.Life + time.Second)
	late := b.join(answer)
	late.is(t, http.StatusForbidden, "challenge-expired")
	fresh, err := pow.Solve(t.Context(), late.Challenge.Token)
	if err != nil {
		t.Fatal(err)
	}
	b.join(fresh).cameThrough(t, "solved")
}

// T-13, T-18: whatever is sent as an answer or as a cookie, it is a challenge and no panic.
func TestT13T18OddAnswersAndCookiesAreChallenged(t *testing.T) {
	s := start(t, "challenge auto")
	b := s.from("127.0.0.1")
	answer := b.solved()
	for _, odd := range []string{"x", ".", ".wait", "NaN", answer + "A", answer[:len(answer)-1], answer + "," + answer, strings.Repeat("A", 4000)} {
		b.join(odd).is(t, http.StatusForbidden, "challenge-failed")
	}
	for _, cookie := range []string{"", "x", strings.Repeat("A", place.TokenLength), `"`, strings.Repeat("A", 4000)} {
		got := b.do(http.MethodPost, joinPath, map[string]string{"Cookie": "place-arena=" + cookie}, "")
		if got.Code != "challenge-required" {
			t.Errorf("cookie %.20q: %d %s", cookie, got.status, got.body)
		}
	}
	big := b.form(joinPath, strings.Repeat("A", 2*maxForm))
	if big.status != http.StatusForbidden {
		t.Errorf("a form of 16 KB: %d", big.status)
	}
}

// T-11: wrong answers run into a limit of their own.
func TestT11WrongAnswersRunIntoALimit(t *testing.T) {
	s := start(t, "challenge auto")
	b := s.from("127.0.5.1")
	answer := b.solved()
	wrong := answer[:len(answer)-6] + "AAAAAA"
	for range failuresPerMinute {
		b.join(wrong).is(t, http.StatusForbidden, "challenge-failed")
	}
	b.join(wrong).is(t, http.StatusTooManyRequests, "too-many-requests")
	s.from("127.0.6.1").join(wrong).is(t, http.StatusForbidden, "challenge-failed")
	b.join(answer).cameThrough(t, "solved") // who has worked is not punished for the neighbours
}

// T-12: challenges are given without anything being kept.
func TestT12ChallengesLeaveNothingInRedis(t *testing.T) {
	s := start(t, "velocity join {botguard.prefix} 30 1m")
	b := s.from("127.0.0.1")
	for range 500 {
		b.forget()
		b.join("").is(t, http.StatusForbidden, "challenge-required")
	}
	if n := s.redis.Client().DBSize(t.Context()).Val(); n != 0 {
		t.Errorf("%d keys in Redis", n)
	}
}

var hidden = regexp.MustCompile(`<form method="post" action="([^"]*)">\s*<input type="hidden" name="answer" value="([^"]*)">`)

func fields(t *testing.T, got reply) (action, answer string) {
	t.Helper()
	m := hidden.FindStringSubmatch(got.body)
	if m == nil {
		t.Fatalf("%d, no form in %s", got.status, got.body)
	}
	return html.UnescapeString(m[1]), html.UnescapeString(m[2])
}

func TestABrowserWithoutJavaScriptWaitsInstead(t *testing.T) {
	s := newSite(t)
	s.load(s.caddyfile("", "botguard\nrespond \"in {http.vars.botguard.proof} {http.request.uri} {http.request.body}\""))
	b := s.from("127.0.0.1")
	first := b.form(joinPath+"?to=%2Fseats%3Fa%3D1", "")
	if first.status != http.StatusForbidden || !strings.HasPrefix(first.header.Get("Content-Type"), "text/html") || !strings.Contains(first.body, "5 seconds") {
		t.Fatalf("%d %s", first.status, first.body)
	}
	policy := first.header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") || strings.Contains(first.body, "<script") {
		t.Errorf("policy %q", policy)
	}
	written := regexp.MustCompile(`(?s)<style>(.*)</style>`).FindStringSubmatch(first.body)
	sum := sha256.Sum256([]byte(written[1]))
	if !strings.Contains(policy, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") {
		t.Errorf("browsers refuse the style: its hash is not in %q", policy)
	}
	if first.header.Get("Cache-Control") != "no-store" {
		t.Error("the page may be stored")
	}
	action, answer := fields(t, first)

	s.clock.Advance(3 * time.Second)
	early := b.form(action, answer)
	if early.status != http.StatusForbidden || !strings.Contains(early.body, "2 seconds") {
		t.Fatalf("too early: %d %s", early.status, early.body)
	}
	if _, same := fields(t, early); same != answer {
		t.Error("the time that was waited is lost")
	}
	s.clock.Advance(2 * time.Second)
	in := b.form(action, answer)
	if want := "in waited " + joinPath + "?to=%2Fseats%3Fa%3D1 answer=" + answer; in.status != http.StatusOK || in.body != want {
		t.Errorf("after the wait: %d %q, want %q", in.status, in.body, want)
	}
}

// Impatience is no attack: pressing the button early counts against nobody.
func TestPressingEarlyIsNotCounted(t *testing.T) {
	s := start(t, "")
	b := s.from("127.0.0.1")
	answer := pow.WaitAnswer(b.join("").Challenge.Token)
	for range failuresPerMinute + 5 {
		early := b.join(answer)
		early.is(t, http.StatusForbidden, "challenge-early")
		if early.header.Get("Retry-After") != "5" || early.Challenge.Wait != 5 || pow.WaitAnswer(early.Challenge.Token) != answer {
			t.Fatalf("%v %+v", early.header, early.Challenge)
		}
	}
	s.clock.Advance(pow.DefaultWork.Wait)
	b.join(answer).cameThrough(t, "waited")
}

func TestAWrongAnswerGetsANewChallenge(t *testing.T) {
	s := start(t, "")
	b := s.from("127.0.0.1")
	answer := b.solved()
	wrong := b.join(answer[:len(answer)-6] + "AAAAAA")
	wrong.is(t, http.StatusForbidden, "challenge-failed")
	if wrong.Challenge.Token == pow.TokenOf(answer) || wrong.Challenge.Wait != 5 {
		t.Errorf("%+v", wrong.Challenge)
	}
}

func TestAPageWithoutCookiesSaysSo(t *testing.T) {
	s := start(t, "")
	b := s.from("127.0.0.1")
	_, answer := fields(t, b.form(joinPath, ""))
	b.forget()
	s.clock.Advance(pow.DefaultWork.Wait)
	if got := b.form(joinPath, answer); got.status != http.StatusForbidden || !strings.Contains(got.body, "accept cookies") {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// Waiting is cheap in parallel, so few may do it from one network.
func TestWaitingIsLimitedByNetwork(t *testing.T) {
	s := start(t, "")
	crowd := make([]*browser, waitedPerMinute+1)
	answers := make([]string, len(crowd))
	for i := range crowd {
		crowd[i] = s.from("127.0.7.1")
		answers[i] = pow.WaitAnswer(crowd[i].join("").Challenge.Token)
	}
	s.clock.Advance(pow.DefaultWork.Wait)
	for i := range waitedPerMinute {
		crowd[i].join(answers[i]).cameThrough(t, "waited")
	}
	last := crowd[waitedPerMinute]
	last.join(answers[waitedPerMinute]).is(t, http.StatusTooManyRequests, "too-many-requests")
	busy := last.form(joinPath, answers[waitedPerMinute])
	if busy.status != http.StatusTooManyRequests || busy.header.Get("Retry-After") == "" || !strings.Contains(busy.body, "Too many attempts") {
		t.Errorf("%d %s", busy.status, busy.body)
	}
	last.join(last.solved()).cameThrough(t, "solved") // working is not limited by it
}

func TestAnotherSitesPageIsNotHandedAVisitor(t *testing.T) {
	s := start(t, "")
	b := s.from("127.0.0.1")
	for _, header := range []map[string]string{{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}} {
		got := b.do(http.MethodPost, joinPath, header, "")
		got.is(t, http.StatusForbidden, "cross-origin")
		if got.header.Get("Set-Cookie") != "" {
			t.Error("it sets a cookie")
		}
	}
	got := b.do(http.MethodGet, challengePath+"?room=arena", map[string]string{"Sec-Fetch-Site": "cross-site"}, "")
	got.is(t, http.StatusForbidden, "cross-origin")
}

func TestAChallengeCanBeSolvedBeforeTheJoin(t *testing.T) {
	s := start(t, "")
	b := s.from("127.0.0.1")
	got := b.do(http.MethodGet, challengePath+"?room=arena", nil, "")
	token := regexp.MustCompile(`"token":"([^"]+)"`).FindStringSubmatch(got.body)
	if got.status != http.StatusOK || token == nil || got.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %s", got.status, got.body)
	}
	answer, err := pow.Solve(t.Context(), token[1])
	if err != nil {
		t.Fatal(err)
	}
	try := func(room, answer string) reply {
		return b.do(http.MethodPost, answerPath+"?room="+room, map[string]string{headerAnswer: answer}, "")
	}
	try("arena", answer).is(t, http.StatusNoContent, "")
	try("arena", "").is(t, http.StatusForbidden, "challenge-required")
	try("arena", answer[:len(answer)-6]+"AAAAAA").is(t, http.StatusForbidden, "challenge-failed")
	try("other", answer).is(t, http.StatusForbidden, "challenge-failed")
	try("", answer).is(t, http.StatusNotFound, "no-such-room")
	b.do(http.MethodGet, challengePath+"?room=../x", nil, "").is(t, http.StatusNotFound, "no-such-room")
	b.do(http.MethodGet, answerPath+"?room=arena", nil, "").is(t, http.StatusMethodNotAllowed, "method-not-allowed")
	b.do(http.MethodPost, challengePath+"?room=arena", nil, "").is(t, http.StatusMethodNotAllowed, "method-not-allowed")
	b.join(answer).cameThrough(t, "solved")
}
