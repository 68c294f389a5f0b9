package crowd

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

// fansCommand is the first argument of the test's own program when it is fans.
const fansCommand = "fans"

const (
	atOnce      = 16 // fans of a process who arrive, come back, poll or claim at the same time
	callTimeout = 20 // seconds; a join that is signed has waited for Redis first
	joinTries   = 200
	mostOdd     = 10 // that are told in words
)

// fans is a process of fans. A process may have 20,000 files and the race detector
// 8,128 goroutines, so none of them has a goroutine: one reads all streams.
type fans struct {
	edges  []*net.TCPAddr // where they go, the next when one does not answer
	source [4]byte
	claims bool // whoever is admitted claims, after claimAfter
	http   *http.Client
	epoll  int
	busy   chan struct{} // bounds what runs at once

	mu      sync.Mutex
	all     []*fan       // guarded by mu, as is all below and in each fan
	byFD    map[int]*fan // those with a stream
	told    told
	retries map[int]bool
}

// fan is one of them.
type fan struct {
	polls   bool
	fd      int // -1 without a stream
	edge    int
	cookie  string
	visitor place.Visitor
	score   place.Score
	shown   int
	state   string
	silent  bool // no line since the mark
	begun   bool // the stream has been answered
	event   string
	bye     int // ms to wait, where the last line asked for it
	rest    []byte
}

// told is what a process tells of its fans.
type told struct {
	Fans, Open, Admitted, Inside int
	Silent                       int // waiting on a stream, and without a line since the mark
	Unasked                      int // polling, and without an answer since the mark
	Lines                        int
	Dropped                      int // streams that ended without a word
	Farewells                    int // streams that ended with a time to come back
	Moments                      int // different such times
	Soonest, Latest              int // ms
	Failed                       int // polls without an answer
	Odds                         int
	Odd                          []string
}

// ask is a command to the process.
type ask struct {
	Do    string // arrive, mark, tell, spots
	Fans  int    `json:",omitempty"`
	Polls bool   `json:",omitempty"`
	Every time.Duration
}

// answer is its answer.
type answer struct {
	Told  told
	Spots []spot
	Error string
}

// runFans is the main function of the process.
func runFans(args []string) error {
	f := &fans{
		byFD: map[int]*fan{}, retries: map[int]bool{}, busy: make(chan struct{}, atOnce),
		http: &http.Client{
			Transport: &http.Transport{MaxIdleConnsPerHost: atOnce},
			Timeout:   callTimeout * time.Second,
		},
	}
	flags := flag.NewFlagSet(fansCommand, flag.ContinueOnError)
	edges := flags.String("edges", "", "where the edges listen")
	number := flags.Int("number", 0, "of this process; its source address follows from it")
	flags.BoolVar(&f.claims, "claim", false, "claim turns")
	if err := flags.Parse(args); err != nil {
		return err
	}
	f.source = [4]byte{127, 0, byte(1 + *number/250), byte(1 + *number%250)}
	for _, edge := range strings.Split(*edges, ",") {
		address, err := net.ResolveTCPAddr("tcp4", edge)
		if err != nil {
			return fmt.Errorf("reading an edge's address: %w", err)
		}
		f.edges = append(f.edges, address)
	}
	var err error
	if f.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("making a poller: %w", err)
	}
	go f.read()
	out := json.NewEncoder(os.Stdout)
	for in := json.NewDecoder(os.Stdin); ; {
		var a ask
		if err := in.Decode(&a); err != nil {
			return nil //nolint:nilerr // the test has ended
		}
		if err := out.Encode(f.answer(a)); err != nil {
			return fmt.Errorf("answering: %w", err)
		}
	}
}

