package channels

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/colloquyhq/colloquy/conversation"
)

// Unit is what a provider counts the length of a text in.
type Unit uint8

// The units.
const (
	UnitRunes Unit = iota
	UnitBytes
	UnitUTF16
)

// of gives the length of one rune.
func (u Unit) of(r rune) int {
	switch u {
	case UnitBytes:
		return utf8.RuneLen(r)
	case UnitUTF16:
		if r > 0xffff {
			return 2
		}
		return 1
	case UnitRunes:
		return 1
	}
	return 1
}

// Measure gives the length of s.
func (u Unit) Measure(s string) int {
	n := 0
	for _, r := range s {
		n += u.of(r)
	}
	return n
}

// minimumPart keeps Split from cutting characters into nothing.
const minimumPart = 4

// Split cuts text into parts of at most limit units: between paragraphs if it
// can, then lines, sentences, words, and in the end between characters. White
// space at a cut is dropped; nothing else is. A limit of zero means no limit.
func Split(text conversation.Text, limit int, u Unit) []conversation.Text {
	rest := strings.ToValidUTF8(string(text), "\uFFFD")
	if limit <= 0 || u.Measure(rest) <= limit {
		return []conversation.Text{conversation.Text(rest)}
	}
	limit = max(limit, minimumPart)
	var parts []conversation.Text
	for rest = strings.TrimSpace(rest); rest != ""; {
		n := cutAt(rest, limit, u)
		if part := strings.TrimRightFunc(rest[:n], unicode.IsSpace); part != "" {
			parts = append(parts, conversation.Text(part))
		}
		rest = strings.TrimLeftFunc(rest[n:], unicode.IsSpace)
	}
	if len(parts) == 0 {
		return []conversation.Text{""}
	}
	return parts
}

// border ranks a place to cut; a higher one is better.
type border uint8

const (
	borderNone border = iota
	borderRune
	borderWord
	borderSentence
	borderLine
	borderParagraph
	borders
)

// cutAt gives the byte offset at which the next part ends. A better border is
// taken only from the later half of what fits, so that parts do not become
// crumbs.
func cutAt(s string, limit int, u Unit) int {
	var best [borders]int
	used, half := 0, limit/2
	var before, last rune
	for i, r := range s {
		if i > 0 {
			b := borderBetween(before, last, r)
			if b != borderNone && (used >= half || b == borderRune) {
				best[b] = i
			}
		}
		used += u.of(r)
		if used > limit && !unicode.IsSpace(r) { // space at the end of a part is dropped
			return bestCut(best, i)
		}
		before, last = last, r
	}
	return len(s)
}

// bestCut takes the best border; without any it cuts where the limit is.
func bestCut(best [borders]int, limit int) int {
	for b := borderParagraph; b > borderNone; b-- {
		if best[b] > 0 {
			return best[b]
		}
	}
	return limit
}

// borderBetween ranks the place between last and next; before stands in front
// of last.
func borderBetween(before, last, next rune) border {
	switch {
	case joined(last, next):
		return borderNone
	case last == '\n' && before == '\n':
		return borderParagraph
	case last == '\n':
		return borderLine
	case strings.ContainsRune("。！？…；", last):
		return borderSentence
	case unicode.IsSpace(last) && strings.ContainsRune(".!?;", before):
		return borderSentence
	case unicode.IsSpace(last):
		return borderWord
	}
	return borderRune
}

// joined reports whether a cut before next would break one visible character:
// accents, emoji sequences, flags and skin tones.
func joined(last, next rune) bool {
	const (
		zeroWidthJoiner = '\u200d'
		regionalA       = '\U0001F1E6'
		regionalZ       = '\U0001F1FF'
	)
	switch {
	case last == zeroWidthJoiner || next == zeroWidthJoiner:
		return true
	case unicode.In(next, unicode.Mn, unicode.Me, unicode.Mc):
		return true
	case next >= '\U0001F3FB' && next <= '\U0001F3FF':
		return true
	}
	return last >= regionalA && last <= regionalZ && next >= regionalA && next <= regionalZ
}
