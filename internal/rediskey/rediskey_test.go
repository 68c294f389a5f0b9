package rediskey

import (
	"strings"
	"testing"
)

func TestNamesThatWouldBreakAKeyAreRefused(t *testing.T) {
	for _, bad := range []string{"", "a}b", "{a}", "a b", "Arena", "a/b", "-a", "a-", "ä", "a\n", strings.Repeat("a", MaxName+1)} {
		if CheckName(bad) == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
	for _, good := range []string{"a", "arena", "arena-2026", "0", strings.Repeat("a", MaxName)} {
		if err := CheckName(good); err != nil {
			t.Error(err)
		}
	}
}

func TestAllKeysOfARoomShareItsHashTag(t *testing.T) {
	k := For("arena")
	for _, key := range []string{k.Room, k.Queue, k.Turn, k.Active, k.Away, k.Revoked, k.Board, k.Edges, k.Unwell, k.Draw, k.Cohort, k.Leader, k.Log, k.Guests, k.Begun, k.Link("x")} {
		if !strings.HasPrefix(key, "tickets:{arena}:") {
			t.Error(key)
		}
	}
	if part := ForShard("arena", 3); part.Queue != "tickets:{arena.3}:queue" || CheckName("arena.3") == nil {
		t.Error("a part of a room can be taken for a room")
	}
}
