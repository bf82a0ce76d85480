#include "textflag.h"

// func dotBlocksWide(a, b *float32, blocks int) float32
TEXT ·dotBlocksWide(SB), NOSPLIT, $0-28
	MOVQ   a+0(FP), SI
	MOVQ   b+8(FP), DI
	MOVQ   blocks+16(FP), CX
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1

dotNext:
	DECQ    CX
	JLT     dotSum
	VMOVUPS (SI), Y2
	VMOVUPS 32(SI), Y3
	VMULPS  (DI), Y2, Y2
	VMULPS  32(DI), Y3, Y3
	VADDPS  Y2, Y0, Y0
	VADDPS  Y3, Y1, Y1
	ADDQ    $64, SI
	ADDQ    $64, DI
	JMP     dotNext

dotSum:
	VADDPS       Y1, Y0, Y0
	VEXTRACTF128 $1, Y0, X1
	VADDPS       X1, X0, X0
	VMOVHLPS     X0, X0, X1
	VADDPS       X1, X0, X0
	VSHUFPS      $1, X0, X0, X1
	VADDSS       X1, X0, X0
	VMOVSS       X0, ret+24(FP)
	VZEROUPPER
	RET

// func axpyBlocksWide(a, b *float32, blocks int, step float32)
TEXT ·axpyBlocksWide(SB), NOSPLIT, $0-28
	MOVQ         a+0(FP), SI
	MOVQ         b+8(FP), DI
	MOVQ         blocks+16(FP), CX
	VBROADCASTSS step+24(FP), Y0

axpyNext:
	DECQ    CX
	JLT     axpyDone
	VMULPS  (DI), Y0, Y2
	VMULPS  32(DI), Y0, Y3
	VADDPS  (SI), Y2, Y2
	VADDPS  32(SI), Y3, Y3
	VMOVUPS Y2, (SI)
	VMOVUPS Y3, 32(SI)
	ADDQ    $64, SI
	ADDQ    $64, DI
	JMP     axpyNext

axpyDone:
	VZEROUPPER
	RET

// func addFourBlocksWide(out *float32, blocks int, rows *[4][]float32, times *[4]float32)
TEXT ·addFourBlocksWide(SB), NOSPLIT, $0-32
	MOVQ         out+0(FP), DI
	MOVQ         blocks+8(FP), CX
	MOVQ         rows+16(FP), DX
	MOVQ         times+24(FP), AX
	MOVQ         0(DX), R8
	MOVQ         24(DX), R9
	MOVQ         48(DX), R10
	MOVQ         72(DX), R11
	VBROADCASTSS 0(AX), Y0
	VBROADCASTSS 4(AX), Y1
	VBROADCASTSS 8(AX), Y2
	VBROADCASTSS 12(AX), Y3
	XORQ         BX, BX

addNext:
	SUBQ    $2, CX
	JLT     addLast
	VMULPS  (R8)(BX*1), Y0, Y4
	VMULPS  (R9)(BX*1), Y1, Y5
	VMULPS  (R10)(BX*1), Y2, Y6
	VMULPS  (R11)(BX*1), Y3, Y7
	VADDPS  Y5, Y4, Y4
	VADDPS  Y6, Y4, Y4
	VADDPS  Y7, Y4, Y4
	VADDPS  (DI)(BX*1), Y4, Y4
	VMOVUPS Y4, (DI)(BX*1)
	ADDQ    $32, BX
	JMP     addNext

addLast:
	ADDQ    $1, CX
	JNE     addDone
	VMULPS  (R8)(BX*1), X0, X4
	VMULPS  (R9)(BX*1), X1, X5
	VMULPS  (R10)(BX*1), X2, X6
	VMULPS  (R11)(BX*1), X3, X7
	VADDPS  X5, X4, X4
	VADDPS  X6, X4, X4
	VADDPS  X7, X4, X4
	VADDPS  (DI)(BX*1), X4, X4
	VMOVUPS X4, (DI)(BX*1)

addDone:
	VZEROUPPER
	RET

// func addStripeEach(margins *[16]float32, weights *float32, index *int32, value *float32, n int)
TEXT ·addStripeEach(SB), NOSPLIT, $0-40
	MOVQ    margins+0(FP), DI
	MOVQ    weights+8(FP), DX
	MOVQ    index+16(FP), SI
	MOVQ    value+24(FP), BX
	MOVQ    n+32(FP), CX
	VMOVUPS (DI), Y0
	VMOVUPS 32(DI), Y1

