package persistence

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/colloquyhq/colloquy/persistence/logfile"
)

// logStore keeps the raft log and the raft vote in the node's log files.
type logStore struct {
	files *logfile.Log
	halt  *halt
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
		stable map[string][]byte // raft's vote and term
	}
}

// manySegments is how many log files are left alone. There are more where a node
// started often and wrote little.
const manySegments = 64

func newLogStore(files *logfile.Log, h *halt, limit, tail int64) (*logStore, error) {
	l := &logStore{files: files, halt: h, limit: limit, full: make(chan struct{}, 1), kept: newLogHolds(tail)}
	var err error
	if l.mu.stable, err = decodeStable(files.Note()); err != nil {
		return nil, fmt.Errorf("read the raft vote: %w", err)
	}
	l.sizes.start(files.Last())
	if files.Segments() > manySegments {
		wake(l.full)
	}
	return l, nil
}

// FirstIndex implements [raft.LogStore].
func (l *logStore) FirstIndex() (uint64, error) { return l.files.First(), nil }

// LastIndex implements [raft.LogStore].
func (l *logStore) LastIndex() (uint64, error) { return l.files.Last(), nil }

// GetLog implements [raft.LogStore].
func (l *logStore) GetLog(index uint64, out *raft.Log) error {
	if l.recent.get(index, out) {
		return nil
	}
	rec, err := l.files.Read(index)
	if errors.Is(err, logfile.ErrNotFound) {
		return raft.ErrLogNotFound
	}
	if err == nil {
		err = decodeLog(rec, out)
		out.Index = index
	}
	if err != nil {
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
	first, last := logs[0].Index, logs[len(logs)-1].Index
	for i, log := range logs {
		if log.Index != first+uint64(i) {
			return fmt.Errorf("raft entry %d in the place of %d", log.Index, first+uint64(i))
		}
		if log.Type == raft.LogConfiguration {
			l.changed.Store(log.Index)
		}
	}
	size, err := l.files.Append(first, len(logs), func(b []byte, i int) []byte { return appendLog(b, logs[i]) })
	if err == nil && l.halt.failed() {
		err = ErrUnknown
	}
	if err != nil {
		return fmt.Errorf("store %d raft entries: %w", len(logs), err)
	}
	l.recent.add(logs)
	l.sizes.add(first, last, size)
	if l.stored != nil {
		l.stored(last)
	}
	if l.grown.Add(size) > l.limit {
		wake(l.full)
	}
	return nil
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
	first := l.files.First()
	return first > 0 && index >= first && index <= l.files.Last()
}

// dropBefore empties a log that does not go with a received state: the power
// went after the state was complete and before the log was dropped. That is one
// that ends before the state begins, or has another entry in its place.
func (l *logStore) dropBefore(m *storedMark) error {
	first := l.files.First()
	if m == nil || first == 0 || l.files.Last() >= m.Index && (first > m.Index || l.has(m.Index, m.Term)) {
		return nil
	}
	return l.files.Reset()
}

// DeleteRange implements [raft.LogStore]. Of the front of the log it leaves what
// is held for a peer; raft drops it another time. What is dropped at either end
// may be there again after a power cut: the front is covered by the snapshot
// mark, and the end was never committed.
func (l *logStore) DeleteRange(from, to uint64) error {
	first, last := l.files.First(), l.files.Last()
	if to < last {
		if to = l.kept.spare(to, &l.sizes); to < from {
			l.grown.Store(0) // it is looked at again when as much has come again
			return nil
		}
	}
	l.recent.drop(from, to)
	var err error
	switch {
	case from <= first && to >= last:
		err = l.files.Reset()
		l.grown.Store(0)
	case from <= first:
		err = l.files.DropFront(to)
		l.grown.Store(0)
	case to >= last:
		l.files.DropBack(from)
		l.sizes.cut(from)
	default:
		err = fmt.Errorf("entries %d to %d are in the middle", from, to)
	}
	if err != nil {
		return fmt.Errorf("truncate the raft log: %w", err)
	}
	return nil
}

const (
	logFixed = headerBytes + 1 + 8 + 8 + 4 // header, type, term, time, length of the data
)

// logSize is how many bytes an entry takes.
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
	out.Data = b[:n:n] // nobody else has these bytes
	if len(b) > n {
		out.Extensions = b[n:]
	}
	return nil
}

// Set implements [raft.StableStore]; a vote must outlive a power cut.
func (l *logStore) Set(key, val []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.stable == nil {
		l.mu.stable = make(map[string][]byte)
	}
	l.mu.stable[string(key)] = bytes.Clone(val)
	if err := l.files.SetNote(appendStable(nil, l.mu.stable)); err != nil && !l.halt.failed() {
		return fmt.Errorf("store the raft vote: %w", err)
	}
	return nil // raft panics otherwise; where the disk failed, nothing is answered any more
}

// Get implements [raft.StableStore].
func (l *logStore) Get(key []byte) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.mu.stable[string(key)]), nil
}

// appendStable writes what raft wants to be stable: names and values, by name.
func appendStable(b []byte, stable map[string][]byte) []byte {
	b = appendHeader(b, tagRaft)
	for _, key := range slices.Sorted(maps.Keys(stable)) {
		b = binary.AppendUvarint(b, uint64(len(key)))
		b = append(b, key...)
		b = binary.AppendUvarint(b, uint64(len(stable[key])))
		b = append(b, stable[key]...)
	}
	return b
}

func decodeStable(rec []byte) (map[string][]byte, error) {
	if len(rec) == 0 {
		return nil, nil
	}
	b, err := body(tagRaft, rec)
	if err != nil {
		return nil, err
	}
	stable := make(map[string][]byte)
	r := reader{b: b}
	for len(r.b) > 0 && !r.bad {
		key := r.bytes()
		stable[string(key)] = bytes.Clone(r.bytes())
	}
	return stable, r.end("raft vote")
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
