package crowd

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/eventually"
)

// perProcess is how many fans one process is: the race detector's share included.
const perProcess = 7500

// patience is of a busy machine: nothing here is measured by it.
const patience = 2 * time.Minute

// crowd is fans in processes of their own.
type crowd struct {
	t         *testing.T
	processes []*crowdOf
}

// crowdOf is one process.
type crowdOf struct {
	mu      sync.Mutex // one question at a time
	command *exec.Cmd
	in      io.WriteCloser
	out     *json.Decoder
}

var processes atomic.Int32

// come starts the processes of so many fans. They go to the first edge, and on from there.
func come(t *testing.T, fans int, edges ...*edge) *crowd {
	t.Helper()
	c := &crowd{t: t}
	var addresses []string
	for _, e := range edges {
		addresses = append(addresses, e.address)
	}
	for range (fans + perProcess - 1) / perProcess {
		p := &crowdOf{command: exec.Command(os.Args[0], fansCommand, "-edges", strings.Join(addresses, ","), //nolint:gosec // ourselves
			"-number", strconv.Itoa(int(processes.Add(1))), "-claim")}
		p.command.Stderr = os.Stderr
		p.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // it ends when its input does
		in, err := p.command.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := p.command.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := p.command.Start(); err != nil {
			t.Fatal(err)
		}
		p.in, p.out = in, json.NewDecoder(out)
		c.processes = append(c.processes, p)
		t.Cleanup(func() { _ = in.Close(); _ = p.command.Wait() })
	}
	return c
}

// ask asks each process; fans are shared out among them.
func (c *crowd) ask(a ask) (all []answer) {
	c.t.Helper()
	all = make([]answer, len(c.processes))
	errs := make([]error, len(all))
	var asking sync.WaitGroup
	left := a.Fans
	for i, p := range c.processes {
		mine := a
		mine.Fans = left / (len(c.processes) - i)
		left -= mine.Fans
		asking.Go(func() { all[i], errs[i] = p.ask(mine) })
	}
	asking.Wait()
	for i, err := range errs {
		if err != nil {
			c.t.Errorf("%s: fans have left: %v", a.Do, err)
		} else if all[i].Error != "" {
			c.t.Errorf("%s: %s", a.Do, all[i].Error[:min(len(all[i].Error), 1000)])
		}
	}
	return all
}

func (p *crowdOf) ask(a ask) (out answer, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := json.NewEncoder(p.in).Encode(a); err != nil {
		return out, err
	}
	return out, p.out.Decode(&out)
}

// arrive returns when so many more have places, and streams if they do not poll.
func (c *crowd) arrive(fans int, polls bool) {
	c.t.Helper()
	c.ask(ask{Do: "arrive", Fans: fans, Polls: polls})
}

// mark begins to look for fans whom nobody tells anything.
func (c *crowd) mark() {
	c.t.Helper()
	c.ask(ask{Do: "mark"})
}

// tell is what all of them tell.
func (c *crowd) tell() (sum told) {
	c.t.Helper()
	for _, a := range c.ask(ask{Do: "tell"}) {
		sum.Fans += a.Told.Fans
		sum.Open += a.Told.Open
		sum.Admitted += a.Told.Admitted
		sum.Inside += a.Told.Inside
		sum.Silent += a.Told.Silent
		sum.Unasked += a.Told.Unasked
		sum.Lines += a.Told.Lines
		sum.Dropped += a.Told.Dropped
		sum.Farewells += a.Told.Farewells
		sum.Moments += a.Told.Moments
		sum.Soonest = max(sum.Soonest, a.Told.Soonest)
		sum.Latest = max(sum.Latest, a.Told.Latest)
		sum.Failed += a.Told.Failed
		sum.Odds += a.Told.Odds
		sum.Odd = append(sum.Odd, a.Told.Odd...)
	}
	return sum
}

// spots are the places of all of them.
func (c *crowd) spots() (all []spot) {
	c.t.Helper()
	for _, a := range c.ask(ask{Do: "spots"}) {
		all = append(all, a.Spots...)
	}
	return all
}

// hears waits until each of them who has a stream has had a line from now on.
func (c *crowd) hears(what string) {
	c.t.Helper()
	c.mark()
	eventually.Within(c.t, patience, "everybody hears something "+what, func() bool { return c.tell().Silent == 0 })
}

// asks waits until each of them who polls has done so from now on.
func (c *crowd) asks(what string) {
	c.t.Helper()
	c.mark()
	eventually.Within(c.t, patience, "everybody asks "+what, func() bool { return c.tell().Unasked == 0 })
}

// content says that nobody had anything to complain of.
func (c *crowd) content() told {
	c.t.Helper()
	t := c.tell()
	if t.Dropped > 0 || t.Failed > 0 {
		c.t.Errorf("%d streams were dropped, %d polls had no answer", t.Dropped, t.Failed)
	}
	if t.Odds > 0 {
		c.t.Errorf("%d times something was wrong:\n%s", t.Odds, strings.Join(t.Odd, "\n"))
	}
	return t
}
