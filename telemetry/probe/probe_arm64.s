#include "textflag.h"

// A NOP, which the kernel simulates. colloquy-ebpf knows a mark by these two
// instructions.
#define MARK NOOP; RET

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
	MOVD $·connJoin(SB), R0
	MOVWU (R0), R1
	MOVW $0xd503201f, R2
	CMPW R2, R1
	CSET NE, R3
	MOVB R3, ret+0(FP)
	RET
