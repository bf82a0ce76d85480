package persistence

import (
	"encoding/binary"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// row is what the state machine has to know of a conversation to order and
// index it: the compare-and-append row without the head that lists show.
type row struct {
	epoch    uint64
	version  conversation.Seq
	activity int64 // milliseconds; see listTime
	due      int64 // milliseconds; noDue = none
	inbox    conversation.InboxID
	status   conversation.Status
	burst    uint64 // the batch that it was last written by; not stored
}

// noDue stands for a conversation without a timer. It is a moment that no
// timer can have.
const noDue = -1 << 63

func dueOf(t time.Time) int64 {
	if t.IsZero() {
		return noDue
	}
	return t.UnixMilli()
}

func timeOf(due int64) time.Time {
	if due == noDue {
		return time.Time{}
	}
	return time.UnixMilli(due).UTC()
}

// appendRow adds a head row: the fields of r and its head, which is
// empty for a conversation that was only claimed.
func appendRow(b []byte, r *row, head []byte) []byte {
	b = appendHeader(b, tagHead)
	b = binary.AppendUvarint(b, r.epoch)
	b = binary.AppendUvarint(b, uint64(r.version))
	b = binary.AppendVarint(b, r.activity)
	b = binary.AppendVarint(b, r.due)
	b = appendBytes(b, r.inbox)
	b = appendBytes(b, r.status)
	return append(b, head...)
}

// decodeRow reads a head row; head aliases rec.
func decodeRow(rec []byte) (r row, head []byte, err error) {
	b, err := body(tagHead, rec)
	if err != nil {
		return row{}, nil, err
	}
	f := reader{b: b}
	r.epoch = f.uint()
	r.version = conversation.Seq(f.uint())
	r.activity = f.int()
	r.due = f.int()
	r.inbox = conversation.InboxID(f.bytes())
	r.status = conversation.Status(f.bytes())
	head = f.b
	f.b = nil
	return r, head, f.end("head row")
}

// rowCache keeps the rows of the conversations that were written to last. It
// holds two generations: what is asked for moves to the young one, and when
// that is full the old one is dropped as a whole. So the cost of keeping order
// is one map write in a while.
//
// Concurrency: none; it belongs to the state machine.
type rowCache struct {
	young, old map[conversation.ConversationID]*row
	limit      int
}

// minRows is the least that a cache may hold; see maxBatchOps.
const minRows = 16 << 10

func newRowCache(limit int) *rowCache {
	return &rowCache{young: make(map[conversation.ConversationID]*row), limit: max(limit, minRows)}
}

func (c *rowCache) get(id conversation.ConversationID) *row {
	if r := c.young[id]; r != nil {
		return r
	}
	r := c.old[id]
	if r != nil {
		c.put(id, r)
	}
	return r
}

func (c *rowCache) put(id conversation.ConversationID, r *row) {
	if len(c.young) >= c.limit {
		c.old = c.young
		c.young = make(map[conversation.ConversationID]*row, c.limit)
	}
	c.young[id] = r
}

func (c *rowCache) clear() {
	c.young, c.old = make(map[conversation.ConversationID]*row), nil
}

// listTime is the place in time that a conversation has in lists: the second of
// its last activity. Most appends follow another one within a second, and so do
// not move it; the exact time is in its head.
func listTime(t time.Time) int64 { return t.Truncate(time.Second).UnixMilli() }
