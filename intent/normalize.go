package intent

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// maxFoldBytes bounds how much of a text is looked at. Messages are at most 16
// KiB; what an utterance is about stands well before that.
const maxFoldBytes = 8 << 10

// normalizer folds the many ways to write the same thing into one.
type normalizer struct {
	simplified *[simplifiedTo - simplifiedFrom + 1]uint16
}

func newNormalizer() *normalizer { return &normalizer{simplified: simplifiedTable()} }

// folded is a text after folding, with the way back to the original.
type folded struct {
	text  []byte
	at    []int32 // for each byte of text, where its character begins in the original
	ends  []int32 // and where it ends
	lines []int32 // where in text a line of the original ends; a space stands there
	cut   bool    // the original was longer than maxFoldBytes
	bloom bloom   // of the characters and pairs in text
	read  int     // bytes of the original
	last  rune    // of text, by foldCase

	search search // for values in text
}

// fold writes the folded form of text: full-width letters and digits become
// half-width, traditional characters simplified, invisible characters vanish,
// all spaces become one kind. Case, punctuation and emoji stay.
func (m *normalizer) fold(f *folded, text string) {
	f.text, f.at, f.ends, f.lines, f.bloom, f.cut = f.text[:0], f.at[:0], f.ends[:0], f.lines[:0], bloom{}, false
	f.read, f.last = 0, 0
	m.foldMore(f, text)
}

// foldMore goes on with a text that follows on what was folded, as if it were one.
func (m *normalizer) foldMore(f *folded, text string) {
	if f.cut {
		return
	}
	begin, prev := f.read, f.last
	if begin+len(text) > maxFoldBytes {
		text, f.cut = cutText(text, maxFoldBytes-begin), true
	}
	for i := 0; i < len(text); {
		r, size := rune(text[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(text[i:])
			r = m.foldRune(r, size)
		} else if r < ' ' || r == 0x7f {
			f.note(r)
			r = ' '
		}
		if r >= 0 {
			before := len(f.text)
			f.text = utf8.AppendRune(f.text, r)
			for range len(f.text) - before {
				f.at = append(f.at, int32(begin+i))          //nolint:gosec // at most maxFoldBytes
				f.ends = append(f.ends, int32(begin+i+size)) //nolint:gosec // as above
			}
			low := foldCase(r)
			f.bloom.see(prev, low)
			prev = low
		}
		i += size
	}
	f.read, f.last = begin+len(text), prev
}

// note remembers where a line ends.
func (f *folded) note(r rune) {
	if r == '\n' {
		f.lines = append(f.lines, int32(len(f.text))) //nolint:gosec // at most maxFoldBytes and a few
	}
}

// cutText shortens s to at most n bytes without splitting a character.
func cutText(s string, n int) string {
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// dropped marks a character that vanishes.
const dropped = -1

// foldRune folds one character beyond ASCII; size is what it took in the text.
func (m *normalizer) foldRune(r rune, size int) rune {
	switch {
	case r >= simplifiedFrom && r <= simplifiedTo:
		return rune(m.simplified[r-simplifiedFrom])
	case r == utf8.RuneError && size <= 1:
		return ' '
	case r >= 0xff01 && r <= 0xff5e:
		return foldWide(r)
	case r == 0xffe5:
		return '¥'
	case r >= 0x2460 && r <= 0x2468: // ① to ⑨
		return r - 0x2460 + '1'
	case r == 0x2018, r == 0x2019, r == 0x02bc:
		return '\''
	case invisible(r):
		return dropped
	case r < 0xa0 || unicode.IsSpace(r):
		return ' '
	}
	return r
}

// foldWide turns a full-width form into ASCII. Sentence punctuation stays as
// it is: patterns of packs tell 中文，from 1,000.
func foldWide(r rune) rune {
	switch r {
	case '，', '；', '！', '？', '（', '）':
		return r
	}
	return r - 0xfee0
}

// invisible reports characters that leave no mark: joiners, direction marks,
// variation selectors, skin tones, tags.
func invisible(r rune) bool {
	switch {
	case r == 0xad, r == 0xfeff, r == 0x180e, r == 0x115f, r == 0x1160, r == 0x3164:
		return true
	case r >= 0x200b && r <= 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x2060 && r <= 0x206f:
		return true
	case r >= 0xfe00 && r <= 0xfe0f, r >= 0x1f3fb && r <= 0x1f3ff, r >= 0xe0000 && r <= 0xe0fff:
		return true
	}
	return unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Me, r)
}

// foldCase gives the lower-case form that patterns and texts are compared in.
func foldCase(r rune) rune {
	switch {
	case r < utf8.RuneSelf:
		if r >= 'A' && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	case r >= 0x2e80 && r < 0xff00:
		return r
	}
	// The smallest character of the folding orbit, so that all forms agree.
	low := r
	for x := unicode.SimpleFold(r); x != r; x = unicode.SimpleFold(x) {
		low = min(low, x)
	}
	if low < utf8.RuneSelf && low >= 'A' && low <= 'Z' {
		low += 'a' - 'A'
	}
	return low
}

// canonical gives the form in which two questions count as the same: folded,
// lower case, only letters, digits and symbols.
func (m *normalizer) canonical(text string) string { return (&canonicals{normalizer: m}).of(text) }

// canonicals gives canonical forms one after the other, with memory of its own.
type canonicals struct {
	*normalizer
	folded folded
	out    []byte
}

func (c *canonicals) of(text string) string {
	c.fold(&c.folded, text)
	out, gap := c.out[:0], false
	for rest := c.folded.text; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		rest = rest[size:]
		if unicode.IsPunct(r) || unicode.IsSpace(r) {
			gap = true
			continue
		}
		if gap && len(out) > 0 && r < utf8.RuneSelf {
			out = append(out, ' ')
		}
		gap = false
		out = utf8.AppendRune(out, foldCase(r))
	}
	c.out = out
	if len(out) == 0 {
		// Questions may be all punctuation: ??? is one.
		return string(bytes.TrimSpace(c.folded.text))
	}
	return string(out)
}
