package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"golang.org/x/sys/unix"
)

const (
	readBytes   = 256 << 10
	readyEvents = 512
	tickEvery   = 20 * time.Millisecond
)

// phase is how far a socket has come.
type phase uint8

const (
	phaseDialing   phase = iota // connect(2) is under way
	phaseUpgrading              // the request is out
	phaseHello                  // the hello frame is out
	phaseFollowing              // the subscribe frame is out
	phaseOpen
	phaseLost    // waits for a herd
	phaseWaiting // waits for its back-off
	phaseEnded   // closed as expected
)

// socket is one connection, over as many TCP connections as it takes.
type socket struct {
	index   int
	fd      int
	phase   phase
	stalled bool // not read
	blocked bool // waits for room to write
	group   *Connect
	token   string
	key     string // of the opening handshake
	tail    []byte // the beginning of what is not whole yet
	unsent  []byte

	flight          flight
	asked, answered int // questions
	left            int // questions to ask yet, of an order that counts
	events          int
	cursor          uint64 // newest seq heard
	conversation    string
	acked, seen     uint64 // by number of the message, of sockets that return
	code            int    // the close code that came, or 1006
	tries           int    // to connect, in vain
	at              int64  // when the phase began, or when it ends
	resend          bool   // what is open goes out again at the time at
}

// counts is the books of a loop.
type counts struct {
	open, lost, ended int
	unanswered        int // questions
	events            int
	missing           int // acknowledged, but not seen as an event
	twice             int
	resent            int
	refused           int
}

// loop holds the sockets. One goroutine uses it.
type loop struct {
	epoll   int
	sockets []*socket
	byFD    []*socket
	buf     []byte
	ready   []unix.EpollEvent
	began   time.Time
	now     int64 // ns since began, of the present round
	ticked  int64
	epoch   string
	asking  *asking
	count   counts
	checks  int
	dialing int
	random  *rand.Rand
	err     error // the first violation; nothing is measured after it
}

func newLoop() (*loop, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	return &loop{
		epoll: fd, buf: make([]byte, readBytes), ready: make([]unix.EpollEvent, readyEvents), began: time.Now(),
		random: rand.New(rand.NewPCG(1, 2)), //nolint:gosec // jitter that is the same in every run
	}, nil
}

func (l *loop) close() {
	for _, s := range l.sockets {
		l.hangUp(s)
	}
	_ = unix.Close(l.epoll)
}

func (l *loop) clock() int64 { return int64(time.Since(l.began)) }

func (l *loop) fail(s *socket, format string, args ...any) {
	if l.err == nil {
		l.err = fmt.Errorf("socket %d: %w", s.index, fmt.Errorf(format, args...))
	}
}

// until polls until cond holds.
func (l *loop) until(ctx context.Context, limit time.Duration, what string, cond func() bool) error {
	deadline := l.clock() + int64(limit)
	for !cond() {
		switch {
		case l.err != nil:
			return l.err
		case ctx.Err() != nil:
			return ctx.Err()
		case l.now > deadline:
			return fmt.Errorf("%s: not within %v (%d sockets open, %d lost, %d ended, %d questions open)",
				what, limit, l.count.open, l.count.lost, l.count.ended, l.count.unanswered)
		}
		l.poll(time.Millisecond)
	}
	return l.err
}

// poll handles what has happened, or waits for at most d. It gives the number of
// events.
func (l *loop) poll(d time.Duration) int {
	n, err := await(l.epoll, l.ready, d)
	l.now = l.clock()
	if err != nil && !errors.Is(err, unix.EINTR) {
		l.err = fmt.Errorf("epoll: %w", err)
	}
	for i := range n {
		e := &l.ready[i]
		s := l.byFD[e.Fd]
		if s == nil {
			continue
		}
		if e.Events&unix.EPOLLOUT != 0 {
			l.onWritable(s)
		}
		if e.Events&^unix.EPOLLOUT != 0 && s.fd == int(e.Fd) {
			l.onReadable(s)
		}
	}
	if l.now-l.ticked >= int64(tickEvery) {
		l.ticked = l.now
		l.tick()
	}
	return n
}

