package redislock

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

//go:embed lua/*.lua
var sources embed.FS

// parts are put together in this order: a local of Lua is seen only below.
var parts = [...]string{"state", "hold", "life", "truth", "read", "rebuild", "register"}

// library is the function library under a name made from its content, so that
// two releases of the allocator can use one Redis during a rolling update.
type library struct{ version, code string }

func newLibrary() library {
	var b strings.Builder
	for _, part := range parts {
		source, err := sources.ReadFile("lua/" + part + ".lua")
		if err != nil {
			panic(err) // the file is part of this program
		}
		b.Write(source)
		b.WriteByte('\n')
	}
	sum := sha256.Sum256([]byte(b.String()))
	version := hex.EncodeToString(sum[:6])
	return library{version: version, code: strings.ReplaceAll(b.String(), "@VERSION@", version)}
}

func (l library) function(name string) string { return "seats_" + name + "_" + l.version }

// load puts the library on every server that may be asked. Loading what is
// there already changes nothing.
func (l library) load(ctx context.Context, rdb redis.UniversalClient) error {
	one := func(ctx context.Context, c redis.Cmdable) error {
		return c.FunctionLoadReplace(ctx, l.code).Err()
	}
	var err error
	if cluster, ok := rdb.(*redis.ClusterClient); ok {
		err = cluster.ForEachMaster(ctx, func(ctx context.Context, c *redis.Client) error { return one(ctx, c) })
	} else {
		err = one(ctx, rdb)
	}
	if err != nil {
		return fmt.Errorf("loading seat functions: %w", err)
	}
	return nil
}

// missing tells whether a call failed because the server does not have the
// library: a fresh server, FUNCTION FLUSH, or a failover that lost it.
func missing(err error) bool {
	return err != nil && strings.Contains(err.Error(), "Function not found")
}