stripeFour:
	SUBQ         $4, CX
	JLT          stripeRest
	MOVL         (SI), R8
	MOVL         4(SI), R9
	MOVL         8(SI), R10
	MOVL         12(SI), R11
	SHLQ         $6, R8
	SHLQ         $6, R9
	SHLQ         $6, R10
	SHLQ         $6, R11
	VBROADCASTSS (BX), Y2
	VBROADCASTSS 4(BX), Y3
	VBROADCASTSS 8(BX), Y4
	VBROADCASTSS 12(BX), Y5
	VMULPS       (DX)(R8*1), Y2, Y6
	VMULPS       32(DX)(R8*1), Y2, Y7
	VMULPS       (DX)(R9*1), Y3, Y8
	VMULPS       32(DX)(R9*1), Y3, Y9
	VMULPS       (DX)(R10*1), Y4, Y10
	VMULPS       32(DX)(R10*1), Y4, Y11
	VMULPS       (DX)(R11*1), Y5, Y12
	VMULPS       32(DX)(R11*1), Y5, Y13
	VADDPS       Y8, Y6, Y6
	VADDPS       Y9, Y7, Y7
	VADDPS       Y10, Y6, Y6
	VADDPS       Y11, Y7, Y7
	VADDPS       Y12, Y6, Y6
	VADDPS       Y13, Y7, Y7
	VADDPS       Y6, Y0, Y0
	VADDPS       Y7, Y1, Y1
	ADDQ         $16, SI
	ADDQ         $16, BX
	JMP          stripeFour

stripeRest:
	ADDQ $4, CX

stripeOne:
	DECQ         CX
	JLT          stripeDone
	MOVL         (SI), R8
	SHLQ         $6, R8
	VBROADCASTSS (BX), Y2
	VMULPS       (DX)(R8*1), Y2, Y6
	VMULPS       32(DX)(R8*1), Y2, Y7
	VADDPS       Y6, Y0, Y0
	VADDPS       Y7, Y1, Y1
	ADDQ         $4, SI
	ADDQ         $4, BX
	JMP          stripeOne

stripeDone:
	VMOVUPS Y0, (DI)
	VMOVUPS Y1, 32(DI)
	VZEROUPPER
	RET

// func largestEach(row *float32, words int) float32
TEXT ·largestEach(SB), NOSPLIT, $0-20
	MOVQ     row+0(FP), SI
	MOVQ     words+8(FP), CX
	VPCMPEQD Y1, Y1, Y1
	VPSRLD   $1, Y1, Y1
	VPXOR    Y0, Y0, Y0

largestNext:
	DECQ    CX
	JLT     largestDone
	VPAND   (SI), Y1, Y2
	VPMAXUD Y2, Y0, Y0
	ADDQ    $32, SI
	JMP     largestNext

largestDone:
	VEXTRACTI128 $1, Y0, X2
	VPMAXUD      X2, X0, X0
	VPSHUFD      $0x4e, X0, X2
	VPMAXUD      X2, X0, X0
	VPSHUFD      $0xb1, X0, X2
	VPMAXUD      X2, X0, X0
	VMOVSS       X0, ret+16(FP)
	VZEROUPPER
	RET

DATA roundOnes<>+0(SB)/4, $0x4b400000
GLOBL roundOnes<>(SB), RODATA|NOPTR, $4

DATA roundZero<>+0(SB)/4, $0x00000080
GLOBL roundZero<>(SB), RODATA|NOPTR, $4

DATA roundMask<>+0(SB)/4, $0x000000ff
GLOBL roundMask<>(SB), RODATA|NOPTR, $4

// func roundEach(cells *uint64, row *float32, words int, steps float32)
TEXT ·roundEach(SB), NOSPLIT, $0-28
	MOVQ         cells+0(FP), DI
	MOVQ         row+8(FP), SI
	MOVQ         words+16(FP), CX
	VBROADCASTSS steps+24(FP), Y0
	VBROADCASTSS roundOnes<>(SB), Y1
	VPBROADCASTD roundZero<>(SB), Y2
	VPBROADCASTD roundMask<>(SB), Y3

roundNext:
	DECQ         CX
	JLT          roundDone
	VMULPS       (SI), Y0, Y4
	VADDPS       Y1, Y4, Y4
	VPADDD       Y2, Y4, Y4
	VPAND        Y3, Y4, Y4
	VEXTRACTI128 $1, Y4, X5
	VPACKUSDW    X5, X4, X4
	VPACKUSWB    X4, X4, X4
	VMOVQ        X4, (DI)
	ADDQ         $32, SI
	ADDQ         $8, DI
	JMP          roundNext

roundDone:
	VZEROUPPER
	RET
