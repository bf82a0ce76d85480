package persistence

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"
)

// snapshots is raft's snapshot store. A snapshot of this node is a mark in the
// database (which entries the state covers, and who the voters are); its
// content is the state itself, read when a peer needs it. A snapshot that a
// peer sends is kept in a file until the state is replaced by it.
type snapshots struct {
	db   *pebble.DB
	fs   vfs.FS
	dir  string
	halt *halt
	// settle hands over the rows that wait.
	settle func() error
	// stale says that a snapshot brings nothing new; nil = every one does.
	stale func(index, term uint64) bool
	// hold keeps the log from an entry on while a state is sent that ends there.
	hold func(from uint64) (release func())
	// newest is the place of the stored mark; nil when there is none.
	newest atomic.Pointer[logPlace]

	mu struct {
		sync.Mutex
		// received is a snapshot whose content lies in a file; its mark is
		// written with its content.
		received *storedMark
		streams  int // being read; see close
		closed   bool
		idle     *sync.Cond
	}
}

// logPlace is an entry of the log.
type logPlace struct{ index, term uint64 }

// storedMark is a snapshot's mark as it is stored.
type storedMark struct {
	raft.SnapshotMeta

	Applied uint64 // the applied index of the state then
}

var errStale = errors.New("the snapshot is older than what is here")

var errClosing = errors.New("the snapshot store is closed")

func newSnapshots(db *pebble.DB, fs vfs.FS, dir string, h *halt) *snapshots {
	s := &snapshots{
		db: db, fs: fs, dir: dir, halt: h, settle: func() error { return nil }, hold: func(uint64) func() { return func() {} },
	}
	s.mu.idle = sync.NewCond(&s.mu)
	return s
}

// Create implements [raft.SnapshotStore].
func (s *snapshots) Create( //nolint:revive // raft's signature
	version raft.SnapshotVersion, index, term uint64, conf raft.Configuration, confIndex uint64, _ raft.Transport,
) (raft.SnapshotSink, error) {
	return &snapshotSink{store: s, mark: storedMark{SnapshotMeta: raft.SnapshotMeta{
		Version: version, ID: snapshotID(term, index), Index: index, Term: term,
		Configuration: conf, ConfigurationIndex: confIndex,
	}}}, nil
}

func snapshotID(term, index uint64) string {
	return strconv.FormatUint(term, 10) + "-" + strconv.FormatUint(index, 10)
}

// List implements [raft.SnapshotStore]; there is one at most.
func (s *snapshots) List() ([]*raft.SnapshotMeta, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.stored()
	if err != nil || m == nil {
		return nil, err
	}
	return []*raft.SnapshotMeta{&m.SnapshotMeta}, nil
}

// stored reads the mark; nil when there is none.
func (s *snapshots) stored() (*storedMark, error) {
	rec, closer, err := s.db.Get(snapshotKey())
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read snapshot mark: %w", err)
	}
	m := new(storedMark)
	err = decodeJSON(kindSnapshot, rec, m)
	return m, errors.Join(err, closer.Close())
}

// Open implements [raft.SnapshotStore].
func (s *snapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed {
		return nil, nil, errClosing
	}
	if r := s.mu.received; r != nil && r.ID == id {
		f, err := s.fs.Open(s.spool())
		if err != nil {
			return nil, nil, err
		}
		return &r.SnapshotMeta, f, nil
	}
	m, err := s.stored()
	if err != nil {
		return nil, nil, err
	}
	if m == nil {
		return nil, nil, fmt.Errorf("snapshot %s: %w", id, ErrNotFound)
	}
	if err := s.settle(); err != nil { // so that as little as can be is left for the log
		return nil, nil, err
	}
	letGo := s.hold(m.Index)
	stream, size, err := openStream(s.db.NewSnapshot(), func() {
		letGo()
		s.release()
	})
	if err != nil {
		letGo()
		return nil, nil, err
	}
	s.mu.streams++
	m.Size = size
	return &m.SnapshotMeta, stream, nil
}

func (s *snapshots) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.streams--
	s.mu.idle.Broadcast()
}

// close waits for the streams that are being read: the database must not be
// closed under them.
func (s *snapshots) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.closed = true
	for s.mu.streams > 0 {
		s.mu.idle.Wait()
	}
}

