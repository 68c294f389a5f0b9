package velocity

import (
	"context"
	"crypto/sha1" //nolint:gosec // it is how Redis names scripts
	"encoding/hex"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// scripts is how many the library loads when it makes a store.
const scripts = 2

// lazyClient keeps the library off the network until there is something to
// count, so that a config loads while Redis is away, and mends keys without end.
//
// The library loads its scripts when a store is made. A script's name is its
// SHA-1, which needs no server: the first loads are answered here, the first
// call finds the script missing, and then the library loads it in earnest.
type lazyClient struct {
	redis.UniversalClient
	loaded atomic.Int32
}

// ScriptLoad implements the library's Client.
func (c *lazyClient) ScriptLoad(ctx context.Context, script string) *redis.StringCmd {
	if c.loaded.Add(1) > scripts {
		c.loaded.Store(scripts)
		return c.UniversalClient.ScriptLoad(ctx, script)
	}
	sum := sha1.Sum([]byte(script)) //nolint:gosec // see above
	cmd := redis.NewStringCmd(ctx)
	cmd.SetVal(hex.EncodeToString(sum[:]))
	return cmd
}

// EvalSha implements the library's Client. The reply of its counter is {count,
// milliseconds left}. A key that lost its end, as one restored from a dump may,
// would count for ever and ban whoever it stands for: it is given its end again.
func (c *lazyClient) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	cmd := c.UniversalClient.EvalSha(ctx, sha, keys, args...)
	reply, ok := cmd.Val().([]any)
	if !ok || len(reply) != 2 || len(keys) != 1 || len(args) != 2 {
		return cmd
	}
	if left, ok := reply[1].(int64); ok && left < 0 {
		if err := c.Do(ctx, "PEXPIRE", keys[0], args[1]).Err(); err != nil {
			cmd.SetErr(err) // the caller cannot know how long to wait
		}
	}
	return cmd
}