// watch tells epoll what is waited for.
func (l *loop) watch(s *socket, op int) {
	e := unix.EpollEvent{Fd: int32(s.fd), Events: unix.EPOLLIN} //nolint:gosec // a file descriptor
	if s.blocked || s.phase == phaseDialing {
		e.Events |= unix.EPOLLOUT
	}
	if err := unix.EpollCtl(l.epoll, op, s.fd, &e); err != nil {
		l.fail(s, "epoll: %w", err)
	}
}

func (l *loop) onWritable(s *socket) {
	if s.phase == phaseDialing {
		l.dialed(s)
		return
	}
	b := s.unsent
	s.unsent, s.blocked = nil, false
	l.write(s, b)
	if !s.blocked && s.fd >= 0 {
		l.watch(s, unix.EPOLL_CTL_MOD)
	}
}

// write sends b, or keeps what does not fit. It does not keep b itself.
func (l *loop) write(s *socket, b []byte) {
	if s.blocked {
		s.unsent = append(s.unsent, b...)
		return
	}
	for len(b) > 0 {
		n, err := write(s.fd, b)
		switch {
		case err == nil:
			b = b[n:]
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			s.unsent, s.blocked = append([]byte(nil), b...), true
			l.watch(s, unix.EPOLL_CTL_MOD)
			return
		default:
			return // reading tells the end, after what came before it
		}
	}
}

func (l *loop) onReadable(s *socket) {
	n, err := read(s.fd, l.buf)
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		return
	case err != nil || n <= 0:
		l.lose(s, err)
		return
	}
	b := l.buf[:n]
	if len(s.tail) > 0 {
		s.tail = append(s.tail, b...)
		b = s.tail
	}
	rest := l.take(s, b)
	if s.fd < 0 || len(rest) == 0 {
		s.tail = nil
		return
	}
	s.tail = append(s.tail[:0], rest...)
}

// take handles the whole pieces at the front of b and gives the rest.
func (l *loop) take(s *socket, b []byte) []byte {
	if s.phase == phaseUpgrading {
		if b = l.onUpgraded(s, b); s.phase == phaseUpgrading {
			return b
		}
	}
	for len(b) > 0 && s.fd >= 0 && l.err == nil {
		f, n, err := nextFrame(b)
		if errors.Is(err, errShort) {
			return b
		}
		if err != nil {
			l.fail(s, "%w", err)
			return nil
		}
		l.onFrame(s, f)
		b = b[n:]
	}
	if s.fd >= 0 {
		l.flush(s)
	}
	return b
}

// lose notes that a connection has ended.
func (l *loop) lose(s *socket, why error) {
	if s.code == 0 {
		s.code = 1006 // RFC 6455, 7.4.1: without a close frame
	}
	was := s.phase
	l.hangUp(s)
	switch {
	case s.stalled:
		s.phase = phaseEnded
		l.count.ended++
	case s.group.Return && was == phaseOpen:
		s.phase = phaseLost
		l.count.lost++
	case s.group.Return && was < phaseOpen:
		l.backOff(s)
	default:
		l.fail(s, "the connection ended with %d in phase %d: %w", s.code, was, orEOF(why))
	}
}

func orEOF(err error) error {
	if err == nil {
		return errors.New("end of the stream")
	}
	return err
}

// hangUp closes the descriptor.
func (l *loop) hangUp(s *socket) {
	if s.fd < 0 {
		return
	}
	switch {
	case s.phase == phaseOpen:
		l.count.open--
	case s.phase < phaseOpen:
		l.dialing--
	}
	l.byFD[s.fd] = nil
	_ = unix.Close(s.fd)
	s.fd, s.tail, s.unsent, s.blocked = -1, nil, nil, false
}

// tick looks at what waits for a time.
func (l *loop) tick() {
	for _, s := range l.sockets {
		switch {
		case s.phase == phaseWaiting && l.now >= s.at:
			l.dial(s)
		case s.phase < phaseOpen && s.group.Return && l.now-s.at > int64(dialTime):
			l.lose(s, errors.New("no answer in time"))
		case s.resend && s.phase == phaseOpen && l.now >= s.at:
			l.sendAgain(s)
		}
	}
}
