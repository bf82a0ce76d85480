package attachments

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
)

// box is a box of ISO's file format.
func box(kind string, content ...string) string {
	all := strings.Join(content, "")
	return string(binary.BigEndian.AppendUint32(nil, uint32(8+len(all)))) + kind + all
}

// number writes a number in so many bytes.
func number(n uint64, size int) string {
	b := binary.BigEndian.AppendUint64(nil, n)
	return string(b[8-size:])
}

const pixels = "the pixels, encoded"

// heic is a file with an item of pixels, EXIF in two pieces and XMP, whose table of
// places has a version. From version 1 on the XMP stands in the table's own box.
func heic(version byte, about string) []byte {
	width := 2
	if version == 2 {
		width = 4
	}
	head := box("ftyp", "heic\x00\x00\x00\x00mif1heic")
	build := func(at uint64) (meta, all string) {
		item := func(id uint64, method byte, base uint64, pieces ...[2]uint64) string {
			out := number(id, width)
			if version > 0 {
				out += "\x00" + string([]byte{method})
			}
			out += "\x00\x00" + number(base, 4) + number(uint64(len(pieces)), 2)
			for _, p := range pieces {
				out += number(p[0], 4) + number(p[1], 4)
			}
			return out
		}
		n := uint64(len(pixels))
		half := uint64(len(about) / 2)
		xmp := item(3, inFile, at, [2]uint64{n + uint64(len(about)), uint64(len(about))})
		if version > 0 {
			xmp = item(3, inMeta, 0, [2]uint64{0, uint64(len(about))})
		}
		infe := func(id byte, kind string) string {
			return box("infe", "\x02\x00\x00\x00\x00"+string([]byte{id})+"\x00\x00"+kind+"name\x00")
		}
		places := string([]byte{version}) + "\x00\x00\x00\x44\x40" + number(3, width) +
			item(1, inFile, at, [2]uint64{0, n}) + item(2, inFile, at, [2]uint64{n, half}, [2]uint64{n + half, uint64(len(about)) - half}) + xmp
		meta = box("meta", "\x00\x00\x00\x00", box("hdlr", "\x00\x00\x00\x00\x00\x00\x00\x00pict"),
			box("iinf", "\x00\x00\x00\x00\x00\x03"+infe(1, "hvc1")+infe(2, "Exif")+infe(3, "mime")), box("iloc", places), box("idat", about))
		return meta, head + meta + box("mdat", pixels+about+about)
	}
	meta, _ := build(0)
	_, all := build(uint64(len(head) + len(meta) + 8))
	return []byte(all)
}

func TestHEIC(t *testing.T) {
	t.Parallel()
	about := "\x00\x00\x00\x06Exif\x00\x00" + string(exifOf(binary.BigEndian, 6)) + secret
	for version := range byte(3) {
		data := heic(version, about)
		if got := Sniff(data, ""); got != typeHEIC {
			t.Fatalf("version %d: made a %s", version, got)
		}
		before := bytes.Clone(data)
		got := bare(typeHEIC, data)
		if !bytes.Equal(before, data) {
			t.Errorf("version %d: what was handed in has changed", version)
		}
		// In its own box, or behind the EXIF, stands what no item leads to.
		if n := bytes.Count(got, []byte(secret)); n != 2 {
			t.Errorf("version %d: the secret is left in %d places", version, n)
		}
		at := bytes.Index(got, []byte(pixels))
		if len(got) != len(data) || at < 0 {
			t.Fatalf("version %d: %d bytes have become %d, pixels at %d", version, len(data), len(got), at)
		}
		exif := got[at+len(pixels):][:len(about)]
		if want := "\x00\x00\x00\x00MM\x00*"; !strings.HasPrefix(string(exif), want) || turnOf(exif[4:]) != upright {
			t.Errorf("version %d: the EXIF is %q", version, exif)
		}
		if again := bare(typeHEIC, got); &again[0] != &got[0] && !bytes.Equal(again, got) {
			t.Errorf("version %d: a second time changes it again", version)
		}
	}
}

// TestOddHEIC: numbers that lead nowhere, or everywhere, leave a file of the same
// size.
func TestOddHEIC(t *testing.T) {
	t.Parallel()
	good := heic(1, secret)
	for i := range len(good) - 1 {
		for _, b := range []byte{0x00, 0x01, 0x7f, 0xff} {
			odd := bytes.Clone(good)
			odd[i], odd[i+1] = b, b
			if got := bare(typeHEIC, odd); len(got) != len(odd) {
				t.Fatalf("with %x at %d: %d bytes have become %d", b, i, len(odd), len(got))
			}
		}
		if got := bare(typeHEIC, good[:i]); len(got) != i {
			t.Fatalf("the first %d bytes have become %d", i, len(got))
		}
	}
	if got := bare(typeHEIC, []byte(box("ftyp", "heic"))); string(got) != box("ftyp", "heic") {
		t.Errorf("without a table: %q", got)
	}
	huge := fmt.Sprintf("%s\x00\x00\x00\x01meta%s", box("ftyp", "heic"), number(1<<63, 8))
	if got := bare(typeHEIC, []byte(huge)); string(got) != huge {
		t.Errorf("a box without end: %q", got)
	}
}
