package persistence

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"
)

// Store is the journal of a node.
//
// Concurrency: all methods may be called together. Close may be called once
// everything else has returned or while it runs; what runs then is refused.
type Store struct {
	options   Options
	logger    *slog.Logger
	db        *pebble.DB
	identity  Identity
	halt      *halt
	metrics   *metrics
	enc       *encoders
	logs      *logStore
	snapshots *snapshots
	machine   *machine
	directory *directory
	watchers  *watchers
	raft      *raft.Raft
	queue     *queue
	fsync     fsyncWindow

	closing    chan struct{}
	background sync.WaitGroup
	closeOnce  sync.Once
	closeErr   error
	reads      sync.RWMutex // held shared while the database is read, alone to close it
	closed     bool         // guarded by reads
}

// Open opens the directory, creating it if need be, and replays what the last
// run left. The store serves when Open returns.
//
// Errors: [ErrLocked] when another process has the directory, [ErrNewerFormat]
// when a newer version of this program wrote it. Damage to the write-ahead log
// is an error: opening without what it held would lose messages that were
// acknowledged.
func Open(options Options) (*Store, error) {
	if err := options.Validate(); err != nil {
		return nil, err
	}
	o := withDefaults(options)
	o.Logger = o.Logger.With("component", "persistence")
	h := newHalt(o.Logger, o.Fatal)
	db, err := openDatabase(&o, h)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", o.Dir, err)
	}
	s := &Store{
		options: o, logger: o.Logger, db: db, halt: h, enc: newEncoders(),
		watchers: newWatchers(), directory: newDirectory(), closing: make(chan struct{}),
	}
	if err := s.start(); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", o.Dir, err), s.Close())
	}
	s.logger.Info("journal is open", "node", s.identity.Node, "index", s.machine.applied.index)
	return s, nil
}

// openDatabase opens the files. The directory is closed to other users: it
// holds what people wrote.
func openDatabase(o *Options, h *halt) (*pebble.DB, error) {
	if o.FS == vfs.Default {
		if err := os.MkdirAll(o.Dir, dirMode); err != nil {
			return nil, err
		}
	}
	if _, err := o.FS.Stat(o.FS.PathJoin(o.Dir, restoringName)); err == nil {
		return nil, fmt.Errorf("%w: a restore into this directory did not end; remove it and restore again", ErrCorrupt)
	}
	db, err := pebble.Open(o.Dir, o.pebbleOptions(h))
	switch {
	case err == nil:
		return db, nil
	case isLocked(err):
		return nil, fmt.Errorf("%w: %w", ErrLocked, err)
	case isNewerFormat(err):
		return nil, fmt.Errorf("%w: %w", ErrNewerFormat, err)
	case pebble.IsCorruptionError(err), strings.Contains(err.Error(), "invalid chunk"):
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return nil, err
}

// isLocked knows the ways in which the lock of a directory says no.
func isLocked(err error) bool {
	return errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES) && !errors.Is(err, fs.ErrNotExist) ||
		strings.Contains(err.Error(), "lock held by current process")
}

// isNewerFormat knows how the database says that its files are too new.
func isNewerFormat(err error) bool {
	return strings.Contains(err.Error(), "format major version")
}

// start makes everything above the database.
func (s *Store) start() error {
	var err error
	if s.identity, err = ensureIdentity(s.db, s.options.Now()); err != nil {
		return err
	}
	if s.metrics, err = newMetrics(s.options.Registerer, s); err != nil {
		return err
	}
	if _, closer, err := s.db.Get(replacingKey()); err == nil {
		return errors.Join(fmt.Errorf("%w: the state was being replaced when the node ended; set the node up anew", ErrCorrupt), closer.Close())
	}
	if s.logs, err = newLogStore(s.db, s.halt, s.options.SnapshotEvery); err != nil {
		return err
	}
	s.snapshots = newSnapshots(s.db, s.options.FS, s.options.Dir, s.halt)
	flights := newFlights(randomNonce())
	s.machine = s.newMachine(flights)
	if err := errors.Join(s.machine.load(), s.directory.load(s.db), s.checkMark()); err != nil {
		return err
	}
	if err := s.startRaft(); err != nil {
		return err
	}
	s.queue = newQueue(s.raft, flights, s.halt, s.metrics, s.options.QueueLength)
	s.background.Go(s.truncate)
	return s.lead()
}

func (s *Store) newMachine(f *flights) *machine {
	return &machine{
		db: s.db, flights: f, watchers: s.watchers, directory: s.directory, snapshots: s.snapshots,
		halt: s.halt, metrics: s.metrics, rows: newRowCache(minRows), burst: 1,
	}
}

func randomNonce() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.BigEndian.Uint64(b[:])
}

// checkMark makes sure that the state is not behind what the raft log no longer
// has.
func (s *Store) checkMark() error {
	mark, err := s.snapshots.stored()
	if err != nil || mark == nil {
		return err
	}
	if s.machine.applied.index < mark.Applied {
		return fmt.Errorf("%w: the state ends at raft entry %d, the log was truncated when it was at %d",
			ErrCorrupt, s.machine.applied.index, mark.Applied)
	}
	return nil
}

