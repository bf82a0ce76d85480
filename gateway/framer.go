package gateway

import (
	"encoding/binary"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/colloquyhq/colloquy/gateway/wire"
)

// errRefusedFrame ends the reading of a stream that broke the rules; the
// framer's verdict says which.
var errRefusedFrame = errors.New("frame refused")

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
	maxControlBytes = 125
)

// framer stands between a socket and the WebSocket library and lets only
// whole, legal frames through.
//
// The library takes a frame's claimed length at its word: a length with bit 63
// set ends the process, and any length is allocated before a byte of it has
// come. Here a header is judged as soon as its bytes are in, and a frame costs
// memory only as it arrives.
type framer struct {
	src     io.Reader
	limit   atomic.Int64 // bytes of a message
	allow   func() bool  // asked once per frame; false = too many
	since   atomic.Int64 // when what is incomplete began, Unix ns; zero = nothing is
	heard   atomic.Int64 // when bytes came last, Unix ns
	verdict atomic.Uint32

	// touched by Read only
	first   []byte // bytes that came with the upgrade request
	ready   []byte // whole frames that are not handed out yet
	tail    []byte // the beginning of a frame
	message int    // bytes of the fragmented message so far
	within  bool   // between the fragments of a message
	err     error
}

// Read implements [io.Reader]; what it gives ends nowhere but between frames,
// as long as p has room.
func (f *framer) Read(p []byte) (int, error) {
	for {
		if len(f.ready) > 0 {
			n := copy(p, f.ready)
			if f.ready = f.ready[n:]; len(f.ready) == 0 {
				f.ready = nil
			}
			return n, nil
		}
		if f.err != nil {
			return 0, f.err
		}
		n, err := f.fill(p)
		if err != nil {
			f.err = err
		}
		if n > 0 {
			if whole := f.feed(p[:n]); whole > 0 {
				return whole, nil
			}
		}
	}
}

func (f *framer) fill(p []byte) (int, error) {
	if len(f.first) > 0 {
		n := copy(p, f.first)
		f.first = f.first[n:]
		return n, nil
	}
	n, err := f.src.Read(p)
	if n > 0 {
		f.heard.Store(time.Now().UnixNano())
	}
	return n, err
}

// feed takes what has been read and says how much of its front may be handed
// on as it is. The rest is kept, whole frames in ready, a beginning in tail.
func (f *framer) feed(b []byte) int {
	direct := len(f.tail) == 0
	if !direct {
		f.tail = append(f.tail, b...)
		b = f.tail
	}
	whole := f.split(b)
	rest := b[whole:]
	if f.err == errRefusedFrame { //nolint:errorlint // set by split, never wrapped
		rest = nil
	}
	f.tail = append([]byte(nil), rest...)
	if !direct {
		f.ready = b[:whole:whole]
		whole = 0
	}
	f.age()
	return whole
}

// age remembers when something incomplete began.
func (f *framer) age() {
	switch {
	case len(f.tail) == 0 && !f.within:
		f.since.Store(0)
	case f.since.Load() == 0:
		f.since.Store(time.Now().UnixNano())
	}
}

// split gives the length of the whole frames at the front of b. An illegal
// frame ends the stream behind the ones before it.
func (f *framer) split(b []byte) int {
	whole := 0
	for whole < len(b) {
		n, code := f.next(b[whole:])
		if code == 0 && n > 0 && !f.allow() {
			code = wire.CloseTooFast
		}
		if code != 0 {
			f.verdict.Store(uint32(code))
			f.err = errRefusedFrame
			return whole
		}
		if n == 0 {
			return whole
		}
		whole += n
	}
	return whole
}

// next judges the frame at the front of b and gives its length, or 0 when
// more bytes are needed.
func (f *framer) next(b []byte) (int, wire.CloseCode) {
	op := b[0] & 0x0f
	if code := f.checkFirst(b[0]); code != 0 {
		return 0, code
	}
	if len(b) < 2 {
		return 0, 0
	}
	if b[1]&bitMask == 0 {
		return 0, wire.CloseProtocol // RFC 6455, 5.1: clients mask every frame
	}
	header, size, code := payloadSize(b)
	if code != 0 || header == 0 {
		return 0, code
	}
	if op&bitControl != 0 {
		if size > maxControlBytes {
			return 0, wire.CloseProtocol
		}
	} else if size > uint64(max(f.limit.Load()-int64(f.message), 0)) {
		return 0, wire.CloseTooBig
	}
	total := header + maskBytes + int(size) //nolint:gosec // bounded above by the limit
	if len(b) < total {
		return 0, 0
	}
	f.account(b[0], int(size)) //nolint:gosec // bounded above by the limit
	return total, 0
}

func (f *framer) checkFirst(b0 byte) wire.CloseCode {
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
	case op == opContinuation && !f.within, op == opText && f.within:
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

func (f *framer) account(b0 byte, size int) {
	if b0&bitControl != 0 {
		return
	}
	if f.within = b0&bitFin == 0; f.within {
		f.message += size
		return
	}
	f.message = 0
}