func (f *fans) answer(a ask) (out answer) {
	if a.Do == "arrive" {
		if err := f.arrive(a); err != nil {
			out.Error = err.Error()
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch a.Do {
	case "mark":
		for _, x := range f.all {
			x.silent = true
		}
	case "spots":
		for _, x := range f.all {
			out.Spots = append(out.Spots, spot{x.visitor.String(), x.score, x.shown, x.state})
		}
	}
	out.Told = f.told
	out.Told.Fans, out.Told.Open, out.Told.Moments = len(f.all), len(f.byFD), len(f.retries)
	for _, x := range f.all {
		switch {
		case x.state == admitted:
			out.Told.Admitted++
		case x.state == inside:
			out.Told.Inside++
		case x.silent && x.polls:
			out.Told.Unasked++
		case x.silent:
			out.Told.Silent++
		}
	}
	return out
}

// arrive returns when all of them have a place, and a stream if they do not poll.
func (f *fans) arrive(a ask) error {
	var coming sync.WaitGroup
	errs := make([]error, a.Fans)
	pace := time.NewTicker(max(a.Every, time.Nanosecond))
	defer pace.Stop()
	for i := range a.Fans {
		f.busy <- struct{}{}
		coming.Go(func() {
			defer func() { <-f.busy }()
			errs[i] = f.one(a.Polls)
		})
		if a.Every > 0 {
			<-pace.C
		}
	}
	coming.Wait()
	return errors.Join(errs...)
}

func (f *fans) one(polls bool) error {
	x := &fan{polls: polls, fd: -1, state: waiting}
	conn, err := f.join(x)
	if err != nil {
		return err
	}
	f.mu.Lock()
	f.all = append(f.all, x)
	f.mu.Unlock()
	if polls {
		_ = unix.Close(conn)
		f.pollLater(x, time.Second)
		return nil
	}
	return f.follow(x, conn)
}

// join gives a fan a place, asking again as a page does. The connection is good for more.
func (f *fans) join(x *fan) (conn int, err error) {
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	for range joinTries {
		if conn, err = f.dial(x.edge); err == nil {
			if err = f.tryJoin(x, conn); err == nil {
				return conn, nil
			}
			_ = unix.Close(conn)
		}
		<-again.C
	}
	return -1, fmt.Errorf("joining: %w", err)
}

func (f *fans) tryJoin(x *fan, conn int) error {
	host := f.edges[x.edge].String()
	request := "POST /.waitroom/" + arena + "/join HTTP/1.1\r\nHost: " + host + "\r\nUser-Agent: crowd\r\nAccept: application/json\r\n" +
		"Origin: http://" + host + "\r\nContent-Length: 0\r\n"
	if x.cookie != "" {
		request += "Cookie: " + x.cookie + "\r\n"
	}
	if err := send(conn, request+"\r\n"); err != nil {
		return err
	}
	reply, err := http.ReadResponse(bufio.NewReader(socket(conn)), nil)
	if err != nil {
		return err
	}
	defer func() { _ = reply.Body.Close() }()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.takeCookiesLocked(x, reply.Header.Values("Set-Cookie"))
	var said struct {
		Position int    `json:"position"`
		Code     string `json:"code"`
	}
	if err := json.NewDecoder(reply.Body).Decode(&said); err != nil {
		return err
	}
	if reply.StatusCode != http.StatusCreated && reply.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s", reply.Status, said.Code)
	}
	if x.score == 0 {
		return errors.New("a join gave no place")
	}
	f.shownLocked(x, said.Position)
	return nil
}

// dial connects from this process's own address, so that ports do not run out.
func (f *fans) dial(edge int) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	to, bound := f.edges[edge], unix.Timeval{Sec: callTimeout}
	err = errors.Join(
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &bound),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &bound),
		unix.Bind(fd, &unix.SockaddrInet4{Addr: f.source}),
		unix.Connect(fd, &unix.SockaddrInet4{Port: to.Port, Addr: [4]byte(to.IP.To4())}),
	)
	if err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// socket reads what has no poller of the runtime.
type socket int

