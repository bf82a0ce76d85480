package persistence

import (
	"bytes"
	"errors"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// rowBatch gathers rows: those of a burst, in the order in which they came, or
// those that wait, each key once; see [rowBuffer].
type rowBatch struct {
	buf []byte // keys and values
	ops []rowOp
	// ranges says that there are range deletions, so that the order counts and
	// nothing may wait.
	ranges bool
}

// rowOp is a write: key and value lie in buf from start to mid and to end, and
// there is room for a value up to room.
type rowOp struct {
	kind                  rowKind
	start, mid, end, room int
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
	b.ops = append(b.ops, b.place(kind, key, value, 0))
	b.ranges = b.ranges || kind == rowDeleteRange
}

// place copies key and value behind the others, and says where they are.
func (b *rowBatch) place(kind rowKind, key, value []byte, slack int) rowOp {
	op := rowOp{kind: kind, start: len(b.buf)}
	b.buf = append(b.buf, key...)
	op.mid = len(b.buf)
	b.buf = append(b.buf, value...)
	op.end = len(b.buf)
	b.buf = append(b.buf, make([]byte, slack)...)
	op.room = len(b.buf)
	return op
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

// apply writes everything in the order in which it came, unsynced, and empties the
// batch.
func (b *rowBatch) apply(db *pebble.DB) error {
	const overhead = 8 // of a row, about
	out := db.NewBatchWithSize(len(b.buf) + overhead*len(b.ops) + 16)
	for _, op := range b.ops {
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
