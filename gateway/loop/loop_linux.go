package loop

import (
	"fmt"
	"net"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const canLoop = true

const (
	bufferBytes = 64 << 10
	// maxDiscards bounds what is read and thrown away after the last byte has
	// been written, in buffers.
	maxDiscards = 16
	// A loop is busy, and lets events gather, above so many a window: when a rest
	// brings several.
	busyWindow = 10 * time.Millisecond
	busyEvents = 100
	// shortestRest is worth what it costs to rest.
	shortestRest = 30 * time.Microsecond
	// fullLooks is for how many looks in a row time may stand still: 65,536 events,
	// so that it goes on also where the work never ends.
	fullLooks = 256
	// lettersAtOnce is how many sockets of the mailbox are looked after before what
	// has come for the others is, and mailBytes how much may be written to them. Each
	// write takes 5 to 10 µs and more when it is long, and an event for thousands
	// brings a letter for each of them.
	lettersAtOnce = 64
	mailBytes     = 256 << 10
)

// eventLoop looks after connections on one goroutine.
//
// owns: an epoll, the sockets in it, their time limits · accepts: through the
// mailbox, each socket at most once, so that it never holds more than there are
// connections · on panic of a handler: its connection ends · ends with stop.
type eventLoop struct {
	g     *Group
	on    int
	count atomic.Int32
	busy  atomic.Int64 // ns
	stall atomic.Uint64
	left  atomic.Int64 // letters that are not opened, as of the last turn

	mail struct {
		sync.Mutex
		list   []*socket
		asleep bool // the bell must be rung
		parked bool // it waits, perhaps although the bell rings
		nudged bool // the wait has been ended by nudge
		nudges uint64
		closed bool
		poll   *poller   // nil = not running
		since  time.Time // when it had looked before it began to wait
	}

	// touched by run only

	poll        *poller
	sockets     []*socket
	generations []uint32 // by slot; events of an earlier one are passed over
	heard       []Time   // by slot
	free        []int32
	wheel       *wheel
	now         Time
	letters     []*socket // swapped with mail.list when all are read
	opened      int       // of them
	written     int       // bytes since the mailbox was last looked at
	in, out     []byte
	failed      error

	books books

	looked  time.Time // when it has last looked for events
	full    int       // looks that left some behind, one after the other
	window  time.Time // when counting began
	counted int
	isBusy  bool
}

func newEventLoop(g *Group, on int) *eventLoop {
	l := &eventLoop{g: g, on: on, wheel: newWheel(g.o.Tick)}
	if g.o.Ledger != nil {
		l.books.ledger = g.o.Ledger(on)
	}
	return l
}

// adopt makes a socket of a connection; false when it has none.
func (l *eventLoop) adopt(nc net.Conn, h Handler) (Conn, bool, error) {
	fd, ok, err := detach(nc)
	if !ok {
		return nil, false, err
	}
	tune(fd, l.g.o.UserTimeout)
	l.count.Add(1)
	return &socket{loop: l, h: h, fd: int32(fd), slot: -1, starting: &starting{nc: nc}}, true, nil //nolint:gosec // a descriptor
}

// run serves until stop.
func (l *eventLoop) run() error {
	var err error
	if l.poll, err = newPoller(); err != nil {
		l.stop()
		l.leaveAll()
		return err
	}
	defer l.poll.close()
	l.in, l.out = make([]byte, bufferBytes), make([]byte, bufferBytes)
	l.serveMail()
	for l.turn() {
		runtime.Gosched() // who was handed something may answer before the next look
	}
	l.stop() // if it has not been told to
	l.leaveAll()
	return l.failed
}

// serveMail makes whoever posts ring the bell from now on.
func (l *eventLoop) serveMail() {
	l.mail.Lock()
	defer l.mail.Unlock()
	l.mail.poll = l.poll
}

// turn waits for something to do and does it; false after stop.
func (l *eventLoop) turn() bool {
	n, err := l.gather()
	if err != nil {
		l.failed = fmt.Errorf("wait for events: %w", err)
		return false
	}
	began := time.Now()
	l.now = l.g.at(began)
	l.books.begin()
	for i := range l.poll.events[:n] {
		l.onEvent(&l.poll.events[i])
	}
	open := l.readMail()
	if l.hasReadAll(n) {
		l.wheel.advance(l.wheel.tickOf(began.Sub(l.g.began)), l.onDue)
	}
	l.books.end()
	l.busy.Add(int64(time.Since(began)))
	return open
}

// hasReadAll reports whether a look that gave n events left none behind, or many
// looks have not come to an end. After a standstill of the machine, what was sent
// meanwhile is read before anybody is judged by how long he was not heard.
func (l *eventLoop) hasReadAll(n int) bool {
	if n < len(l.poll.events) || l.full >= fullLooks {
		l.full = 0
		return true
	}
	l.full++
	return false
}

// gather waits for events. While many come, each wake-up costs more than the
// work that it brings; then looks are some time apart, so that one finds the
// events of several. A loop that works all the time never rests, and none does
// that has letters to read.
func (l *eventLoop) gather() (int, error) {
	if pause := l.g.o.Moderation - time.Since(l.looked); l.isBusy && pause > shortestRest && l.unopened() == 0 {
		rest(pause)
	}
	n := l.poll.poll()
	if n == 0 {
		var err error
		if n, err = l.poll.wait(l.fallAsleep); err != nil {
			return 0, err
		}
		l.wakeUp()
	}
	l.measure(n)
	return n, nil
}

func (l *eventLoop) measure(n int) {
	l.counted += n
	l.looked = time.Now()
	if passed := l.looked.Sub(l.window); passed >= busyWindow {
		l.isBusy = l.counted >= busyEvents && passed < 2*busyWindow
		l.window, l.counted = l.looked, 0
	}
}

// fallAsleep reports false when there is mail.
func (l *eventLoop) fallAsleep() bool {
	l.mail.Lock()
	defer l.mail.Unlock()
	l.mail.asleep = len(l.mail.list)+l.unopened() == 0 && !l.mail.closed
	l.mail.parked, l.mail.since = l.mail.asleep, l.looked
	return l.mail.asleep
}

func (l *eventLoop) wakeUp() {
	l.mail.Lock()
	defer l.mail.Unlock()
	l.mail.asleep, l.mail.parked = false, false
	if l.mail.nudged {
		l.mail.nudged = false
		l.mail.poll.calm()
	}
}

// nudge makes the loop runnable if it has waited for a while, whether or not
// anything has come for it.
func (l *eventLoop) nudge(now time.Time) {
	l.mail.Lock()
	defer l.mail.Unlock()
	if !l.mail.parked || l.mail.nudged || l.mail.poll == nil || now.Sub(l.mail.since) < l.g.o.Moderation {
		return
	}
	l.mail.nudged = true
	l.mail.nudges++
	l.mail.poll.nudge()
}

// wake makes the loop look at the time.
func (l *eventLoop) wake() {
	l.mail.Lock()
	defer l.mail.Unlock()
	l.ring()
}

// ring ends the loop's sleep; the lock is held.
func (l *eventLoop) ring() {
	if l.mail.asleep && l.mail.poll != nil {
		l.mail.asleep = false
		l.mail.poll.ring()
	}
}

// stop makes run return.
func (l *eventLoop) stop() {
	l.mail.Lock()
	defer l.mail.Unlock()
	l.mail.closed = true
	l.ring()
}

// post puts a socket into the mailbox. It is not there yet.
func (l *eventLoop) post(s *socket) {
	l.mail.Lock()
	defer l.mail.Unlock()
	if l.mail.closed && l.mail.poll == nil {
		go l.leave(s) // nobody else will
		return
	}
	l.mail.list = append(l.mail.list, s)
	l.ring()
}

// readMail does what others have asked for, so much of it that what has come for a
// socket waits for few others; false after stop, when all is done.
func (l *eventLoop) readMail() bool {
	closed := l.takeMail()
	l.written = 0
	for n := 0; l.unopened() > 0 && (closed || n < lettersAtOnce && l.written < mailBytes); n++ {
		s := l.letters[l.opened]
		l.letters[l.opened] = nil
		l.opened++
		l.onLetter(s)
	}
	l.left.Store(int64(l.unopened()))
	return !closed
}

// takeMail empties the mailbox when all that was in it is done. It reports whether
// the loop has been told to stop.
func (l *eventLoop) takeMail() bool {
	l.mail.Lock()
	defer l.mail.Unlock()
	if l.unopened() == 0 {
		l.letters, l.mail.list, l.opened = l.mail.list, l.letters[:0], 0
	}
	return l.mail.closed
}

func (l *eventLoop) unopened() int { return len(l.letters) - l.opened }

func (l *eventLoop) load() Load {
	l.mail.Lock()
	defer l.mail.Unlock()
	return Load{
		Connections: int(l.count.Load()), Waiting: len(l.mail.list) + int(l.left.Load()),
		Busy: time.Duration(l.busy.Load()), Stalls: l.stall.Load(), Nudges: l.mail.nudges,
	}
}

func (l *eventLoop) turnNow() Turn { return Turn{Loop: l.on, Now: l.now} }

// onEvent handles what epoll has seen.
func (l *eventLoop) onEvent(ev *syscall.EpollEvent) {
	if ev.Fd == bellSlot {
		l.poll.hush()
		return
	}
	s := l.sockets[ev.Fd]
	if s == nil || l.generations[ev.Fd] != uint32(ev.Pad) { //nolint:gosec // bits
		return // it ended earlier in this turn
	}
	defer l.rescue(s)
	if ev.Events&writable != 0 {
		l.flush(s)
	}
	switch {
	case s.is(gone):
	case ev.Events&readable != 0 && s.is(reading):
		l.read(s)
	case ev.Events&broken != 0:
		l.end(s)
	}
}

// rescue ends the connection whose handler panicked, and nothing else.
func (l *eventLoop) rescue(s *socket) {
	if v := recover(); v != nil {
		l.g.o.Panicked(v, debug.Stack())
		l.end(s)
	}
}

// onLetter does what was asked for with a socket.
func (l *eventLoop) onLetter(s *socket) {
	defer l.rescue(s)
	wish := s.wish.And(wishClosed)
	if s.is(gone) {
		return
	}
	switch {
	case wish&wishAbort != 0:
		l.end(s)
		return
	case wish&wishStart != 0:
		l.enter(s)
	case s.starting != nil:
		s.wish.Or(wish &^ wishPosted) // until it starts
		return
	}
	if wish&wishResume != 0 && s.is(held) && !s.is(gone) {
		s.clear(held)
		if s.h.Resume(l.turnNow()) {
			l.flush(s)
		}
		l.watch(s)
	}
	if wish&wishFlush != 0 && !s.is(gone) && !s.is(writing) {
		l.flush(s)
	}
	if wish&wishRemind != 0 && !s.is(gone) {
		l.remind(s)
	}
}

// onDue tells a handler that its time has come.
func (l *eventLoop) onDue(slot int32) {
	s := l.sockets[slot]
	if s == nil {
		return
	}
	defer l.rescue(s)
	l.remind(s)
}

func (l *eventLoop) remind(s *socket) {
	at := s.h.Due(l.now, l.heard[s.slot])
	if !s.is(gone) {
		s.Arm(at)
	}
}
