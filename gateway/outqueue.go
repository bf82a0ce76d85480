package gateway

import (
	"sync"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway/loop"
)

// batchBytes is how much one write carries when more than one frame waits.
const batchBytes = 64 << 10

// topic names what an ephemeral frame is about; of two with the same topic
// only the newer one matters. The zero topic is for frames that must arrive.
type topic struct {
	kind         topicKind
	conversation conversation.ConversationID
	agent        conversation.AgentID
}

type topicKind uint8

const (
	topicNone     topicKind = iota
	topicUpdated            // replaced by its successor, never just dropped
	topicTyping             // may be dropped
	topicPresence           // may be dropped
	topicQueue              // may be dropped
)

// outFrame is a frame in RFC 6455 form. Its bytes are shared between
// connections and never written to.
type outFrame struct {
	bytes []byte
	topic topic
	at    loop.Time
}

// pushed says what became of a frame.
type pushed uint8

const (
	pushedQueued  pushed = iota // it will be written, whoever writes knows
	pushedFlush                 // it will be written, whoever writes must be told
	pushedDropped               // ephemeral, and the queue is long
	pushedSlow                  // the queue is full
	pushedClosed                // the connection is ending
)

// outQueue holds what a connection has not written yet. Its bounds are the
// whole of what a client that does not read can cost in user memory; an empty
// one costs nothing but itself.
//
// Concurrency: safe for all; the lock is a leaf.
type outQueue struct {
	mu struct {
		sync.Mutex
		backlog *backlog // nil = nothing waits
		signals *signals // nil = nobody waits
		told    bool     // whoever writes knows that something waits, or will look
		blocks  bool     // whoever reads waits for room
		closed  bool     // nothing more is taken
		done    bool     // the last byte has been written, or nothing can be
	}
}

// signals are for those who wait for a queue.
type signals struct {
	room chan struct{} // closed once there is room again
	done chan struct{} // closed once done
}

// push appends a frame.
func (q *outQueue) push(f outFrame, r *outRules) pushed {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.mu.closed {
		return pushedClosed
	}
	b := q.open(r)
	if b.bytes > r.soft && f.topic.kind != topicNone {
		r.less(b.forget(f.topic))
	}
	if !r.takes(b.bytes, len(f.bytes)) {
		if f.topic.kind > topicUpdated {
			return pushedDropped
		}
		return pushedSlow
	}
	return q.append(f, r)
}

func (q *outQueue) open(r *outRules) *backlog {
	if q.mu.backlog == nil {
		q.mu.backlog = r.pool.get()
	}
	return q.mu.backlog
}

func (q *outQueue) append(f outFrame, r *outRules) pushed {
	b := q.open(r)
	b.frames = append(b.frames, f)
	b.bytes += len(f.bytes)
	r.more(len(f.bytes))
	if q.mu.told {
		return pushedQueued
	}
	q.mu.told = true
	return pushedFlush
}

// cork keeps push from telling whoever writes until uncork.
func (q *outQueue) cork() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.mu.told = true
}

// uncork reports whether something waits to be written.
func (q *outQueue) uncork() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	waits := q.mu.backlog != nil || q.mu.closed && !q.mu.done
	q.mu.told = waits
	return waits
}

// flushThenClose appends the last frame.
func (q *outQueue) flushThenClose(last outFrame, r *outRules) pushed {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.end(last, r)
}

// dropThenClose replaces everything that waits by the last frame.
func (q *outQueue) dropThenClose(last outFrame, r *outRules) pushed {
	q.mu.Lock()
	defer q.mu.Unlock()
	if b := q.mu.backlog; b != nil {
		keep := min(b.fixed(), len(b.frames))
		for i := keep; i < len(b.frames); i++ {
			b.bytes -= len(b.frames[i].bytes)
			r.less(len(b.frames[i].bytes))
		}
		clear(b.frames[keep:])
		b.frames = b.frames[:keep]
		b.flush = flushing{} // the rest of it will never be written
	}
	return q.end(last, r)
}

