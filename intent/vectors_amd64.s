#include "textflag.h"

// func dotBlocks(a, b *float32, blocks int) float32
TEXT ·dotBlocks(SB), NOSPLIT, $0-28
	MOVQ  a+0(FP), SI
	MOVQ  b+8(FP), DI
	MOVQ  blocks+16(FP), CX
	XORPS X0, X0
	XORPS X1, X1
	XORPS X2, X2
	XORPS X3, X3

dotNext:
	DECQ   CX
	JLT    dotSum
	MOVUPS (SI), X4
	MOVUPS 16(SI), X5
	MOVUPS 32(SI), X6
	MOVUPS 48(SI), X7
	MOVUPS (DI), X8
	MOVUPS 16(DI), X9
	MOVUPS 32(DI), X10
	MOVUPS 48(DI), X11
	MULPS  X8, X4
	MULPS  X9, X5
	MULPS  X10, X6
	MULPS  X11, X7
	ADDPS  X4, X0
	ADDPS  X5, X1
	ADDPS  X6, X2
	ADDPS  X7, X3
	ADDQ   $64, SI
	ADDQ   $64, DI
	JMP    dotNext

dotSum:
	ADDPS  X2, X0
	ADDPS  X3, X1
	ADDPS  X1, X0
	MOVHLPS X0, X1
	ADDPS  X1, X0
	MOVAPS X0, X1
	SHUFPS $1, X1, X1
	ADDSS  X1, X0
	MOVSS  X0, ret+24(FP)
	RET

// func axpyBlocks(a, b *float32, blocks int, step float32)
TEXT ·axpyBlocks(SB), NOSPLIT, $0-28
	MOVQ   a+0(FP), SI
	MOVQ   b+8(FP), DI
	MOVQ   blocks+16(FP), CX
	MOVSS  step+24(FP), X0
	SHUFPS $0, X0, X0

axpyNext:
	DECQ   CX
	JLT    axpyDone
	MOVUPS (DI), X4
	MOVUPS 16(DI), X5
	MOVUPS 32(DI), X6
	MOVUPS 48(DI), X7
	MULPS  X0, X4
	MULPS  X0, X5
	MULPS  X0, X6
	MULPS  X0, X7
	MOVUPS (SI), X8
	MOVUPS 16(SI), X9
	MOVUPS 32(SI), X10
	MOVUPS 48(SI), X11
	ADDPS  X4, X8
	ADDPS  X5, X9
	ADDPS  X6, X10
	ADDPS  X7, X11
	MOVUPS X8, (SI)
	MOVUPS X9, 16(SI)
	MOVUPS X10, 32(SI)
	MOVUPS X11, 48(SI)
	ADDQ   $64, SI
	ADDQ   $64, DI
	JMP    axpyNext

axpyDone:
	RET

// func addFourBlocks(out *float32, blocks int, rows *[4][]float32, times *[4]float32)
TEXT ·addFourBlocks(SB), NOSPLIT, $0-32
	MOVQ   out+0(FP), DI
	MOVQ   blocks+8(FP), CX
	MOVQ   rows+16(FP), DX
	MOVQ   times+24(FP), AX
	MOVQ   0(DX), R8
	MOVQ   24(DX), R9
	MOVQ   48(DX), R10
	MOVQ   72(DX), R11
	MOVSS  0(AX), X0
	MOVSS  4(AX), X1
	MOVSS  8(AX), X2
	MOVSS  12(AX), X3
	SHUFPS $0, X0, X0
	SHUFPS $0, X1, X1
	SHUFPS $0, X2, X2
	SHUFPS $0, X3, X3
	XORQ   BX, BX