// put stores a mark, unless a newer one is stored: a slow snapshot of this node
// must not undo one that was received meanwhile.
func (s *snapshots) put(m *storedMark) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, err := s.stored()
	if err != nil {
		return err
	}
	if old != nil && old.Index > m.Index {
		return nil
	}
	rec, err := encodeMark(m)
	if err != nil {
		return err
	}
	// With it every row that was applied before it goes to the disk: entries may be
	// dropped from the raft log after this.
	if err := s.settle(); err != nil {
		return err
	}
	if err := setDurably(s.db, snapshotKey(), rec); err != nil {
		return err
	}
	if s.halt.failed() {
		return ErrUnknown
	}
	s.newest.Store(&logPlace{index: m.Index, term: m.Term})
	return nil
}

func encodeMark(m *storedMark) ([]byte, error) {
	b, err := json.Marshal(m) //nolint:musttag // raft's own names, as raft's stores write them
	return append(appendHeader(nil, kindSnapshot), b...), err
}

// verify reads the received content up to its checksum.
func (s *snapshots) verify() error {
	f, err := s.fs.Open(s.spool(), vfs.SequentialReadsOption)
	if err != nil {
		return err
	}
	err = eachRow(f, func(in *sumReader, klen, vlen int) error {
		_, err := io.CopyN(io.Discard, in, int64(klen)+int64(vlen))
		return err
	})
	return errors.Join(err, f.Close())
}

// resume ends what an earlier run began: where the state was being replaced, the
// received content is there as a whole, and is read again.
func (s *snapshots) resume() error {
	rec, closer, err := s.db.Get(replacingKey())
	if errors.Is(err, pebble.ErrNotFound) {
		if err := s.fs.Remove(s.spool()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("drop a snapshot that was not received as a whole: %w", err)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("read mark of a replacement: %w", err)
	}
	m := new(storedMark)
	err = decodeJSON(tagRaft, rec, m)
	if err = errors.Join(err, closer.Close()); err != nil {
		return fmt.Errorf("%w: the state was being replaced when the node ended; set the node up anew", ErrCorrupt)
	}
	f, err := s.fs.Open(s.spool(), vfs.SequentialReadsOption)
	if err != nil {
		return fmt.Errorf("%w: the state was being replaced when the node ended, and what replaces it is gone; set the node up anew", ErrCorrupt)
	}
	s.mu.received = m
	_, err = s.replaceState(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("%w: the state cannot be replaced: %w", ErrCorrupt, err)
	}
	return nil
}

func (s *snapshots) spool() string { return s.fs.PathJoin(s.dir, "received.snapshot") }

// snapshotSink takes a snapshot: the mark alone for one of this node, content
// for one that a peer sends.
type snapshotSink struct {
	store *snapshots
	mark  storedMark
	file  vfs.File
	ended bool
}

// ID implements [raft.SnapshotSink].
func (k *snapshotSink) ID() string { return k.mark.ID }

// Write implements [io.Writer].
func (k *snapshotSink) Write(p []byte) (int, error) {
	if k.file == nil {
		// Only received ones are written to, by the goroutine that also takes log
		// entries, so that nothing moves meanwhile.
		if k.store.stale != nil && k.store.stale(k.mark.Index, k.mark.Term) {
			return 0, errStale
		}
		f, err := k.store.fs.Create(k.store.spool(), vfs.WriteCategoryUnspecified)
		if err != nil {
			return 0, err
		}
		k.file = f
	}
	n, err := k.file.Write(p)
	k.mark.Size += int64(n)
	return n, err
}

// Close implements [io.Closer].
func (k *snapshotSink) Close() error {
	if k.ended {
		return nil
	}
	k.ended = true
	if k.file == nil {
		return k.store.put(&k.mark)
	}
	if err := errors.Join(k.file.Sync(), k.file.Close(), syncDir(k.store.fs, k.store.dir)); err != nil {
		return err
	}
	// The state is dropped before the content is read, so the content has to be
	// whole.
	if err := k.store.verify(); err != nil {
		return err
	}
	k.store.mu.Lock()
	defer k.store.mu.Unlock()
	k.store.mu.received = &k.mark
	return nil
}

// Cancel implements [raft.SnapshotSink].
func (k *snapshotSink) Cancel() error {
	if k.ended || k.file == nil {
		k.ended = true
		return nil
	}
	k.ended = true
	return errors.Join(k.file.Close(), k.store.fs.Remove(k.store.spool()))
}
