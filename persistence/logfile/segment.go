package logfile

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A file begins with a header and holds records, each at a multiple of eight
// bytes. All numbers are big-endian.
//
//	header: magic8 seq8 salt8 before4 crc4
//	record: crc4 length4 batch4 kind1 0*3 index8 payload 0*
//
// Before says where the records of the file before this one end: all of them were synced
// when this file began. Its highest bit says that nothing in the files before counts.
// The checksum of a record is over what follows it, and begins with that of salt
// and seq: what an older use of the same disk space left is no record of this
// file. Batch is where in the file the record's batch begins. A batch is written when the one
// before is synced, so a record of a later batch proves that everything before
// that batch was synced.
const (
	headerBytes = 32
	recordBytes = 24
	alignment   = 8
	magic       = "CQLOG\x00\x00\x01"

	// maxSegmentBytes keeps every place in a file within 31 bits.
	maxSegmentBytes = 2<<30 - 1
)

// Kinds of records.
const (
	kindEntry = 1
	kindNote  = 2
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli) //nolint:gochecknoglobals // a table of constants

// segment is a file of the log.
type segment struct {
	seq   uint64
	name  string
	file  vfs.File
	seed  uint32
	fresh bool // nothing in the files before it counts

	end     int64    // of what was written and synced
	size    int64    // of the file, which may be longer
	first   uint64   // number of the first entry
	offsets []uint32 // where each entry lies
}

// lastIndex is the number of the last entry; one below the first where there is
// none.
func (s *segment) lastIndex() uint64 { return s.first + uint64(len(s.offsets)) - 1 }

func seedOf(salt, seq uint64) uint32 {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], salt)
	binary.BigEndian.PutUint64(b[8:], seq)
	return crc32.Checksum(b[:], castagnoli)
}

// header is the start of a file.
type header struct {
	seq, salt uint64
	before    int64 // end of the file before
	fresh     bool  // nothing in the files before counts
}

const freshBit = 1 << 31

func (h header) append(b []byte) []byte {
	at := len(b)
	b = append(b, magic...)
	b = binary.BigEndian.AppendUint64(b, h.seq)
	b = binary.BigEndian.AppendUint64(b, h.salt)
	before := uint32(h.before) //nolint:gosec // see maxSegmentBytes
	if h.fresh {
		before |= freshBit
	}
	b = binary.BigEndian.AppendUint32(b, before)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b[at:], castagnoli))
}

// readHeader reads the start of a file; false when it is none.
func readHeader(b []byte) (header, bool) {
	if len(b) < headerBytes || string(b[:8]) != magic ||
		binary.BigEndian.Uint32(b[28:]) != crc32.Checksum(b[:28], castagnoli) {
		return header{}, false
	}
	before := binary.BigEndian.Uint32(b[24:])
	return header{
		seq: binary.BigEndian.Uint64(b[8:]), salt: binary.BigEndian.Uint64(b[16:]),
		before: int64(before &^ freshBit), fresh: before&freshBit != 0,
	}, true
}

// seal completes the record that begins at a place of b and ends with it.
func (s *segment) seal(b []byte, at, batch int, kind byte, index uint64) []byte {
	h := b[at : at+recordBytes]
	binary.BigEndian.PutUint32(h[4:], uint32(len(b)-at-recordBytes)) //nolint:gosec // a batch is far below 4 GB
	binary.BigEndian.PutUint32(h[8:], uint32(batch))                 //nolint:gosec // a file is far below 4 GB
	h[12], h[13], h[14], h[15] = kind, 0, 0, 0
	binary.BigEndian.PutUint64(h[16:], index)
	binary.BigEndian.PutUint32(h, crc32.Update(s.seed, castagnoli, b[at+4:]))
	for len(b)%alignment != 0 {
		b = append(b, 0)
	}
	return b
}

// note appends the record of a note.
func (s *segment) note(b []byte, batch int, note []byte) []byte {
	at := len(b)
	b = append(append(b, make([]byte, recordBytes)...), note...)
	return s.seal(b, at, batch, kindNote, 0)
}

// record is what stands at a place of a file.
type record struct {
	kind    byte
	batch   int
	index   uint64
	payload []byte
	size    int // with what fills it up
}

// record reads what stands at a place; false when it is no record of this file.
func (s *segment) record(b []byte, at int) (record, bool) {
	if len(b)-at < recordBytes {
		return record{}, false
	}
	h := b[at:]
	n := int(binary.BigEndian.Uint32(h[4:]))
	size := (recordBytes + n + alignment - 1) / alignment * alignment
	if size > len(h) {
		return record{}, false
	}
	r := record{
		kind: h[12], batch: int(binary.BigEndian.Uint32(h[8:])), index: binary.BigEndian.Uint64(h[16:]),
		payload: h[recordBytes : recordBytes+n], size: size,
	}
	if r.kind != kindEntry && r.kind != kindNote || r.batch > at || r.batch < headerBytes {
		return record{}, false
	}
	return r, binary.BigEndian.Uint32(h) == crc32.Update(s.seed, castagnoli, h[4:recordBytes+n])
}

// after reports whether a record follows somewhere that was written after
// everything up to a place had been synced.
func (s *segment) after(b []byte, place int) bool {
	for at := place; at+recordBytes <= len(b); at += alignment {
		if batch := int(binary.BigEndian.Uint32(b[at+8:])); batch <= place || batch > at {
			continue // cheaper than the checksum
		}
		if _, ok := s.record(b, at); ok {
			return true
		}
	}
	return false
}

// read gives the bytes of an entry.
func (s *segment) read(index uint64) ([]byte, error) {
	i := index - s.first
	from, to := int64(s.offsets[i]), s.end
	if int(i)+1 < len(s.offsets) { //nolint:gosec // below the length
		to = int64(s.offsets[i+1])
	}
	b := make([]byte, to-from)
	if _, err := s.file.ReadAt(b, from); err != nil {
		return nil, fmt.Errorf("read entry %d from %s: %w", index, s.name, err)
	}
	n := int(binary.BigEndian.Uint32(b[4:]))
	if n > len(b)-recordBytes || binary.BigEndian.Uint64(b[16:]) != index ||
		binary.BigEndian.Uint32(b) != crc32.Update(s.seed, castagnoli, b[4:recordBytes+n]) {
		return nil, fmt.Errorf("%w: entry %d in %s", ErrCorrupt, index, s.name)
	}
	return b[recordBytes : recordBytes+n : recordBytes+n], nil
}
