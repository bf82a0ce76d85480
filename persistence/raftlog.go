package persistence

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/hashicorp/raft"
)

// logStore keeps the raft log and the raft vote in the node's database.
type logStore struct {
	db   *pebble.DB
	halt *halt
	// sync is how log entries are written. It is [pebble.Sync] but in the test
	// that proves that the crash tests would notice.
	sync *pebble.WriteOptions
	// grown counts the bytes stored since the last truncation; full is told
	// when they pass limit.
	grown atomic.Int64
	limit int64
	full  chan struct{}
	// stored is told of the end of the log when it has changed; nil = nobody is.
	stored func(last uint64)
	// changed is the newest entry that says who belongs to the group. Where such
	// an entry was replaced it may be too high, until there is another one.
	changed atomic.Uint64
	recent  *recentLogs // nil = entries are not kept in memory
	kept    *logHolds
	sizes   logSizes

	mu struct {
		sync.Mutex
		first, last uint64 // zero when the log is empty
	}
}

func newLogStore(db *pebble.DB, h *halt, limit int64) (*logStore, error) {
	l := &logStore{db: db, halt: h, sync: pebble.Sync, limit: limit, full: make(chan struct{}, 1), kept: newLogHolds(limit)}
	it, err := db.NewIter(prefixBounds(tagPrefix(tagLog), nil))
	if err != nil {
		return nil, fmt.Errorf("read raft log: %w", err)
	}
	if it.First() {
		l.mu.first, err = logKeyIndex(it.Key())
	}
	if err == nil && it.Last() {
		l.mu.last, err = logKeyIndex(it.Key())
	}
	if err = errors.Join(err, it.Error(), it.Close()); err != nil {
		return nil, fmt.Errorf("read raft log: %w", err)
	}
	l.sizes.start(l.mu.last)
	return l, nil
}

// FirstIndex implements [raft.LogStore].
func (l *logStore) FirstIndex() (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.first, nil
}

// LastIndex implements [raft.LogStore].
func (l *logStore) LastIndex() (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.last, nil
}

// GetLog implements [raft.LogStore].
func (l *logStore) GetLog(index uint64, out *raft.Log) error {
	if l.recent.get(index, out) {
		return nil
	}
	rec, closer, err := l.db.Get(appendLogKey(nil, index))
	if errors.Is(err, pebble.ErrNotFound) {
		return raft.ErrLogNotFound
	}
	if err != nil {
		return fmt.Errorf("read raft entry %d: %w", index, err)
	}
	err = decodeLog(rec, out)
	out.Index = index
	if err = errors.Join(err, closer.Close()); err != nil {
		return fmt.Errorf("raft entry %d: %w", index, err)
	}
	return nil
}

// StoreLog implements [raft.LogStore].
func (l *logStore) StoreLog(log *raft.Log) error { return l.StoreLogs([]*raft.Log{log}) }

// StoreLogs implements [raft.LogStore]. It returns when the entries are synced.
func (l *logStore) StoreLogs(logs []*raft.Log) error {
	if len(logs) == 0 {
		return nil
	}
	b := l.db.NewBatch()
	for _, log := range logs {
		if log.Type == raft.LogConfiguration {
			l.changed.Store(log.Index)
		}
		op := b.SetDeferred(prefixBytes+8, logSize(log))
		appendLogKey(op.Key[:0], log.Index)
		n := len(appendLog(op.Value[:0], log))
		if n != len(op.Value) {
			return fmt.Errorf("raft entry %d: %d bytes where %d were meant", log.Index, n, len(op.Value))
		}
		if err := op.Finish(); err != nil {
			return err
		}
	}
	size := int64(b.Len())
	if err := l.apply(b, l.sync); err != nil {
		return fmt.Errorf("store %d raft entries: %w", len(logs), err)
	}
	l.mu.Lock()
	if l.mu.first == 0 {
		l.mu.first = logs[0].Index
	}
	last := logs[len(logs)-1].Index
	l.mu.last = last
	l.mu.Unlock()
	l.recent.add(logs)
	l.sizes.add(logs[0].Index, last, size)
	if l.stored != nil {
		l.stored(last)
	}
	if l.grown.Add(size) > l.limit {
		select {
		case l.full <- struct{}{}:
		default:
		}
	}
	return nil
}

// apply commits a batch. The database does not return the error of a failed
// commit, it calls for the end of the process; where that did not come, the
// error is made here.
func (l *logStore) apply(b *pebble.Batch, o *pebble.WriteOptions) error {
	err := errors.Join(l.db.Apply(b, o), b.Close())
	if err == nil && l.halt.failed() {
		err = ErrUnknown
	}
	return err
}

// IsMonotonic implements [raft.MonotonicLogStore]: when the state was received as
// a whole, raft drops the log before it. What would stay of it may be entries
// that never were committed, and a later leader would send them out.
func (l *logStore) IsMonotonic() bool { return true }

// has reports whether the log holds the entry of a term at an index.
func (l *logStore) has(index, term uint64) bool {
	var e raft.Log
	return l.GetLog(index, &e) == nil && e.Term == term
}

