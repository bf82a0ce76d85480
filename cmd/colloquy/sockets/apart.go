package sockets

import (
	"os/exec"
	"time"
)

// StartOn starts a process on one core, where there is another for the other side
// of a measurement.
func StartOn(cmd *exec.Cmd, core int) error { return startOn(cmd, core) }

// CPUTime gives the processor time that a process has used; zero where the system
// does not say.
func CPUTime(pid int) time.Duration { return usageOf(pid).total }
