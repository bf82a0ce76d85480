// Package logfile keeps a numbered log in files. Entries are appended and synced
// in batches, read by their number, and dropped from either end. Beside them it
// keeps a note, a few bytes that outlive every drop.
//
// A file is written once, from its start to its end: every opening of a log
// begins a new one. What a power cut has torn is the end of the file that was
// the newest then; damage anywhere else is an error, because what is missing
// there was acknowledged. See segment.go for the bytes.
package logfile

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// DefaultSegmentBytes is the size at which a file ends.
const DefaultSegmentBytes = 16 << 20

// ErrCorrupt says that a file does not hold what was written.
var ErrCorrupt = errors.New("the log is damaged")

// ErrNotFound says that the log does not hold an entry.
var ErrNotFound = errors.New("no such log entry")

// ErrFailed says that the disk failed at an earlier call: nobody knows what is
// on it, and nothing is written any more.
var ErrFailed = errors.New("the log has failed")

// Options say where a log is and how it behaves. Dir and FS have no default.
type Options struct {
	Dir          string // is made where it is missing; holds nothing else
	FS           vfs.FS
	SegmentBytes int64 // at which a file ends; zero = [DefaultSegmentBytes]
	// ReadOnly opens a log for reading only: nothing on the disk changes.
	ReadOnly bool
	// Synced is told how long each sync of a batch took; nil = nobody is.
	Synced func(time.Duration)
	// Failed is told of the first write or sync that failed; nil = nobody is.
	Failed func(error)
}

// Log is an open log.
//
// Concurrency: all methods may be called together. Batches and notes are written
// one after the other.
type Log struct {
	o    Options
	salt uint64

	writing sync.Mutex // held while the newest file changes
	failed  bool       // guarded by writing
	closed  bool       // guarded by writing
	renew   bool       // guarded by writing: the next batch begins a file
	note    []byte     // guarded by writing
	buf     []byte     // guarded by writing

	trimming sync.Mutex // held while files are taken away
	forget   atomic.Bool

	mu          sync.RWMutex // guards what follows
	segments    []*segment   // oldest first; batches go to the last
	first, last uint64       // zero when the log is empty
	emptied     bool         // files hold entries that were dropped, and the next may not follow them
	spares      []string     // files that can be written over
}

// First gives the number of the oldest entry, zero when there is none.
func (l *Log) First() uint64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.first
}

// Last gives the number of the newest entry, zero when there is none.
func (l *Log) Last() uint64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.last
}

// Bytes says how long the files are that hold entries.
func (l *Log) Bytes() int64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	n := int64(0)
	for _, s := range l.segments {
		n += s.end
	}
	return n
}

// Segments says how many files there are.
func (l *Log) Segments() int {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return len(l.segments)
}

// Append writes n entries, numbered from first on, and returns when they are
// synced. The function add appends the bytes of one of them, counted from zero,
// and must not keep the slice. Entries that have these numbers already, and all
// after them, are replaced; the first number may not leave a gap.
//
// It gives the size of the batch in the file. After an error nothing is known of
// the entries, and every further call is refused.
func (l *Log) Append(first uint64, n int, add func(b []byte, i int) []byte) (size int64, err error) {
	l.writing.Lock()
	defer l.writing.Unlock()
	if last := l.Last(); first == 0 || last != 0 && first > last+1 {
		return 0, fmt.Errorf("append entry %d to a log that ends at %d", first, last)
	}
	s, err := l.newest()
	if err != nil {
		return 0, err
	}
	batch := int(s.end)
	buf, offsets := l.buf[:0], make([]uint32, n)
	for i := range n {
		at := len(buf)
		offsets[i] = uint32(batch + at) //nolint:gosec // a file ends far below 4 GB
		buf = add(append(buf, make([]byte, recordBytes)...), i)
		buf = s.seal(buf, at, batch, kindEntry, first+uint64(i))
	}
	if err := l.write(s, buf); err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut(first)
	if len(s.offsets) == 0 {
		s.first = first
	}
	s.offsets = append(s.offsets, offsets...)
	if l.first == 0 {
		l.first, l.emptied = first, false
	}
	l.last = first + uint64(n) - 1 //nolint:gosec // not negative
	return int64(len(buf)), nil
}

