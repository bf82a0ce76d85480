package cpu

import (
	"syscall"
	"unsafe"
)

// Method says how time is measured on this system.
const Method = "thread"

// threadClock is CLOCK_THREAD_CPUTIME_ID of time.h.
const threadClock = 3

// threadTime gives the processor time that the calling thread has used, in ns.
// Only differences mean anything, and only on one thread.
func threadTime() int64 {
	var ts syscall.Timespec
	// It cannot fail with this clock, and it does not block, so that the scheduler
	// need not be told of it.
	_, _, _ = syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, threadClock, uintptr(unsafe.Pointer(&ts)), 0)
	return ts.Nano()
}
