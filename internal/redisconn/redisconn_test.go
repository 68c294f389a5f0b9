package redisconn

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestEveryKindOfAddressIsUnderstood(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]struct {
		addrs   []string
		db      int
		master  string
		cluster bool
		user    string
		secret  string
	}{
		"redis://127.0.0.1:6379/3":                   {addrs: []string{"127.0.0.1:6379"}, db: 3},
		"redis://bob:p%40ss@cache:7000":              {addrs: []string{"cache:7000"}, user: "bob", secret: "p@ss"},
		"unix:///run/redis.sock?db=2":                {addrs: []string{"/run/redis.sock"}, db: 2},
		"redis-cluster://a,b:7001,c":                 {addrs: []string{"a:6379", "b:7001", "c:6379"}, cluster: true},
		"redis-sentinel://u:p%3Aw@s1,s2:7000/tick/1": {addrs: []string{"s1:26379", "s2:7000"}, master: "tick", db: 1, user: "u", secret: "p:w"},
	} {
		o, err := Parse(address)
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		if !slices.Equal(o.Addrs, want.addrs) || o.DB != want.db || o.MasterName != want.master ||
			o.IsClusterMode != want.cluster || o.Username != want.user || o.Password != want.secret {
			t.Errorf("%s became %+v", address, o)
		}
		if o.ReadTimeout != Patience || o.MaxRetries != -1 || o.DialerRetries != 1 || !o.ContextTimeoutEnabled {
			t.Errorf("%s may wait longer than a call may", address)
		}
	}
	for _, address := range []string{"rediss://cache:6380", "rediss-cluster://a,b", "rediss-sentinel://a,b/sale"} {
		if o, err := Parse(address); err != nil || o.TLSConfig == nil {
			t.Errorf("%s is without TLS: %v", address, err)
		}
	}
	if o, err := Parse("rediss-cluster://a,b"); err != nil || !o.IsClusterMode {
		t.Errorf("a cluster over TLS is no cluster: %v", err)
	}
}

func TestAWrongAddressIsRefusedWithoutQuotingItsPassword(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"", "127.0.0.1:6379", "http://h:hunter2@x", "redis://u:hunter2@[::1", "redis://u:hunter2@h/x/y", "redis://u:hunter2@h:1/notanumber", "redis://:12/hunter2@h:1/0", "redis://u:12?hunter2@h",
		"redis-cluster://u:hunter2@h1,,h2", "redis-cluster://u:hunter2@h1/0", "redis-sentinel://u:hunter2@h1",
		"redis-sentinel://u:hunter2@h1/m/x", "redis-cluster://u:hunter2%zz@h1",
	} {
		_, err := Parse(address)
		if err == nil {
			t.Errorf("%q was accepted", address)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error for %q tells the password: %v", address, err)
		}
	}
}

func TestOpeningDialsNothing(t *testing.T) {
	t.Parallel()
	rdb, err := Open("redis://127.0.0.1:1/0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rdb.Close() }()
	begun := time.Now()
	if err := rdb.Ping(t.Context()).Err(); err == nil {
		t.Fatal("nothing listens there")
	}
	if took := time.Since(begun); took > 10*Patience {
		t.Fatalf("a missing Redis cost %v", took)
	}
}
