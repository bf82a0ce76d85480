package intent

import (
	"regexp/syntax"
	"unicode"
)

// Patterns are many and utterances short: most patterns cannot match because a
// character they need is missing. A requirement is worked out once from each
// pattern; a text carries a small Bloom filter of its characters and pairs.

// bloom is the set of characters and adjacent pairs of a text.
type bloom [16]uint64

const bloomBits = 16 * 64

// digitBit stands for "any digit".
const digitBit = 0

func runeBit(r rune) uint16 { return uint16((uint32(r)*2654435761)>>16%(bloomBits-1) + 1) } //nolint:gosec // below 1024

func pairBit(a, b rune) uint16 {
	return uint16((uint32(a)*2246822519^uint32(b)*3266489917)>>15%(bloomBits-1) + 1) //nolint:gosec // below 1024
}

func (b *bloom) set(bit uint16) { b[bit>>6] |= 1 << (bit & 63) }

func (b *bloom) has(bit uint16) bool { return b[bit>>6]&(1<<(bit&63)) != 0 }

// see adds a character and its pair with the one before.
func (b *bloom) see(prev, r rune) {
	b.set(runeBit(r))
	if r >= '0' && r <= '9' {
		b.set(digitBit)
	}
	if prev != 0 {
		b.set(pairBit(prev, r))
	}
}

// requirement is a list of alternatives; a text can match only if it has all
// bits of one of them. An empty alternative is always met.
type requirement [][]uint16

const (
	maxAlternatives = 48
	maxBits         = 8
	maxClassRunes   = 12
)

func always() requirement { return requirement{nil} }

// met reports whether the text behind b can match.
func (q requirement) met(b *bloom) bool {
next:
	for _, alt := range q {
		for _, bit := range alt {
			if !b.has(bit) {
				continue next
			}
		}
		return true
	}
	return false
}

// weight tells how selective q is: the fewest bits that any alternative needs.
func (q requirement) weight() int {
	least := maxBits
	for _, alt := range q {
		least = min(least, len(alt))
	}
	return least
}

// requirementOf works out what a text must hold for a pattern to match.
func requirementOf(pattern string) requirement {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return always()
	}
	return need(re.Simplify())
}

func need(re *syntax.Regexp) requirement {
	switch re.Op {
	case syntax.OpLiteral:
		return requirement{literalBits(re.Rune)}
	case syntax.OpCharClass:
		return classNeed(re.Rune)
	case syntax.OpCapture, syntax.OpPlus:
		return need(re.Sub[0])
	case syntax.OpRepeat:
		if re.Min > 0 {
			return need(re.Sub[0])
		}
	case syntax.OpConcat:
		all := always()
		for _, sub := range re.Sub {
			all = both(all, need(sub))
		}
		return all
	case syntax.OpAlternate:
		var either requirement
		for _, sub := range re.Sub {
			either = append(either, need(sub)...)
		}
		if len(either) > maxAlternatives {
			return always()
		}
		return either
	case syntax.OpNoMatch, syntax.OpEmptyMatch, syntax.OpAnyCharNotNL, syntax.OpAnyChar, syntax.OpBeginLine,
		syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText, syntax.OpWordBoundary, syntax.OpNoWordBoundary,
		syntax.OpStar, syntax.OpQuest:
	}
	return always()
}

// both combines two requirements, or keeps the more selective one when the
// combination would be too long.
func both(a, b requirement) requirement {
	if len(a)*len(b) > maxAlternatives {
		if a.weight() >= b.weight() {
			return a
		}
		return b
	}
	out := make(requirement, 0, len(a)*len(b))
	for _, x := range a {
		for _, y := range b {
			alt := append(append([]uint16(nil), x...), y...)
			out = append(out, alt[:min(len(alt), maxBits)])
		}
	}
	return out
}

func literalBits(runes []rune) []uint16 {
	if len(runes) == 1 {
		return []uint16{runeBit(foldCase(runes[0]))}
	}
	var bits []uint16
	for i := 0; i+1 < len(runes) && len(bits) < maxBits; i++ {
		bits = append(bits, pairBit(foldCase(runes[i]), foldCase(runes[i+1])))
	}
	return bits
}

// classNeed handles a character class given as pairs of bounds.
func classNeed(bounds []rune) requirement {
	digits := true
	var out requirement
	seen := map[rune]bool{}
	for i := 0; i+1 < len(bounds); i += 2 {
		lo, hi := bounds[i], bounds[i+1]
		digits = digits && lo >= '0' && hi <= '9'
		if hi-lo > maxClassRunes {
			return always()
		}
		for r := lo; r <= hi; r++ {
			if low := foldCase(r); !seen[low] && unicode.IsGraphic(r) {
				seen[low] = true
				out = append(out, []uint16{runeBit(low)})
			}
		}
	}
	switch {
	case digits:
		return requirement{{digitBit}}
	case seen[' '], len(out) == 0, len(out) > maxClassRunes:
		return always()
	}
	return out
}
