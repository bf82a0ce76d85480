package actors

import (
	"encoding/binary"
	"maps"
	"math"
	"slices"

	"github.com/colloquyhq/colloquy/conversation"
)

// errShort is for a message that ends before its fields do.
func errShort() error {
	return conversation.Refuse(conversation.CodeInvalid, "a message between nodes is cut or garbled")
}

// writer lays out a message: numbers as varints, texts behind their length.
type writer []byte

func (w *writer) uint(v uint64) { *w = binary.AppendUvarint(*w, v) }

func (w *writer) int(v int64) { *w = binary.AppendVarint(*w, v) }

func (w *writer) float(v float32) { *w = binary.LittleEndian.AppendUint32(*w, math.Float32bits(v)) }

func (w *writer) string(s string) {
	w.uint(uint64(len(s)))
	*w = append(*w, s...)
}

// pairs writes a map by its keys' order, so that the same message is the same
// bytes.
func (w *writer) pairs(m map[string]string) {
	w.uint(uint64(len(m)))
	if len(m) == 0 {
		return
	}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		w.string(k)
		w.string(m[k])
	}
}

// reader takes a message apart. After the first field that is not there, all
// others are zero and failed says so.
type reader struct {
	rest   []byte
	failed bool
}

func (r *reader) take(n int) []byte {
	if r.failed || n < 0 || n > len(r.rest) {
		r.failed, r.rest = true, nil
		return nil
	}
	out := r.rest[:n]
	r.rest = r.rest[n:]
	return out
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) id() (id [16]byte) {
	copy(id[:], r.take(len(id)))
	return id
}

// trace writes a place in a trace: the ids and the flags.
func (w *writer) trace(t conversation.Trace) {
	flags := byte(0)
	if t.Sampled {
		flags |= flagSampled
	}
	*w = append(append(append(*w, t.ID[:]...), t.Span[:]...), flags)
}

func (r *reader) trace() (t conversation.Trace) {
	t.ID = conversation.TraceID(r.id())
	copy(t.Span[:], r.take(len(t.Span)))
	t.Sampled = r.byte()&flagSampled != 0
	return t
}

func (r *reader) uint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if r.take(n) == nil || n == 0 {
		r.failed = true
		return 0
	}
	return v
}

func (r *reader) int() int64 {
	v, n := binary.Varint(r.rest)
	if r.take(n) == nil || n == 0 {
		r.failed = true
		return 0
	}
	return v
}

func (r *reader) float() float32 {
	b := r.take(4)
	if b == nil {
		return 0
	}
	return math.Float32frombits(binary.LittleEndian.Uint32(b))
}

// count reads a number of things that follow. Each takes a byte at least, so
// that a number cannot ask for more memory than the message has.
func (r *reader) count() int {
	n := r.uint()
	if n > uint64(len(r.rest)) {
		r.failed, r.rest = true, nil
		return 0
	}
	return int(n) //nolint:gosec // at most the length of the message
}

func (r *reader) bytes() []byte { return r.take(r.count()) }

func (r *reader) string() string { return string(r.bytes()) }

func (r *reader) pairs() map[string]string {
	n := r.count()
	if n == 0 {
		return nil
	}
	m := make(map[string]string, min(n, conversation.MaxMetadataKeys))
	for ; n > 0 && !r.failed; n-- {
		k := r.string()
		m[k] = r.string()
	}
	return m
}
