package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The limits of what goes between gates.
const (
	envelopeVersion = 1
	maxMessageBytes = 1 << 20 // one message of a grain, encoded
	maxBatchFrames  = 64
	maxBatchBytes   = 256 << 10 // a batch goes when it is so large; one message of the full size may still join it
	maxNameBytes    = 1 << 10
)

// op says what a frame is for. Numbers are never used again.
type op byte

const (
	opAsk       op = 1 // a message for a grain that wants an answer
	opTell      op = 2 // one that wants none
	opAnswer    op = 3 // what the grain said
	opFailure   op = 4 // the error that it gave
	opNack      op = 5 // not here: ask again elsewhere
	opRelease   op = 6 // give a grain up to its new owner
	opLocate    op = 7 // activate a grain and name its actor
	opCount     op = 8 // count the active grains
	opBroadcast op = 9
	opEvicted   op = 10 // the one who is told has been evicted
)

// frame is one message between gates. Which fields count depends on the op.
type frame struct {
	op      op
	request uint64 // of the asker; the same in every attempt
	millis  uint64 // ask: time left · failure: when to try again
	kind    string // ask, tell, release, locate: of the grain · failure: the code · broadcast: the topic
	id      string // of the grain · failure: the detail
	node    NodeID // nack: who owns the grain, as far as known · tell: who passed it on
	payload []byte
}

// header begins a batch.
type header struct {
	from    NodeID
	address string // where the sender's gate is reached
	sent    uint64 // cost of everything sent to the receiver so far
	heard   uint64 // the receiver's sent, as far as it has come
}

var errFrame = errors.New("not an envelope of this protocol")

func appendHeader(b []byte, h header) []byte {
	b = append(b, envelopeVersion)
	b = appendText(b, string(h.from))
	b = appendText(b, h.address)
	b = binary.AppendUvarint(b, h.sent)
	return binary.AppendUvarint(b, h.heard)
}

// size is what appendFrame adds at most.
func (f *frame) size() int {
	return len(f.kind) + len(f.id) + len(f.node) + len(f.payload) + 48
}

// appendFrame writes a frame with its length before it, so that who does not
// know the op can step over it.
func appendFrame(b []byte, f *frame) []byte {
	n := 1 + uvarintLen(f.request) + uvarintLen(f.millis) + textLen(f.kind) + textLen(f.id) + textLen(string(f.node)) + len(f.payload)
	b = binary.AppendUvarint(b, uint64(n)) //nolint:gosec // not negative
	b = append(b, byte(f.op))
	b = binary.AppendUvarint(b, f.request)
	b = binary.AppendUvarint(b, f.millis)
	b = appendText(b, f.kind)
	b = appendText(b, f.id)
	b = appendText(b, string(f.node))
	return append(b, f.payload...)
}

func appendText(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func textLen(s string) int { return uvarintLen(uint64(len(s))) + len(s) }

func uvarintLen(v uint64) int {
	n := 1
	for ; v >= 0x80; v >>= 7 {
		n++
	}
	return n
}

// decodeBatch reads a batch and calls each with its frames. It stops at the
// first one that is broken. Payloads are parts of b. Errors: errFrame.
func decodeBatch(b []byte, begin func(header) bool, each func(*frame)) error {
	r := reader{b: b}
	if v := r.byte(); v != envelopeVersion {
		return fmt.Errorf("%w: version %d", errFrame, v)
	}
	h := header{from: NodeID(r.text()), address: r.text(), sent: r.uvarint(), heard: r.uvarint()}
	if r.bad || h.from == "" {
		return fmt.Errorf("%w: header", errFrame)
	}
	if !begin(h) {
		return nil
	}
	for len(r.b) > 0 {
		body := reader{b: r.bytes(r.uvarint())}
		f := frame{op: op(body.byte()), request: body.uvarint(), millis: body.uvarint(), kind: body.text(), id: body.text(), node: NodeID(body.text())}
		f.payload = body.b
		if r.bad || body.bad {
			return fmt.Errorf("%w: frame", errFrame)
		}
		each(&f)
	}
	return nil
}

// reader takes things off the front of a slice. After the first that is not
// there everything is zero, and bad is set.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.bad = true
		return 0
	}
	v := r.b[0]
	r.b = r.b[1:]
	return v
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.b, r.bad = nil, true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) bytes(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.b, r.bad = nil, true
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) text() string {
	n := r.uvarint()
	if n > maxNameBytes {
		r.b, r.bad = nil, true
		return ""
	}
	return string(r.bytes(n))
}
