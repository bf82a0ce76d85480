package flight

import (
	"crypto/rand"
	"encoding/binary"
	"sync/atomic"

	"github.com/colloquyhq/colloquy/conversation"
)

// ids makes the names of traces and spans: numbers that count from a random
// start, mixed. They need not be secret, only different, and this takes a few
// nanoseconds where asking for randomness takes hundreds.
type ids struct {
	node uint64 // random, in every trace
	next atomic.Uint64
}

// step is odd, so that counting by it comes back to a number only after all
// others. Source: the increment of SplitMix64, Steele et al., OOPSLA 2014.
const step = 0x9e3779b97f4a7c15

func (i *ids) start() {
	var seed [16]byte
	_, _ = rand.Read(seed[:]) // never fails
	i.node = binary.LittleEndian.Uint64(seed[:])
	i.next.Store(binary.LittleEndian.Uint64(seed[8:]))
}

func (i *ids) number() uint64 { return mix(i.next.Add(step)) }

// mix is the mixing function of SplitMix64; different inputs give different
// numbers.
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// traceNumbers are an id as two numbers. Bytes that are written as numbers and
// read as a whole soon after make the processor wait, and a span does so often.
type traceNumbers struct{ hi, lo uint64 }

func (t traceNumbers) id() (id conversation.TraceID) {
	binary.BigEndian.PutUint64(id[:], t.hi)
	binary.BigEndian.PutUint64(id[8:], t.lo)
	return id
}

func numbersOf(id *conversation.TraceID) traceNumbers {
	return traceNumbers{hi: binary.BigEndian.Uint64(id[:]), lo: binary.BigEndian.Uint64(id[8:])}
}

func spanID(n uint64) (id conversation.SpanID) {
	binary.BigEndian.PutUint64(id[:], n)
	return id
}

func (i *ids) trace() traceNumbers {
	return traceNumbers{hi: i.number() | 1, lo: i.node} // a zero id would mean none
}

func (i *ids) span() uint64 { return i.number() | 1 }

// samples decides by the id, so that it is by chance and every node that knows
// the ratio decides the same.
func (r *Recorder) samples(t traceNumbers) bool { return r.ratio > 0 && t.hi>>1 <= r.ratio }
