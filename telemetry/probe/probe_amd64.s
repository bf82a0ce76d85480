#include "textflag.h"

// Two NOPs: of one byte, which every kernel emulates in place, and of five, which
// Linux 6.18 and later replace by a call without any trap. Observers attach to the
// one that suits the kernel; the stack is the same at both. colloquy-ebpf knows a
// mark by exactly these bytes.
#define MARK BYTE $0x90; BYTE $0x0f; BYTE $0x1f; BYTE $0x44; BYTE $0x00; BYTE $0x00; RET

// func turnBegin(hi, lo, attempt uint64)
TEXT ·turnBegin(SB), NOSPLIT|NOFRAME, $0-24
	MARK

// func turnEnd(hi, lo, attempt, outcome uint64)
TEXT ·turnEnd(SB), NOSPLIT|NOFRAME, $0-32
	MARK

// func connJoin(hi, lo, cookie uint64)
TEXT ·connJoin(SB), NOSPLIT|NOFRAME, $0-24
	MARK

// func connJoinWatched() bool
TEXT ·connJoinWatched(SB), NOSPLIT|NOFRAME, $0-1
	LEAQ ·connJoin(SB), AX
	CMPL 0(AX), $0x441f0f90 // the bytes of MARK; either way of attaching changes one of them
	SETNE CL
	MOVB CL, ret+0(FP)
	RET
