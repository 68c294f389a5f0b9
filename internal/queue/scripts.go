package queue

import (
	"context"
	"embed"
	"fmt"

	"github.com/redis/go-redis/v9"
)

//go:embed lua/*.lua
var sources embed.FS

// script is the prelude and the named parts, one after the other.
func script(parts ...string) *redis.Script {
	text := ""
	for _, name := range append([]string{"prelude"}, parts...) {
		part, err := sources.ReadFile("lua/" + name + ".lua")
		if err != nil { // embedded with this file: it cannot be missing in a program that was built
			panic(err)
		}
		text += string(part)
	}
	return redis.NewScript(text)
}

var (
	joinScript     = script("join")
	reenterScript  = script("reenter")
	tickScript     = script("sweep", "bucket", "tick")
	surveyScript   = script("sweep", "survey")
	decideScript   = script("sweep", "bucket", "decide")
	applyScript    = script("sweep", "apply")
	claimScript    = script("claim")
	enterScript    = script("sweep", "bucket", "enter")
	spendScript    = script("sweep", "spend")
	standingScript = script("standing")
	orderScript    = script("order")
	renewScript    = script("renew")
	resumeScript   = script("resume")
	leaveScript    = script("leave")
	awayScript     = script("away")
	boardScript    = script("board")
	lobbyScript    = script("lobby")
	rescoreScript  = script("rescore")
	leadScript     = script("lead")
	publishScript  = script("publish")
)

// eval runs a script by its hash and loads it where it is not known, which is
// after every restart of Redis.
func (q *Queue) eval(ctx context.Context, s *redis.Script, keys []string, args ...any) *redis.Cmd {
	return s.Run(ctx, q.rdb, keys, args...)
}

// ints reads a reply of whole numbers, at least n of them.
func ints(cmd *redis.Cmd, n int) ([]int64, error) {
	got, err := cmd.Int64Slice()
	if err != nil {
		return nil, err
	}
	if len(got) < n {
		return nil, fmt.Errorf("the script replied %d numbers instead of %d", len(got), n)
	}
	return got, nil
}
