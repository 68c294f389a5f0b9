package devstack_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
)

func TestAKilledRedisComesBackEmptyOnTheSameSocket(t *testing.T) {
	t.Parallel()
	server := devstack.Redis(t)
	url := server.URL()
	if err := server.Client().Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	server.Kill()
	if err := server.Client().Get(t.Context(), "k").Err(); err == nil {
		t.Fatal("a killed server answered")
	}
	server.Start()
	if err := server.Client().Get(t.Context(), "k").Err(); !errors.Is(err, redis.Nil) {
		t.Fatalf("after the restart: %v, want no such key", err)
	}
	if server.URL() != url {
		t.Fatalf("the socket moved from %s to %s", url, server.URL())
	}
}

func TestAPausedRedisGoesOnWhereItStood(t *testing.T) {
	t.Parallel()
	server := devstack.Redis(t)
	server.Pause()
	done := make(chan error, 1)
	go func() { done <- server.Client().Set(t.Context(), "k", "v", 0).Err() }()
	select {
	case err := <-done:
		t.Fatalf("a paused server answered (%v)", err)
	default:
	}
	server.Resume()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestRedisDataInAGivenFolderIsFoundAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, step := range []struct{ want, set string }{{"", "kept"}, {"kept", "kept"}} {
		daemon, err := devstack.StartRedis(t.Context(), devstack.RedisOptions{Dir: dir, Persist: true})
		if err != nil {
			t.Fatal(err)
		}
		options, err := redis.ParseURL(daemon.URL())
		if err != nil {
			t.Fatal(err)
		}
		client := redis.NewClient(options)
		if got := client.Get(t.Context(), "k").Val(); got != step.want {
			t.Errorf("found %q, want %q", got, step.want)
		}
		if err := client.Set(t.Context(), "k", step.set, 0).Err(); err != nil {
			t.Error(err)
		}
		_ = client.Close()
		if err := daemon.Stop(); err != nil {
			t.Error(err)
		}
	}
}

func TestRedisNeverRunsAsRoot(t *testing.T) {
	t.Parallel()
	if uid := uidOf(t, devstack.Redis(t).PID()); uid == "0" {
		t.Error("a private Redis runs as root")
	}
	dir, err := os.MkdirTemp("", "redis-data-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	// Data that an earlier start left as ours is given to the server's user.
	if err := os.MkdirAll(filepath.Join(dir, "appendonlydir"), 0o700); err != nil {
		t.Fatal(err)
	}
	daemon, err := devstack.StartRedis(t.Context(), devstack.RedisOptions{Dir: filepath.Clean(dir), Persist: true})
	if err != nil {
		t.Fatal(err)
	}
	uid := uidOf(t, daemon.PID())
	if err := daemon.Stop(); err != nil {
		t.Fatal(err)
	}
	if uid == "0" {
		t.Error("a private Redis with a folder of its own runs as root")
	}
}
