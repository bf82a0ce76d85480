package logfile

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
)

// maxSpares is how many files are kept to be written over: to sync what takes
// the place of something is cheaper than to sync a file that grows.
const maxSpares = 1

// DropFront drops all entries up to a number. What is in a file together with
// newer entries stays on the disk, and is there again after the next opening.
func (l *Log) DropFront(to uint64) error {
	l.trimming.Lock()
	defer l.trimming.Unlock()
	l.mu.Lock()
	if l.first != 0 && to >= l.first {
		l.first = to + 1
	}
	if l.last != 0 && to >= l.last {
		l.first, l.last, l.emptied = 0, 0, true
	}
	n := 0
	for n < len(l.segments)-1 && (len(l.segments[n].offsets) == 0 || l.segments[n].lastIndex() <= to) {
		n++
	}
	old := slices.Clone(l.segments[:n])
	l.segments = slices.Delete(l.segments, 0, n)
	l.mu.Unlock()
	return l.discard(old)
}

// DropBack drops all entries from a number on. It is written down with the next
// batch: until then they are there again after an opening.
func (l *Log) DropBack(from uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut(from)
}

// cut drops all entries from a number on; the lock is held, or nobody else has
// the log yet.
func (l *Log) cut(from uint64) {
	if l.last == 0 || from > l.last {
		return
	}
	for _, s := range slices.Backward(l.segments) {
		if len(s.offsets) == 0 {
			continue
		}
		if from > s.first {
			s.offsets = s.offsets[:min(from-s.first, uint64(len(s.offsets)))]
			break
		}
		s.offsets = nil
	}
	if l.last = from - 1; l.last < l.first {
		l.first, l.last, l.emptied = 0, 0, true
	}
}

// Reset drops everything but the note, for good: nothing is there again after
// an opening, and the next batch may begin with any number.
func (l *Log) Reset() error {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.trimming.Lock()
	defer l.trimming.Unlock()
	if l.failed || l.closed || l.o.ReadOnly {
		return ErrFailed
	}
	if _, err := l.begin(true); err != nil {
		return l.fail(err)
	}
	l.renew = false
	l.mu.Lock()
	last := len(l.segments) - 1
	old := slices.Clone(l.segments[:last])
	l.segments = slices.Delete(l.segments, 0, last)
	l.first, l.last, l.emptied = 0, 0, false
	l.mu.Unlock()
	return l.discard(old)
}

// Renew has the next batch begin a new file, and gives the number of the last
// entry before it: once everything up to there is dropped, no file holds it.
func (l *Log) Renew() (last uint64) {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.renew = true
	return l.Last()
}

// Forget says whether files that are dropped have to be gone from the disk, the
// one included that is kept to be written over. They hold something that must
// not stay.
func (l *Log) Forget(files bool) { l.forget.Store(files) }

// discard takes files away, oldest first. Each is gone from the disk before the
// next one goes, so that there never is a gap.
func (l *Log) discard(old []*segment) error {
	var errs []error
	for _, s := range old {
		errs = append(errs, s.file.Close())
		if l.spareable() {
			errs = append(errs, l.spare(s.name))
		} else {
			errs = append(errs, l.o.FS.Remove(l.path(s.name)), l.syncDir(l.o.Dir))
		}
	}
	if l.forget.Load() {
		errs = append(errs, l.dropSpares())
	}
	return errors.Join(errs...)
}

func (l *Log) spareable() bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return len(l.spares) < maxSpares && !l.forget.Load()
}

// spare keeps a file to be written over.
func (l *Log) spare(segment string) error {
	name := strings.TrimSuffix(segment, segmentSuffix) + spareSuffix
	if err := errors.Join(l.o.FS.Rename(l.path(segment), l.path(name)), l.syncDir(l.o.Dir)); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spares = append(l.spares, name)
	return nil
}

// dropSpares removes the files that were to be written over.
func (l *Log) dropSpares() error {
	l.mu.Lock()
	names := l.spares
	l.spares = nil
	l.mu.Unlock()
	var errs []error
	for _, name := range names {
		if err := l.o.FS.Remove(l.path(name)); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
