package gateway

import (
	"sync"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
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
	at    int64 // Unix ns
}

// pushed says what became of a frame.
type pushed uint8

const (
	pushedQueued  pushed = iota // it will be written, the writer runs
	pushedStart                 // it will be written, the writer must be started
	pushedDropped               // ephemeral, and the queue is long
	pushedSlow                  // the queue is full
	pushedClosed                // the connection is ending
)

// outQueue holds what a connection has not written yet. Its bounds are the
// whole of what a client that does not read can cost in user memory.
//
// Concurrency: safe for all; the lock is a leaf.
type outQueue struct {
	soft, hard int

	mu struct {
		sync.Mutex
		frames  []outFrame
		bytes   int   // waiting and being written
		writing int64 // at of the oldest frame being written; zero = none
		running bool  // a writer goroutine lives
		closed  bool  // nothing more is taken
		room    chan struct{}
	}
	donec chan struct{} // closed when the last byte is written, or nothing can be
}

// push appends a frame.
func (q *outQueue) push(f outFrame) pushed {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.mu.closed {
		return pushedClosed
	}
	if q.mu.bytes > q.soft && f.topic.kind != topicNone {
		q.forget(f.topic)
	}
	if q.mu.bytes+len(f.bytes) > q.hard {
		if f.topic.kind > topicUpdated {
			return pushedDropped
		}
		return pushedSlow
	}
	return q.append(f)
}

func (q *outQueue) append(f outFrame) pushed {
	q.mu.frames = append(q.mu.frames, f)
	q.mu.bytes += len(f.bytes)
	if q.mu.running {
		return pushedQueued
	}
	q.mu.running = true
	return pushedStart
}

// forget removes the waiting frame of a topic, if there is one.
func (q *outQueue) forget(t topic) {
	for i := range q.mu.frames {
		if q.mu.frames[i].topic == t {
			q.mu.bytes -= len(q.mu.frames[i].bytes)
			q.mu.frames = append(q.mu.frames[:i], q.mu.frames[i+1:]...)
			return
		}
	}
}

// flushThenClose appends the last frame.
func (q *outQueue) flushThenClose(last outFrame) pushed { return q.end(last, keepWaiting) }

// dropThenClose replaces everything that waits by the last frame.
func (q *outQueue) dropThenClose(last outFrame) pushed { return q.end(last, dropWaiting) }

type waiting uint8

const (
	keepWaiting waiting = iota
	dropWaiting
)

func (q *outQueue) end(last outFrame, w waiting) pushed {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.mu.closed {
		return pushedClosed
	}
	if w == dropWaiting {
		for i := range q.mu.frames {
			q.mu.bytes -= len(q.mu.frames[i].bytes)
		}
		q.mu.frames = nil
	}
	q.mu.closed = true
	q.wake()
	return q.append(last)
}

// fail gives up: nothing can be written any more.
func (q *outQueue) fail() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.mu.closed, q.mu.frames, q.mu.bytes = true, nil, 0
	q.finish()
}

// take moves what one write should carry into buf. Nothing means that the
// writer ends.
func (q *outQueue) take(buf []byte) []byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.mu.frames) == 0 {
		if q.mu.closed {
			q.finish()
		}
		q.mu.frames, q.mu.running, q.mu.writing = nil, false, 0
		return nil
	}
	q.mu.writing = q.mu.frames[0].at
	if first := q.mu.frames[0].bytes; len(q.mu.frames) == 1 || len(first) >= batchBytes {
		q.advance(1)
		return first
	}
	n := 0
	for n < len(q.mu.frames) && len(buf)+len(q.mu.frames[n].bytes) <= batchBytes {
		buf = append(buf, q.mu.frames[n].bytes...)
		n++
	}
	q.advance(n)
	return buf
}

func (q *outQueue) advance(n int) {
	rest := copy(q.mu.frames, q.mu.frames[n:])
	clear(q.mu.frames[rest:])
	q.mu.frames = q.mu.frames[:rest]
}

// wrote accounts for bytes that have left.
func (q *outQueue) wrote(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.mu.bytes -= n; q.mu.bytes <= q.soft/2 {
		q.wake()
	}
}

func (q *outQueue) wake() {
	if q.mu.room != nil {
		close(q.mu.room)
		q.mu.room = nil
	}
}

func (q *outQueue) finish() {
	q.wake()
	select {
	case <-q.donec:
	default:
		close(q.donec)
	}
}

// room gives a channel that is closed once there is room again, or nil when
// there is room now.
func (q *outQueue) room() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.mu.closed || q.mu.bytes <= q.soft {
		return nil
	}
	if q.mu.room == nil {
		q.mu.room = make(chan struct{})
	}
	return q.mu.room
}

// oldest gives the age of the oldest byte that has not left.
func (q *outQueue) oldest(now time.Time) time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	at := q.mu.writing
	if at == 0 && len(q.mu.frames) > 0 {
		at = q.mu.frames[0].at
	}
	if at == 0 {
		return 0
	}
	return time.Duration(now.UnixNano() - at)
}
