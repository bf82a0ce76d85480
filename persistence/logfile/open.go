package logfile

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	segmentSuffix = ".seg"
	spareSuffix   = ".spare"
	category      = vfs.WriteCategoryUnspecified
)

// Open opens a log, and makes it where there is none. It reads everything.
// Errors: [ErrCorrupt] when entries are missing that were synced once.
func Open(o Options) (*Log, error) {
	if o.SegmentBytes <= 0 {
		o.SegmentBytes = DefaultSegmentBytes
	}
	l := &Log{o: o}
	err := l.open()
	if err != nil {
		for _, s := range l.segments {
			err = errors.Join(err, s.file.Close())
		}
		return nil, fmt.Errorf("open the log in %s: %w", o.Dir, err)
	}
	return l, nil
}

func (l *Log) open() error {
	if !l.o.ReadOnly {
		err := l.o.FS.MkdirAll(l.o.Dir, 0o700)
		if err == nil {
			err = l.syncDir(l.o.FS.PathDir(l.o.Dir))
		}
		if err != nil {
			return err
		}
	}
	names, err := l.list()
	if err != nil {
		return err
	}
	for i := range names {
		if err := l.load(names, i); err != nil {
			return fmt.Errorf("%s: %w", names[i], err)
		}
	}
	if l.o.ReadOnly {
		return nil
	}
	if len(l.segments) == 0 {
		var b [8]byte
		_, _ = rand.Read(b[:]) // never fails
		l.salt = binary.BigEndian.Uint64(b[:])
	}
	if err := l.dropStale(); err != nil {
		return err
	}
	// What is behind the last record of a file may look like one some day, so
	// nothing is ever written there.
	_, err = l.begin(l.last == 0)
	return err
}

