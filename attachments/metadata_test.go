package attachments

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"strings"
	"testing"

	"github.com/colloquyhq/colloquy/conversation"
)

// secret stands for everything that may not stay in a picture.
const secret = "51.5007N 0.1246W"

// exifOf is EXIF with an orientation, a place and a small picture.
func exifOf(order binary.AppendByteOrder, turn uint16) []byte {
	b := []byte("MM\x00*")
	if order == binary.LittleEndian {
		b = []byte("II*\x00")
	}
	b = order.AppendUint32(b, 8)
	b = order.AppendUint16(b, 3)
	field := func(tag, kind uint16, count, value uint32) {
		b = order.AppendUint16(b, tag)
		b = order.AppendUint16(b, kind)
		b = order.AppendUint32(b, count)
		b = order.AppendUint32(b, value)
	}
	field(0x010f, 2, uint32(len(secret)), 50) // maker
	b = order.AppendUint16(b, 0x0112)
	b = order.AppendUint16(b, 3)
	b = order.AppendUint32(b, 1)
	b = order.AppendUint16(b, turn)
	b = order.AppendUint16(b, 0)
	field(0x8825, 4, 1, 50) // where the place stands
	b = order.AppendUint32(b, 0)
	return append(b, secret...)
}

func picture() *image.NRGBA {
	p := image.NewNRGBA(image.Rect(0, 0, 40, 24))
	for i := range p.Pix {
		p.Pix[i] = byte(i * i >> 2)
	}
	p.Set(3, 3, color.NRGBA{1, 2, 3, 128})
	return p
}

func segment(mark byte, content string) string {
	return "\xff" + string([]byte{mark, byte((len(content) + 2) >> 8), byte(len(content) + 2)}) + content
}

// photo is a JPEG file with segments behind its start, and with what comes behind
// its end.
func photo(t testing.TB, segments, behind string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, picture(), nil); err != nil {
		t.Fatal(err)
	}
	return []byte("\xff\xd8" + segments + b.String()[2:] + behind)
}

func chunk(kind, content string) string {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(content)))
	b = append(b, kind+content...)
	return string(binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:])))
}

// drawing is a PNG file with chunks behind its head, and with what comes behind its
// end.
func drawing(t testing.TB, chunks, behind string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, picture()); err != nil {
		t.Fatal(err)
	}
	const head = 8 + 25
	return []byte(b.String()[:head] + chunks + b.String()[head:] + behind)
}

func riff(kind, content string) string {
	out := kind + string(binary.LittleEndian.AppendUint32(nil, uint32(len(content)))) + content
	return out + strings.Repeat("\x00", len(content)%2)
}

func webp(flags byte, chunks string) []byte {
	content := "WEBP"
	if flags != 0 {
		content += riff("VP8X", string([]byte{flags, 0, 0, 0, 39, 0, 0, 23, 0, 0}))
	}
	return []byte(riff("RIFF", content+chunks))
}

const (
	icc   = "ICC_PROFILE\x00\x01\x01profile"
	xmp   = "http://ns.adobe.com/xap/1.0/\x00<x:xmpmeta>" + secret
	adobe = "Adobe\x00d\x00\x00\x00\x00\x01"
	jfif  = "JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
	pixel = "\x2f\x00\x00\x00\x00\x88\x88\x08" // of VP8L
)

