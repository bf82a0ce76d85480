package attachments

import (
	"bytes"
	"encoding/binary"
)

// The markers of JPEG that matter here.
//
// Source: ITU-T T.81, annex B.
const (
	markStart   = 0xd8
	markEnd     = 0xd9
	markScan    = 0xda
	markApp0    = 0xe0
	markApp1    = 0xe1
	markApp2    = 0xe2
	markApp14   = 0xee
	markApp15   = 0xef
	markComment = 0xfe
	markRestart = 0xd0 // to 0xd7
	markTemp    = 0x01
)

// bareJPEG lists the pieces of a JPEG file that stay: all that decoders need, the
// colour profile, and the orientation. It goes on through all scans to the end of
// the picture, or of the file.
func bareJPEG(data []byte) [][]byte {
	if len(data) < 2 || data[0] != 0xff || data[1] != markStart {
		return [][]byte{data}
	}
	out := [][]byte{data[:2]}
	turned := false
	for rest := data[2:]; ; {
		segment, mark, after := nextSegment(rest)
		rest = after
		switch {
		case segment == nil:
			return out
		case mark == markApp1 && !turned && bytes.HasPrefix(contentOf(segment), exifHead):
			if small := smallExif(contentOf(segment)); small != nil {
				out, turned = append(out, small), true
			}
		case keptSegment(mark, contentOf(segment)):
			out = append(out, segment)
		}
		if mark == markEnd {
			return out
		}
	}
}

// nextSegment takes the next marker with what belongs to it, which for a scan is
// also its data, and gives what is left. What stands between segments is skipped,
// as decoders do. Nil means that there is none any more.
func nextSegment(data []byte) (segment []byte, mark byte, rest []byte) {
	for {
		at := bytes.IndexByte(data, 0xff)
		if at < 0 || at+1 >= len(data) {
			return nil, 0, nil
		}
		data = data[at:]
		mark = data[1]
		if mark != 0x00 && mark != 0xff {
			break
		}
		data = data[1:]
	}
	if mark == markStart || mark == markEnd || mark == markTemp || isRestart(mark) {
		return data[:2], mark, data[2:]
	}
	if len(data) < 4 {
		return nil, 0, nil
	}
	end := min(2+max(int(binary.BigEndian.Uint16(data[2:])), 2), len(data))
	if mark == markScan {
		end += scanSize(data[end:])
	}
	return data[:end], mark, data[end:]
}

// scanSize is how much data there is before the next marker.
func scanSize(data []byte) int {
	for at := 0; ; {
		next := bytes.IndexByte(data[at:], 0xff)
		if next < 0 || at+next+1 >= len(data) {
			return len(data)
		}
		at += next
		if mark := data[at+1]; mark != 0x00 && mark != 0xff && !isRestart(mark) {
			return at
		}
		at++
	}
}

func isRestart(mark byte) bool { return mark >= markRestart && mark < markStart }

// contentOf gives what stands behind a segment's length.
func contentOf(segment []byte) []byte { return segment[min(4, len(segment)):] }

// keptSegment reports whether a segment is needed to show the picture right. Of
// those that are the programs' own, these are JFIF's head, colour profiles, and
// Adobe's word on how colours are stored.
func keptSegment(mark byte, content []byte) bool {
	switch mark {
	case markApp0:
		return bytes.HasPrefix(content, []byte("JFIF\x00"))
	case markApp2:
		return bytes.HasPrefix(content, []byte("ICC_PROFILE\x00"))
	case markApp14:
		return bytes.HasPrefix(content, []byte("Adobe"))
	}
	return mark != markComment && (mark < markApp0 || mark > markApp15)
}

// smallExif gives the segment that states what EXIF says of the orientation; nil
// when that is nothing.
func smallExif(exif []byte) []byte {
	turn := turnOf(withoutHead(exif))
	if turn == upright {
		return nil
	}
	content := append(bytes.Clone(exifHead), turnedExif(turn)...)
	return append(binary.BigEndian.AppendUint16([]byte{0xff, markApp1}, uint16(2+len(content))), content...) //nolint:gosec // it is small
}
