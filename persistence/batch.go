package persistence

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// rowBatch gathers the rows of a burst and hands them to the database in key
// order. The memtable finds the place of a key much faster when the one before
// was near, and a row that the burst wrote twice is written once: its last
// value.
type rowBatch struct {
	buf []byte // keys and values
	ops []rowOp
	// ranges says that there are range deletions, so that the order counts and
	// nothing may be moved.
	ranges bool
}

// rowOp is a write: key and value lie in buf from start to mid and to end.
type rowOp struct {
	kind            rowKind
	start, mid, end int
	order           uint64 // of the key, as far as eight bytes tell
}

// orderOf gives eight bytes of a key that tell most keys apart: its tag and what
// follows the group, which is the same in all.
func orderOf(key []byte) uint64 {
	var b [8]byte
	if len(key) > 0 {
		b[0] = key[0]
	}
	if len(key) > prefixBytes {
		copy(b[1:], key[prefixBytes:])
	}
	return binary.BigEndian.Uint64(b[:])
}

type rowKind uint8

const (
	rowSet rowKind = iota
	rowDelete
	rowDeleteRange // up to the key that is in the place of the value
)

// maxKeptBytes bounds the buffer that is kept for the next burst.
const maxKeptBytes = 2 * maxBatchBytes

func (b *rowBatch) add(kind rowKind, key, value []byte) {
	op := rowOp{kind: kind, start: len(b.buf), order: orderOf(key)}
	b.buf = append(b.buf, key...)
	op.mid = len(b.buf)
	b.buf = append(b.buf, value...)
	op.end = len(b.buf)
	b.ops = append(b.ops, op)
	b.ranges = b.ranges || kind == rowDeleteRange
}

func (b *rowBatch) set(key, value []byte) { b.add(rowSet, key, value) }

func (b *rowBatch) drop(key []byte) { b.add(rowDelete, key, nil) }

func (b *rowBatch) dropRange(from, to []byte) { b.add(rowDeleteRange, from, to) }

func (b *rowBatch) key(op rowOp) []byte { return b.buf[op.start:op.mid:op.mid] }

func (b *rowBatch) value(op rowOp) []byte { return b.buf[op.mid:op.end:op.end] }

// find gives what the batch sets a key to; nil when it does not. It looks at
// every write, so it is for what is asked rarely.
func (b *rowBatch) find(key []byte) []byte {
	for _, v := range slices.Backward(b.ops) {
		if op := v; op.kind == rowSet && bytes.Equal(b.key(op), key) {
			return b.value(op)
		}
	}
	return nil
}

// newest gives what the batch makes of a key, and whether it makes anything of
// it; nil says that it drops it. It looks at every write, as find does.
func (b *rowBatch) newest(key []byte) (value []byte, known bool) {
	for _, op := range slices.Backward(b.ops) {
		switch {
		case op.kind == rowDeleteRange:
			if bytes.Compare(b.key(op), key) <= 0 && bytes.Compare(key, b.value(op)) < 0 {
				return nil, true
			}
		case !bytes.Equal(b.key(op), key):
		case op.kind == rowDelete:
			return nil, true
		default:
			return b.value(op), true
		}
	}
	return nil, false
}

// full says that the batch should go before more is added.
func (b *rowBatch) full() bool { return len(b.buf) > maxBatchBytes || len(b.ops) > maxBatchOps }

// apply writes everything, unsynced, and empties the batch.
func (b *rowBatch) apply(db *pebble.DB) error {
	if !b.ranges {
		slices.SortFunc(b.ops, func(x, y rowOp) int {
			if x.order != y.order {
				return cmp.Compare(x.order, y.order)
			}
			if c := bytes.Compare(b.key(x), b.key(y)); c != 0 {
				return c
			}
			return x.start - y.start // the order of the writes
		})
	}
	const overhead = 8 // of an operation, about
	out := db.NewBatchWithSize(len(b.buf) + overhead*len(b.ops) + 16)
	for i, op := range b.ops {
		if !b.ranges && i+1 < len(b.ops) && bytes.Equal(b.key(op), b.key(b.ops[i+1])) {
			continue // a later write of the same row follows
		}
		if err := b.write(out, op); err != nil {
			return errors.Join(err, out.Close())
		}
	}
	b.reset()
	return errors.Join(db.Apply(out, pebble.NoSync), out.Close())
}

func (b *rowBatch) write(out *pebble.Batch, op rowOp) error {
	switch op.kind {
	case rowSet:
		return out.Set(b.key(op), b.value(op), nil)
	case rowDelete:
		return out.Delete(b.key(op), nil)
	case rowDeleteRange:
		return out.DeleteRange(b.key(op), b.value(op), nil)
	}
	return ErrCorrupt
}

func (b *rowBatch) reset() {
	b.ops, b.ranges = b.ops[:0], false
	if b.buf = b.buf[:0]; cap(b.buf) > maxKeptBytes {
		b.buf = nil
	}
}