func TestWhatStandsBesideAPicture(t *testing.T) {
	t.Parallel()
	small := func(turn byte) string {
		return "MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00" + string([]byte{turn}) + "\x00\x00\x00\x00\x00\x00"
	}
	exif, upright := string(exifOf(binary.LittleEndian, 6)), string(exifOf(binary.BigEndian, 1))
	for name, c := range map[string]struct {
		kind       string
		data, want []byte
	}{
		"photo": {
			typeJPEG, photo(t, segment(0xe0, jfif)+segment(0xe1, "Exif\x00\x00"+exif)+segment(0xe1, xmp)+segment(0xe2, icc)+segment(0xe2, "MPF\x00"+secret)+
				segment(0xed, "Photoshop 3.0\x00"+secret)+segment(0xee, adobe)+segment(0xfe, secret)+segment(0xe0, "JFXX\x00"+secret), "\xff\xd8"+secret),
			photo(t, segment(0xe0, jfif)+segment(0xe1, "Exif\x00\x00"+small(6))+segment(0xe2, icc)+segment(0xee, adobe), ""),
		},
		"photo that stands upright":    {typeJPEG, photo(t, segment(0xe1, "Exif\x00\x00"+upright), ""), photo(t, "", "")},
		"photo with two kinds of EXIF": {typeJPEG, photo(t, segment(0xe1, "Exif\x00\x00"+exif)+segment(0xe1, "Exif\x00\x00"+exif), ""), photo(t, segment(0xe1, "Exif\x00\x00"+small(6)), "")},
		"photo with nothing":           {typeJPEG, photo(t, segment(0xe0, jfif), ""), photo(t, segment(0xe0, jfif), "")},
		"photo with rubbish between":   {typeJPEG, photo(t, segment(0xe2, icc)+"rubbish\xff\x00\xff", ""), photo(t, segment(0xe2, icc), "")},
		"photo that is cut":            {typeJPEG, photo(t, segment(0xfe, secret), "")[:400], photo(t, "", "")[:400-4-len(secret)]},
		"photo that is cut in it":      {typeJPEG, photo(t, segment(0xfe, secret), "")[:12], []byte("\xff\xd8")},
		"drawing": {
			typePNG, drawing(t, chunk("iCCP", "profile")+chunk("eXIf", exif)+chunk("tEXt", "GPS\x00"+secret)+chunk("zTXt", secret)+chunk("iTXt", secret)+
				chunk("tIME", secret)+chunk("gAMA", "\x00\x00\xb1\x8f")+chunk("prVt", secret), secret),
			drawing(t, chunk("iCCP", "profile")+chunk("eXIf", small(6))+chunk("gAMA", "\x00\x00\xb1\x8f"), ""),
		},
		"drawing that stands upright": {typePNG, drawing(t, chunk("eXIf", upright), ""), drawing(t, "", "")},
		"drawing with nothing":        {typePNG, drawing(t, "", ""), drawing(t, "", "")},
		"drawing that is cut":         {typePNG, drawing(t, chunk("tEXt", secret), "")[:200], drawing(t, "", "")[:200-12-len(secret)]},
		"WebP": {
			typeWebP, webp(0x2c, riff("ICCP", "profile")+riff("VP8L", pixel)+riff("EXIF", exif)+riff("XMP ", secret)+riff("prVt", secret)),
			webp(0x28, riff("ICCP", "profile")+riff("VP8L", pixel)+riff("EXIF", small(6))),
		},
		"WebP with a head in its EXIF": {typeWebP, webp(0x08, riff("VP8L", pixel)+riff("EXIF", "Exif\x00\x00"+exif)), webp(0x08, riff("VP8L", pixel)+riff("EXIF", small(6)))},
		"WebP that stands upright":     {typeWebP, webp(0x0c, riff("VP8L", pixel)+riff("EXIF", upright)), bytes.Replace(webp(0xff, riff("VP8L", pixel)), []byte{0xff}, []byte{0}, 1)},
		"WebP with more behind":        {typeWebP, append(webp(0, riff("VP8L", pixel)), secret...), webp(0, riff("VP8L", pixel))},
		"WebP with nothing":            {typeWebP, webp(0, riff("VP8L", pixel)), webp(0, riff("VP8L", pixel))},
		"another kind":                 {"image/gif", []byte("GIF89a" + secret), []byte("GIF89a" + secret)},
		"no photo":                     {typeJPEG, []byte(secret), []byte(secret)},
		"no drawing":                   {typePNG, []byte(secret), []byte(secret)},
		"no WebP":                      {typeWebP, []byte(secret), []byte(secret)},
	} {
		before := bytes.Clone(c.data)
		got := bare(c.kind, c.data)
		if !bytes.Equal(got, c.want) {
			t.Errorf("%s: got %d bytes, want %d\n%.300q\n%.300q", name, len(got), len(c.want), got, c.want)
		}
		if !bytes.Equal(c.data, before) {
			t.Errorf("%s: what was handed in has changed", name)
		}
		if again := bare(c.kind, got); !bytes.Equal(again, got) {
			t.Errorf("%s: a second time changes it again", name)
		}
	}
}

// TestPixelsStay: they are decoded by the standard library.
func TestPixelsStay(t *testing.T) {
	t.Parallel()
	for kind, data := range map[string][]byte{
		typeJPEG: photo(t, segment(0xe1, "Exif\x00\x00"+string(exifOf(binary.BigEndian, 3)))+segment(0xfe, secret), secret),
		typePNG:  drawing(t, chunk("eXIf", string(exifOf(binary.BigEndian, 3)))+chunk("tEXt", secret), secret),
	} {
		got := bare(kind, data)
		if bytes.Contains(got, []byte(secret)) || len(got) >= len(data) {
			t.Errorf("%s: %d bytes are left of %d, and the secret with them", kind, len(got), len(data))
		}
		samePixels(t, kind, data, got)
	}
}

func samePixels(t *testing.T, kind string, before, after []byte) {
	t.Helper()
	a, _, err := image.Decode(bytes.NewReader(before))
	if err != nil {
		return // what cannot be decoded has no pixels
	}
	b, _, err := image.Decode(bytes.NewReader(after))
	if err != nil || a.Bounds() != b.Bounds() {
		t.Fatalf("%s: %v, %v before, %v", kind, b, a.Bounds(), err)
	}
	for y := a.Bounds().Min.Y; y < a.Bounds().Max.Y; y++ {
		for x := a.Bounds().Min.X; x < a.Bounds().Max.X; x++ {
			if a.At(x, y) != b.At(x, y) {
				t.Fatalf("%s: the pixel at %d, %d is %v, was %v", kind, x, y, b.At(x, y), a.At(x, y))
			}
		}
	}
}

