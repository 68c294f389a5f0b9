// Package rediskey names every Redis key of the edge's side. All keys of a room
// carry the hash tag {room}, so in a Redis Cluster a room lives on one node and
// its scripts work, while rooms spread over the nodes.
//
//	key                        type    members                              lifetime, cost
//	tickets:{ROOM}:room        hash    settings in force, counters, front   as the room, some 400 bytes in all
//	tickets:{ROOM}:queue       zset    16-byte visitor → score              until admitted, left or abandoned
//	tickets:{ROOM}:turn        zset    visitor → claim by, unix ms          claim_within
//	tickets:{ROOM}:active      zset    visitor → pass ends, unix ms         session
//	tickets:{ROOM}:away        zset    visitor → away since, unix ms        abandon_after
//	tickets:{ROOM}:revoked     zset    visitor → revoked at, unix ms        session
//	tickets:{ROOM}:begun       zset    visitor → renewed session began, ms  the longest session; only where sessions slide
//	tickets:{ROOM}:board       string  the encoded board                    about a second
//	tickets:{ROOM}:log         list    orders of operators, chained by hash the last 10,000, some 500 bytes each
//	tickets:{ROOM}:guests      hash    name → links used                    as the room
//	tickets:{ROOM}:link:ID     string  the visitor who used the link        until the link's end
//	tickets:{ROOM}:edges       zset    edge → last tick, unix ms            5 s after it
//	tickets:{ROOM}:unwell      zset    edges that find the site unwell      5 s after it
//	tickets:{ROOM}:draw        hash    id, stage and record of the draw     until the next draw
//	tickets:{ROOM}:leader      string  the edge that runs the draw          10 s
//	tickets:{ROOM}:cohort      string  17 bytes for each entrant            until the next draw
//
// A room that is split has the first seven for each part; those of part I > 0 have
// the hash tag {ROOM.I}, so that the parts can lie on different nodes.
//
// Beside them, one counter for each key of a velocity limit, by the hashes of the
// rule and of the key, without a hash tag (written by internal/velocity alone):
//
//	tickets:velocity:RULE:KEY  string  how often in this window             the window
//
// A fan who waits costs one member of queue and nothing else; five million of
// them are some 600 MB. Every key of a room is written by the scripts of internal/queue alone.
package rediskey

import (
	"fmt"
	"regexp"
	"strconv"
)

// Room is the set of keys of one room.
type Room struct {
	Room, Queue, Turn, Active, Away, Revoked, Board string
	Edges, Unwell, Draw, Cohort, Leader             string
	Log, Guests, Begun                              string

	link string
}

// Link is the key of a signed link that has been used.
func (r Room) Link(id string) string { return r.link + id }

// MaxName bounds a room's name, which stands in every key, cookie and URL of the room.
const MaxName = 64

var name = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)

// CheckName refuses names that would break a hash tag, a URL or a cookie's name.
func CheckName(room string) error {
	if len(room) > MaxName || !name.MatchString(room) {
		return fmt.Errorf("a room's name has 1 to %d lower-case letters, digits and inner hyphens, unlike %.80q", MaxName, room)
	}
	return nil
}

// For returns the keys of a room whose name CheckName accepts.
func For(room string) Room { return ForShard(room, 0) }

// ForShard returns the keys of a part of a room. No room's name has a dot in it,
// so no part is another room.
func ForShard(room string, shard int) Room {
	if shard > 0 {
		room += "." + strconv.Itoa(shard)
	}
	p := "tickets:{" + room + "}:"
	return Room{
		Room: p + "room", Queue: p + "queue", Turn: p + "turn", Active: p + "active",
		Away: p + "away", Revoked: p + "revoked", Board: p + "board",
		Edges: p + "edges", Unwell: p + "unwell", Draw: p + "draw", Cohort: p + "cohort", Leader: p + "leader",
		Log: p + "log", Guests: p + "guests", Begun: p + "begun", link: p + "link:",
	}
}
