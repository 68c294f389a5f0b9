// Package redisconn opens Redis for everything in this module, from one URL:
//
//	redis://[user:password@]host:port/db      one server
//	rediss://…                                the same over TLS
//	unix:///path/to/redis.sock?db=0           one server on this machine
//	redis-cluster://[user:password@]h1,h2,h3  a cluster
//	redis-sentinel://[user:password@]h1,h2,h3/master/db
//	rediss-cluster://…, rediss-sentinel://…   the same over TLS
//
// What must hold: opening dials nothing, so a missing Redis never stops a
// start; and no call waits longer than Patience, so a Redis that hangs is the
// same as one that is gone.
package redisconn

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// Patience bounds one call. The queue's slowest script, a board of five
	// million places, takes 30 ms; a call that needs 250 is a Redis in trouble.
	Patience = 250 * time.Millisecond
	// dialPatience is shorter: within a site a connection is there at once or not at all.
	dialPatience = 100 * time.Millisecond
	defaultPort  = "6379"
	sentinelPort = "26379"
)

// The client prints each failed dial to stderr by itself, which during an outage is
// a line for every call. Whoever calls gets the error and decides what to say.
func init() { redis.SetLogger(silent{}) }

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// Open returns a client for the URL. Errors never quote the URL: it may hold a password.
func Open(address string) (redis.UniversalClient, error) {
	options, err := Parse(address)
	if err != nil {
		return nil, err
	}
	switch {
	case options.IsClusterMode:
		return cluster(options.Cluster()), nil
	case options.MasterName != "":
		rdb := redis.NewFailoverClient(options.Failover())
		rdb.AddHook(patience{})
		return rdb, nil
	default:
		rdb := redis.NewClient(options.Simple())
		rdb.AddHook(patience{})
		return rdb, nil
	}
}

// cluster opens a cluster. The client learns who serves which key when it first
// asks, and then only from a server that says "not here". One that is gone says
// nothing, and its keys would be asked of it until the next look at the whole, a
// minute later. So whatever gets no answer makes the client look; it looks five
// times a second at most.
func cluster(options *redis.ClusterOptions) redis.UniversalClient {
	rdb := redis.NewClusterClient(options)
	rdb.AddHook(patience{unanswered: rdb.ReloadState})
	return rdb
}

// Parse reads the URL.
func Parse(address string) (*redis.UniversalOptions, error) {
	scheme, _, found := strings.Cut(address, "://")
	if !found {
		return nil, errors.New(`the Redis address needs a scheme, such as redis://127.0.0.1:6379/0`)
	}
	var o *redis.UniversalOptions
	var err error
	switch scheme {
	case "redis", "rediss", "unix":
		o, err = single(address)
	case "redis-cluster", "redis-sentinel", "rediss-cluster", "rediss-sentinel":
		o, err = several(scheme, address)
	default:
		err = fmt.Errorf("unknown Redis scheme %q: use redis, unix, redis-cluster or redis-sentinel, or rediss, rediss-cluster or rediss-sentinel for TLS", scheme)
	}
	if err != nil {
		return nil, err
	}
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = dialPatience, Patience, Patience
	o.MaxRetries = -1   // every caller knows better than the client whether to ask again
	o.DialerRetries = 1 // the client's own five tries, 100 ms apart, outlast any patience
	o.ContextTimeoutEnabled = true
	return o, nil
}

func single(address string) (*redis.UniversalOptions, error) {
	p, err := redis.ParseURL(address)
	if err != nil {
		// go-redis quotes what it does not understand, and that may be the end of a
		// password with a "/" in it.
		return nil, errors.New("reading the Redis address: it is not of the form redis://user:password@host:port/0 or unix:///path?db=0; escape a password's odd characters, such as %2F for /")
	}
	o := &redis.UniversalOptions{
		Addrs: []string{p.Addr}, Username: p.Username, Password: p.Password, DB: p.DB,
		TLSConfig: p.TLSConfig, PoolSize: p.PoolSize, MinIdleConns: p.MinIdleConns,
		Protocol: p.Protocol, ClientName: p.ClientName,
	}
	return o, nil
}

// plain is the scheme without its mark for TLS.
func plain(scheme string) (without string, secure bool) {
	kind, secure := strings.CutPrefix(scheme, "rediss-")
	if secure {
		return "redis-" + kind, true
	}
	return scheme, false
}

// several reads what go-redis has no URL for: more than one host.
func several(scheme, address string) (*redis.UniversalOptions, error) {
	rest := strings.TrimPrefix(address, scheme+"://")
	var userinfo string
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		userinfo, rest = rest[:at], rest[at+1:]
	}
	hosts, path, _ := strings.Cut(rest, "/")
	o := &redis.UniversalOptions{}
	scheme, secure := plain(scheme)
	if secure { // the name to check is that of whichever server is dialled
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	port := defaultPort
	if scheme == "redis-sentinel" {
		port = sentinelPort
	}
	for host := range strings.SplitSeq(hosts, ",") {
		if host == "" {
			return nil, fmt.Errorf("%s has an empty host: write %s://host1,host2,host3", scheme, scheme)
		}
		if !strings.Contains(host, ":") {
			host += ":" + port
		}
		o.Addrs = append(o.Addrs, host)
	}
	if name, password, ok := strings.Cut(userinfo, ":"); userinfo != "" {
		var err error
		if o.Username, err = url.PathUnescape(name); err != nil {
			return nil, errors.New("reading the Redis address: the user name is not escaped properly")
		}
		if o.Password, err = url.PathUnescape(password); ok && err != nil {
			return nil, errors.New("reading the Redis address: the password is not escaped properly")
		}
	}
	if scheme == "redis-cluster" {
		if path != "" {
			return nil, errors.New("redis-cluster has no databases: leave out what follows the hosts")
		}
		o.IsClusterMode = true
		return o, nil
	}
	master, db, _ := strings.Cut(path, "/")
	if master == "" {
		return nil, errors.New("redis-sentinel needs the name of the master: redis-sentinel://host1,host2/mymaster/0")
	}
	o.MasterName = master
	if db != "" {
		n, err := strconv.Atoi(db)
		if err != nil || n < 0 {
			return nil, errors.New("redis-sentinel: the database must be a number: redis-sentinel://host1,host2/mymaster/0")
		}
		o.DB = n
	}
	return o, nil
}
