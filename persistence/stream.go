package persistence

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/cockroachdb/pebble/v2"
)

// A state stream is what one node sends to another that is too far behind for
// the log: every row of the state, in key order.
//
//	header (klen vlen key value)* 0 crc4
//
// Lengths are uvarints, no key is empty, the checksum is over all before it.

const (
	maxStreamKey   = 64 << 10
	maxStreamValue = 256 << 20
	replaceBatch   = 4 << 20
	kindStream     = 'W'
)

// stateStream reads the rows of a database snapshot as a stream.
type stateStream struct {
	snap    *pebble.Snapshot
	it      *pebble.Iterator
	tags    []byte
	buf     []byte // made, not yet read
	sum     uint32
	done    bool
	release func()
}

// openStream starts a stream. Raft wants to know its size before, so the state
// is walked twice.
func openStream(snap *pebble.Snapshot, release func()) (*stateStream, int64, error) {
	s := newStateStream(snap)
	size, err := io.Copy(io.Discard, s)
	if err == nil {
		err = s.it.Close()
	} else if s.it != nil {
		_ = s.it.Close() // the first error is the one to tell
	}
	if err != nil {
		return nil, 0, errors.Join(err, snap.Close())
	}
	s = newStateStream(snap)
	s.release = release
	return s, size, nil
}

func newStateStream(snap *pebble.Snapshot) *stateStream {
	s := &stateStream{snap: snap, tags: stateTags()}
	s.buf = appendHeader(nil, kindStream)
	return s
}

// Read implements [io.Reader].
func (s *stateStream) Read(p []byte) (int, error) {
	for len(s.buf) == 0 {
		if s.done {
			return 0, io.EOF
		}
		if err := s.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, s.buf)
	s.sum = crc32.Update(s.sum, crc32.IEEETable, s.buf[:n])
	s.buf = s.buf[n:]
	return n, nil
}

// fill makes the next piece of the stream.
func (s *stateStream) fill() error {
	const piece = 64 << 10
	s.buf = s.buf[:0]
	for len(s.buf) < piece {
		ok, err := s.step()
		if err != nil {
			return err
		}
		if !ok {
			s.end()
			return nil
		}
		s.buf = binary.AppendUvarint(s.buf, uint64(len(s.it.Key())))
		s.buf = binary.AppendUvarint(s.buf, uint64(len(s.it.Value())))
		s.buf = append(s.buf, s.it.Key()...)
		s.buf = append(s.buf, s.it.Value()...)
	}
	return nil
}

// end adds the end mark and the checksum of everything before it.
func (s *stateStream) end() {
	s.done = true
	s.buf = append(s.buf, 0)
	sum := crc32.Update(s.sum, crc32.IEEETable, s.buf)
	s.buf = binary.BigEndian.AppendUint32(s.buf, sum)
}

// step moves to the next row, from one tag to the next.
func (s *stateStream) step() (bool, error) {
	if s.it != nil && s.it.Next() {
		return true, nil
	}
	for {
		if s.it != nil {
			if err := s.it.Error(); err != nil {
				return false, err
			}
		}
		if len(s.tags) == 0 {
			return false, nil
		}
		prefix := tagPrefix(s.tags[0])
		s.tags = s.tags[1:]
		if s.it == nil {
			it, err := s.snap.NewIter(prefixBounds(prefix, nil))
			if err != nil {
				return false, err
			}
			s.it = it
		} else {
			s.it.SetBounds(prefix, after(prefix))
		}
		if s.it.First() {
			return true, nil
		}
	}
}

// Close implements [io.Closer].
func (s *stateStream) Close() error {
	if s.snap == nil {
		return nil
	}
	var err error
	if s.it != nil {
		err = s.it.Close()
	}
	err = errors.Join(err, s.snap.Close())
	s.snap = nil
	if s.release != nil {
		s.release()
	}
	return err
}

// replaceState puts the rows of a stream in the place of this node's state. A
// mark stands in the database while the state is neither the old nor the new
// one; a node that dies then goes on with it at its next start, see resume.
func (s *snapshots) replaceState(src io.Reader) (position, error) {
	mark, err := s.replacing()
	if err != nil {
		return position{}, err
	}
	if err := setDurably(s.db, replacingKey(), mark); err != nil {
		return position{}, err
	}
	if err := s.dropState(); err != nil {
		return position{}, err
	}
	if err := s.readState(src); err != nil {
		return position{}, err
	}
	rec, closer, err := s.db.Get(appliedKey())
	if err != nil {
		return position{}, fmt.Errorf("received state without applied index: %w", err)
	}
	p, err := decodePosition(rec)
	if err = errors.Join(err, closer.Close()); err != nil {
		return position{}, err
	}
	return p, s.finishReplace(p)
}

