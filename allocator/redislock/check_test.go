package redislock

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-tickets/caddy-tickets/allocator"
	"github.com/caddy-tickets/caddy-tickets/allocator/lockstest"
	"github.com/caddy-tickets/caddy-tickets/internal/mapframe"
)

// checker recomputes everything that is derived in Redis from the locks
// themselves and compares. It must run while nobody writes.
type checker struct{ rdb redis.UniversalClient }

func (c checker) check(t lockstest.Reporter, e *allocator.Event) {
	t.Helper()
	ctx, p := context.Background(), prefix(e.Slug)
	cells := c.rdb.HGetAll(ctx, p+"cells").Val()
	own := c.rdb.HGetAll(ctx, p+"own").Val()
	meta := c.rdb.HGetAll(ctx, p+"meta").Val()
	snapshot, err := New(c.rdb).Map(ctx, e)
	if err != nil {
		t.Errorf("reading the map: %v", err)
		return
	}
	m, err := mapframe.NewMap(snapshot)
	if err != nil {
		t.Errorf("%v", err)
		return
	}
	counts, free := map[string]string{}, map[string]int{}
	n := map[string]int{}
	for cell, v := range cells {
		f := strings.SplitN(v, ":", 4)
		ordinal, _ := strconv.Atoi(f[0])
		state, word := mapframe.Free, "free"
		switch owner := own[cell]; {
		case strings.HasPrefix(owner, "h"):
			state, word = mapframe.Held, "held"
		case strings.HasPrefix(owner, "b"):
			state, word = mapframe.Booked, "booked"
		case f[2] == "x":
			state, word = mapframe.Blocked, ""
		}
		if got := m.State(ordinal); got != state {
			t.Errorf("cell %s: the map shows %d, its owner %q means %d", cell, got, own[cell], state)
		}
		if word != "" {
			n[word+":"+f[1]]++
		}
		if word == "free" && f[3] != "" {
			free[f[3]]++
		}
		lock := c.rdb.Get(ctx, p+"c:"+cell).Val()
		if lock != "" && lock != own[cell] {
			t.Errorf("cell %s: locked by %q, owned by %q", cell, lock, own[cell])
		}
		if strings.HasPrefix(own[cell], "b") && lock == "" {
			t.Errorf("cell %s is booked without a lock", cell)
		}
	}
	for field, v := range n {
		counts[field] = strconv.Itoa(v)
	}
	for field, got := range meta {
		if strings.Contains(field, ":") && got != "0" && got != counts[field] {
			t.Errorf("counter %s is %s, the cells say %q", field, got, counts[field])
		}
	}
	c.checkHolds(t, p, own)
	for _, area := range c.rdb.SMembers(ctx, p+"areas").Val() {
		units := c.rdb.LRange(ctx, p+"a:"+area+":units", 0, -1).Val()
		counter, _ := c.rdb.Get(ctx, p+"a:"+area).Int()
		if len(units) != free[area] || counter != free[area] {
			t.Errorf("area %s: %d free, %d on the list, counter %d", area, free[area], len(units), counter)
		}
	}
}

// checkHolds compares owners, holds and the counters of their holders (I5).
func (c checker) checkHolds(t lockstest.Reporter, p string, own map[string]string) {
	t.Helper()
	ctx := context.Background()
	pass, owned := map[string]string{}, 0
	held := map[string]int{}
	for _, id := range c.rdb.ZRange(ctx, p+"exp", 0, -1).Val() {
		h := c.rdb.HGetAll(ctx, p+"h:"+id).Val()
		for _, cell := range strings.Fields(h["cells"]) {
			if own[cell] != "h"+id {
				t.Errorf("hold %s lists %s, which is owned by %q", id, cell, own[cell])
			}
			owned++
			if h["holder"] != "" {
				held[h["holder"]]++
			}
		}
	}
	for cell, owner := range own {
		if strings.HasPrefix(owner, "h") {
			owned--
		} else if !strings.HasPrefix(owner, "b") {
			t.Errorf("cell %s has owner %q", cell, owner)
		}
	}
	if owned != 0 {
		t.Errorf("holds list %d cells more than are owned", owned)
	}
	sold := 0
	for _, n := range c.rdb.HVals(ctx, p+"sold").Val() {
		cells, _ := strconv.Atoi(n)
		sold += cells
	}
	for _, owner := range own {
		if strings.HasPrefix(owner, "b") {
			sold--
		}
	}
	if sold > 0 {
		t.Errorf("holders have bought %d cells more than are booked", sold)
	}
	for holder, n := range held {
		pass[holder] = fmt.Sprint(n)
	}
	if got := c.rdb.HGetAll(ctx, p+"pass").Val(); !maps.Equal(got, pass) {
		t.Errorf("holders count %v, their holds say %v", got, pass)
	}
}
