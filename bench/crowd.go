package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// crowdProcess is how many fans one process is: a process may have 20,000 files.
	crowdProcess = 9500
	crowdOpens   = 90 * time.Second
	crowdAnswers = 10 * time.Second
)

// crowd is fans who wait at an edge, as processes of their own: their ends of the
// connections must cost the edge nothing, neither memory nor files.
type crowd struct {
	fans      int
	processes []*crowdOf
}

// crowdOf is one process of a crowd. It says "open" when each of its fans has had
// a line, and for every line that it reads how many lines its fans have had.
type crowdOf struct {
	command *exec.Cmd
	ask     io.WriteCloser
	answers chan string // closed at its end
	log     strings.Builder
}

// wait brings fans to an edge and returns when all of them wait. The numbers from
// first on are theirs: each has a source address of its own.
func wait(ctx context.Context, edge guarded, how string, first, fans int) (*crowd, error) {
	c := &crowd{fans: fans}
	for left := fans; left > 0; left -= crowdProcess {
		some := min(left, crowdProcess)
		p, err := startCrowd(ctx, "-address", edge.address, "-ca", edge.ca, "-how", how, "-first", strconv.Itoa(first), "-fans", strconv.Itoa(some))
		if err != nil {
			c.leave()
			return nil, err
		}
		c.processes = append(c.processes, p)
		first += some
	}
	for _, p := range c.processes {
		if _, err := p.answer(ctx, crowdOpens); err != nil {
			c.leave()
			return nil, err
		}
	}
	return c, nil
}

func startCrowd(ctx context.Context, args ...string) (*crowdOf, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding the crowd's program: %w", err)
	}
	p := &crowdOf{command: exec.CommandContext(ctx, self, append([]string{"crowd"}, args...)...), answers: make(chan string)} //nolint:gosec // ourselves
	p.command.Stderr = &p.log
	p.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for us: it ends when its input does
	if p.ask, err = p.command.StdinPipe(); err != nil {
		return nil, fmt.Errorf("starting a crowd: %w", err)
	}
	said, err := p.command.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("starting a crowd: %w", err)
	}
	if err := p.command.Start(); err != nil {
		return nil, fmt.Errorf("starting a crowd: %w", err)
	}
	go func() {
		defer close(p.answers)
		for lines := bufio.NewScanner(said); lines.Scan(); {
			p.answers <- lines.Text()
		}
	}()
	return p, nil
}

func (p *crowdOf) answer(ctx context.Context, within time.Duration) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	select {
	case said, going := <-p.answers:
		if !going {
			_ = p.command.Wait() // what it wrote tells more than its status
			return "", fmt.Errorf("a crowd has left: %s", strings.TrimSpace(p.log.String()))
		}
		return said, nil
	case <-ctx.Done():
		return "", fmt.Errorf("waiting for a crowd: %w", context.Cause(ctx))
	}
}

// lines is how many lines all of them have had so far.
func (c *crowd) lines(ctx context.Context) (total int, err error) {
	for _, p := range c.processes {
		if _, err := io.WriteString(p.ask, "\n"); err != nil {
			return 0, fmt.Errorf("asking a crowd: %w", err)
		}
	}
	for _, p := range c.processes {
		said, err := p.answer(ctx, crowdAnswers)
		if err != nil {
			return 0, err
		}
		n, err := strconv.Atoi(said)
		if err != nil {
			return 0, fmt.Errorf("a crowd answered %q", said)
		}
		total += n
	}
	return total, nil
}

// join makes two crowds one.
func (c *crowd) join(other *crowd) {
	c.fans += other.fans
	c.processes = append(c.processes, other.processes...)
}

// leave ends the processes and with them all connections.
func (c *crowd) leave() {
	for _, p := range c.processes {
		_ = p.ask.Close()
	}
	for _, p := range c.processes {
		for range p.answers { // until it has ended
		}
		_ = p.command.Wait() // it was told to end
	}
}