// write puts a batch behind what is in a file, and syncs it.
func (l *Log) write(s *segment, buf []byte) error {
	l.buf = buf
	if cap(l.buf) > maxKeptBytes {
		l.buf = nil
	}
	if s.end+int64(len(buf)) > maxSegmentBytes {
		return fmt.Errorf("a batch of %d bytes is too large for the log", len(buf))
	}
	_, err := s.file.WriteAt(l.padded(s, buf), s.end)
	if err == nil {
		began := time.Now()
		if err = s.file.SyncData(); err == nil && l.o.Synced != nil {
			l.o.Synced(time.Since(began))
		}
	}
	if err != nil {
		return l.fail(fmt.Errorf("write %s: %w", s.name, err))
	}
	l.mu.Lock()
	s.end += int64(len(buf))
	l.mu.Unlock()
	return nil
}

// padded adds zeros to a small batch that would make a file longer. To sync what
// takes the place of something costs half as much as to sync a file that grows,
// so a file grows by a larger piece now and then.
func (l *Log) padded(s *segment, buf []byte) []byte {
	end := s.end + int64(len(buf))
	if end <= s.size {
		return buf
	}
	if more := min(growBytes, l.o.SegmentBytes-end); more > 0 && len(buf) < growBytes/4 {
		buf = append(buf, make([]byte, more)...)
	}
	s.size = s.end + int64(len(buf))
	return buf
}

// growBytes is how much a file grows at a time.
const growBytes = 256 << 10

// maxKeptBytes bounds the buffer that is kept for the next batch.
const maxKeptBytes = 8 << 20

// fail remembers that the disk failed; the writing lock is held.
func (l *Log) fail(err error) error {
	if !l.failed {
		l.failed = true
		if l.o.Failed != nil {
			l.o.Failed(err)
		}
	}
	return fmt.Errorf("%w: %w", ErrFailed, err)
}

// newest gives the file that a batch goes to; the writing lock is held.
func (l *Log) newest() (*segment, error) {
	switch {
	case l.failed:
		return nil, ErrFailed
	case l.closed, l.o.ReadOnly:
		return nil, errors.New("the log is closed to writes")
	}
	l.mu.RLock()
	s, fresh := l.segments[len(l.segments)-1], l.emptied
	l.mu.RUnlock()
	if !l.renew && !fresh && s.end < l.o.SegmentBytes {
		return s, nil
	}
	s, err := l.begin(fresh)
	if err != nil {
		return nil, l.fail(err)
	}
	l.renew = false
	return s, nil
}

// Read gives the bytes of an entry. Errors: [ErrNotFound], [ErrCorrupt].
func (l *Log) Read(index uint64) ([]byte, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.first == 0 || index < l.first || index > l.last {
		return nil, ErrNotFound
	}
	for _, s := range slices.Backward(l.segments) {
		if len(s.offsets) > 0 && s.first <= index {
			return s.read(index)
		}
	}
	return nil, fmt.Errorf("%w: entry %d is in no file", ErrCorrupt, index)
}

// SetNote stores the note, and returns when it is synced.
func (l *Log) SetNote(note []byte) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	s, err := l.newest()
	if err != nil {
		return err
	}
	if err := l.write(s, s.note(l.buf[:0], int(s.end), note)); err != nil {
		return err
	}
	l.note = slices.Clone(note)
	return nil
}

// Note gives a copy of the note.
func (l *Log) Note() []byte {
	l.writing.Lock()
	defer l.writing.Unlock()
	return slices.Clone(l.note)
}

// Close closes the files.
func (l *Log) Close() error {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.trimming.Lock()
	defer l.trimming.Unlock()
	var errs []error
	if !l.closed && !l.failed && !l.o.ReadOnly {
		// One more record, which proves that all before it was synced: damage to the
		// end of a log that was closed is found, too.
		s := l.segments[len(l.segments)-1]
		errs = append(errs, l.write(s, s.note(l.buf[:0], int(s.end), l.note)))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, s := range l.segments {
		errs = append(errs, s.file.Close())
	}
	l.segments, l.first, l.last = nil, 0, 0
	return errors.Join(errs...)
}
