package gateway

import (
	"context"
	"sync"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway/wire"
)

// follow is one connection following one conversation. It sees to it that the
// connection gets every entry once and in order, whatever comes first: the
// commit stream, or the journal read that serves a cursor.
//
// It is either live, and then commits go straight to the connection; or it is
// catching up, and then commits only raise seen and one goroutine reads the
// journal until it has reached seen. What is published is readable, so nothing
// can fall between the two.
type follow struct {
	conn *conn
	next *follow // of the connection, guarded by its lock
	id   conversation.ConversationID
	with *conversation.ContactKey // who the conversation is with; nil = the connection's visitor

	mu struct {
		sync.Mutex
		last     conversation.Seq // newest entry dealt with
		seen     conversation.Seq // newest entry published while catching up
		known    bool             // last means something; otherwise any commit may be the first
		catching bool
		over     bool
	}
}

// live takes a commit. It is called with a lock of the hub held and does not
// block.
func (f *follow) live(p *publication, frames []seqFrame) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.mu.over:
		return
	case f.mu.catching:
		f.mu.seen = max(f.mu.seen, p.last())
		return
	case f.mu.known && p.first() > f.mu.last+1:
		// A commit is missing from the stream. The journal has it.
		f.mu.catching, f.mu.seen = true, p.last()
		f.conn.gw.crew.do(func() { f.catchUp(f.conn.gw.background(), f.conn.gw.limits.Missed) })
		return
	}
	f.push(p, frames)
	f.mu.last, f.mu.known = max(f.mu.last, p.last()), true
}

// push queues the frames of a commit that have not been dealt with. The lock is
// held.
func (f *follow) push(p *publication, frames []seqFrame) {
	var flush flushing
	if f.conn.side == visitorSide {
		flush = p.startFlush()
	}
	sent := 0
	for i := range frames {
		if !f.mu.known || frames[i].seq > f.mu.last {
			f.conn.event(frames[i].frame)
			sent += len(frames[i].frame.bytes)
		}
	}
	if sent > 0 && !flush.span.IsZero() {
		flush.facts.Value = int64(sent)
		f.conn.out.follow(flush, &f.conn.gw.outRules)
	}
}

// startAfter makes the follow begin behind a cursor: until catchUp has run,
// commits wait in the journal. It must be called before the follow is
// registered, or nothing may have been sent yet; it reports false when the
// connection is further already, so that nothing is sent twice.
func (f *follow) startAfter(cursor conversation.Seq) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mu.catching || f.mu.over || f.mu.known {
		return false
	}
	f.mu.last, f.mu.seen, f.mu.known, f.mu.catching = cursor, 0, true, true
	return true
}

// startLive makes a new follow begin behind a version that the journal has
// shown. The stream may still be on its way there, and what it brings until then
// is not news.
func (f *follow) startLive(version conversation.Seq) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.mu.catching && !f.mu.known {
		f.mu.last, f.mu.known = version, true
	}
}

// stop ends it; nothing is pushed afterwards.
func (f *follow) stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.over = true
}

// giveUp makes it live from now on, wherever the stream is.
func (f *follow) giveUp() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.known, f.mu.catching = false, false
}

const (
	// A published entry that cannot be read is a broken promise of the
	// journal. It is asked a few times before the client is sent to reload.
	maxEmptyReads = 5
	emptyReadWait = 20 * time.Millisecond
)

// catchUp sends what the connection has missed, then goes live. missed bounds
// how many entries that may be. It reports whether the connection has
// everything now; if not, a reset has been sent.
func (f *follow) catchUp(ctx context.Context, missed int) bool {
	sent, empty := 0, 0
	for !f.conn.isClosing() {
		entries, err := f.read(ctx, missed+1) // one read tells whether it is too many
		switch {
		case err != nil:
			return f.reset(wire.ResetNotAvailable)
		case sent+len(entries) > missed:
			return f.reset(wire.ResetTooFarBehind)
		case len(entries) > 0:
			f.deliver(entries)
			sent, empty = sent+len(entries), 0
			continue
		case f.goLive():
			return true
		}
		if empty++; empty > maxEmptyReads || !f.conn.pause(emptyReadWait) {
			return f.reset(wire.ResetNotAvailable)
		}
	}
	return false
}

func (f *follow) read(ctx context.Context, limit int) ([]conversation.Entry, error) {
	h := f.conn.gw.hub
	select {
	case h.reading <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-h.reading }()
	f.mu.Lock()
	after := f.mu.last
	f.mu.Unlock()
	return f.conn.gw.opts.Journal.Entries(ctx, f.id, after, limit)
}

// deliver sends entries in order, waiting for room where there is none.
func (f *follow) deliver(entries []conversation.Entry) {
	for _, sf := range f.conn.gw.hub.encode(f.conn.side, f.id, entries) {
		f.conn.awaitRoom()
		f.conn.event(sf.frame)
	}
	f.mu.Lock()
	f.mu.last = entries[len(entries)-1].Seq
	f.mu.Unlock()
}

// goLive ends catching up, if nothing newer has been published meanwhile.
func (f *follow) goLive() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mu.seen > f.mu.last {
		return false
	}
	f.mu.catching = false
	return true
}

func (f *follow) reset(why wire.ResetReason) bool {
	f.giveUp()
	f.conn.gw.metrics.resumes.WithLabelValues(string(why)).Inc()
	f.conn.send(&wire.Reset{Reason: why, Conversation: f.id})
	return false
}

// awaitRoom blocks while the connection's queue is long. A client that does
// not read is closed when its time is over, which ends the wait. Only the crew
// may call it.
func (c *conn) awaitRoom() {
	if room := c.out.room(&c.gw.outRules); room != nil {
		c.gw.crew.outside(func() { <-room })
	}
}

// followOwn gives the visitor's follow of a conversation. One that the
// connection has not heard of has begun since hello, so it is followed from
// its start.
func (c *conn) followOwn(id conversation.ConversationID) *follow {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.followed(id)
	if f == nil {
		f = &follow{conn: c, id: id}
		f.mu.known = true
		c.remember(f)
		c.mu.current = id
	}
	return f
}

// followOwnAfter makes the visitor's follow of a conversation that exists
// already, waiting behind a cursor. It reports true when it did; then catchUp
// is the caller's duty.
func (c *conn) followOwnAfter(id conversation.ConversationID, cursor conversation.Seq) (*follow, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.followed(id); f != nil {
		return f, false
	}
	f := &follow{conn: c, id: id}
	f.startAfter(cursor)
	c.remember(f)
	return f, true
}

// followed finds a follow. The caller holds c.mu.
func (c *conn) followed(id conversation.ConversationID) *follow {
	for f := c.mu.follows; f != nil; f = f.next {
		if f.id == id {
			return f
		}
	}
	return nil
}

// remember keeps a follow of a visitor, and forgets the oldest one when there
// are too many. The caller holds c.mu.
func (c *conn) remember(f *follow) {
	f.next, c.mu.follows = c.mu.follows, f
	n := 1
	for last := f; last.next != nil; last = last.next {
		if n++; n > maxVisitorFollows {
			last.next = nil
			break
		}
	}
}

// dropFollow forgets a follow. The caller holds c.mu.
func (c *conn) dropFollow(f *follow) {
	for at := &c.mu.follows; *at != nil; at = &(*at).next {
		if *at == f {
			*at = f.next
			return
		}
	}
}

// maxVisitorFollows bounds what a connection remembers of a visitor's earlier
// conversations.
const maxVisitorFollows = 8
