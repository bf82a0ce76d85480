package intent

import "unicode/utf8"

// Sizes of the n-grams.
const (
	maxUnitGram = 4 // units of a run that holds characters of a script without spaces
	maxWordGram = 2 // words, beside pairs with one between them
	minCharGram = 2 // characters inside a word, edges included
	maxCharGram = 5
)

// Seeds keep the families of features apart.
const (
	unitSeed   = 0x51ed270b0a1f39c1
	apartSeed  = 0x71c9f0a35d2b8e47
	charSeed   = 0x2127599bf4325c37
	lengthSeed = 0x880355f21e6d1965
)

// Runs of units say more than what else there is, of which there is far more, so each
// counts for several. The last bit of a hash tells which they are.
const (
	runBit   = 1
	runCount = 2
)

// times says how often a feature counts.
func times(h uint64) int { return 1 + int(h&runBit)*(runCount-1) }

// grams appends the hashes of the n-grams of t. Order does not matter;
// repetitions stand for counts.
func (t *tokens) grams(out []uint64) []uint64 {
	out = t.unitGrams(out)
	runs := len(out)
	for i := range t.list {
		k := &t.list[i]
		if k.kind != tokenWord {
			continue
		}
		if i >= 2 && t.list[i-2].kind == tokenWord {
			out = append(out, mix(mix(apartSeed, t.list[i-2].hash), k.hash))
		}
		out = charGrams(out, t.letters[k.start:k.end])
	}
	out = append(out, mix(lengthSeed, t.lengthBucket()))
	for i := range out[:runs] {
		out[i] |= runBit
	}
	for i := range out[runs:] {
		out[runs+i] &^= runBit
	}
	return out
}

// unitGrams appends runs of one to four units.
func (t *tokens) unitGrams(out []uint64) []uint64 {
	for i := range t.list {
		h := uint64(unitSeed)
		han := false
		for n := 1; n <= maxUnitGram && i+n <= len(t.list); n++ {
			k := &t.list[i+n-1]
			if n > 1 && k.broken {
				break
			}
			han = han || k.kind == tokenHan
			if n > maxWordGram && !han {
				break
			}
			h = mix(h, k.hash)
			if n == 1 && k.kind == tokenEdge {
				continue
			}
			out = append(out, h)
		}
	}
	return out
}

// charGrams appends the character n-grams of one word with its edges.
func charGrams(out []uint64, word []byte) []uint64 {
	var buf [maxWordBytes + 8]rune
	runes := append(buf[:0], '^')
	for i := 0; i < len(word) && len(runes) < 40; {
		r, n := utf8.DecodeRune(word[i:])
		runes = append(runes, r)
		i += n
	}
	runes = append(runes, '$')
	if len(runes) < 4 {
		return out // one letter: the word itself says it all
	}
	for i := range runes {
		h := uint64(charSeed)
		for n := 1; n <= maxCharGram && i+n <= len(runes); n++ {
			h = mix(h, uint64(runes[i+n-1])) //nolint:gosec // runes are not negative
			if n >= minCharGram {
				out = append(out, h)
			}
		}
	}
	return out
}

// lengthBucket gives a coarse logarithm of the length.
func (t *tokens) lengthBucket() uint64 {
	switch n := t.units; {
	case n <= 2:
		return 1
	case n <= 4:
		return 2
	case n <= 8:
		return 3
	case n <= 16:
		return 4
	case n <= 32:
		return 5
	}
	return 6
}
