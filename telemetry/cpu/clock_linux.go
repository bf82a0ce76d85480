package cpu

import "golang.org/x/sys/unix"

// Method says how time is measured on this system.
const Method = "thread"

// threadTime gives the processor time that the calling thread has used, in ns.
// Only differences mean anything, and only on one thread.
func threadTime() int64 {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts) != nil {
		return 0 // no kernel that Go runs on is without this clock
	}
	return ts.Nano()
}

// threadID names the thread that the caller runs on just now.
func threadID() int { return unix.Gettid() }
