//go:build !unix

package chaos

import "syscall"

// This system can only end processes.
const (
	stopSignal     = syscall.SIGKILL
	continueSignal = syscall.SIGKILL
)
