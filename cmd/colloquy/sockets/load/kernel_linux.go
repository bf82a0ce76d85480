package load

import (
	"time"
	"unsafe" //nolint:depguard // see below

	"golang.org/x/sys/unix"
)

// The calls that a loop lives on tell the runtime nothing, which no function of a
// library offers. It would take the process's one processor away from a thread
// that is in the kernel, give it back a moment later, and have another thread look
// for the next such case, on the core that measures: that took a tenth of it.

// await gives the number of events that are there, or that come within d, which
// counts in milliseconds.
func await(epoll int, events []unix.EpollEvent, d time.Duration) (int, error) {
	first, limit := unsafe.Pointer(unsafe.SliceData(events)), uintptr(d.Milliseconds()) //nolint:gosec // there is an event, and no negative time
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epoll), uintptr(first), uintptr(len(events)), limit, 0, 0)
	return count(n, errno)
}

func read(fd int, b []byte) (int, error) { return transfer(unix.SYS_READ, fd, b) }

func write(fd int, b []byte) (int, error) { return transfer(unix.SYS_WRITE, fd, b) }

func transfer(call uintptr, fd int, b []byte) (int, error) {
	first := unsafe.Pointer(unsafe.SliceData(b)) //nolint:gosec // its length goes with it
	n, _, errno := unix.RawSyscall(call, uintptr(fd), uintptr(first), uintptr(len(b)))
	return count(n, errno)
}

func count(n uintptr, errno unix.Errno) (int, error) {
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