func (q *outQueue) end(last outFrame, r *outRules) pushed {
	if q.mu.closed {
		return pushedClosed
	}
	q.mu.closed = true
	q.wake()
	return q.append(last, r)
}

// fail gives up: nothing can be written any more.
func (q *outQueue) fail(r *outRules) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if b := q.mu.backlog; b != nil {
		r.less(b.bytes)
	}
	q.mu.closed, q.mu.backlog = true, nil
	q.finish()
}

// take gives what one write should carry, in buf or, when it is one frame, where
// it lies. It stays in the queue until wrote.
func (q *outQueue) take(buf []byte) ([]byte, loop.State) {
	q.mu.Lock()
	defer q.mu.Unlock()
	b := q.mu.backlog
	if b == nil || len(b.frames) == 0 {
		q.mu.told = false
		if !q.mu.closed {
			return nil, loop.Drained
		}
		q.finish()
		return nil, loop.End
	}
	out := b.frames[0].bytes[b.left:]
	b.flying = 1
	if len(b.frames) > 1 && len(out) < batchBytes {
		out = append(buf, out...)
		for b.flying < len(b.frames) && len(out)+len(b.frames[b.flying].bytes) <= batchBytes {
			out = append(out, b.frames[b.flying].bytes...)
			b.flying++
		}
	}
	switch {
	case b.flying < len(b.frames):
		return out, loop.More
	case q.mu.closed:
		return out, loop.End
	}
	q.mu.told = false
	return out, loop.Drained
}

// block reports whether too much waits to produce more. Then wrote will tell
// when to go on.
func (q *outQueue) block(r *outRules) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.mu.blocks = q.mu.backlog != nil && q.mu.backlog.bytes > r.soft
	return q.mu.blocks
}

// wrote accounts for bytes that have left. It reports whether who was blocked
// may go on.
func (q *outQueue) wrote(n int, r *outRules) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	b := q.mu.backlog
	if b == nil {
		return false // given up meanwhile
	}
	b.advance(n)
	r.less(n)
	b.flushed(r)
	room := b.bytes <= r.soft/2
	if room {
		q.wake()
	}
	goOn := room && q.mu.blocks
	q.mu.blocks = q.mu.blocks && !room
	if len(b.frames) > 0 {
		q.mu.told = true // whoever writes goes on by itself
		return goOn
	}
	r.pool.put(b)
	if q.mu.backlog = nil; q.mu.closed {
		q.finish()
	}
	return goOn
}

func (q *outQueue) wake() {
	if s := q.mu.signals; s != nil && s.room != nil {
		close(s.room)
		s.room = nil
	}
}

func (q *outQueue) finish() {
	q.wake()
	if q.mu.done {
		return
	}
	q.mu.done = true
	if s := q.mu.signals; s != nil && s.done != nil {
		close(s.done)
	}
}

func (q *outQueue) signal() *signals {
	if q.mu.signals == nil {
		q.mu.signals = &signals{}
	}
	return q.mu.signals
}

// done gives a channel that is closed when the last byte has been written, or
// nothing can be.
func (q *outQueue) done() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.signal()
	if s.done == nil {
		if s.done = make(chan struct{}); q.mu.done {
			close(s.done)
		}
	}
	return s.done
}

// room gives a channel that is closed once there is room again, or nil when
// there is room now.
func (q *outQueue) room(r *outRules) <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.mu.closed || q.mu.backlog == nil || q.mu.backlog.bytes <= r.soft {
		return nil
	}
	s := q.signal()
	if s.room == nil {
		s.room = make(chan struct{})
	}
	return s.room
}

// oldest tells since when the oldest byte waits; false when none does.
func (q *outQueue) oldest() (loop.Time, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if b := q.mu.backlog; b != nil && len(b.frames) > 0 {
		return b.frames[0].at, true
	}
	return 0, false
}

// waiting is how many bytes wait.
func (q *outQueue) waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.mu.backlog == nil {
		return 0
	}
	return q.mu.backlog.bytes
}