// TestScansAreFollowed: of a progressive picture there are several, and what stands
// between them is looked at as well.
func TestScansAreFollowed(t *testing.T) {
	t.Parallel()
	scan := func(data string) string { return segment(0xda, "\x01\x01\x00\x00\x3f\x00") + data }
	head := "\xff\xd8" + segment(0xc2, "frame")
	data := head + scan("a\xff\x00b\xff\xd0c\xff\xff\xd1") + segment(0xe1, xmp) + segment(0xc4, "table") + scan("d") + segment(0xfe, secret) + "\xff\xd9" + secret
	want := head + scan("a\xff\x00b\xff\xd0c\xff\xff\xd1") + segment(0xc4, "table") + scan("d") + "\xff\xd9"
	if got := bare(typeJPEG, []byte(data)); string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestOrientation(t *testing.T) {
	t.Parallel()
	for turn := range uint16(10) {
		want := turn
		if turn == 0 || turn == 9 {
			want = upright
		}
		for _, order := range []binary.AppendByteOrder{binary.BigEndian, binary.LittleEndian} {
			if got := turnOf(exifOf(order, turn)); got != want {
				t.Errorf("%v: %d gives %d", order, turn, got)
			}
		}
		if got := turnOf(turnedExif(turn)); got != want {
			t.Errorf("what we write for %d reads as %d", turn, got)
		}
	}
	whole := exifOf(binary.BigEndian, 6)
	for n := range whole {
		if got := turnOf(whole[:n]); got != upright && got != 6 {
			t.Errorf("the first %d bytes give %d", n, got)
		}
	}
	for _, odd := range []string{"", "MM", "XX\x00*\x00\x00\x00\x08", "MM\x00*\xff\xff\xff\xff", "MM\x00*\x00\x00\x00\x08\xff\xff"} {
		if got := turnOf([]byte(odd)); got != upright {
			t.Errorf("%q gives %d", odd, got)
		}
	}
}

// TestPicturesAreStoredBare: unless they are to be kept whole; a delivery that comes
// again is the same file, whatever the setting was when it came first.
func TestPicturesAreStoredBare(t *testing.T) {
	t.Parallel()
	whole := photo(t, segment(0xe1, "Exif\x00\x00"+string(exifOf(binary.BigEndian, 1))), "")
	j := newMemory()
	strip, keep := storeOver(t, j, nil), storeOver(t, j, func(o *Options) { o.KeepMetadata = true })
	save := func(s *Store, id byte) conversation.Attachment {
		t.Helper()
		u := visitors("a.jpg")
		u.ID = conversation.AttachmentID{id}
		a, err := s.Save(t.Context(), u, bytes.NewReader(whole))
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	bared, kept := save(strip, 1), save(keep, 2)
	if bared.Size != int64(len(photo(t, "", ""))) || kept.Size != int64(len(whole)) || bared.Type != typeJPEG {
		t.Errorf("stored %+v and %+v", bared, kept)
	}
	if n := j.pieces; save(keep, 1) != bared || save(strip, 2) != kept || j.pieces != n {
		t.Error("a repeated delivery is another file after the setting has changed")
	}
	if n := strip.memory.Load(); n != 0 {
		t.Errorf("%d bytes were not given back", n)
	}
}

func FuzzBare(f *testing.F) {
	exif := string(exifOf(binary.BigEndian, 6))
	f.Add(photo(f, segment(0xe1, "Exif\x00\x00"+exif)+segment(0xe2, icc), secret))
	f.Add(drawing(f, chunk("eXIf", exif)+chunk("tEXt", secret), secret))
	f.Add(webp(0x2c, riff("ICCP", "profile")+riff("VP8L", pixel)+riff("EXIF", exif)))
	f.Add(heic(1, secret))
	f.Fuzz(func(t *testing.T, data []byte) {
		if got := bare(typeHEIC, data); len(got) != len(data) {
			t.Errorf("%s: %d bytes have become %d", typeHEIC, len(data), len(got))
		}
		for _, kind := range []string{typeJPEG, typePNG, typeWebP} {
			got := bare(kind, data)
			if len(got) > len(data)+len(turnedExif(2)) { // which may stand for one that overlaps with itself
				t.Errorf("%s: %d bytes have become %d", kind, len(data), len(got))
			}
			if again := bare(kind, got); !bytes.Equal(again, got) {
				t.Errorf("%s: a second time gives %q, first %q", kind, again, got)
			}
			if c, _, err := image.DecodeConfig(bytes.NewReader(data)); err == nil && c.Width*c.Height < 10_000 {
				samePixels(t, kind, data, got)
			}
		}
	})
}
