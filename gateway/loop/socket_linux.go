package loop

import (
	"net"
	"sync/atomic"
	"syscall"
)

// What may be asked of a socket from anywhere.
const (
	wishStart uint32 = 1 << iota
	wishFlush
	wishResume
	wishRemind
	wishAbort
	wishPosted // it lies in the mailbox
	wishClosed // no wish, but here because it is seen from anywhere: the descriptor may be somebody else's by now
)

// What a socket is; touched by its loop only.
type traits uint8

const (
	reading   traits = 1 << iota // epoll tells of bytes
	roomy                        // epoll tells of room
	writing                      // the kernel's buffer is full
	held                         // the handler wants no bytes
	ended                        // the other side sends no more
	lingering                    // all is written and said so; the other side has to end
	gone
)

// socket is a connection that a loop looks after.
type socket struct {
	loop     *eventLoop
	h        Handler
	starting *starting // until it has been entered
	wish     atomic.Uint32
	fd       int32
	slot     int32
	traits   traits
	discards uint8 // buffers thrown away while lingering
}

// starting is what a connection brings along.
type starting struct {
	nc    net.Conn
	first []byte
}

func (s *socket) is(t traits) bool { return s.traits&t != 0 }
func (s *socket) set(t traits)     { s.traits |= t }
func (s *socket) clear(t traits)   { s.traits &^= t }

// ask leaves a wish for the loop.
func (s *socket) ask(wish uint32) {
	if s.wish.Or(wish|wishPosted)&wishPosted == 0 {
		s.loop.post(s)
	}
}

// Start implements [Conn].
func (s *socket) Start(first []byte) {
	s.starting.first = first
	_ = s.starting.nc.Close() // the descriptor that the runtime watches; the socket lives on
	s.starting.nc = nil
	s.ask(wishStart)
}

// Flush implements [Conn].
func (s *socket) Flush() { s.ask(wishFlush) }

// Resume implements [Conn].
func (s *socket) Resume() { s.ask(wishResume) }

// Remind implements [Conn].
func (s *socket) Remind() { s.ask(wishRemind) }

// Abort implements [Conn].
func (s *socket) Abort() { s.ask(wishAbort) }

// Hold implements [Conn].
func (s *socket) Hold() { s.set(held) }

// Arm implements [Conn].
func (s *socket) Arm(at Time) {
	if s.slot >= 0 {
		s.loop.wheel.arm(s.slot, at.Sub(s.loop.now))
	}
}

// enter gives a socket its place.
func (l *eventLoop) enter(s *socket) {
	first := s.starting.first
	s.starting = nil
	if n := len(l.free); n > 0 {
		s.slot, l.free = l.free[n-1], l.free[:n-1]
	} else {
		s.slot = int32(len(l.sockets)) //nolint:gosec // bounded by the open files
		l.sockets, l.generations, l.heard = append(l.sockets, nil), append(l.generations, 0), append(l.heard, 0)
	}
	l.sockets[s.slot], l.heard[s.slot] = s, l.now
	l.wheel.grow(s.slot)
	if err := l.poll.add(int(s.fd), s.slot, l.generations[s.slot]); err != nil {
		l.end(s)
		return
	}
	s.set(reading)
	s.Arm(s.h.Due(l.now, l.now))
	if len(first) > 0 {
		l.input(s, first)
	}
}

// read takes what has come. Once is enough: epoll says it again when there is
// more, and the others get their turn.
func (l *eventLoop) read(s *socket) {
	n, err := read(s.fd, l.in)
	switch {
	case err == syscall.EAGAIN || err == syscall.EINTR:
	case err != 0:
		l.end(s)
	case n == 0:
		l.onEnded(s)
	case s.is(lingering):
		if s.discards++; s.discards > maxDiscards {
			l.end(s)
		}
	default:
		l.heard[s.slot] = l.now
		l.input(s, l.in[:n])
	}
}

func (l *eventLoop) input(s *socket, b []byte) {
	l.books.note(s, len(b))
	if s.h.Input(l.turnNow(), b) && !s.is(writing) {
		l.flush(s)
	}
	l.watch(s)
}

// onEnded handles that the other side will send no more. What waits for it may
// still be on its way.
func (l *eventLoop) onEnded(s *socket) {
	if s.is(lingering) {
		l.end(s)
		return
	}
	s.set(ended)
	s.h.Ended()
	l.watch(s)
}

// flush writes what has gathered, in one call if the kernel takes it.
func (l *eventLoop) flush(s *socket) {
	if s.is(lingering) {
		return
	}
	b, state := s.h.Output(l.out[:0])
	if len(b) > 0 && !l.write(s, b) {
		return
	}
	if state == End {
		l.finish(s)
		return
	}
	l.setWriting(s, false)
	if state == More {
		s.Flush() // after the others
	}
}

// write reports whether all of b has left.
func (l *eventLoop) write(s *socket, b []byte) bool {
	n, err := write(s.fd, b)
	if err == syscall.EAGAIN || err == syscall.EINTR {
		n, err = 0, 0
	}
	if err != 0 {
		l.end(s)
		return false
	}
	l.books.note(s, n)
	l.written += n
	s.h.Wrote(n)
	if n == len(b) {
		return true
	}
	l.stall.Add(1)
	l.setWriting(s, true)
	return false
}

// finish says that all has been written. Closing at once would throw away what
// the other side has sent meanwhile, with a reset that also takes the last
// frames from its hands.
func (l *eventLoop) finish(s *socket) {
	if s.is(ended) {
		l.end(s)
		return
	}
	_ = syscall.Shutdown(int(s.fd), syscall.SHUT_WR)
	s.set(lingering)
	s.clear(held)
	l.setWriting(s, false)
}

func (l *eventLoop) setWriting(s *socket, on bool) { //nolint:revive // a trait
	if on {
		s.set(writing)
	} else {
		s.clear(writing)
	}
	l.watch(s)
}

// watch makes epoll look for what the socket is ready for.
func (l *eventLoop) watch(s *socket) {
	if s.is(gone) {
		return
	}
	var mask uint32
	was := s.traits & (reading | roomy)
	s.clear(reading | roomy)
	if !s.is(held | ended) {
		s.set(reading)
		mask = readable
	}
	if s.is(writing) {
		s.set(roomy)
		mask |= writable
	}
	if s.traits&(reading|roomy) != was {
		l.poll.change(int(s.fd), s.slot, l.generations[s.slot], mask)
	}
}

// end closes a socket and frees its place.
func (l *eventLoop) end(s *socket) {
	if s.is(gone) {
		return
	}
	s.set(gone)
	s.wish.Or(wishClosed)
	_ = syscall.Close(int(s.fd))
	l.count.Add(-1)
	if s.starting != nil && s.starting.nc != nil {
		_ = s.starting.nc.Close()
	}
	if s.slot >= 0 {
		l.sockets[s.slot] = nil
		l.generations[s.slot]++
		l.wheel.due[s.slot] = 0
		l.free = append(l.free, s.slot)
	}
	s.h.Gone()
}

// leaveAll ends what is left, and from now on what still comes.
func (l *eventLoop) leaveAll() {
	for _, s := range l.sockets {
		if s != nil {
			l.leave(s)
		}
	}
	l.mail.Lock()
	list := append(l.letters[l.opened:], l.mail.list...)
	l.mail.list, l.mail.poll = nil, nil
	l.mail.Unlock()
	for _, s := range list {
		l.leave(s)
	}
}

func (l *eventLoop) leave(s *socket) {
	defer l.rescue(s)
	l.end(s)
}
