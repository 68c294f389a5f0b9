package queue

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// MaxLog is how many orders a room remembers; older ones leave it. An entry has some
// 500 bytes, one with two of the longest messages 2 KB, and 8 KB if all is escaped.
const MaxLog = 10_000

// Record is one entry of a room's log of orders.
//
// In Redis it is a line: the SHA-256 of the JSON in hex, a space, and the JSON, which has
// the hash of the entry before. So an entry that is changed, removed or put in between
// does not fit any more. The room's own hash has the number and the hash of the last entry,
// so that those at the end are missed, too.
//
// Who can write to Redis can also make the whole chain anew. Against that each edge
// writes number and hash of every order it takes to its own log.
type Record struct {
	Number int64             `json:"number"`
	At     time.Time         `json:"at"` // by Redis' clock
	What   What              `json:"what"`
	Before map[string]string `json:"before,omitempty"`
	After  map[string]string `json:"after,omitempty"`
	By     By                `json:"by"`
	Prev   string            `json:"prev,omitempty"` // hash of the entry before; "" in the first
	Hash   string            `json:"-"`              // of this one
}

// line is the record as it is in Redis; it sets Hash.
func (r *Record) line() (string, error) {
	body, err := json.Marshal(r)
	if err != nil { // a clock of Redis past the year 9999
		return "", fmt.Errorf("writing the log: %w", err)
	}
	sum := sha256.Sum256(body)
	r.Hash = hex.EncodeToString(sum[:])
	return r.Hash + " " + string(body), nil
}

// head is where a log ends. The zero value is that of a log without entries.
type head struct {
	number int64
	hash   string
}

func (h head) String() string {
	if h.number == 0 {
		return ""
	}
	return strconv.FormatInt(h.number, 10) + " " + h.hash
}

func parseHead(s string) (head, bool) {
	if s == "" {
		return head{}, true
	}
	number, hash, _ := strings.Cut(s, " ")
	n, err := strconv.ParseInt(number, 10, 64)
	return head{n, hash}, err == nil && n > 0 && isHash(hash)
}

func isHash(s string) bool {
	raw, err := hex.DecodeString(s)
	return err == nil && len(raw) == sha256.Size
}

// remember keeps where the log ended when it was last seen, so that a Redis which lost
// it is caught by the next order.
func (q *Queue) remember(h head) { q.logged.Store(&h) }

// writer makes entries that follow a head.
type writer struct {
	head  head
	at    time.Time
	by    By
	lines []string
	err   error
}

// begin adds what has to be said before the order itself: that the log begins here, or
// that entries are gone which this process has seen.
func (w *writer) begin(known *head) {
	switch {
	case w.head.number == 0:
		note := map[string]string{"log": "begins here; orders from before, if there were any, are not in it"}
		w.add(whatBegan, lostAfter(known), note, nil)
	case known != nil && (known.number > w.head.number || known.number == w.head.number && known.hash != w.head.hash):
		w.add(whatLost, lostAfter(known), map[string]string{"log": "goes on after entry " + w.head.String()}, nil)
	}
}

func lostAfter(known *head) map[string]string {
	if known == nil || known.number == 0 {
		return nil
	}
	return map[string]string{"log": "had ended at entry " + known.String() + ", which Redis has lost"}
}

func (w *writer) add(what What, before, after, note map[string]string) *Record {
	if len(note) > 0 {
		all := maps.Clone(note)
		maps.Copy(all, after)
		after = all
	}
	r := &Record{Number: w.head.number + 1, At: w.at, What: what, Before: before, After: after, By: w.by, Prev: w.head.hash}
	line, err := r.line()
	w.lines, w.err = append(w.lines, line), errors.Join(w.err, err)
	w.head = head{r.Number, r.Hash}
	return r
}

// Log is a room's log as it is in Redis, oldest entry first.
type Log struct {
	Whole bool     `json:"whole"` // or only the last entries
	Head  string   `json:"head"`  // number and hash of the last entry, by the room
	Lines []string `json:"lines"`

	Schedule map[string]string `json:"-"` // of the settings that were loaded last
}

// Log reads the last entries of the log; 0 is all of it.
func (q *Queue) Log(ctx context.Context, last int) (Log, error) {
	var lines *redis.StringSliceCmd
	var room *redis.SliceCmd
	_, err := q.rdb.TxPipelined(ctx, func(p redis.Pipeliner) error {
		lines, room = p.LRange(ctx, q.first().keys.Log, int64(-last), -1), p.HMGet(ctx, q.first().keys.Room, "log", "schedule")
		return nil
	})
	if err != nil {
		return Log{}, unavailable("reading the log", err)
	}
	l := Log{Whole: last == 0, Lines: lines.Val()}
	if fields := room.Val(); len(fields) == 2 {
		l.Head, _ = fields[0].(string)
		schedule, _ := fields[1].(string)
		l.Schedule = parseSchedule(schedule)
	}
	if h, ok := parseHead(l.Head); ok && h.number > 0 {
		if known := q.logged.Load(); known == nil || known.number < h.number {
			q.remember(h)
		}
	}
	return l, nil
}

// Check reads the entries and says where the chain is broken, in words. Entries that
// cannot be read are left out. No faults means that nobody touched what is there but
// by making everything anew.
func (l Log) Check() (records []Record, faults []string) {
	fault := func(format string, a ...any) { faults = append(faults, fmt.Sprintf(format, a...)) }
	var last head
	for i, line := range l.Lines {
		r, hash, err := parseLine(line)
		if err != nil {
			fault("the line after entry %d cannot be read: %v", last.number, err)
			continue
		}
		switch {
		case r.Hash != hash:
			fault("entry %d was changed: it does not have the hash that stands before it", r.Number)
		case i == 0 && !l.Whole:
		case i == 0 && r.Number == 1 && r.Prev != "":
			fault("entry 1 is not a beginning")
		case i == 0 && r.Number > 1 && len(l.Lines) < MaxLog:
			fault("the entries before entry %d are missing", r.Number)
		case i == 0:
		case r.Number != last.number+1:
			fault("after entry %d comes entry %d: what was between them is missing, or one was put there", last.number, r.Number)
		case r.Prev != last.hash:
			fault("entry %d does not follow this entry %d: one of them is another than when it was written", r.Number, last.number)
		}
		last = head{r.Number, hash}
		records = append(records, r)
	}
	if l.Head != last.String() {
		if l.Head == "" {
			l.Head = "none"
		}
		fault("the room says that its last entry is %.90s, and here it is %d: entries at the end are missing, or were added", l.Head, last.number)
	}
	return records, faults
}

// parseLine reads a line; hash is the one that stands in it, r.Hash the one it should have.
func parseLine(line string) (r Record, hash string, err error) {
	hash, body, _ := strings.Cut(line, " ")
	if !isHash(hash) {
		return Record{}, "", fmt.Errorf("it does not begin with a hash: %.40q", line)
	}
	if err := json.Unmarshal([]byte(body), &r); err != nil {
		return Record{}, "", err
	}
	sum := sha256.Sum256([]byte(body))
	r.Hash = hex.EncodeToString(sum[:])
	return r, hash, nil
}
