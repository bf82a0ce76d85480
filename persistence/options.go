package persistence

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
)

// Defaults of [Options].
const (
	DefaultCacheBytes    = 128 << 20
	DefaultMemTableBytes = 64 << 20
	DefaultSnapshotEvery = 64 << 20
	DefaultQueueLength   = 8192
	DefaultRefTTL        = 8 * 24 * time.Hour
	MaxRefTTL            = 60 * 24 * time.Hour
	DefaultOpenTimeout   = 2 * time.Minute
)

// formatVersion is the form of the database's own files. It is set by name and
// not as "the newest", so that an upgrade of the library cannot change what is
// on disk by itself. From this one on a damaged write-ahead log is found at
// open; the library's default drops what comes after the damage and says
// nothing.
const formatVersion = pebble.FormatValueSeparation

// Options say where a store is and how it behaves. Only Dir has no default.
type Options struct {
	Dir        string
	FS         vfs.FS                // nil = the disk
	Logger     *slog.Logger          // nil = nothing is logged
	Registerer prometheus.Registerer // nil = metrics are kept but not registered

	CacheBytes    int64 // of the block cache; zero = [DefaultCacheBytes]
	MemTableBytes int64 // of one memtable; zero = [DefaultMemTableBytes]
	// SnapshotEvery is so many bytes of raft log after which it is truncated, and
	// what the entries made goes to the disk; zero = [DefaultSnapshotEvery]. As much
	// may have to be replayed after a crash; where it is less, rows that are
	// replaced soon are written more often.
	SnapshotEvery int64
	QueueLength   int           // writes that may wait; more are refused; zero = [DefaultQueueLength]
	RefTTL        time.Duration // how long senders' ids are found, to the day; zero = [DefaultRefTTL], at most [MaxRefTTL]
	// OpenTimeout bounds how long opening may take; zero = [DefaultOpenTimeout],
	// and for a node of a cluster, which may have to wait for the others, no
	// bound but that of the context.
	OpenTimeout time.Duration

	// Cluster makes the node one of several; nil = it is alone.
	Cluster *ClusterOptions
	// Progress is told what opening waits for, whenever that changes; nil =
	// nobody is. It must not block.
	Progress func(reason string)

	// Fatal is called when the disk fails: an fsync that fails, or bytes that
	// are not what was written. It must not return; nil ends the process with
	// status 70. Where it does return, the store refuses everything after.
	Fatal func(reason string)
	// Now is the clock; nil = [time.Now]. It decides when refs expire,
	// and conversations whose inbox keeps them for so long; nothing else.
	Now func() time.Time

	sabotage  sabotage
	scrub     scrubPace // zero = the usual pace
	rowBuffer int       // bytes of rows that wait; zero = [rowBufferBytes]
}

// sabotage leaves out what keeps messages. It is for the tests that prove that
// the others would notice.
type sabotage struct {
	trustDisk bool // a disk is believed to be what its identity says
}

// Validate reports everything that is wrong with the options.
func (o *Options) Validate() error {
	var errs []error
	if o.Dir == "" {
		errs = append(errs, errors.New("dir is empty"))
	}
	if o.CacheBytes < 0 || o.MemTableBytes < 0 || o.SnapshotEvery < 0 || o.QueueLength < 0 {
		errs = append(errs, errors.New("a size is negative"))
	}
	if o.RefTTL < 0 || o.OpenTimeout < 0 {
		errs = append(errs, errors.New("a time span is negative"))
	}
	if o.RefTTL > MaxRefTTL {
		errs = append(errs, fmt.Errorf("ref TTL is over %v", MaxRefTTL))
	}
	if o.Cluster != nil {
		errs = append(errs, o.Cluster.Validate())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("persistence options: %w", err)
	}
	return nil
}

func withDefaults(o Options) Options {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.scrub = scrubPace{
		soon: orDefault(o.scrub.soon, scrubSoon), later: orDefault(o.scrub.later, scrubLater), daily: orDefault(o.scrub.daily, scrubDaily),
	}
	o.CacheBytes = orDefault(o.CacheBytes, DefaultCacheBytes)
	o.MemTableBytes = orDefault(o.MemTableBytes, DefaultMemTableBytes)
	o.SnapshotEvery = orDefault(o.SnapshotEvery, DefaultSnapshotEvery)
	o.QueueLength = orDefault(o.QueueLength, DefaultQueueLength)
	o.RefTTL = orDefault(o.RefTTL, DefaultRefTTL)
	o.rowBuffer = orDefault(o.rowBuffer, rowBufferBytes)
	if o.Cluster != nil {
		o.Cluster = o.Cluster.filled()
	} else {
		o.OpenTimeout = orDefault(o.OpenTimeout, DefaultOpenTimeout)
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// tailBytes is how much of the raft log stays behind a truncation, for peers that
// lag a little, and how long its files are.
func (o *Options) tailBytes() int64 { return min(o.SnapshotEvery, maxTailBytes) }

const maxTailBytes = 16 << 20

func orDefault[T ~int | ~int64](v, def T) T {
	if v == 0 {
		return def
	}
	return v
}

// pebbleOptions are those of the database. It has no write-ahead log: the raft
// log is one, and holds every entry until what it made is in the tables. What is
// not the library's default was measured: blocks of 32 KB and light compression
// suit range scans of small records.
func (o *Options) pebbleOptions(h *halt) *pebble.Options {
	logger := pebbleLogger{logger: o.Logger, halt: h}
	p := &pebble.Options{
		FS:                          o.FS,
		FormatMajorVersion:          formatVersion,
		MemTableSize:                uint64(o.MemTableBytes), //nolint:gosec // not negative
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       8,
		L0StopWritesThreshold:       1000,
		// The database takes the memory of its memtables out of the cache: of the
		// one in use and of the one that is flushed or kept for the next.
		CacheSize:  o.CacheBytes + 2*o.MemTableBytes,
		DisableWAL: true,
		// The list of files is begun anew when as much has changed as it holds, and
		// not only when it is large: it names keys, and some were erased.
		MaxManifestFileSize: 1 << 10,
		Logger:              logger,
	}
	for i := range p.Levels {
		p.Levels[i].BlockSize = 32 << 10
		p.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	p.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionFastest })
	p.EventListener = &pebble.EventListener{
		BackgroundError: func(err error) { logger.Errorf("background work: %v", err) },
		DataCorruption:  func(i pebble.DataCorruptionInfo) { logger.Fatalf("data corruption: %v", i) },
		DiskSlow:        func(i pebble.DiskSlowInfo) { o.Logger.Warn("disk is slow", "detail", i.String()) },
		WriteStallBegin: func(i pebble.WriteStallBeginInfo) { o.Logger.Warn("writes are held up", "detail", i.Reason) },
		WriteStallEnd:   func() { o.Logger.Info("writes go on") },
	}
	return p
}
