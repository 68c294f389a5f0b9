package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// startWithin bounds the start of a whole stack on a busy machine.
	startWithin = 3 * time.Minute
	// stopWithin is more than the edge's grace period.
	stopWithin = 30 * time.Second
)

// stack is a running demo.
type stack struct {
	FanPage, OperatorPage, Metrics, Allocator, Caddyfile, Redis, Database, Logs string
	AllocatorPID, EdgePID, RedisPID, PostgresPID                                int

	data string
	cmd  *exec.Cmd
	out  *lockedBuffer
}

// startStack starts a demo with a data folder of its own and waits until it says
// where everything is. It is stopped, and everything it started must be gone,
// when the test ends.
func startStack(t *testing.T, args ...string) *stack {
	t.Helper()
	return startStackIn(t, demoFolder(t), args...)
}

// startStackIn is startStack with a data folder that may have been used before.
func startStackIn(t *testing.T, data string, args ...string) *stack {
	t.Helper()
	s := &stack{data: data, out: &lockedBuffer{}}
	args = append([]string{"demo", "--json", "--data", data, "--listen", "127.0.0.1:0"}, args...)
	s.cmd = exec.Command(binary, args...)
	s.cmd.Stderr = s.out
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan error, 1)
	ended := make(chan struct{})
	go func() {
		runtime.LockOSThread() // the death signal is tied to the thread that forks
		defer close(ended)
		err := s.cmd.Start()
		started <- err
		if err == nil {
			_ = s.cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.stop(t, ended) })
	first := make(chan []byte, 1)
	go func() {
		line, _ := bufio.NewReader(stdout).ReadBytes('\n')
		first <- line
	}()
	select {
	case line := <-first:
		if err := json.Unmarshal(line, s); err != nil {
			t.Fatalf("the demo did not start: %v\n%s", err, s.out.String())
		}
	case <-time.After(startWithin):
		t.Fatalf("the demo did not start within %s\n%s", startWithin, s.out.String())
	}
	return s
}

func (s *stack) stop(t *testing.T, ended <-chan struct{}) {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-ended:
	case <-time.After(stopWithin):
		t.Errorf("the demo did not stop within %s", stopWithin)
		_ = s.cmd.Process.Kill()
		<-ended
	}
	for name, pid := range map[string]int{"allocator": s.AllocatorPID, "edge": s.EdgePID, "redis": s.RedisPID, "postgres": s.PostgresPID} {
		if pid != 0 && syscall.Kill(pid, 0) == nil {
			t.Errorf("the demo left its %s running (%d)", name, pid)
		}
	}
	if !t.Failed() {
		return
	}
	t.Logf("the demo said:\n%s", s.out.String())
	logs, _ := filepath.Glob(filepath.Join(s.data, "logs", "*.log"))
	for _, log := range logs {
		if text, err := os.ReadFile(log); err == nil {
			t.Logf("the end of %s:\n%s", filepath.Base(log), text[max(0, len(text)-8<<10):])
		}
	}
}

// site is the fan page as an address to resolve paths against.
func (s *stack) site(t *testing.T) *url.URL {
	t.Helper()
	u, err := url.Parse(s.FanPage)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// status is what a bare GET of the url answers, 0 for no answer.
func status(ctx context.Context, url string) int {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0
	}
	_ = response.Body.Close()
	return response.StatusCode
}

// lockedBuffer is written by a process and read by the test.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
