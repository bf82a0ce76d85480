package gateway

import "sync"

// backlog is what waits in an outQueue, whose lock guards it.
type backlog struct {
	frames []outFrame
	bytes  int // that have not left
	left   int // bytes of the first frame that have
	flying int // frames that are being written
	flush  flushing
}

// fixed is how many of the first frames must stay: they are being written, or
// have left in part.
func (b *backlog) fixed() int {
	if b.flying == 0 && b.left > 0 {
		return 1
	}
	return b.flying
}

// forget removes the waiting frame of a topic, if there is one, and says how
// many bytes it had.
func (b *backlog) forget(t topic) int {
	for i := b.fixed(); i < len(b.frames); i++ {
		if b.frames[i].topic == t {
			n := len(b.frames[i].bytes)
			b.bytes -= n
			b.frames = append(b.frames[:i], b.frames[i+1:]...)
			if i < b.flush.frames {
				b.flush.frames--
			}
			return n
		}
	}
	return 0
}

// advance takes n bytes off the front.
func (b *backlog) advance(n int) {
	b.bytes -= n
	b.flying = 0
	gone := 0
	for b.left += n; gone < len(b.frames) && b.left >= len(b.frames[gone].bytes); gone++ {
		b.left -= len(b.frames[gone].bytes)
	}
	b.flush.frames -= gone
	rest := copy(b.frames, b.frames[gone:])
	clear(b.frames[rest:])
	b.frames = b.frames[:rest]
}

// backlogPool lends backlogs.
type backlogPool struct{ pool sync.Pool }

// maxPooledFrames is how many places a backlog may have that is kept.
const maxPooledFrames = 64

func (p *backlogPool) get() *backlog {
	if b, ok := p.pool.Get().(*backlog); ok {
		return b
	}
	return &backlog{frames: make([]outFrame, 0, 4)}
}

func (p *backlogPool) put(b *backlog) {
	if cap(b.frames) <= maxPooledFrames {
		*b = backlog{frames: b.frames[:0]}
		p.pool.Put(b)
	}
}