// raftConfig is for a group of one: nobody else can lead, so its time-outs
// decide nothing but how often it looks around.
func (s *Store) raftConfig() *raft.Config {
	c := raft.DefaultConfig()
	c.LocalID = raft.ServerID(s.identity.Node)
	c.Logger = newRaftLogger(s.logger)
	c.MaxAppendEntries = 256
	c.BatchApplyCh = true
	c.CommitTimeout = 5 * time.Millisecond
	c.TrailingLogs = trailingEntries
	c.SnapshotInterval = time.Minute
	c.SnapshotThreshold = 8192
	c.NoSnapshotRestoreOnStart = true // the state is on the disk already
	c.NoLegacyTelemetry = true
	return c
}

// trailingEntries is how many raft entries stay behind a truncation. A group of
// one needs none.
const trailingEntries = 64

func (s *Store) startRaft() error {
	conf := s.raftConfig()
	addr, transport := raft.NewInmemTransport(raft.ServerAddress(s.identity.Node))
	transport.Connect(addr, transport)
	used, err := raft.HasExistingState(s.logs, s.logs, s.snapshots)
	if err != nil {
		return fmt.Errorf("read raft state: %w", err)
	}
	if !used {
		only := raft.Configuration{Servers: []raft.Server{{Suffrage: raft.Voter, ID: conf.LocalID, Address: addr}}}
		if err := raft.BootstrapCluster(conf, s.logs, s.logs, s.snapshots, transport, only); err != nil {
			return fmt.Errorf("bootstrap raft: %w", err)
		}
	}
	if s.raft, err = raft.NewRaft(conf, s.machine, s.logs, s.logs, s.snapshots, transport); err != nil {
		return fmt.Errorf("start raft: %w", err)
	}
	// Alone, there is nobody to wait for: the election starts at once instead
	// of after a time-out.
	header := raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(conf.LocalID), Addr: []byte(addr)}
	if err := transport.TimeoutNow(conf.LocalID, addr, &raft.TimeoutNowRequest{RPCHeader: header}, new(raft.TimeoutNowResponse)); err != nil {
		s.logger.Debug("election waits for its time-out", "err", err)
	}
	return nil
}

// lead waits until this node leads and has applied everything in its log.
func (s *Store) lead() error {
	deadline := time.Now().Add(s.options.OpenTimeout)
	for {
		err := s.raft.Barrier(time.Until(deadline)).Error()
		switch {
		case err == nil:
			return nil
		case s.halt.failed():
			return ErrUnavailable
		case time.Now().After(deadline), errors.Is(err, raft.ErrRaftShutdown):
			return fmt.Errorf("replay the log: %w", err)
		}
		t := time.NewTimer(retryMin)
		<-t.C
	}
}

// truncate takes a snapshot, which is a mark, whenever the raft log has grown
// enough. The log entries die in the memtable, before they would be flushed.
func (s *Store) truncate() {
	for {
		select {
		case <-s.logs.full:
		case <-s.closing:
			return
		}
		err := s.raft.Snapshot().Error()
		if err != nil && !errors.Is(err, raft.ErrRaftShutdown) && !errors.Is(err, raft.ErrNothingNewToSnapshot) {
			s.logger.Warn("raft log was not truncated", "err", err)
		}
	}
}

// Identity says which node this is.
func (s *Store) Identity() Identity { return s.identity }

// Run does the work that comes with time: it drops expired refs and looks at
// the disk. It returns nil when ctx ends; the store stays open.
func (s *Store) Run(ctx context.Context) error {
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	for {
		if err := s.sweep(ctx); err != nil && ctx.Err() == nil {
			s.logger.Warn("sweep of expired refs", "err", err)
		}
		s.observe(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-s.closing:
			return nil
		case <-s.halt.c:
			return ErrUnavailable
		case <-sweep.C:
		}
	}
}

// Close lets the writes that are queued end, and closes the files. Calls after
// the first give its error.
func (s *Store) Close() error {
	s.closeOnce.Do(func() { s.closeErr = s.close() })
	return s.closeErr
}

func (s *Store) close() error {
	close(s.closing)
	if s.queue != nil {
		s.queue.close()
	}
	var err error
	if s.raft != nil {
		err = s.raft.Shutdown().Error()
	}
	s.background.Wait()
	s.watchers.close()
	if s.snapshots != nil {
		s.snapshots.close()
	}
	if s.metrics != nil {
		s.metrics.unregister()
	}
	s.reads.Lock()
	defer s.reads.Unlock()
	s.closed = true
	return errors.Join(err, s.db.Close())
}

// reading opens a stretch of reads; the caller ends it by the function given.
func (s *Store) reading(ctx context.Context) (func(), error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, context.Cause(ctx))
	}
	s.reads.RLock()
	switch {
	case s.closed:
		s.reads.RUnlock()
		return nil, ErrClosed
	case s.halt.failed():
		s.reads.RUnlock()
		return nil, ErrUnavailable
	}
	return s.reads.RUnlock, nil
}
