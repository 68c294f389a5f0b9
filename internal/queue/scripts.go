package queue

import (
	"context"
	_ "embed" // the scripts
	"fmt"

	"github.com/redis/go-redis/v9"
)

var (
	//go:embed lua/prelude.lua
	prelude string
	//go:embed lua/join.lua
	joinLua string
	//go:embed lua/reenter.lua
	reenterLua string
	//go:embed lua/tick.lua
	tickLua string
	//go:embed lua/claim.lua
	claimLua string
	//go:embed lua/leave.lua
	leaveLua string
	//go:embed lua/away.lua
	awayLua string
	//go:embed lua/board.lua
	boardLua string
)

var (
	joinScript    = redis.NewScript(prelude + joinLua)
	reenterScript = redis.NewScript(prelude + reenterLua)
	tickScript    = redis.NewScript(prelude + tickLua)
	claimScript   = redis.NewScript(prelude + claimLua)
	leaveScript   = redis.NewScript(prelude + leaveLua)
	awayScript    = redis.NewScript(prelude + awayLua)
	boardScript   = redis.NewScript(prelude + boardLua)
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
