package emotion

import (
	"unicode"
	"unicode/utf8"
)

const (
	// maxFeatures bounds the work that a text makes. A text of 300 Chinese characters
	// or words stays below it; what comes behind is not looked at.
	maxFeatures = 2048
	// featureRoom is what one character or word adds at most, and the summary at
	// the end.
	featureRoom = 24
	minPrefix   = 4 // letters
	maxPrefix   = 6
	maxUnitGram = 4
)

// Seeds keep the families of features apart.
const (
	seedUnit  = 0x9ae16a3b2f90404f
	seedChar  = 0xc949c7defb9e1f3d
	seedMark  = 0x4cf5ad432745937f
	seedShape = 0x2545f4914f6cdd1d
)

// mix folds x into h.
func mix(h, x uint64) uint64 {
	h = (h ^ x) * 0x9e3779b97f4a7c15
	return h ^ h>>29
}

// key is a feature's name: the upper half of its hash.
func key(h uint64) uint32 { return uint32(h >> 32) }

// reader walks over a text and collects its features. The zero value is ready;
// it lives on the stack.
type reader struct {
	found [maxFeatures]uint32
	n     int                     // of found
	past  [maxUnitGram - 1]uint64 // hashes of the units before, newest first; 0 = none

	units, words    int
	caps, capsRun   int // words in capital letters; the longest run of them
	run             int
	bangs, asks     int // ! and ? in the whole text
	mark, markCount rune
	mixed           bool // the run of marks has both
	dots            int
	stretched       bool // a letter stands three times or more in a row
	last            rune // the character before, and how often it stood in a row
	repeats         int
}

// Features appends the names of the features of a text to out. The text is expected to be folded as package intent folds it
// (half width, simplified characters); case, punctuation and emoji are kept,
// because they carry the tone. A feature that occurs twice is appended twice.
func Features(out []uint32, text []byte) []uint32 {
	var r reader
	r.read(text)
	return append(out, r.found[:r.n]...)
}

// read collects the features of a text.
func (r *reader) read(text []byte) {
	for i := 0; i < len(text) && r.n+featureRoom <= maxFeatures; {
		c, n := utf8.DecodeRune(text[i:])
		if isMark(c) {
			r.onMark(c)
			i += n
			continue
		}
		r.endMarks()
		switch {
		case isWordRune(c):
			n = r.word(text[i:])
		case unspaced(c):
			r.seen(c)
			r.unit(runeUnit(c))
		case unicode.IsSymbol(c) && c >= 0x203c, c >= 0x1f000:
			r.unit(runeUnit(c))
		case c == ' ' || c == '\'' || c == '"' || c == '“' || c == '”':
		default:
			r.pause(c)
		}
		i += n
	}
	r.endMarks()
	if r.units == 0 && r.bangs+r.asks == 0 {
		return // nothing was said
	}
	r.summary()
}

// runeUnit names a character that is a unit by itself.
func runeUnit(c rune) uint64 { return uint64(c) * 0x100000001b3 } //nolint:gosec // runes of a text are not negative

func (r *reader) add(h uint64) {
	r.found[r.n] = key(h)
	r.n++
}

// isMark reports the marks that tone is made of.
func isMark(c rune) bool {
	return c == '!' || c == '?' || c == '！' || c == '？'
}

func (r *reader) onMark(c rune) {
	switch c {
	case '！':
		c = '!'
	case '？':
		c = '?'
	}
	if c == '!' {
		r.bangs++
	} else {
		r.asks++
	}
	r.mixed = r.mixed || r.mark != 0 && r.mark != c
	r.mark = c
	r.markCount++
}

// endMarks turns a run of marks into features: what it is, and what it follows.
func (r *reader) endMarks() {
	if r.markCount == 0 {
		return
	}
	kind := uint64(r.mark) //nolint:gosec // runes of a text are not negative
	if r.mixed {
		kind = 'x'
	}
	many := uint64(min(r.markCount, 3)) //nolint:gosec // one to three
	r.add(mix(mix(seedMark, kind), many))
	if r.past[0] != 0 {
		r.add(mix(mix(mix(seedMark, kind), min(many, 2)), r.past[0]))
	}
	r.mark, r.markCount, r.mixed = 0, 0, false
	r.past = [maxUnitGram - 1]uint64{}
}

// pause ends a phrase: n-grams do not cross it.
func (r *reader) pause(c rune) {
	if c == '.' || c == '。' || c == '…' {
		r.dots++
	}
	r.past = [maxUnitGram - 1]uint64{}
}

