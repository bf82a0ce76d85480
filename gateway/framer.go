package gateway

import (
	"encoding/binary"
	"sync"

	"github.com/colloquyhq/colloquy/gateway/wire"
)

// The opcodes and header bits of RFC 6455, section 5.2.
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xa

	bitFin     = 0x80
	bitsRSV    = 0x70
	bitControl = 0x08
	bitMask    = 0x80

	maskBytes       = 4
	maxHeaderSize   = 10
	maxControlBytes = 125
)

// framer stands between a socket and the WebSocket library and lets only whole,
// legal frames through, and fragmented messages only when they are complete.
// So the library never waits for a client, and one instance of it serves many.
//
// The library also takes a frame's claimed length at its word: a length with bit
// 63 set ends the process, and any length is allocated before a byte of it has
// come. Here a header is judged as soon as its bytes are in, and a frame costs
// memory only as it arrives.
//
// Concurrency: none.
type framer struct {
	part *part // what has begun; nil = nothing
}

// part is the beginning of something.
type part struct {
	tail    []byte // of a frame, and frames behind a held one
	held    []byte // whole fragments of a message that is not complete
	message int    // bytes of that message so far
	within  bool   // between its fragments
}

// begun reports whether something incomplete waits for its rest.
func (f *framer) begun() bool {
	return f.part != nil && (len(f.part.tail) > 0 || f.part.within)
}

// join puts what came before in front of b.
func (f *framer) join(b []byte) []byte {
	if f.part == nil || len(f.part.tail) == 0 {
		return b
	}
	f.part.tail = append(f.part.tail, b...)
	return f.part.tail
}

// keep remembers the rest of what join gave, and gives memory back that is not
// needed any more.
func (f *framer) keep(rest []byte, pool *partPool) {
	if len(rest) > 0 {
		p := f.open(pool)
		p.tail = append(p.tail[:0], rest...) // also when rest lies in tail
		return
	}
	if p := f.part; p != nil {
		if p.tail = p.tail[:0]; !p.within {
			f.drop(pool)
		}
	}
}

func (f *framer) open(pool *partPool) *part {
	if f.part == nil {
		f.part = pool.get()
	}
	return f.part
}

// drop forgets what has begun.
func (f *framer) drop(pool *partPool) {
	if f.part != nil {
		pool.put(f.part)
		f.part = nil
	}
}

// next finds what may be handed on first of b: it gives the frames, and how
// many bytes of b that used up. Zero bytes used means that more must come. limit
// is how long a message may be.
func (f *framer) next(b []byte, limit int, pool *partPool) (frames []byte, used int, code wire.CloseCode) {
	used, code = f.judge(b, limit)
	if used == 0 || code != 0 {
		return nil, 0, code
	}
	frame := b[:used]
	switch op, fin := b[0]&0x0f, b[0]&bitFin != 0; {
	case op&bitControl != 0, op == opText && fin:
		return frame, used, 0
	case !fin:
		return nil, used, f.hold(frame, limit, pool)
	}
	p := f.part
	frames = append(p.held, frame...)
	p.held, p.within, p.message = frames[:0], false, 0
	return frames, used, 0
}

// hold puts a fragment aside. Headers count as well: a message in fragments of
// nothing would never be too long.
func (f *framer) hold(fragment []byte, limit int, pool *partPool) wire.CloseCode {
	p := f.open(pool)
	if p.held = append(p.held, fragment...); len(p.held) > 2*limit+maxHeaderSize {
		return wire.CloseTooBig
	}
	p.message += len(fragment) - headerBytes(fragment)
	p.within = true
	return 0
}

// headerBytes gives the length of a whole frame's header.
func headerBytes(frame []byte) int {
	switch frame[1] &^ bitMask {
	case 126:
		return 4 + maskBytes
	case 127:
		return 10 + maskBytes
	}
	return 2 + maskBytes
}

// judge looks at the frame at the front of b and gives its length, or 0 when
// more bytes are needed.
func (f *framer) judge(b []byte, limit int) (int, wire.CloseCode) {
	if len(b) == 0 {
		return 0, 0
	}
	within, message := false, 0
	if f.part != nil {
		within, message = f.part.within, f.part.message
	}
	if code := checkFirst(b[0], within); code != 0 || len(b) < 2 {
		return 0, code
	}
	if b[1]&bitMask == 0 {
		return 0, wire.CloseProtocol // RFC 6455, 5.1: clients mask every frame
	}
	header, size, code := payloadSize(b)
	if code != 0 || header == 0 {
		return 0, code
	}
	if b[0]&bitControl != 0 {
		if size > maxControlBytes {
			return 0, wire.CloseProtocol
		}
	} else if size > uint64(max(limit-message, 0)) {
		return 0, wire.CloseTooBig
	}
	total := header + maskBytes + int(size) //nolint:gosec // bounded above by the limit
	if len(b) < total {
		return 0, 0
	}
	return total, 0
}

func checkFirst(b0 byte, within bool) wire.CloseCode {
	op, fin := b0&0x0f, b0&bitFin != 0
	switch {
	case b0&bitsRSV != 0: // no extension is ever agreed on
		return wire.CloseProtocol
	case op == opBinary:
		return wire.CloseNotText
	case op > opBinary && op < opClose, op > opPong:
		return wire.CloseProtocol
	case op&bitControl != 0 && !fin:
		return wire.CloseProtocol
	case op == opContinuation && !within, op == opText && within:
		return wire.CloseProtocol
	}
	return 0
}

// payloadSize reads the length of the frame; header is 0 while its bytes are
// not all there.
func payloadSize(b []byte) (header int, size uint64, code wire.CloseCode) {
	switch n := b[1] &^ bitMask; {
	case n < 126:
		return 2, uint64(n), 0
	case n == 126:
		if len(b) < 4 {
			return 0, 0, 0
		}
		size = uint64(binary.BigEndian.Uint16(b[2:]))
		if size < 126 { // RFC 6455, 5.2: the shortest form must be used
			return 0, 0, wire.CloseProtocol
		}
		return 4, size, 0
	default:
		if len(b) < 10 {
			return 0, 0, 0
		}
		size = binary.BigEndian.Uint64(b[2:])
		if size>>63 != 0 || size < 1<<16 {
			return 0, 0, wire.CloseProtocol
		}
		return 10, size, 0
	}
}

// partPool lends parts. One that has grown is left to the garbage collector.
type partPool struct{ pool sync.Pool }

const maxPooledPart = 8 << 10

func (p *partPool) get() *part {
	if v, ok := p.pool.Get().(*part); ok {
		return v
	}
	return &part{}
}

func (p *partPool) put(v *part) {
	if cap(v.tail)+cap(v.held) > maxPooledPart {
		return
	}
	*v = part{tail: v.tail[:0], held: v.held[:0]}
	p.pool.Put(v)
}
