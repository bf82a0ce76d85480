package persistence

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"github.com/colloquyhq/colloquy/conversation"
)

// rowBuffer holds the rows of the newest bursts in memory, until there are enough
// of them to be worth handing to the database. A conversation that is talking
// writes its head and its place in the lists with every entry; here the newest
// one takes the place of the one before, and what is left goes to the database in
// key order, much of it side by side, which is several times cheaper than burst by
// burst. Nothing is lost with the buffer: the raft log holds the entries that made
// its rows, as it does for what the database has not flushed.
//
// What is read has to be looked for here first, so either through the buffer or
// from the database after settle.
//
// Concurrency: put, drain and discard exclude each other; everything may be called
// together.
type rowBuffer struct {
	db    *pebble.DB
	limit int // bytes and, as many as belong to them, rows

	changing sync.Mutex   // held by who puts rows in or takes them out
	mu       sync.RWMutex // guards the rest; held alone only for moments
	rows     rowBatch
	index    map[uint64]int32 // by the hash of a key, its row
	next     []int32          // by row, the one before it with the same hash; noRow = none
	order    []rowOrder       // of the rows, once each
	out      *pebble.Batch    // scratch; nil = nothing was handed over yet
	hash     func(key []byte) uint64
	waiting  atomic.Int64 // rows
}

// rowOrder is what rows are sorted by: the first bytes of a key without those of the
// group, which are the same in all. They tell nearly all keys apart, so that few have
// to be looked at.
type rowOrder struct {
	a, b, c uint64
	row     int32
}

func orderOf(key []byte, row int32) rowOrder {
	var k [24]byte
	if len(key) > prefixBytes {
		k[0] = key[0]
		copy(k[1:], key[prefixBytes:])
	} else {
		copy(k[:], key)
	}
	o := rowOrder{a: binary.BigEndian.Uint64(k[:]), b: binary.BigEndian.Uint64(k[8:]), c: binary.BigEndian.Uint64(k[16:]), row: row}
	if id, seq, err := entryKeySeq(key); err == nil && k[0] == tagEntry && seq < 1<<56 {
		o.c = uint64(id[idBytes-1])<<56 | uint64(seq) // the whole rest
	}
	return o
}

const (
	// rowBufferBytes is how much waits. More makes the rows that are handed over
	// fewer and closer to each other, and the pause while they are longer.
	rowBufferBytes = 8 << 20
	// rowBufferShare is how many bytes a row has, for the bound on rows.
	rowBufferShare = 64
	// rowSlack is what a row that outgrows its place gets beyond its size.
	rowSlack = 32
	noRow    = -1
)

func newRowBuffer(db *pebble.DB, limit int) *rowBuffer {
	seed := maphash.MakeSeed()
	return &rowBuffer{
		db: db, limit: limit, index: make(map[uint64]int32),
		hash: func(key []byte) uint64 { return maphash.Bytes(seed, key) },
	}
}

// put takes the rows of a burst and empties it. Those of a burst that drops ranges
// go to the database at once, after everything that waits.
func (b *rowBuffer) put(batch *rowBatch) error {
	b.changing.Lock()
	defer b.changing.Unlock()
	if batch.ranges {
		return errors.Join(b.handOver(), batch.apply(b.db))
	}
	b.mu.Lock()
	for _, op := range batch.ops {
		b.set(op.kind, batch.key(op), batch.value(op))
	}
	b.waiting.Store(int64(len(b.rows.ops)))
	b.mu.Unlock()
	batch.reset()
	if len(b.rows.buf) > b.limit || len(b.rows.ops) > b.limit/rowBufferShare {
		return b.handOver()
	}
	return nil
}

// set makes a row the newest of its key.
func (b *rowBuffer) set(kind rowKind, key, value []byte) {
	hash := b.hash(key)
	first, at := b.search(hash, key)
	if at != noRow {
		b.replace(&b.rows.ops[at], kind, value)
		return
	}
	row := int32(len(b.rows.ops)) //nolint:gosec // bounded by limit and a burst
	b.index[hash] = row
	b.next = append(b.next, first)
	b.order = append(b.order, orderOf(key, row))
	b.rows.ops = append(b.rows.ops, b.rows.place(kind, key, value, 0))
}

// replace gives a row another value: in the place of the old one where it fits.
func (b *rowBuffer) replace(op *rowOp, kind rowKind, value []byte) {
	op.kind = kind
	if len(value) <= op.room-op.mid {
		op.end = op.mid + copy(b.rows.buf[op.mid:op.room], value)
		return
	}
	*op = b.rows.place(kind, b.rows.key(*op), value, rowSlack)
}

// find gives the row of a key.
func (b *rowBuffer) find(key []byte) (rowOp, bool) {
	_, at := b.search(b.hash(key), key)
	if at == noRow {
		return rowOp{}, false
	}
	return b.rows.ops[at], true
}

