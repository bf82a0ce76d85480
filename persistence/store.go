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

	"github.com/colloquyhq/colloquy/persistence/logfile"
)

// Store is the journal of a node.
//
// Concurrency: all methods may be called together. Close may be called once
// everything else has returned or while it runs; what runs then is refused.
type Store struct {
	options    Options
	logger     *slog.Logger
	db         *pebble.DB
	identity   Identity
	halt       *halt
	metrics    *metrics
	enc        *encoders
	logs       *logStore
	snapshots  *snapshots
	machine    *machine
	buffer     *rowBuffer
	directory  *directory
	roster     *roster
	blobs      *blobBook
	scrubber   *scrubber
	watchers   *watchers
	raft       *raft.Raft
	queue      *queue
	fsync      *fsyncWindow
	leadership *leadership
	cluster    *clusterNode // nil when the node is alone

	closing    chan struct{}
	background sync.WaitGroup
	truncating sync.Mutex // held while the log is cut
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
func Open(options Options) (*Store, error) { return OpenContext(context.Background(), options) }

// OpenContext is [Open] until ctx ends. A node of a cluster is open when it is
// level with it: there is a leader, and everything that was acknowledged before
// can be read here.
//
// Errors beside those of Open: [ErrRemoved], [ErrOldDisk], [ErrOtherCluster] and
// [ErrIncompatible] when this node must not take part in its cluster.
func OpenContext(ctx context.Context, options Options) (*Store, error) {
	if err := options.Validate(); err != nil {
		return nil, err
	}
	o := withDefaults(options)
	o.Logger = o.Logger.With("component", "persistence")
	if o.OpenTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.OpenTimeout)
		defer cancel()
	}
	h := newHalt(o.Logger, o.Fatal)
	db, err := openDatabase(&o, h)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", o.Dir, err)
	}
	s := newStore(o, db, h)
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", o.Dir, err), s.Close())
	}
	s.logger.Info("journal is open", "node", s.identity.Node, "index", s.machine.position().index)
	return s, nil
}

func newStore(o Options, db *pebble.DB, h *halt) *Store {
	s := &Store{
		options: o, logger: o.Logger, db: db, halt: h, enc: newEncoders(),
		buffer: newRowBuffer(db, o.rowBuffer), watchers: newWatchers(), directory: newDirectory(), roster: newRoster(), blobs: new(blobBook), closing: make(chan struct{}),
		scrubber: newScrubber(), fsync: newFsyncWindow(),
	}
	s.leadership = newLeadership(s.leaderChanged)
	return s
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
	if err != nil {
		return nil, openError(err)
	}
	return db, nil
}

