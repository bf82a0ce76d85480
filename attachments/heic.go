package attachments

import (
	"bytes"
	"encoding/binary"
)

// bareHEIC gives a HEIC file whose EXIF and XMP are overwritten where they stand,
// since everything in such a file is found by its place. How the picture is turned
// stands elsewhere. What cannot be read is given back as it is.
//
// Source: ISO/IEC 14496-12, §8.11, and 23008-12, annex A.
func bareHEIC(data []byte) [][]byte {
	meta := boxIn(data, span{0, len(data)}, "meta")
	meta.from += fullBox
	about := itemsAbout(data, boxIn(data, meta, "iinf"))
	inner := boxIn(data, meta, "idat")
	out := data
	for _, p := range placesOf(data, boxIn(data, meta, "iloc")) {
		within := span{0, len(data)}
		if p.method == inMeta {
			within = inner
		}
		piece := p.in(within)
		kind, ok := about[p.item]
		overlaps := p.method == inFile && piece.from < meta.to && piece.to > meta.from // which no program writes
		if !ok || p.method > inMeta || overlaps || piece.empty() {
			continue
		}
		if &out[0] == &data[0] {
			out = bytes.Clone(data)
		}
		blank(out[piece.from:piece.to], kind)
	}
	return [][]byte{out}
}

// blank leaves an EXIF that says nothing, or what there is room for; of a text only
// spaces.
func blank(b []byte, kind string) {
	if kind == kindText {
		copy(b, bytes.Repeat([]byte{' '}, len(b)))
		return
	}
	clear(b)
	copy(b, append([]byte{0, 0, 0, 0}, turnedExif(upright)...))
}

// The kinds of items that are about the picture and no part of it.
const (
	kindEXIF = "Exif"
	kindText = "mime"
)

// fullBox is the size of version and flags, which some boxes begin with.
const fullBox = 4

// span is a part of a file. That of a box is its content.
type span struct{ from, to int }

func (s span) empty() bool { return s.from >= s.to }

// boxIn finds the first box of a kind within a part of a file; empty when there is
// none.
func boxIn(data []byte, in span, kind string) span {
	for in.to-in.from >= 8 {
		head, size := 8, uint64(binary.BigEndian.Uint32(data[in.from:]))
		switch {
		case size == 0:
			size = uint64(in.to - in.from) //nolint:gosec // it is at least 8
		case size == 1 && in.to-in.from >= 16:
			head, size = 16, binary.BigEndian.Uint64(data[in.from+8:])
		}
		if size < uint64(head) || size > uint64(in.to-in.from) { //nolint:gosec // neither is negative
			break
		}
		if string(data[in.from+4:in.from+8]) == kind {
			return span{in.from + head, in.from + int(size)} //nolint:gosec // it lies within data
		}
		in.from += int(size) //nolint:gosec // it lies within data
	}
	return span{}
}

// itemsAbout gives the items that are about the picture, with their kind.
func itemsAbout(data []byte, iinf span) map[uint64]string {
	r := &reader{data: data, span: iinf}
	version := r.number(1)
	r.number(3)
	count := r.number(2)
	if version > 0 {
		count = count<<16 | r.number(2)
	}
	out := make(map[uint64]string)
	for ; count > 0; count-- {
		entry := boxIn(data, r.span, "infe")
		if entry.empty() {
			break
		}
		r.from = entry.to
		e := &reader{data: data, span: entry}
		width := 2
		if e.number(1) > 2 {
			width = 4
		}
		e.number(3)
		item := e.number(width)
		e.number(2)
		if kind := string(e.take(4)); kind == kindEXIF || kind == kindText {
			out[item] = kind
		}
	}
	return out
}

// Where the place of an item counts from.
const (
	inFile = 0
	inMeta = 1
)

// place is a piece of an item.
type place struct {
	item, method, at, size uint64
}

// in gives the piece within the part of the file that its place counts from.
func (p *place) in(within span) span {
	room := uint64(max(within.to-within.from, 0))
	if p.at >= room {
		return span{}
	}
	size := min(p.size, room-p.at)
	return span{within.from + int(p.at), within.from + int(p.at+size)} //nolint:gosec // it lies within the file
}

// maxPlaces is how many pieces are looked at; phones write some hundreds.
const maxPlaces = 100_000

// placesOf lists where items stand.
func placesOf(data []byte, iloc span) []place {
	r := &reader{data: data, span: iloc}
	version := r.number(1)
	r.number(3)
	sizes := r.number(2)
	width := 2
	if version > 1 {
		width = 4
	}
	var out []place
	for count := r.number(width); count > 0 && !r.empty(); count-- {
		p := place{item: r.number(width)}
		if version > 0 {
			p.method = r.number(2) & 15
		}
		r.number(2) // of a table of other files
		base := r.number(int(sizes >> 4 & 15))
		for pieces := r.number(2); pieces > 0 && !r.empty() && len(out) < maxPlaces; pieces-- {
			if version > 0 {
				r.number(int(sizes & 15))
			}
			p.at = base + r.number(int(sizes>>12&15))
			p.size = r.number(int(sizes >> 8 & 15))
			out = append(out, p)
		}
	}
	return out
}

// reader takes numbers from the front of a part of a file. What is not there is
// zero.
type reader struct {
	span

	data []byte
}

func (r *reader) take(n int) []byte {
	n = max(min(n, r.to-r.from), 0)
	r.from += n
	return r.data[r.from-n : r.from]
}

func (r *reader) number(size int) uint64 {
	n := uint64(0)
	for _, b := range r.take(size) {
		n = n<<8 | uint64(b)
	}
	return n
}
