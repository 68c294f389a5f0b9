package devstack_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
)

// childMode makes this test binary start servers and then wait to be killed.
const childMode = "DEVSTACK_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childMode) == "" {
		os.Exit(m.Run())
	}
	redis, err := devstack.StartRedis(context.Background(), devstack.RedisOptions{})
	if err != nil {
		panic(err)
	}
	postgres, err := devstack.StartPostgres(context.Background(), devstack.PostgresOptions{})
	if err != nil {
		panic(err)
	}
	fmt.Printf("%d %d\n", redis.PID(), postgres.PID())
	select {}
}

func TestServersEndWithTheProcessThatStartedThem(t *testing.T) {
	t.Parallel()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childMode+"=1")
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the child said nothing: %v", err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	for _, field := range strings.Fields(line) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		awaitGone(t, pid)
	}
}

// awaitGone waits until no process, or only a dead one nobody waited for, has pid.
func awaitGone(t *testing.T, pid int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for syscall.Kill(pid, 0) == nil && !strings.Contains(status(t, pid), "(zombie)") {
		select {
		case <-ctx.Done():
			_ = syscall.Kill(pid, syscall.SIGKILL)
			t.Fatalf("process %d outlived its parent", pid)
		case <-tick.C:
		}
	}
}

func status(t *testing.T, pid int) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return "(zombie)" // gone between two looks
	}
	return string(text)
}

func uidOf(t *testing.T, pid int) string {
	t.Helper()
	for line := range strings.Lines(status(t, pid)) {
		if rest, ok := strings.CutPrefix(line, "Uid:"); ok {
			return strings.Fields(rest)[0]
		}
	}
	t.Fatalf("process %d has no uid", pid)
	return ""
}