// search gives the first row of a hash and the row of the key; noRow = there is none.
func (b *rowBuffer) search(hash uint64, key []byte) (first, at int32) {
	first, known := b.index[hash]
	if !known {
		return noRow, noRow
	}
	for at = first; at != noRow && !bytes.Equal(b.rows.key(b.rows.ops[at]), key); {
		at = b.next[at]
	}
	return first, at
}

// read hands the row of a key to use, which must be quick and must not keep it.
// It reports whether the buffer knows of the key, and whether there is a row.
func (b *rowBuffer) read(key []byte, use func([]byte) error) (known, found bool, err error) {
	if b.waiting.Load() == 0 {
		return false, false, nil
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	op, known := b.find(key)
	if !known || op.kind == rowDelete {
		return known, false, nil
	}
	return true, true, use(b.rows.value(op))
}

// value is [value] with the rows that wait.
func (b *rowBuffer) value(key []byte, use func([]byte) error) (bool, error) {
	if known, found, err := b.read(key, use); known {
		return found, err
	}
	return value(b.db, key, use)
}

// lookup is [lookup] with the rows that wait.
func (b *rowBuffer) lookup(key []byte, use func([]byte) error) (bool, error) {
	if known, found, err := b.read(key, use); known {
		return found, err
	}
	return lookup(b.db, key, use)
}

// newest is what waits of a conversation.
type newest struct {
	state   []byte   // nil = none
	entries [][]byte // the newest, one after the other, oldest first
}

// conversation gives what waits of a conversation, its entries after a seq, and an
// iterator over the database of the same moment. What is being handed over may be
// in both.
func (b *rowBuffer) conversation(
	id conversation.ConversationID, after conversation.Seq, o *pebble.IterOptions,
) (newest, *pebble.Iterator, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var n newest
	if op, known := b.find(appendStateKey(nil, id)); known && op.kind == rowSet {
		n.state = bytes.Clone(b.rows.value(op))
	}
	if op, known := b.find(appendHeadKey(nil, id)); known && op.kind == rowSet {
		r, _, err := decodeRow(b.rows.value(op))
		if err != nil {
			return n, nil, err
		}
		n.entries = b.entries(id, after, r.version)
	}
	it, err := b.db.NewIter(o)
	return n, it, err
}

// entries gives those between two seqs, as far back from last as they wait. Whatever
// writes an entry writes a head, so that there are none after its version.
func (b *rowBuffer) entries(id conversation.ConversationID, after, last conversation.Seq) [][]byte {
	var out [][]byte
	var key []byte
	for seq := last; seq > after; seq-- {
		key = appendEntryKey(key[:0], id, seq)
		op, known := b.find(key)
		if !known || op.kind != rowSet {
			break
		}
		out = append(out, bytes.Clone(b.rows.value(op)))
	}
	slices.Reverse(out)
	return out
}

// settle hands over what waits, so that the database has everything that was
// applied before the call.
func (b *rowBuffer) settle() error {
	if b.waiting.Load() == 0 {
		return nil
	}
	b.changing.Lock()
	defer b.changing.Unlock()
	return b.handOver()
}

// handOver writes what waits to the database, unsynced, and empties the buffer.
// Until then it can be read here.
func (b *rowBuffer) handOver() error {
	if len(b.rows.ops) == 0 {
		return nil
	}
	slices.SortFunc(b.order, b.compare)
	if b.out == nil {
		b.out = b.db.NewBatch(pebble.WithMaxRetainedSizeBytes(2 * b.limit))
	}
	for _, o := range b.order {
		if err := b.rows.write(b.out, b.rows.ops[o.row]); err != nil {
			return err
		}
	}
	if err := b.db.Apply(b.out, pebble.NoSync); err != nil {
		return err
	}
	b.out.Reset()
	b.empty()
	return nil
}

// compare orders rows by their keys. The memtable finds the place of a key much
// faster when the one before was near.
func (b *rowBuffer) compare(x, y rowOrder) int {
	switch {
	case x.a != y.a:
		return cmp.Compare(x.a, y.a)
	case x.b != y.b:
		return cmp.Compare(x.b, y.b)
	case x.c != y.c:
		return cmp.Compare(x.c, y.c)
	}
	return bytes.Compare(b.rows.key(b.rows.ops[x.row]), b.rows.key(b.rows.ops[y.row]))
}

// discard drops what waits: the state that it belongs to is replaced.
func (b *rowBuffer) discard() {
	b.changing.Lock()
	defer b.changing.Unlock()
	b.empty()
}

func (b *rowBuffer) empty() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rows.ops, b.next, b.order = b.rows.ops[:0], b.next[:0], b.order[:0]
	if b.rows.buf = b.rows.buf[:0]; cap(b.rows.buf) > 2*b.limit {
		b.rows.buf = nil
	}
	clear(b.index)
	b.waiting.Store(0)
}