addNext:
	DECQ   CX
	JLT    addDone
	MOVUPS (R8)(BX*1), X4
	MOVUPS (R9)(BX*1), X5
	MOVUPS (R10)(BX*1), X6
	MOVUPS (R11)(BX*1), X7
	MOVUPS (DI)(BX*1), X8
	MULPS  X0, X4
	MULPS  X1, X5
	MULPS  X2, X6
	MULPS  X3, X7
	ADDPS  X5, X4
	ADDPS  X6, X4
	ADDPS  X7, X4
	ADDPS  X4, X8
	MOVUPS X8, (DI)(BX*1)
	ADDQ   $16, BX
	JMP    addNext

addDone:
	RET

// func dotSparseEach(weights *float32, index *int32, value *float32, n int) float32
TEXT ·dotSparseEach(SB), NOSPLIT, $0-36
	MOVQ  weights+0(FP), DX
	MOVQ  index+8(FP), SI
	MOVQ  value+16(FP), DI
	MOVQ  n+24(FP), CX
	XORPS X0, X0
	XORPS X1, X1
	XORPS X2, X2
	XORPS X3, X3

dotFour:
	SUBQ  $4, CX
	JLT   dotRest
	MOVL  (SI), R8
	MOVL  4(SI), R9
	MOVL  8(SI), R10
	MOVL  12(SI), R11
	MOVSS (DX)(R8*4), X4
	MOVSS (DX)(R9*4), X5
	MOVSS (DX)(R10*4), X6
	MOVSS (DX)(R11*4), X7
	MULSS (DI), X4
	MULSS 4(DI), X5
	MULSS 8(DI), X6
	MULSS 12(DI), X7
	ADDSS X4, X0
	ADDSS X5, X1
	ADDSS X6, X2
	ADDSS X7, X3
	ADDQ  $16, SI
	ADDQ  $16, DI
	JMP   dotFour

dotRest:
	ADDQ $4, CX

dotOne:
	DECQ  CX
	JLT   dotTotal
	MOVL  (SI), R8
	MOVSS (DX)(R8*4), X4
	MULSS (DI), X4
	ADDSS X4, X0
	ADDQ  $4, SI
	ADDQ  $4, DI
	JMP   dotOne

dotTotal:
	ADDSS X2, X0
	ADDSS X3, X1
	ADDSS X1, X0
	MOVSS X0, ret+32(FP)
	RET

// func addSparseEach(weights *float32, index *int32, value *float32, n int, step float32)
TEXT ·addSparseEach(SB), NOSPLIT, $0-36
	MOVQ  weights+0(FP), DX
	MOVQ  index+8(FP), SI
	MOVQ  value+16(FP), DI
	MOVQ  n+24(FP), CX
	MOVSS step+32(FP), X0
	SHUFPS $0, X0, X0

addFourPlaces:
	SUBQ   $4, CX
	JLT    addRest
	MOVUPS (DI), X1
	MULPS  X0, X1
	MOVAPS X1, X2
	SHUFPS $1, X2, X2
	MOVHLPS X1, X3
	MOVAPS X3, X4
	SHUFPS $1, X4, X4
	MOVL   (SI), R8
	MOVL   4(SI), R9
	MOVL   8(SI), R10
	MOVL   12(SI), R11
	ADDSS  (DX)(R8*4), X1
	ADDSS  (DX)(R9*4), X2
	ADDSS  (DX)(R10*4), X3
	ADDSS  (DX)(R11*4), X4
	MOVSS  X1, (DX)(R8*4)
	MOVSS  X2, (DX)(R9*4)
	MOVSS  X3, (DX)(R10*4)
	MOVSS  X4, (DX)(R11*4)
	ADDQ   $16, SI
	ADDQ   $16, DI
	JMP    addFourPlaces

addRest:
	ADDQ $4, CX

addOne:
	DECQ  CX
	JLT   addEnd
	MOVL  (SI), R8
	MOVSS (DI), X1
	MULSS X0, X1
	ADDSS (DX)(R8*4), X1
	MOVSS X1, (DX)(R8*4)
	ADDQ  $4, SI
	ADDQ  $4, DI
	JMP   addOne

addEnd:
	RET
