package sockets

import (
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"
)

// startOn starts a process on one core, if there is another for the other side.
// The child has the core from its first instruction on, so its runtime counts
// one processor.
func startOn(cmd *exec.Cmd, core int) error {
	if runtime.NumCPU() < 2 {
		return cmd.Start()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return cmd.Start()
	}
	one.Set(core)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return cmd.Start() // the core is not ours
	}
	defer func() { _ = unix.SchedSetaffinity(0, &before) }()
	return cmd.Start()
}
