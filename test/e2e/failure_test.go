package e2e

import (
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
	"github.com/caddy-tickets/caddy-tickets/internal/eventually"
)

// own starts servers that the test may take away.
func own(t *testing.T) (redis *devstack.RedisServer, postgres *devstack.PostgresServer, flags []string) {
	t.Helper()
	redis, postgres = devstack.Redis(t), devstack.OwnPostgres(t)
	return redis, postgres, []string{"--redis", redis.URL(), "--database", postgres.DSN(), "--seats", "500"}
}

func TestTheStackOutlivesALossOfRedis(t *testing.T) {
	redis, _, flags := own(t)
	s := startStack(t, append(flags, "--rate", "1/m")...)
	w := waitAll(t, s, 20)
	redis.Kill()
	eventually.Within(t, 20*time.Second, "the allocator says that it is not ready", func() bool {
		return status(t.Context(), s.Allocator+"/readyz") == http.StatusServiceUnavailable
	})
	if got := status(t.Context(), s.FanPage); got != http.StatusOK {
		t.Errorf("without Redis the fan page answers %d", got)
	}
	redis.Start()
	eventually.Within(t, 30*time.Second, "the allocator is ready again", func() bool {
		return status(t.Context(), s.Allocator+"/readyz") == http.StatusOK
	})
	s.edit(t, "admit 1/m", "admit 60000/m")
	eventually.Within(t, 30*time.Second, "everybody who waited is admitted", func() bool { return w.admitted.Load()+w.dropped.Load() == 20 })
	if n := w.dropped.Load(); n > 0 {
		t.Errorf("%d of 20 waiting fans lost their place", n)
	}
	s.sells(t, 5)
}

func TestTheAllocatorOutlivesALossOfPostgres(t *testing.T) {
	_, postgres, flags := own(t)
	s := startStack(t, flags...)
	postgres.Kill()
	eventually.Within(t, 20*time.Second, "the allocator says that it is not ready", func() bool {
		return status(t.Context(), s.Allocator+"/readyz") == http.StatusServiceUnavailable
	})
	if got := status(t.Context(), s.FanPage); got != http.StatusOK {
		t.Errorf("without PostgreSQL the fan page answers %d", got)
	}
	postgres.Start()
	eventually.Within(t, 30*time.Second, "the allocator is ready again", func() bool {
		return status(t.Context(), s.Allocator+"/readyz") == http.StatusOK
	})
	s.sells(t, 5)
}

// sells sends fans and expects every one of them to get tickets.
func (s *stack) sells(t *testing.T, fans int) {
	t.Helper()
	report := s.rehearse(t, "--fans", strconv.Itoa(fans), "--declined", "0", "--abandon", "0", "--seed", "3", "--deadline", "2m")
	if report.Booked != fans {
		t.Errorf("%d of %d fans bought: %+v", report.Booked, fans, report)
	}
	if got := ask(t, s, doubleBooked); got != "0" {
		t.Errorf("the database sold %s seats twice", got)
	}
}

func TestAKilledAllocatorComesBackToTheSameSale(t *testing.T) {
	s := startStack(t, "--seats", "500")
	if err := syscall.Kill(s.AllocatorPID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually.Within(t, 30*time.Second, "the allocator answers again", func() bool {
		return strings.Contains(body(t.Context(), s.Allocator+"/v1/events/arena/summary"), `"capacity":500`)
	})
	s.AllocatorPID = 0 // its successor is the demo's to stop
}

func TestTheAllocatorSaysWhichServerIsMissingAtTheStart(t *testing.T) {
	redis, postgres := devstack.Redis(t), devstack.OwnPostgres(t)
	dsn, url := postgres.DSN(), redis.URL()
	redis.Kill()
	postgres.Kill()
	out := &lockedBuffer{}
	cmd := exec.CommandContext(t.Context(), binary, "allocator", "--listen", "127.0.0.1:0", "--jwks", "http://127.0.0.1:1/jwks.json", "--sandbox")
	cmd.Env = append(os.Environ(), "TICKETS_REDIS="+url, "TICKETS_DATABASE="+dsn)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	eventually.Within(t, 30*time.Second, "it names the missing server", func() bool {
		text := strings.ToLower(out.String())
		return strings.Contains(text, "postgres") || strings.Contains(text, "database")
	})
	if text := out.String(); strings.Contains(text, "panic") {
		t.Errorf("it panicked:\n%s", text)
	}
}

func body(ctx context.Context, url string) string {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return ""
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return ""
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return ""
	}
	return string(text)
}