// openError gives an error of the database its name here.
func openError(err error) error {
	switch {
	case isLocked(err):
		return fmt.Errorf("%w: %w", ErrLocked, err)
	case isNewerFormat(err):
		return fmt.Errorf("%w: %w", ErrNewerFormat, err)
	case pebble.IsCorruptionError(err), strings.Contains(err.Error(), "invalid chunk"):
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return err
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
func (s *Store) start(ctx context.Context) error {
	var err error
	if s.identity, err = ensureIdentity(s.db, s.options.Now()); err != nil {
		return err
	}
	if s.metrics, err = newMetrics(s.options.Registerer, s); err != nil {
		return err
	}
	flights := newFlights(randomNonce())
	if err := s.prepare(flights); err != nil {
		return err
	}
	s.queue = newQueue(flights, s.halt, s.metrics, s.options.QueueLength)
	if s.options.Cluster != nil {
		return s.startCluster(ctx)
	}
	if err := s.startAlone(); err != nil {
		return err
	}
	s.queue.bring = func(data []byte, _ *flight) ([]result, error) { return bringHere(s.raft, data) }
	s.queue.leader = s.leadership.now
	s.queue.start()
	s.background.Go(s.truncate)
	s.background.Go(s.scrubs)
	return s.lead(ctx)
}

// prepare makes what reads and writes the database, and makes sure that what is
// there is whole.
func (s *Store) prepare(f *flights) error {
	var err error
	if err = s.openLog(); err != nil {
		return err
	}
	s.snapshots = newSnapshots(s.db, s.options.FS, s.options.Dir, s.halt)
	s.snapshots.hold = s.logs.kept.hold
	s.snapshots.settle = s.buffer.settle
	if err := s.snapshots.resume(); err != nil {
		return err
	}
	mark, err := s.snapshots.stored()
	if err != nil {
		return err
	}
	if mark != nil {
		s.snapshots.newest.Store(&logPlace{index: mark.Index, term: mark.Term})
	}
	if err := s.logs.dropBefore(mark); err != nil {
		return err
	}
	s.machine = s.newMachine(f)
	s.snapshots.stale = s.stale
	return errors.Join(s.machine.load(), s.directory.load(s.db), s.roster.load(s.db), s.blobs.load(s.db), s.scrubber.load(s.db), s.checkMark())
}

// openLog opens the raft log, which an older version of this program may have
// left in the database.
func (s *Store) openLog() error {
	if s.identity.Format < 2 {
		if err := moveLog(s.db, &s.identity, s.logOptions()); err != nil {
			return fmt.Errorf("move the raft log out of the database: %w", err)
		}
	}
	if err := dropMovedLog(s.db); err != nil {
		return err
	}
	files, err := logfile.Open(s.logOptions())
	if err != nil {
		return logError(err)
	}
	s.logs, err = newLogStore(files, s.halt, s.options.SnapshotEvery, s.options.tailBytes())
	if err != nil {
		return errors.Join(err, files.Close())
	}
	return nil
}

func (s *Store) logOptions() logfile.Options {
	return logfile.Options{
		Dir: logDir(s.options.FS, s.options.Dir), FS: s.options.FS,
		SegmentBytes: s.options.tailBytes(), Synced: s.fsync.observe, Failed: s.halt.fail,
	}
}

// logDir is where the raft log of a journal lies.
func logDir(fsys vfs.FS, dir string) string { return fsys.PathJoin(dir, "log") }

// logError gives an error of the log its name here.
func logError(err error) error {
	if errors.Is(err, logfile.ErrCorrupt) {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return err
}

func (s *Store) newMachine(f *flights) *machine {
	return &machine{
		db: s.db, buffer: s.buffer, flights: f, watchers: s.watchers, directory: s.directory, roster: s.roster, snapshots: s.snapshots,
		blobs: s.blobs, scrubber: s.scrubber,
		halt: s.halt, metrics: s.metrics, rows: newRowCache(minRows), burst: 1,
	}
}

func randomNonce() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.BigEndian.Uint64(b[:])
}

// stale reports whether this node has everything already that a snapshot up to an
// entry would bring. One may come late, by a stream that was cut for a while;
// to take it would be to go back, and to forget entries after it.
func (s *Store) stale(index, term uint64) bool {
	return s.machine.position().index >= index || s.logs.has(index, term)
}

// checkMark makes sure that the state is not behind what the raft log no longer
// has.
func (s *Store) checkMark() error {
	mark, err := s.snapshots.stored()
	if err != nil {
		return err
	}
	at := s.machine.position().index
	if mark != nil && at < mark.Applied {
		return fmt.Errorf("%w: the state ends at raft entry %d, the log was truncated when it was at %d",
			ErrCorrupt, at, mark.Applied)
	}
	if mark != nil {
		at = max(at, mark.Index) // what lies between is none of the state's
	}
	if first := s.logs.files.First(); first > at+1 {
		return fmt.Errorf("%w: the state ends at raft entry %d, the log begins at %d", ErrCorrupt, at, first)
	}
	return nil
}

// lead waits until this node leads and has applied everything in its log.
func (s *Store) lead(ctx context.Context) error {
	for {
		err := s.raft.Barrier(0).Error()
		switch {
		case err == nil:
			return nil
		case s.halt.failed():
			return ErrUnavailable
		case ctx.Err() != nil, errors.Is(err, raft.ErrRaftShutdown):
			return fmt.Errorf("replay the log: %w", errors.Join(err, context.Cause(ctx)))
		}
		_ = pause(ctx, retryMin, nil) // its end is seen in the next round
	}
}

// leaderChanged counts, and wakes what waits for peers.
func (s *Store) leaderChanged(leader string) {
	if leader != "" && s.metrics != nil {
		s.metrics.leaderChanges.Inc()
	}
	if s.cluster != nil && s.cluster.transport != nil {
		s.cluster.transport.peers.release()
	}
}

// truncate takes a snapshot, which is a mark, whenever the raft log has grown
// enough. What the entries made goes to the disk with it.
func (s *Store) truncate() {
	for {
		select {
		case <-s.logs.full:
		case <-s.closing:
			return
		}
		err := s.truncateLog(s.tail())
		if err != nil && !errors.Is(err, raft.ErrRaftShutdown) && !errors.Is(err, raft.ErrNothingNewToSnapshot) {
			s.logger.Warn("raft log was not truncated", "err", err)
		}
	}
}

// tail is how many entries stay in the log, for peers that lag a little: as many
// as fit into a size, because entries differ a lot. A group of one needs few.
func (s *Store) tail() uint64 {
	if s.cluster == nil {
		return trailingEntries
	}
	return max(s.logs.sizes.within(s.options.tailBytes()), trailingEntries)
}

// truncateLog takes a snapshot and drops the log before it, but for a tail.
func (s *Store) truncateLog(tail uint64) error {
	s.truncating.Lock()
	defer s.truncating.Unlock()
	c := s.raft.ReloadableConfig()
	c.TrailingLogs = tail
	if err := s.raft.ReloadConfig(c); err != nil {
		return err
	}
	return s.raft.Snapshot().Error()
}

// Identity says which node this is.
func (s *Store) Identity() Identity { return s.identity }

// Run does the work that comes with time: it drops expired refs, and the
// conversations that their inboxes keep no longer, looks at the disk and, where this node leads a cluster, after the voters. It returns nil
// when ctx ends; the store stays open. It ends by itself when the disk failed,
// and with [ErrRemoved] or [ErrOldDisk] when this node must not take part any
// more.
func (s *Store) Run(ctx context.Context) error {
	var out chan struct{} // nil = the node is alone, and cannot be expelled
	if s.cluster != nil {
		out = s.cluster.out
		var steward sync.WaitGroup
		ctx, cancel := context.WithCancel(ctx)
		steward.Go(func() { s.cluster.steward(ctx) })
		defer steward.Wait()
		defer cancel()
	}
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	for {
		if err := s.sweep(ctx); err != nil && ctx.Err() == nil {
			s.logger.Warn("sweep of expired refs", "err", err)
		}
		if err := s.sweepFiles(ctx); err != nil && ctx.Err() == nil {
			s.logger.Warn("sweep of files that nobody sent", "err", err)
		}
		if err := s.sweepOverdue(ctx); err != nil && ctx.Err() == nil {
			s.logger.Warn("sweep of conversations whose time is over", "err", err)
		}
		s.observe(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-s.closing:
			return nil
		case <-s.halt.c:
			return ErrUnavailable
		case <-out:
			return s.cluster.expulsion()
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
	if s.cluster != nil {
		err = s.cluster.close()
	}
	if s.raft != nil {
		err = errors.Join(err, s.raft.Shutdown().Error())
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
	return errors.Join(err, s.closeFiles())
}

// closeFiles closes the log and the database. What the state has in memory goes
// to the disk, so that the next start has nothing to replay and whoever looks at
// the directory sees it.
func (s *Store) closeFiles() error {
	var err error
	if s.logs != nil {
		err = s.logs.files.Close()
	}
	if !s.halt.failed() {
		err = errors.Join(err, s.buffer.settle(), s.db.Flush())
	}
	return errors.Join(err, s.db.Close())
}

// reading opens a stretch of reads from the database, which has everything that was
// applied before; the caller ends it by the function given.
func (s *Store) reading(ctx context.Context) (func(), error) {
	done, err := s.looking(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.buffer.settle(); err != nil {
		done()
		s.halt.fail(fmt.Errorf("write state: %w", err))
		return nil, ErrUnavailable
	}
	return done, nil
}

// looking is reading for rows that are looked for in the buffer first.
func (s *Store) looking(ctx context.Context) (func(), error) {
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
