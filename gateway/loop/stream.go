package loop

import (
	"net"
	"runtime/debug"
	"sync"
)

const (
	streamReadBytes  = 1 << 10
	streamWriteBytes = 64 << 10
	// maxDiscardedBytes bounds what is read and thrown away after the last byte
	// has been written.
	maxDiscardedBytes = 1 << 20
)

// stream is a connection with goroutines of its own: one that reads, and one
// that writes while there is something to write.
type stream struct {
	g    *Group
	h    Handler
	nc   net.Conn
	slot int32 // in the keeper
	late bool  // it came after the end

	resumec chan struct{} // one resume waits at most
	donec   chan struct{} // closed when nothing can be written any more

	// touched by the reader only

	holding   bool
	discarded int

	mu struct {
		sync.Mutex
		started, writing, again, done, finished bool
	}
}

func newStream(g *Group, nc net.Conn, h Handler) *stream {
	return &stream{g: g, h: h, nc: nc, slot: -1, resumec: make(chan struct{}, 1), donec: make(chan struct{})}
}

// Start implements [Conn].
func (s *stream) Start(first []byte) {
	s.mu.Lock()
	s.mu.started = true
	aborted, asked := s.mu.done, s.mu.again
	s.mu.again = false
	s.mu.Unlock()
	if aborted {
		return
	}
	s.g.keep.enter(s)
	go s.read(first)
	if asked {
		s.Flush()
	}
}

// Hold implements [Conn].
func (s *stream) Hold() { s.holding = true }

// Resume implements [Conn].
func (s *stream) Resume() {
	select {
	case s.resumec <- struct{}{}:
	default:
	}
}

// Arm implements [Conn].
func (s *stream) Arm(at Time) { s.g.keep.arm(s, at) }

// Remind implements [Conn].
func (s *stream) Remind() { s.Arm(s.g.Now()) }

// Abort implements [Conn].
func (s *stream) Abort() {
	_ = s.nc.Close()
	s.noMore()
	s.mu.Lock()
	never := !s.mu.started
	s.mu.started = true
	s.mu.Unlock()
	if never {
		go s.h.Gone()
	}
}

// noMore says that nothing can be written any more.
func (s *stream) noMore() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.mu.done {
		s.mu.done = true
		close(s.donec)
	}
}

// read serves the connection until it ends, for whatever reason.
func (s *stream) read(first []byte) {
	defer s.leave()
	defer s.rescue()
	if len(first) > 0 && !s.input(first) {
		return
	}
	buf := make([]byte, streamReadBytes)
	for {
		n, err := s.nc.Read(buf)
		if n > 0 && !s.input(buf[:n]) {
			return
		}
		if err != nil {
			break
		}
	}
	s.h.Ended()
	<-s.donec // what waits is still written
}

// input hands bytes on and waits while the handler holds; false when that was
// all.
func (s *stream) input(b []byte) bool {
	if s.isFinished() {
		return s.discard(len(b))
	}
	now := s.g.Now()
	s.g.keep.hear(s, now)
	waits := s.g.books.input(s.h, Turn{Loop: -1, Now: now}, b)
	for {
		if waits {
			s.Flush()
		}
		if !s.holding {
			return true
		}
		select {
		case <-s.resumec:
		case <-s.donec:
			if !s.isFinished() {
				return false // aborted
			}
			s.holding = false
			return true
		}
		s.holding = false
		waits = s.h.Resume(Turn{Loop: -1, Now: s.g.Now()})
	}
}

// discard throws away what comes after the last byte was written, within
// bounds.
func (s *stream) discard(n int) bool {
	s.discarded += n
	return s.discarded <= maxDiscardedBytes
}

func (s *stream) isFinished() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.finished
}

func (s *stream) rescue() {
	if v := recover(); v != nil {
		s.g.o.Panicked(v, debug.Stack())
	}
}

func (s *stream) leave() {
	_ = s.nc.Close()
	s.noMore()
	s.g.keep.leave(s)
}

// Flush implements [Conn].
func (s *stream) Flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.writing || !s.mu.started {
		s.mu.again = true
		return
	}
	s.mu.writing = true
	go s.write()
}

// write empties the handler's queue.
func (s *stream) write() {
	defer s.rescue()
	buf := s.g.keep.buffers.get()
	defer s.g.keep.buffers.put(buf)
	for {
		b, state := s.h.Output((*buf)[:0])
		if len(b) > 0 {
			n, err := s.nc.Write(b)
			s.h.Wrote(n)
			if err != nil {
				_ = s.nc.Close() // the reader finds out
				s.noMore()
				return
			}
		}
		switch {
		case state == End:
			s.finish()
			return
		case state == Drained && s.rests():
			return
		}
	}
}

// rests ends the writer, unless it was asked for again meanwhile.
func (s *stream) rests() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.again {
		s.mu.again = false
		return false
	}
	s.mu.writing = false
	return true
}

// finish says that all has been written. The writer stays marked as running, so
// that there is no other.
func (s *stream) finish() {
	if half, ok := s.nc.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	s.mu.Lock()
	s.mu.finished = true
	s.mu.Unlock()
	s.noMore()
}
