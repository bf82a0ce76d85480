package intent

import (
	"unicode"
	"unicode/utf8"
)

// tokenKind says what a token is, which decides the n-grams it takes part in.
type tokenKind uint8

const (
	tokenWord   tokenKind = iota // letters and digits of a script with spaces
	tokenHan                     // one character of a script without spaces
	tokenMask                    // an entity's place
	tokenSymbol                  // emoji and the like
	tokenMark                    // ? or !
	tokenEdge                    // begin or end of the text
)

// token is one unit of an utterance.
type token struct {
	hash       uint64
	start, end int32 // in the letters buffer, for words
	kind       tokenKind
	broken     bool // sentence punctuation stands before it; n-grams do not cross
}

// tokens is an utterance cut into units.
type tokens struct {
	list    []token
	letters []byte // lower-case letters of the words
	han     int    // characters of scripts without spaces
	latin   int    // letters of the others
	units   int    // Han characters and words, for the length
}

// maxTokens bounds the work per utterance.
const maxTokens = 512

// FNV-1a, 64 bit.
const (
	hashSeed  = 14695981039346656037
	hashPrime = 1099511628211
)

func hashRune(h uint64, r rune) uint64 {
	h ^= uint64(r) //nolint:gosec // runes are not negative here
	h *= hashPrime
	return h ^ h>>29
}

func hashBytes(h uint64, b []byte) uint64 {
	for _, c := range b {
		h ^= uint64(c)
		h *= hashPrime
	}
	return h
}

func mix(h, x uint64) uint64 {
	h = (h ^ x) * 0x9e3779b97f4a7c15
	return h ^ h>>32
}

// maskSeed keeps masks apart from everything that can be typed.
const maskSeed = hashSeed ^ 0x6d61736b

// split cuts folded text into tokens. Masked entities become one token each;
// masks are sorted and do not overlap.
func (t *tokens) split(text []byte, masks []found, x *extractor) {
	t.list, t.letters = append(t.list[:0], token{hash: 1, kind: tokenEdge}), t.letters[:0]
	t.han, t.latin, t.units = 0, 0, 0
	broken := false
	for i := 0; i < len(text) && len(t.list) < maxTokens; {
		for len(masks) > 0 && masks[0].start < i {
			masks = masks[1:]
		}
		if len(masks) > 0 && masks[0].start == i {
			h := hashBytes(maskSeed, []byte(x.names[masks[0].entity]))
			t.add(token{hash: h, kind: tokenMask, broken: broken})
			i, broken = masks[0].end, false
			continue
		}
		r, n := utf8.DecodeRune(text[i:])
		switch {
		case isWordRune(r):
			stop := len(text)
			if len(masks) > 0 {
				stop = masks[0].start
			}
			i += t.word(text[i:stop], broken)
			broken = false
			continue
		case unspaced(r):
			t.rune(r, tokenHan, broken)
			t.han++
			broken = false
		case r == '?' || r == '？':
			t.rune('?', tokenMark, broken)
		case r == '!' || r == '！':
			t.rune('!', tokenMark, broken)
		case unicode.IsSymbol(r) && r >= 0x203c:
			t.rune(r, tokenSymbol, broken)
			broken = false
		case r == ' ':
		default:
			broken = true
		}
		i += n
	}
	t.list = append(t.list, token{hash: 2, kind: tokenEdge})
}

func (t *tokens) add(k token) {
	t.list = append(t.list, k)
	t.units++
}

// rune adds a one-character token; a third repetition and repeated marks are
// left out.
func (t *tokens) rune(r rune, kind tokenKind, broken bool) {
	h := hashRune(hashSeed, r)
	n := len(t.list)
	once := kind == tokenMark || kind == tokenSymbol
	if t.list[n-1].hash == h && (once || n > 1 && t.list[n-2].hash == h) {
		return
	}
	t.list = append(t.list, token{hash: h, kind: kind, broken: broken})
	if kind == tokenHan {
		t.units++
	}
}

// unspaced reports scripts that are written without spaces.
func unspaced(r rune) bool {
	return r >= 0x3040 && r <= 0x30ff || r >= 0x3400 && r <= 0x9fff || r >= 0xf900 && r <= 0xfaff ||
		r >= 0x20000 && r <= 0x3ffff || r >= 0x0e00 && r <= 0x0e7f
}

func isWordRune(r rune) bool {
	if r < utf8.RuneSelf {
		return wordChar(r)
	}
	return !unspaced(r) && (unicode.IsLetter(r) || unicode.IsDigit(r))
}

// word adds the word at the start of text and gives its length. Apostrophes
// inside are left out, a letter is kept at most twice in a row, digits become
// their count where there are three or more.
func (t *tokens) word(text []byte, broken bool) int {
	begin := len(t.letters)
	i, digits, total := 0, 0, 0
	for i < len(text) {
		r, n := utf8.DecodeRune(text[i:])
		if r == '\'' && i > 0 && i+1 < len(text) {
			i++
			continue
		}
		if !isWordRune(r) {
			break
		}
		i += n
		total++
		r = foldCase(r)
		if r >= '0' && r <= '9' {
			digits++
		} else if k := len(t.letters); k-begin >= 2 && rune(t.letters[k-1]) == r && rune(t.letters[k-2]) == r {
			continue
		}
		if len(t.letters)-begin < maxWordBytes {
			t.letters = utf8.AppendRune(t.letters, r)
		}
	}
	t.latin += total - digits
	if digits == total && digits >= 3 {
		t.letters = append(t.letters[:begin], '#', byte('0'+min(digits, 20)/4))
	}
	k := token{kind: tokenWord, broken: broken, start: int32(begin), end: int32(len(t.letters))} //nolint:gosec // bounded
	k.hash = hashBytes(hashSeed, t.letters[begin:])
	t.add(k)
	return i
}
