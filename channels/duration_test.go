package channels

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
	"time"
)

// opusOf is the beginning and the end of an Ogg file whose last page ends behind so
// many samples, with 312 that are skipped.
func opusOf(samples uint64) string {
	page := func(granule uint64) string {
		return "OggS\x00\x02" + string(binary.LittleEndian.AppendUint64(nil, granule)) + strings.Repeat("\x00", 12) + "\x01\x13"
	}
	return page(0) + "OpusHead\x01\x01\x38\x01\x80\xbb\x00\x00\x00\x00\x00" + page(samples+312) + "sound"
}

// mp3Of makes frames of a header, filled with nothing.
func mp3Of(header uint32, size, frames int) string {
	frame := binary.BigEndian.AppendUint32(nil, header)
	return strings.Repeat(string(frame)+strings.Repeat("\x00", size-4), frames)
}

func TestHowLongARecordingLasts(t *testing.T) {
	t.Parallel()
	id3 := "ID3\x04\x00\x00\x00\x00\x02\x01" + strings.Repeat("\xff", 2<<7+1)
	for name, c := range map[string]struct {
		kind, content string
		want          time.Duration
	}{
		"AMR, 12.2 kbit/s":    {"audio/amr", "#!AMR\n" + strings.Repeat("\x3c"+strings.Repeat("x", 31), 100), 2 * time.Second},
		"AMR with silence":    {"audio/amr", "#!AMR\n" + strings.Repeat("\x44"+strings.Repeat("x", 5), 50) + strings.Repeat("\x7c", 50), 2 * time.Second},
		"wide AMR":            {"audio/amr", "#!AMR-WB\n" + strings.Repeat("\x44"+strings.Repeat("x", 60), 50), time.Second},
		"AMR, cut":            {"audio/amr", "#!AMR\n" + strings.Repeat("\x3c"+strings.Repeat("x", 31), 2) + "\x3cxx", 40 * time.Millisecond},
		"AMR, reserved kind":  {"audio/amr", "#!AMR\n\x4c" + strings.Repeat("x", 50), 0},
		"two channels":        {"audio/amr", "#!AMR_MC1.0\n\x00\x00\x00\x02", 0},
		"MP3, 128 kbit/s":     {"audio/mpeg", mp3Of(0xfffb9000, 417, 100), 100 * (1152 * time.Second / 44_100)},
		"MP3 behind a tag":    {"audio/mpeg", id3 + mp3Of(0xfffb9400, 384, 125), 125 * 24 * time.Millisecond},
		"MP3 with padding":    {"audio/mpeg", mp3Of(0xfffb9200, 418, 10), 10 * (1152 * time.Second / 44_100)},
		"MPEG-2, 24 kHz":      {"audio/mpeg", mp3Of(0xfff38400, 192, 125), 125 * 24 * time.Millisecond},
		"MP3 with rubbish":    {"audio/mpeg", mp3Of(0xfffb9400, 384, 10) + "TAGrubbish", 10 * 24 * time.Millisecond},
		"layer II":            {"audio/mpeg", mp3Of(0xfffd9400, 384, 10), 0},
		"MP3, reserved rate":  {"audio/mpeg", mp3Of(0xfffb9c00, 384, 10), 0},
		"MP3, free bit rate":  {"audio/mpeg", mp3Of(0xfffb0400, 384, 10), 0},
		"a tag and no more":   {"audio/mpeg", "ID3\x04\x00\x00\x7f\x7f\x7f\x7f", 0},
		"nothing":             {"audio/mpeg", "", 0},
		"Opus":                {"audio/ogg", opusOf(72_000), 1500 * time.Millisecond},
		"Opus, nothing in it": {"audio/ogg", opusOf(0), 0},
		"Opus without end":    {"audio/ogg", opusOf(1<<63 - 400), 0},
		"Opus, negative":      {"audio/ogg", opusOf(1<<64 - 400), 0},
		"Vorbis":              {"audio/ogg", strings.Replace(opusOf(72_000), "OpusHead", "\x01vorbis\x00", 1), 0},
		"Opus, cut":           {"audio/ogg", opusOf(72_000)[:40] + "OggS", 0},
		"too long to be read": {"audio/amr", "#!AMR\n" + strings.Repeat("\x3c"+strings.Repeat("x", 31), maxSpoken/32), 0},
		"of another kind":     {"audio/wave", "RIFF", 0},
	} {
		got, err := spokenOf(c.kind, strings.NewReader(c.content))
		if err != nil || got != c.want {
			t.Errorf("%s: %v, %v, want %v", name, got, err, c.want)
		}
	}
}

func FuzzSpoken(f *testing.F) {
	f.Add([]byte("#!AMR\n\x3c"))
	f.Add([]byte("#!AMR-WB\n\x44"))
	f.Add([]byte(mp3Of(0xfffb9000, 417, 2)))
	f.Add([]byte("ID3\x04\x00\x00\x7f\x7f\x7f\x7f\xff\xfb\x90\x00"))
	f.Add([]byte(opusOf(72_000)))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, kind := range []string{"audio/amr", "audio/mpeg"} {
			// No frame is shorter than a byte, and none lasts longer than 144 ms.
			if got, err := spokenOf(kind, bytes.NewReader(b)); err != nil || got < 0 || got > time.Duration(len(b))*144*time.Millisecond {
				t.Errorf("%s: %v, %v", kind, got, err)
			}
		}
		if got, err := spokenOf("audio/ogg", bytes.NewReader(b)); err != nil || got < 0 || got > 24*time.Hour {
			t.Errorf("audio/ogg: %v, %v", got, err)
		}
	})
}
