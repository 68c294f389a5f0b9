package redisconn

import (
	"context"
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"
)

// patience ends every call, whatever it is made of, after Patience: the wait for a
// connection, the way to the right server of a cluster, and the reading. Each of
// these has a limit of its own in the client, but nothing there limits the sum, and
// a cluster's client asks up to four times.
type patience struct {
	unanswered func(context.Context) // what to do when no server answered; may be nil
}

// ProcessHook implements redis.Hook.
func (p patience) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		return p.within(ctx, func(ctx context.Context) error { return next(ctx, cmd) })
	}
}

// ProcessPipelineHook implements redis.Hook.
func (p patience) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		return p.within(ctx, func(ctx context.Context) error { return next(ctx, cmds) })
	}
}

// DialHook implements redis.Hook.
func (patience) DialHook(next redis.DialHook) redis.DialHook { return next }

func (p patience) within(ctx context.Context, do func(context.Context) error) error {
	bounded, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	err := do(bounded)
	if p.unanswered != nil && err != nil && ctx.Err() == nil && !answered(err) {
		p.unanswered(ctx)
	}
	return err
}

// answered says whether a server that knows the key gave the error. A cluster that
// is down around a key has not answered: another master may be there in a moment.
func answered(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply) && !strings.HasPrefix(reply.Error(), "CLUSTERDOWN")
}

var _ redis.Hook = patience{}
