package loop

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"
	"unsafe" //nolint:depguard // of a call that the runtime must not hear of
)

const (
	maxEvents = 256
	readable  = uint32(syscall.EPOLLIN)
	writable  = uint32(syscall.EPOLLOUT)
	broken    = uint32(syscall.EPOLLERR | syscall.EPOLLHUP)

	// tcpUserTimeout is TCP_USER_TIMEOUT, which package syscall does not name.
	tcpUserTimeout = 0x12
	// The bell is no connection.
	bellSlot = -1
)

// poller is an epoll instance and an eventfd that ends its wait.
//
// The instance itself is watched by the runtime's poller, so that a loop that
// waits is a parked goroutine and no blocked thread: the scheduler keeps its
// processor for the actors, also when there is only one.
type poller struct {
	epoll  *os.File
	raw    syscall.RawConn
	fd     int
	bell   int
	events [maxEvents]syscall.EpollEvent
}

func newPoller() (*poller, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make an epoll: %w", err)
	}
	if err := syscall.SetNonblock(fd, true); err != nil { // makes os.File use the runtime's poller
		_ = syscall.Close(fd)
		return nil, fmt.Errorf("make an epoll: %w", err)
	}
	p := &poller{fd: fd, bell: -1, epoll: os.NewFile(uintptr(fd), "epoll")}
	bell, _, errno := syscall.Syscall(syscall.SYS_EVENTFD2, 0, syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if errno != 0 {
		p.close()
		return nil, fmt.Errorf("make an eventfd: %w", errno)
	}
	p.bell = int(bell)
	if p.raw, err = p.epoll.SyscallConn(); err == nil {
		err = p.add(p.bell, bellSlot, 0)
	}
	if err != nil {
		p.close()
		return nil, fmt.Errorf("watch an eventfd: %w", err)
	}
	return p, nil
}

func (p *poller) close() {
	_ = p.epoll.Close()
	if p.bell >= 0 {
		_ = syscall.Close(p.bell)
	}
}

// add watches a descriptor for bytes to read.
func (p *poller) add(fd int, slot int32, generation uint32) error {
	ev := syscall.EpollEvent{Events: readable, Fd: slot, Pad: int32(generation)} //nolint:gosec // bits
	return syscall.EpollCtl(p.fd, syscall.EPOLL_CTL_ADD, fd, &ev)
}

// change watches a descriptor for something else.
func (p *poller) change(fd int, slot int32, generation, mask uint32) {
	ev := syscall.EpollEvent{Events: mask, Fd: slot, Pad: int32(generation)} //nolint:gosec // bits
	_ = syscall.EpollCtl(p.fd, syscall.EPOLL_CTL_MOD, fd, &ev)               // cannot fail for a descriptor that was added
}

// poll gives what has happened without waiting.
func (p *poller) poll() int {
	n, err := syscall.EpollWait(p.fd, p.events[:], 0)
	if err != nil {
		return 0 // interrupted
	}
	return n
}

// wait gives what happens, unless settle says first that there is other work. A
// nudge ends it, too.
func (p *poller) wait(settle func() bool) (n int, err error) {
	err = p.raw.Read(func(uintptr) bool {
		if !settle() {
			return true
		}
		n = p.poll()
		return n > 0
	})
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return p.poll(), nil
	}
	return n, err
}

// nudge ends a wait without the runtime's poller: whoever waits can run as soon as
// somebody yields.
func (p *poller) nudge() { _ = p.epoll.SetReadDeadline(time.Unix(0, 1)) }

// calm ends what nudge began: the next wait waits.
func (p *poller) calm() { _ = p.epoll.SetReadDeadline(time.Time{}) }

// ring ends a wait, now or the next one.
func (p *poller) ring() {
	one := [8]byte{0: 1}
	_, _ = syscall.Write(p.bell, one[:]) // full = it rings already
}

func (p *poller) hush() {
	var b [8]byte
	_, _ = syscall.Read(p.bell, b[:])
}

// rest lets the thread do nothing for a while, or until a signal comes, and keeps
// its processor meanwhile. Of an ordinary nanosleep the runtime hears: with one
// processor it took that away at every rest and gave it back behind it, by a thread
// that looked 4,000 times a second, and that cost more than the rest saved.
// time.Sleep would go through the scheduler and its timers.
func rest(d time.Duration) {
	ts := syscall.NsecToTimespec(int64(d))
	_, _, _ = syscall.RawSyscall(syscall.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&ts)), 0, 0) //nolint:gosec // the kernel reads it
}

// read and write are calls of sockets that never wait. Of an ordinary call the
// runtime hears, and after 20 µs, which a long write takes, it may give the processor
// to somebody else; the loop has to queue for it then, in the middle of its turn and
// once for each write.
func read(fd int32, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall(syscall.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b))) //nolint:gosec // the kernel writes it
	return max(int(n), 0), errno                                                                                                    // -1 with an errno
}

func write(fd int32, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b))) //nolint:gosec // the kernel reads it
	return max(int(n), 0), errno                                                                                                     // -1 with an errno
}

// detach gives a descriptor of its own to the socket of nc. It reports false
// for what has none.
func detach(nc net.Conn) (fd int, ok bool, err error) {
	var raw syscall.RawConn
	switch c := nc.(type) { // and nothing around one, such as *tls.Conn
	case *net.TCPConn:
		raw, err = c.SyscallConn()
	case *net.UnixConn:
		raw, err = c.SyscallConn()
	default:
		return 0, false, nil
	}
	if err != nil {
		return 0, false, nil // closed already; a goroutine will find out
	}
	fd = -1
	cerr := raw.Control(func(old uintptr) {
		r, _, errno := syscall.Syscall(syscall.SYS_FCNTL, old, syscall.F_DUPFD_CLOEXEC, 0)
		if errno != 0 {
			err = errno
			return
		}
		fd = int(r)
	})
	if err = errors.Join(cerr, err); err != nil {
		return 0, false, fmt.Errorf("take a socket over: %w", err)
	}
	return fd, true, nil
}

// tune sets what a socket that a loop watches needs.
func tune(fd int, userTimeout time.Duration) {
	// They fail on Unix sockets, which need none of them.
	_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	_ = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 0)
	_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, tcpUserTimeout, int(userTimeout.Milliseconds()))
}