func (s socket) Read(p []byte) (int, error) {
	for {
		n, err := unix.Read(int(s), p)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

func send(fd int, text string) error {
	for left := []byte(text); len(left) > 0; {
		n, err := unix.Write(fd, left)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		left = left[n:]
	}
	return nil
}

// follow asks for the fan's stream on a connection that is open.
func (f *fans) follow(x *fan, conn int) error {
	f.mu.Lock()
	request := "GET /.waitroom/" + arena + "/stream HTTP/1.1\r\nHost: " + f.edges[x.edge].String() + "\r\nUser-Agent: crowd\r\nAccept: text/event-stream\r\nCookie: " + x.cookie + "\r\n"
	if x.shown > 0 {
		request += "Last-Event-ID: " + strconv.Itoa(x.shown) + "\r\n"
	}
	f.mu.Unlock()
	if err := send(conn, request+"\r\n"); err != nil {
		_ = unix.Close(conn)
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	x.fd, x.rest, x.event, x.bye, x.silent, x.begun = conn, nil, "", 0, true, false
	f.byFD[conn] = x
	return unix.EpollCtl(f.epoll, unix.EPOLL_CTL_ADD, conn, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(conn)})
}

// again opens the fan's stream anew at the next edge, some time from now.
func (f *fans) again(x *fan, after time.Duration) {
	time.AfterFunc(after, func() {
		f.busy <- struct{}{}
		defer func() { <-f.busy }()
		f.mu.Lock()
		x.edge = (x.edge + 1) % len(f.edges)
		edge := x.edge
		f.mu.Unlock()
		conn, err := f.dial(edge)
		if err == nil {
			err = f.follow(x, conn)
		}
		if err != nil {
			f.again(x, 500*time.Millisecond)
		}
	})
}

// read reads all streams for as long as the process lives.
func (f *fans) read() {
	events, buf := make([]unix.EpollEvent, 256), make([]byte, 64<<10)
	for {
		n, err := unix.EpollWait(f.epoll, events, -1)
		if err != nil && err != unix.EINTR {
			fmt.Fprintln(os.Stderr, "waiting for streams:", err)
			os.Exit(1)
		}
		f.mu.Lock()
		for _, e := range events[:max(n, 0)] {
			if x := f.byFD[int(e.Fd)]; x != nil {
				f.readOneLocked(x, buf)
			}
		}
		f.mu.Unlock()
	}
}

func (f *fans) readOneLocked(x *fan, buf []byte) {
	n, _, err := unix.Recvfrom(x.fd, buf, unix.MSG_DONTWAIT)
	switch {
	case err == unix.EINTR || err == unix.EAGAIN:
		return
	case err != nil || n == 0:
		f.endedLocked(x)
		return
	}
	text := append(x.rest, buf[:n]...)
	for {
		line, rest, whole := bytes.Cut(text, []byte("\n"))
		if !whole {
			break
		}
		text = rest
		f.lineLocked(x, strings.TrimSuffix(string(line), "\r"))
	}
	x.rest = append([]byte(nil), text...)
}

// lineLocked takes in a line of the answer's head or of an event.
func (f *fans) lineLocked(x *fan, line string) {
	name, value, _ := strings.Cut(line, ": ")
	switch {
	case strings.HasPrefix(line, "HTTP/1.1 "):
		x.begun = true
		if !strings.HasPrefix(line, "HTTP/1.1 200") {
			f.oddLocked("a stream was answered %s", line)
		}
	case name == "Set-Cookie":
		f.takeCookiesLocked(x, []string{value})
	case name == "retry":
		x.bye, _ = strconv.Atoi(value)
	case name == "event":
		x.event, x.bye = value, 0
		if value == "admitted" {
			f.admittedLocked(x)
		}
	case name == "data" && x.event == "position":
		var said struct {
			Position int `json:"position"`
		}
		if err := json.Unmarshal([]byte(value), &said); err != nil {
			f.oddLocked("a line that is no JSON: %s", value)
		}
		f.told.Lines++
		x.silent = false
		f.shownLocked(x, said.Position)
	}
}

// shownLocked is Q2: a position that was shown never goes up.
func (f *fans) shownLocked(x *fan, position int) {
	if position > x.shown && x.shown > 0 {
		f.oddLocked("Q2: the position of %s went up from %d to %d", x.visitor, x.shown, position)
	}
	if position > 0 {
		x.shown = position
	}
}

func (f *fans) oddLocked(what string, args ...any) {
	if f.told.Odds++; len(f.told.Odd) < mostOdd {
		f.told.Odd = append(f.told.Odd, fmt.Sprintf(what, args...))
	}
}

// takeCookiesLocked keeps the place. A score that a fan was given stays; that of a lobby is none yet.
func (f *fans) takeCookiesLocked(x *fan, lines []string) {
	for _, line := range lines {
		cookie, _, _ := strings.Cut(line, ";")
		if !strings.HasPrefix(cookie, placeCookie+"=") {
			continue
		}
		v, score, err := readCookie(cookie)
		switch {
		case err != nil:
			f.oddLocked("%v", err)
			continue
		case x.score != 0 && (v != x.visitor || score != x.score && !x.score.Undrawn()):
			f.oddLocked("Q5: the place of %s went from %d to %d", x.visitor, x.score, score)
		}
		x.cookie, x.visitor = cookie, v
		if score != 0 {
			x.score = score
		}
	}
}

// endedLocked: the edge has ended the stream.
func (f *fans) endedLocked(x *fan) {
	delete(f.byFD, x.fd)
	_ = unix.Close(x.fd)
	x.fd = -1
	switch {
	case x.state != waiting:
	case !x.begun: // HTTP/1.1 lets a server close between two requests, and a client asks again
		f.again(x, 0)
	case x.bye > 0:
		f.told.Farewells++
		f.retries[x.bye] = true
		if f.told.Soonest == 0 || x.bye < f.told.Soonest {
			f.told.Soonest = x.bye
		}
		f.told.Latest = max(f.told.Latest, x.bye)
		f.again(x, time.Duration(x.bye)*time.Millisecond)
	default:
		f.told.Dropped++
		f.again(x, time.Second)
	}
}

// claimAfter gives the test's ledger the time to see the turn.
const claimAfter = 500 * time.Millisecond

func (f *fans) admittedLocked(x *fan) {
	if x.state != waiting {
		return
	}
	x.state = admitted
	if f.claims {
		time.AfterFunc(claimAfter, func() { f.claim(x) })
	}
}

func (f *fans) claim(x *fan) {
	f.busy <- struct{}{}
	defer func() { <-f.busy }()
	code, said, err := f.call(x, http.MethodPost, "claim")
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case err == nil && code == http.StatusOK:
		x.state = inside
	case err != nil || code == http.StatusConflict || code == http.StatusServiceUnavailable:
		time.AfterFunc(claimAfter, func() { f.claim(x) })
	default:
		f.oddLocked("a claim of %s, score %d, was answered %d %s", x.visitor, x.score, code, said.Code)
	}
}

// said is the part of an answer that fans look at.
type said struct {
	State     string `json:"state"`
	Position  int    `json:"position"`
	PollAfter int    `json:"pollAfter"`
	Code      string `json:"code"`
}

func (f *fans) call(x *fan, method, path string) (code int, out said, err error) {
	f.mu.Lock()
	edge := "http://" + f.edges[x.edge].String()
	request, err := http.NewRequest(method, edge+"/.waitroom/"+arena+"/"+path+"?seen="+strconv.Itoa(x.shown), nil) //nolint:noctx // the client has a timeout
	if err == nil {
		request.Header.Set("Cookie", x.cookie)
	}
	f.mu.Unlock()
	if err != nil {
		return 0, said{}, err
	}
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "crowd")
	if method == http.MethodPost {
		request.Header.Set("Origin", edge)
	}
	reply, err := f.http.Do(request)
	if err != nil {
		return 0, said{}, err
	}
	defer func() { _ = reply.Body.Close() }()
	err = json.NewDecoder(reply.Body).Decode(&out)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.takeCookiesLocked(x, reply.Header.Values("Set-Cookie"))
	return reply.StatusCode, out, err
}

// pollLater asks for the fan's status when told to, not all at the same moment, as the page does.
func (f *fans) pollLater(x *fan, after time.Duration) {
	time.AfterFunc(after+rand.N(after/2), func() {
		f.busy <- struct{}{}
		defer func() { <-f.busy }()
		f.poll(x)
	})
}

func (f *fans) poll(x *fan) {
	code, said, err := f.call(x, http.MethodGet, "status")
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case err != nil:
		f.told.Failed++
		x.edge = (x.edge + 1) % len(f.edges)
	case code != http.StatusOK:
		f.oddLocked("a status was answered %d %s", code, said.Code)
	case said.State == admitted:
		f.admittedLocked(x)
		return
	default:
		f.told.Lines++
		x.silent = false
		f.shownLocked(x, said.Position)
	}
	f.pollLater(x, time.Duration(max(said.PollAfter, 1))*time.Second)
}