// seen notices characters that are drawn out.
func (r *reader) seen(c rune) {
	if c == r.last {
		r.repeats++
		r.stretched = r.stretched || r.repeats >= 2
		return
	}
	r.last, r.repeats = c, 0
}

// unit adds a Chinese character, a word or an emoji with the n-grams that it
// ends.
func (r *reader) unit(h uint64) {
	if h == r.past[0] && h == r.past[1] {
		return // a third one in a row says nothing new
	}
	if r.units++; r.units == 1 {
		r.add(mix(mix(seedUnit, 0x5e), h))
	}
	// Oldest first, so that an n-gram has one name.
	r.add(mix(seedUnit, h))
	for n := 2; n <= maxUnitGram && r.past[n-2] != 0; n++ {
		g := uint64(seedUnit)
		for k := n - 2; k >= 0; k-- {
			g = mix(g, r.past[k])
		}
		r.add(mix(g, h))
	}
	copy(r.past[1:], r.past[:])
	r.past[0] = h
}

// word reads the word at the start of text and gives its length in bytes.
func (r *reader) word(text []byte) int {
	var runes [maxPrefix]rune
	count, upper, letters, digits := 0, 0, 0, 0
	h := uint64(seedChar)
	var before, beforeThat rune
	i := 0
	for i < len(text) {
		c, n := utf8.DecodeRune(text[i:])
		if (c == '\'' || c == '*') && i > 0 && i+1 < len(text) && isWordRune(rune(text[i+1])) {
			i++ // don't is dont; f*ck keeps its letters
			continue
		}
		if !isWordRune(c) {
			break
		}
		i += n
		switch {
		case unicode.IsUpper(c):
			upper++
			letters++
		case unicode.IsDigit(c):
			digits++
			c = '0'
		default:
			letters++
		}
		c = unicode.ToLower(c)
		if c == before && c == beforeThat {
			r.stretched = r.stretched || digits == 0
			continue
		}
		beforeThat, before = before, c
		h = mix(h, uint64(c)) //nolint:gosec // runes of a text are not negative
		if count < len(runes) {
			runes[count] = c
			count++
		}
	}
	r.words++
	r.shout(upper, letters)
	r.unit(h)
	if digits == 0 {
		r.prefixes(runes[:count])
	}
	return i
}

// shout counts words in capital letters; "I" and "OK" are none.
func (r *reader) shout(upper, letters int) {
	if upper < 3 || upper < letters {
		if letters > 2 {
			r.run = 0
		}
		return
	}
	r.caps++
	r.run++
	r.capsRun = max(r.capsRun, r.run)
}

// prefixes adds how a word begins, so that its forms are recognized: refund,
// refunds, refunded.
func (r *reader) prefixes(letters []rune) {
	h := uint64(seedChar)
	for n, c := range letters {
		h = mix(h, uint64(c)) //nolint:gosec // as above
		if n+1 >= minPrefix && n+1 <= maxPrefix {
			r.add(mix(h, uint64(n+1)))
		}
	}
}

// summary adds what only the whole text shows.
func (r *reader) summary() {
	shape := func(what, value uint64) { r.add(mix(mix(seedShape, what), value)) }
	shape(1, bucket(r.bangs))
	shape(2, bucket(r.asks))
	shape(3, bucket(r.units))
	if r.caps > 0 {
		shape(4, uint64(min(r.capsRun, 3))) //nolint:gosec // one to three
		if 3*r.caps >= 2*r.words {
			shape(5, bucket(r.words))
		}
	}
	if r.dots >= 3 {
		shape(6, 1)
	}
	if r.stretched {
		shape(7, 1)
	}
	if r.past[0] != 0 {
		r.add(mix(mix(seedUnit, 0x24), r.past[0]))
	}
}

// bucket gives a coarse logarithm.
func bucket(n int) uint64 {
	for i, limit := range [...]int{0, 1, 2, 4, 8, 16, 32} {
		if n <= limit {
			return uint64(i)
		}
	}
	return 7
}

// unspaced reports scripts that are written without spaces.
func unspaced(c rune) bool {
	return c >= 0x3040 && c <= 0x30ff || c >= 0x3400 && c <= 0x9fff || c >= 0xf900 && c <= 0xfaff || c >= 0x20000 && c <= 0x3ffff
}

func isWordRune(c rune) bool {
	if c < utf8.RuneSelf {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
	}
	return !unspaced(c) && (unicode.IsLetter(c) || unicode.IsDigit(c))
}
