package attachments

import (
	"bytes"
	"encoding/binary"
)

// The one field of EXIF that decides how a picture looks.
//
// Source: CIPA DC-008, §4.6.4 and §4.6.5, and TIFF 6.0, §2.
const (
	tagOrientation = 0x0112
	typeShort      = 3
	upright        = 1
	lastTurn       = 8
	sizeOfField    = 12
)

// turnOf gives the orientation that EXIF states: 2 to 8, or upright for a picture
// that is shown as it is, and for what cannot be read.
func turnOf(tiff []byte) uint16 {
	if len(tiff) < 8 {
		return upright
	}
	var order binary.ByteOrder = binary.BigEndian
	switch string(tiff[:4]) {
	case "II*\x00":
		order = binary.LittleEndian
	case "MM\x00*":
	default:
		return upright
	}
	at := uint64(order.Uint32(tiff[4:]))
	if at+2 > uint64(len(tiff)) {
		return upright
	}
	fields := tiff[at+2:]
	for range order.Uint16(tiff[at:]) {
		if len(fields) < sizeOfField {
			break
		}
		if order.Uint16(fields) == tagOrientation && order.Uint16(fields[2:]) == typeShort && order.Uint32(fields[4:]) == 1 {
			if turn := order.Uint16(fields[8:]); turn > upright && turn <= lastTurn {
				return turn
			}
			break
		}
		fields = fields[sizeOfField:]
	}
	return upright
}

// turnedExif gives the smallest EXIF that states an orientation.
func turnedExif(turn uint16) []byte {
	b := []byte("MM\x00*\x00\x00\x00\x08\x00\x01")
	b = binary.BigEndian.AppendUint16(b, tagOrientation)
	b = binary.BigEndian.AppendUint16(b, typeShort)
	b = binary.BigEndian.AppendUint32(b, 1)
	b = binary.BigEndian.AppendUint16(b, turn)
	return append(b, 0, 0, 0, 0, 0, 0) // the rest of the field, and no other directory
}

var exifHead = []byte("Exif\x00\x00") //nolint:gochecknoglobals // a constant

// withoutHead gives EXIF as TIFF, with or without the head that JPEG wants.
func withoutHead(exif []byte) []byte { return bytes.TrimPrefix(exif, exifHead) }
