package attachments

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

const (
	signaturePNG = "\x89PNG\r\n\x1a\n"
	aroundChunk  = 12 // length, kind and check sum
)

// barePNG lists the pieces of a PNG file that stay: the chunks that decide how it
// looks, also when it moves, and the orientation.
//
// Source: https://www.w3.org/TR/png-3/#11Chunks.
func barePNG(data []byte) [][]byte {
	rest, ok := bytes.CutPrefix(data, []byte(signaturePNG))
	if !ok {
		return [][]byte{data}
	}
	out := [][]byte{data[:len(signaturePNG)]}
	turned := false
	for len(rest) >= aroundChunk {
		size := min(uint64(binary.BigEndian.Uint32(rest))+aroundChunk, uint64(len(rest)))
		chunk, kind := rest[:size], string(rest[4:8])
		rest = rest[size:]
		switch {
		case kind == "eXIf" && !turned:
			if turn := turnOf(withoutHead(chunk[8 : size-4])); turn != upright {
				out, turned = append(out, chunkPNG(kind, turnedExif(turn))), true
			}
		case keptChunk(kind):
			out = append(out, chunk)
		}
		if kind == "IEND" {
			break
		}
	}
	return out
}

// keptChunk reports whether a chunk decides how a picture looks.
func keptChunk(kind string) bool {
	switch kind {
	case "IHDR", "PLTE", "IDAT", "IEND", "tRNS", "cHRM", "gAMA", "iCCP", "sBIT", "sRGB", "cICP", "mDCV", "cLLI", "bKGD", "pHYs", "acTL", "fcTL", "fdAT":
		return true
	}
	return false
}

func chunkPNG(kind string, content []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(content))) //nolint:gosec // it is small
	b = append(append(b, kind...), content...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}