// list gives the names of the files, oldest first, and remembers the spare ones.
func (l *Log) list() ([]string, error) {
	all, err := l.o.FS.List(l.o.Dir)
	if l.o.ReadOnly && errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for _, name := range all {
		switch {
		case strings.HasSuffix(name, segmentSuffix):
			names = append(names, name)
		case strings.HasSuffix(name, spareSuffix):
			l.spares = append(l.spares, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

func segmentName(seq uint64) string { return fmt.Sprintf("%016x%s", seq, segmentSuffix) }

// load reads one of the files and adds what is in it.
func (l *Log) load(names []string, i int) error {
	name := names[i]
	seq, err := strconv.ParseUint(strings.TrimSuffix(name, segmentSuffix), 16, 64)
	if err != nil {
		return fmt.Errorf("%w: a foreign name", ErrCorrupt)
	}
	if n := len(l.segments); n > 0 && l.segments[n-1].seq+1 != seq {
		return fmt.Errorf("%w: the file before it is missing", ErrCorrupt)
	}
	f, err := l.o.FS.Open(l.path(name))
	if err != nil {
		return err
	}
	b, err := readAll(f)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	s := &segment{seq: seq, name: name, file: f}
	if err := l.take(s, b); err != nil {
		if newest := i == len(names)-1; newest && errors.Is(err, errNoHeader) && l.unfinished(s, b) {
			err = nil
		}
		return errors.Join(err, f.Close())
	}
	l.segments = append(l.segments, s)
	return l.replay(s, b)
}

func readAll(f vfs.File) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > maxSegmentBytes {
		return nil, fmt.Errorf("%w: %d bytes", ErrCorrupt, info.Size())
	}
	b := make([]byte, info.Size())
	_, err = io.ReadFull(f, b)
	return b, err
}

var errNoHeader = fmt.Errorf("%w: the header", ErrCorrupt)

// take reads the header of a file.
func (l *Log) take(s *segment, b []byte) error {
	h, ok := readHeader(b)
	if !ok || h.seq != s.seq {
		return errNoHeader
	}
	if n := len(l.segments); n > 0 && h.salt != l.salt {
		return fmt.Errorf("%w: it belongs to another log", ErrCorrupt)
	} else if n > 0 && !h.fresh && l.segments[n-1].end < h.before {
		return fmt.Errorf("%w: the file before it ends at byte %d, %d were synced", ErrCorrupt, l.segments[n-1].end, h.before)
	}
	l.salt, s.fresh, s.seed = h.salt, h.fresh, seedOf(h.salt, h.seq)
	return nil
}

// unfinished reports whether the newest file, which has no header, was being made
// when the power went: nothing in it was ever acknowledged.
func (l *Log) unfinished(s *segment, b []byte) bool {
	if len(l.segments) == 0 {
		// The first file of a log is a new one, without anything behind the header.
		return len(bytes.Trim(b[min(len(b), headerBytes):], "\x00")) == 0
	}
	s.seed = seedOf(l.salt, s.seq)
	return !s.after(b, 0)
}

// replay adds the records of a file, up to its end or where the power went.
func (l *Log) replay(s *segment, b []byte) error {
	if s.fresh {
		l.first, l.last = 0, 0
		for _, old := range l.segments[:len(l.segments)-1] {
			old.offsets = nil
		}
	}
	at := headerBytes
	for {
		r, ok := s.record(b, at)
		if !ok {
			break
		}
		if r.kind == kindNote {
			l.note = slices.Clone(r.payload)
		} else if err := l.add(s, r.index, at); err != nil {
			return err
		}
		at += r.size
	}
	s.end = int64(at)
	if s.after(b, at) {
		return fmt.Errorf("%w: at byte %d", ErrCorrupt, at)
	}
	return nil
}

// add adds an entry that was found.
func (l *Log) add(s *segment, index uint64, at int) error {
	if index == 0 || l.last != 0 && index > l.last+1 {
		return fmt.Errorf("%w: entry %d comes after %d", ErrCorrupt, index, l.last)
	}
	l.cut(index)
	if len(s.offsets) == 0 {
		s.first = index
	}
	s.offsets = append(s.offsets, uint32(at)) //nolint:gosec // a file is far below 4 GB
	if l.first == 0 {
		l.first, l.emptied = index, false
	}
	l.last = index
	return nil
}

// dropStale removes the files that an earlier run wanted to remove: those before
// a fresh start, and where there are too many spares all of them.
func (l *Log) dropStale() error {
	fresh := 0
	for i, s := range l.segments {
		if s.fresh {
			fresh = i
		}
	}
	old := l.segments[:fresh]
	l.segments = slices.Clone(l.segments[fresh:])
	if len(l.spares) > maxSpares {
		if err := l.dropSpares(); err != nil {
			return err
		}
	}
	return l.discard(old)
}

func (l *Log) path(name string) string { return l.o.FS.PathJoin(l.o.Dir, name) }

// begin makes a new file, which is on the disk when it returns, with the note in
// it. Where it is fresh nothing in the files before it counts any more.
func (l *Log) begin(fresh bool) (*segment, error) {
	l.mu.Lock()
	h := header{seq: 1, salt: l.salt, fresh: fresh}
	if n := len(l.segments); n > 0 {
		h.seq, h.before = l.segments[n-1].seq+1, l.segments[n-1].end
	}
	spare := ""
	if n := len(l.spares); n > 0 {
		spare, l.spares = l.spares[n-1], l.spares[:n-1]
	}
	l.mu.Unlock()
	s := &segment{seq: h.seq, name: segmentName(h.seq), seed: seedOf(h.salt, h.seq), fresh: fresh}
	if spare != "" {
		if err := l.o.FS.Rename(l.path(spare), l.path(s.name)); err != nil {
			return nil, err
		}
	}
	f, err := l.o.FS.OpenReadWrite(l.path(s.name), category)
	if err != nil {
		return nil, err
	}
	s.file = f
	b := h.append(nil)
	if len(l.note) > 0 {
		b = s.note(b, headerBytes, l.note)
	}
	info, err := f.Stat()
	if err == nil {
		s.size = info.Size()
		_, err = f.WriteAt(l.padded(s, b), 0)
	}
	if err == nil {
		err = errors.Join(f.Sync(), l.syncDir(l.o.Dir))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("begin %s: %w", s.name, err), f.Close())
	}
	s.end = int64(len(b))
	l.mu.Lock()
	l.segments = append(l.segments, s)
	l.emptied = l.emptied && !fresh
	l.mu.Unlock()
	return s, nil
}

func (l *Log) syncDir(dir string) error {
	d, err := l.o.FS.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
