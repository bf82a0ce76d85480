package load

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls that a loop lives on tell the runtime nothing. It would take the
// process's one processor away from a thread that is in the kernel, give it back
// a moment later, and have another thread look for the next such case, on the core
// that measures: that took a tenth of it.

// await gives the number of events that are there, or that come within d, which
// counts in milliseconds.
func await(epoll int, events []unix.EpollEvent, d time.Duration) (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epoll),
		uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), uintptr(d.Milliseconds()), 0, 0)
	return count(n, errno)
}

func read(fd int, b []byte) (int, error) {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	return count(n, errno)
}

func write(fd int, b []byte) (int, error) {
	n, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	return count(n, errno)
}

func count(n uintptr, errno unix.Errno) (int, error) {
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil //nolint:gosec // bounded by what was asked for
}
