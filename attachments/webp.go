package attachments

import (
	"bytes"
	"encoding/binary"
)

const (
	headWebP     = 12 // RIFF, its size, WEBP
	flagEXIF     = 0x08
	flagXMP      = 0x04
	extendedHead = "VP8X"
)

// bareWebP lists the pieces of a WebP file that stay: what decides how it looks,
// also when it moves, and the orientation. The head says which chunks there are.
//
// Source: RFC 9649, §2.
func bareWebP(data []byte) [][]byte {
	if len(data) < headWebP || string(data[:4]) != "RIFF" || string(data[8:headWebP]) != "WEBP" {
		return [][]byte{data}
	}
	head := bytes.Clone(data[:headWebP])
	out := [][]byte{head}
	extended, turned := -1, false
	rest := data[headWebP:min(uint64(len(data)), max(headWebP, 8+uint64(binary.LittleEndian.Uint32(data[4:]))))]
	for len(rest) >= 8 {
		size := uint64(binary.LittleEndian.Uint32(rest[4:]))
		size = min(8+size+size&1, uint64(len(rest)))
		chunk, kind := rest[:size], string(rest[:4])
		rest = rest[size:]
		switch kind {
		case extendedHead:
			extended = len(out)
			out = append(out, bytes.Clone(chunk))
		case "EXIF":
			if turn := turnOf(withoutHead(chunk[8:])); turn != upright && !turned {
				out, turned = append(out, chunkWebP(kind, turnedExif(turn))), true
			}
		case "VP8 ", "VP8L", "ALPH", "ICCP", "ANIM", "ANMF":
			out = append(out, chunk)
		}
	}
	if extended >= 0 && len(out[extended]) > 8 {
		out[extended][8] &^= flagXMP | flagEXIF
		if turned {
			out[extended][8] |= flagEXIF
		}
	}
	total := 0
	for _, p := range out {
		total += len(p)
	}
	binary.LittleEndian.PutUint32(head[4:], uint32(total-8)) //nolint:gosec // no file is that large
	return out
}

// chunkWebP makes a chunk whose content has an even number of bytes.
func chunkWebP(kind string, content []byte) []byte {
	return append(binary.LittleEndian.AppendUint32([]byte(kind), uint32(len(content))), content...) //nolint:gosec // it is small
}
