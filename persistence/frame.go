package persistence

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

// A frame of the journal's link is
//
//	length4 request8 code1 payload
//
// where the length counts what follows it, and the code is an operation on the
// way there and a status on the way back. Answers come in any order.

// linkOp is what a peer is asked for. Codes are never reused.
type linkOp byte

const (
	linkPropose  linkOp = 1 // a proposal, as it will stand in the log
	linkJoin     linkOp = 2 // let a new node in
	linkHello    linkOp = 3 // a node has started
	linkStatus   linkOp = 4 // how is the node?
	linkRemove   linkOp = 5 // take a node out of the cluster
	linkTransfer linkOp = 6 // give the leadership to a node
)

// linkStatusCode is how an operation ended. Codes are never reused.
type linkStatusCode byte

const (
	statusOK       linkStatusCode = 0
	statusAgain    linkStatusCode = 1 // certainly not done; the payload names the leader, as far as known
	statusUnknown  linkStatusCode = 2 // perhaps done
	statusRefused  linkStatusCode = 3 // not done, and will not be; the payload says why
	statusRemoved  linkStatusCode = 4 // see [ErrRemoved]
	statusOldDisk  linkStatusCode = 5 // see [ErrOldDisk]
	statusOverload linkStatusCode = 6 // certainly not done, too much is under way
)

const (
	frameHead    = 4 + 8 + 1
	maxControl   = 64 << 10                       // payload of everything but proposals
	maxProposal  = maxEntryBytes + MaxAppendBytes // the last operation of an entry may go over its size
	proposalRoom = 64 + 4*maxEntryOps             // its header and the lengths of the operations
	maxFrame     = maxProposal + proposalRoom
)

type frame struct {
	request uint64
	code    byte
	payload []byte
}

// writeFrame adds a frame to w without flushing it.
func writeFrame(w *bufio.Writer, f *frame) error {
	var head [frameHead]byte
	binary.BigEndian.PutUint32(head[:], uint32(len(f.payload)+frameHead-4)) //nolint:gosec // bounded by maxFrame
	binary.BigEndian.PutUint64(head[4:], f.request)
	head[12] = f.code
	if _, err := w.Write(head[:]); err != nil {
		return err
	}
	_, err := w.Write(f.payload)
	return err
}

// readFrame reads a frame; limit says how large the payload of a code may be.
// The payload is the caller's.
func readFrame(r *bufio.Reader, limit func(code byte) int) (frame, error) {
	var head [frameHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return frame{}, err
	}
	n := int64(binary.BigEndian.Uint32(head[:])) - (frameHead - 4)
	f := frame{request: binary.BigEndian.Uint64(head[4:]), code: head[12]}
	if n < 0 || n > int64(limit(f.code)) {
		return frame{}, fmt.Errorf("%w: frame %d of %d bytes", ErrCorrupt, f.code, n)
	}
	f.payload = make([]byte, n)
	_, err := io.ReadFull(r, f.payload)
	return f, err
}

func requestLimit(code byte) int {
	if linkOp(code) == linkPropose {
		return maxFrame
	}
	return maxControl
}

func answerLimit(byte) int { return maxControl }