// holds reports whether the log holds an entry.
func (l *logStore) holds(index uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.first > 0 && index >= l.mu.first && index <= l.mu.last
}

// dropBefore empties a log that ends before a received state begins: the power
// went after the state was complete and before the log was dropped.
func (l *logStore) dropBefore(m *storedMark) error {
	first, _ := l.FirstIndex() // in memory
	last, _ := l.LastIndex()   // in memory
	if m == nil || first == 0 || last >= m.Index {
		return nil
	}
	return l.DeleteRange(first, last)
}

// DeleteRange implements [raft.LogStore]. Of the front of the log it leaves what
// is held for a peer; raft drops it another time. It need not be synced: an entry that
// comes back after a power cut is one that the snapshot mark covers.
func (l *logStore) DeleteRange(from, to uint64) error {
	if last, _ := l.LastIndex(); to < last { // in memory
		if to = l.kept.spare(to, &l.sizes); to < from {
			l.grown.Store(0) // it is looked at again when as much has come again
			return nil
		}
	}
	b := l.db.NewBatch()
	if err := b.DeleteRange(appendLogKey(nil, from), appendLogKey(nil, to+1), nil); err != nil {
		return err
	}
	if err := l.apply(b, pebble.NoSync); err != nil {
		return fmt.Errorf("truncate raft log: %w", err)
	}
	l.recent.drop(from, to)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case from <= l.mu.first && to >= l.mu.last:
		l.mu.first, l.mu.last = 0, 0
		l.grown.Store(0)
	case from <= l.mu.first:
		l.mu.first = to + 1
		l.grown.Store(0)
	case to >= l.mu.last:
		l.mu.last = from - 1
		l.sizes.cut(from)
	}
	return nil
}

const (
	logFixed = headerBytes + 1 + 8 + 8 + 4 // header, type, term, time, length of the data
)

func logSize(l *raft.Log) int { return logFixed + len(l.Data) + len(l.Extensions) }

func appendLog(b []byte, l *raft.Log) []byte {
	b = appendHeader(b, tagLog)
	b = append(b, byte(l.Type))
	b = binary.BigEndian.AppendUint64(b, l.Term)
	var at int64
	if !l.AppendedAt.IsZero() {
		at = l.AppendedAt.UnixNano()
	}
	b = binary.BigEndian.AppendUint64(b, uint64(at))
	b = binary.BigEndian.AppendUint32(b, uint32(len(l.Data))) //nolint:gosec // entries are far below 4 GB
	b = append(b, l.Data...)
	return append(b, l.Extensions...)
}

func decodeLog(rec []byte, out *raft.Log) error {
	if _, err := body(tagLog, rec); err != nil {
		return err
	}
	if len(rec) < logFixed {
		return fmt.Errorf("%w: raft entry of %d bytes", ErrCorrupt, len(rec))
	}
	b := rec[headerBytes:]
	*out = raft.Log{Type: raft.LogType(b[0]), Term: binary.BigEndian.Uint64(b[1:])}
	if at := int64(binary.BigEndian.Uint64(b[9:])); at != 0 { //nolint:gosec // bits
		out.AppendedAt = time.Unix(0, at)
	}
	n := int(binary.BigEndian.Uint32(b[17:]))
	b = rec[logFixed:]
	if n > len(b) {
		return fmt.Errorf("%w: raft entry ends early", ErrCorrupt)
	}
	out.Data = append([]byte(nil), b[:n]...)
	if len(b) > n {
		out.Extensions = append([]byte(nil), b[n:]...)
	}
	return nil
}

// Set implements [raft.StableStore]; a vote must outlive a power cut.
func (l *logStore) Set(key, val []byte) error {
	b := l.db.NewBatch()
	if err := b.Set(stableKey(key), append(appendHeader(nil, tagRaft), val...), nil); err != nil {
		return err
	}
	if err := l.apply(b, pebble.Sync); err != nil && !l.halt.failed() {
		return err
	}
	return nil // raft panics otherwise; where the disk failed, nothing is answered any more
}

// Get implements [raft.StableStore].
func (l *logStore) Get(key []byte) ([]byte, error) {
	rec, closer, err := l.db.Get(stableKey(key))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	b, err := body(tagRaft, rec)
	return append([]byte(nil), b...), errors.Join(err, closer.Close())
}

// SetUint64 implements [raft.StableStore].
func (l *logStore) SetUint64(key []byte, val uint64) error {
	return l.Set(key, binary.BigEndian.AppendUint64(nil, val))
}

// GetUint64 implements [raft.StableStore].
func (l *logStore) GetUint64(key []byte) (uint64, error) {
	b, err := l.Get(key)
	if err != nil || len(b) == 0 {
		return 0, err
	}
	if len(b) != 8 {
		return 0, fmt.Errorf("%w: raft number of %d bytes", ErrCorrupt, len(b))
	}
	return binary.BigEndian.Uint64(b), nil
}
