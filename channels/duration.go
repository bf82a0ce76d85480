package channels

import (
	"bytes"
	"encoding/binary"
	"io"
	"time"
)

// maxSpoken is how much of a recording [OutFile.Spoken] reads; no provider takes
// more of one that plays as a voice message. Of a longer one nothing is said.
const maxSpoken = 4 << 20

// Sizes of the frames of AMR, by their kind; zero ends what can be read.
//
// Source: RFC 4867, §5.3, with 3GPP TS 26.101 and 26.201.
var (
	narrowFrames = [16]int{13, 14, 16, 18, 20, 21, 27, 32, 6, 0, 0, 0, 0, 0, 0, 1}  //nolint:gochecknoglobals // a constant
	wideFrames   = [16]int{18, 24, 33, 37, 41, 47, 51, 59, 61, 6, 0, 0, 0, 0, 1, 1} //nolint:gochecknoglobals // a constant
)

// amrDuration adds up the frames of 20 ms; zero for what is not AMR in one channel.
func amrDuration(b []byte) time.Duration {
	sizes := narrowFrames
	rest, ok := bytes.CutPrefix(b, []byte("#!AMR\n"))
	if !ok {
		sizes = wideFrames
		if rest, ok = bytes.CutPrefix(b, []byte("#!AMR-WB\n")); !ok {
			return 0
		}
	}
	frames := 0
	for len(rest) > 0 {
		size := sizes[rest[0]>>3&15]
		if size == 0 || size > len(rest) {
			break
		}
		rest = rest[size:]
		frames++
	}
	return time.Duration(frames) * 20 * time.Millisecond
}

// mp3Duration adds up the frames of MPEG audio, layer III; zero for what is none.
//
// Source: ISO/IEC 11172-3, §2.4.1.3, and 13818-3, §2.4.2.3.
func mp3Duration(b []byte) time.Duration {
	b = b[id3Size(b):]
	total := time.Duration(0)
	for len(b) >= 4 {
		size, lasts := mp3Frame(binary.BigEndian.Uint32(b))
		if size == 0 {
			break
		}
		total += lasts
		b = b[min(size, len(b)):]
	}
	return total
}

// id3Size is how long the tag is that may stand before the sound.
func id3Size(b []byte) int {
	if len(b) < 10 || string(b[:3]) != "ID3" {
		return 0
	}
	size := int(b[6]&127)<<21 | int(b[7]&127)<<14 | int(b[8]&127)<<7 | int(b[9]&127)
	return min(size+10, len(b))
}

// mp3Frame reads a frame's header: how many bytes it has and how long it lasts;
// zero for what is no header of layer III.
func mp3Frame(h uint32) (size int, lasts time.Duration) {
	kilobits := [2][16]int{
		{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0},
		{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0},
	}
	version, layer := h>>19&3, h>>17&3
	rates := map[uint32]int{3: 44_100, 2: 22_050, 0: 11_025}
	rate := rates[version]
	switch h >> 10 & 3 {
	case 1:
		rate = rate * 480 / 441
	case 2:
		rate = rate * 320 / 441
	case 3:
		rate = 0
	}
	first := 0
	samples := 576
	if version == 3 {
		first, samples = 1, 1152
	}
	bits := kilobits[first][h>>12&15] * 1000
	if h>>21 != 0x7ff || layer != 1 || rate == 0 || bits == 0 {
		return 0, 0
	}
	return samples/8*bits/rate + int(h>>9&1), time.Duration(samples) * time.Second / time.Duration(rate)
}

// spokenOf says how long a recording lasts; zero when that cannot be said.
func spokenOf(kind string, r io.Reader) (time.Duration, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxSpoken))
	if err != nil || len(b) == maxSpoken {
		return 0, err
	}
	switch kind {
	case "audio/amr":
		return amrDuration(b), nil
	case "audio/mpeg":
		return mp3Duration(b), nil
	case "audio/ogg":
		return opusDuration(b), nil
	}
	return 0, nil
}

// opusDuration reads the place at which the last page of an Ogg file ends; zero for
// what is not Opus.
//
// Source: RFC 3533, §6, and RFC 7845, §4 and §5.1.
func opusDuration(b []byte) time.Duration {
	const (
		header = 28 // of the first page, which holds one packet
		perSec = 48_000
		most   = 24 * time.Hour
	)
	last := bytes.LastIndex(b, []byte("OggS"))
	if len(b) < header+12 || string(b[header:header+8]) != "OpusHead" || last < 0 || len(b) < last+14 {
		return 0
	}
	skipped := int64(binary.LittleEndian.Uint16(b[header+10:]))
	samples := int64(binary.LittleEndian.Uint64(b[last+6:])) - skipped //nolint:gosec // what is negative then is refused
	if samples <= 0 || samples > int64(most/time.Second)*perSec {
		return 0
	}
	return time.Duration(samples) * time.Second / perSec
}
