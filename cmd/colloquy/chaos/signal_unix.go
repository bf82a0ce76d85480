//go:build unix

package chaos

import "syscall"

// The signals that freeze and thaw a process.
const (
	stopSignal     = syscall.SIGSTOP
	continueSignal = syscall.SIGCONT
)