// replacing gives the record of a replacement: the mark of what is received.
func (s *snapshots) replacing() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rec := appendHeader(nil, tagRaft)
	if s.mu.received == nil {
		return rec, nil
	}
	b, err := json.Marshal(s.mu.received) //nolint:musttag // raft's own names, as raft's stores write them
	return append(rec, b...), err
}

// finishReplace takes the mark away and stores that of the snapshot.
func (s *snapshots) finishReplace(applied position) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.db.NewBatch()
	if err := b.Delete(replacingKey(), nil); err != nil {
		return err
	}
	if s.mu.received != nil {
		s.mu.received.Applied = applied.index
		rec, err := encodeMark(s.mu.received)
		if err != nil {
			return err
		}
		if err := b.Set(snapshotKey(), rec, nil); err != nil {
			return err
		}
	}
	if err := errors.Join(s.db.Apply(b, pebble.NoSync), b.Close(), s.db.Flush()); err != nil {
		return err
	}
	if s.halt.failed() {
		return ErrUnknown
	}
	if s.mu.received == nil {
		return nil
	}
	s.newest.Store(&logPlace{index: s.mu.received.Index, term: s.mu.received.Term})
	s.mu.received = nil
	return s.fs.Remove(s.spool())
}

func (s *snapshots) dropState() error {
	b := s.db.NewBatch()
	for _, tag := range stateTags() {
		prefix := tagPrefix(tag)
		if err := b.DeleteRange(prefix, after(prefix), nil); err != nil {
			return err
		}
	}
	return errors.Join(s.db.Apply(b, pebble.NoSync), b.Close())
}

func (s *snapshots) readState(src io.Reader) error {
	b := s.db.NewBatch()
	err := eachRow(src, func(in *sumReader, klen, vlen int) error {
		if b.Len() >= replaceBatch {
			if err := errors.Join(s.db.Apply(b, pebble.NoSync), b.Close()); err != nil {
				return err
			}
			b = s.db.NewBatch()
		}
		op := b.SetDeferred(klen, vlen)
		if _, err := io.ReadFull(in, op.Key); err != nil {
			return err
		}
		if _, err := io.ReadFull(in, op.Value); err != nil {
			return err
		}
		return op.Finish()
	})
	if err != nil {
		return errors.Join(err, b.Close())
	}
	return errors.Join(s.db.Apply(b, pebble.NoSync), b.Close())
}

// eachRow walks a stream: row has to read a key and a value of the given lengths.
// It ends with the check of the sum over everything.
func eachRow(src io.Reader, row func(in *sumReader, klen, vlen int) error) error {
	in := &sumReader{r: bufio.NewReaderSize(src, 256<<10)}
	var header [headerBytes]byte
	if _, err := io.ReadFull(in, header[:]); err != nil {
		return fmt.Errorf("state stream: %w", err)
	}
	if _, err := body(kindStream, header[:]); err != nil {
		return fmt.Errorf("state stream: %w", err)
	}
	for {
		klen, vlen, err := rowLengths(in)
		if err == nil && klen == 0 {
			err = in.check()
		} else if err == nil {
			err = row(in, klen, vlen)
		}
		if err != nil {
			return fmt.Errorf("state stream: %w", err)
		}
		if klen == 0 {
			return nil
		}
	}
}

// rowLengths reads the lengths of the next row; there is none when the first is
// zero.
func rowLengths(in *sumReader) (klen, vlen int, err error) {
	k, err := binary.ReadUvarint(in)
	if err != nil || k == 0 {
		return 0, 0, err
	}
	v, err := binary.ReadUvarint(in)
	if err != nil {
		return 0, 0, err
	}
	if k > maxStreamKey || v > maxStreamValue {
		return 0, 0, fmt.Errorf("%w: row of %d and %d bytes", ErrCorrupt, k, v)
	}
	return int(k), int(v), nil
}

// sumReader sums up what is read.
type sumReader struct {
	r   *bufio.Reader
	sum uint32
}

// Read implements [io.Reader].
func (s *sumReader) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.sum = crc32.Update(s.sum, crc32.IEEETable, p[:n])
	return n, err
}

// ReadByte implements [io.ByteReader].
func (s *sumReader) ReadByte() (byte, error) {
	c, err := s.r.ReadByte()
	if err == nil {
		s.sum = crc32.Update(s.sum, crc32.IEEETable, []byte{c})
	}
	return c, err
}

// check reads the checksum at the end of the stream.
func (s *sumReader) check() error {
	want := s.sum
	var b [4]byte
	if _, err := io.ReadFull(s.r, b[:]); err != nil {
		return err
	}
	if binary.BigEndian.Uint32(b[:]) != want {
		return fmt.Errorf("%w: checksum", ErrCorrupt)
	}
	return nil
}
