package intent

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/colloquyhq/colloquy/conversation"
)

// maxFound bounds how many values of one utterance are reported.
const maxFound = 32

// extractor finds the values of a bundle's entities in folded text.
type extractor struct {
	names    []string
	masked   []bool
	patterns []pattern
	words    map[rune][]word    // by first character, longest first
	hash     [entitiesHash]byte // of all that it is made of
}

// entitiesHash is the length of an extractor's hash.
const entitiesHash = sha256.Size

// pattern is one regular expression of an entity.
type pattern struct {
	entity int
	finder finder
	need   requirement
	group  bool // the first group is the value
}

// word is one literal value, folded.
type word struct {
	entity int
	folded []rune
	value  string // as the pack writes it
	latin  bool   // needs word boundaries
}

// found is one value, with offsets into the folded text.
type found struct {
	entity     int
	start, end int
	span       int    // length of the whole match, the evidence for it
	value      string // set where it is not what stands there: the pack's spelling of a word, a number that was joined
}

func newExtractor(entities []*entity, norm *normalizer) *extractor {
	x, hash := &extractor{words: map[rune][]word{}}, sha256.New()
	for i, e := range entities {
		_, _ = fmt.Fprintf(hash, "%q %t %q %q\n", e.name, e.mask, e.regex, e.words)
		x.names = append(x.names, e.name)
		x.masked = append(x.masked, e.mask)
		for _, re := range e.regex {
			x.patterns = append(x.patterns, pattern{
				entity: i, finder: newFinder(re), need: requirementOf(re.String()), group: re.NumSubexp() > 0,
			})
		}
		for _, w := range e.words {
			x.addWord(i, w, norm)
		}
	}
	for _, list := range x.words {
		slices.SortStableFunc(list, func(a, b word) int { return cmp.Compare(len(b.folded), len(a.folded)) })
	}
	hash.Sum(x.hash[:0])
	return x
}

func (x *extractor) addWord(entity int, value string, norm *normalizer) {
	var f folded
	norm.fold(&f, strings.TrimSpace(value))
	if len(f.text) == 0 {
		return
	}
	w := word{entity: entity, value: strings.TrimSpace(value)}
	for _, r := range string(f.text) {
		w.folded = append(w.folded, foldCase(r))
	}
	w.latin = wordChar(w.folded[0]) || wordChar(w.folded[len(w.folded)-1])
	x.words[w.folded[0]] = append(x.words[w.folded[0]], w)
}

// wordChar reports characters that make words with spaces between them.
func wordChar(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

// all appends every value in f; those of one entity do not overlap.
func (x *extractor) all(out []found, f *folded) []found {
	for i := range x.patterns {
		p := &x.patterns[i]
		if len(out) < maxFound && p.need.met(&f.bloom) {
			out = p.find(out, f.text, &f.search)
		}
	}
	if f.bloom.has(digitBit) {
		out = dropTails(x.joined(out, f), f.text)
	}
	if len(x.words) > 0 {
		out = x.findWords(out, f.text)
	}
	return dropOwnOverlaps(out)
}

func (p *pattern) find(out []found, text []byte, s *search) []found {
	p.finder.each(text, s, maxFound, func(at [4]int) {
		start, end := at[0], at[1]
		if p.group && at[2] >= 0 {
			start, end = at[2], at[3]
		}
		start, end = trimSpan(text, start, end)
		if end > start && len(out) < maxFound && !cutsDigits(text, start, end) {
			out = append(out, found{entity: p.entity, start: start, end: end, span: at[1] - at[0]})
		}
	})
	return out
}

// trimSpan takes spaces and sentence punctuation off both ends.
func trimSpan(text []byte, start, end int) (int, int) {
	for start < end {
		r, n := utf8.DecodeRune(text[start:end])
		if !trimmed(r) {
			break
		}
		start += n
	}
	for start < end {
		r, n := utf8.DecodeLastRune(text[start:end])
		if !trimmed(r) && (r != ')' || bytes.IndexByte(text[start:end], '(') >= 0) {
			break
		}
		end -= n
	}
	return start, end
}

func trimmed(r rune) bool {
	if r < utf8.RuneSelf {
		return strings.ContainsRune(" \t\r\n,.;:!?'\"", r)
	}
	return strings.ContainsRune("，。、；：！？…“”‘’「」『』《》（）【】～", r)
}

func (x *extractor) findWords(out []found, text []byte) []found {
	prev := rune(0)
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		list := x.words[foldCase(r)]
		if len(list) == 0 || len(out) >= maxFound {
			prev, i = r, i+n
			continue
		}
		step := n
		for k := range list {
			size, ok := list[k].at(text[i:], prev)
			if !ok {
				continue
			}
			out = append(out, found{entity: list[k].entity, start: i, end: i + size, span: size, value: list[k].value})
			step = size
			break
		}
		prev, _ = utf8.DecodeLastRune(text[i : i+step])
		i += step
	}
	return out
}

// at reports whether the word stands at the start of text, and its length there.
func (w *word) at(text []byte, prev rune) (int, bool) {
	if w.latin && wordChar(w.folded[0]) && wordChar(prev) {
		return 0, false
	}
	size := 0
	for _, want := range w.folded {
		r, n := utf8.DecodeRune(text[size:])
		if n == 0 || foldCase(r) != want {
			return 0, false
		}
		size += n
	}
	if w.latin && wordChar(w.folded[len(w.folded)-1]) {
		if next, n := utf8.DecodeRune(text[size:]); n > 0 && wordChar(next) {
			return 0, false
		}
	}
	return size, true
}

// dropOwnOverlaps keeps, among overlapping values of one entity, the one with
// the longer match, and sorts by place.
func dropOwnOverlaps(all []found) []found {
	return keepStrongest(all, false)
}

// resolve keeps, among overlapping values of all entities, those with the
// longer match; on equal length the entity that stands first.
func resolve(all []found) []found {
	return keepStrongest(all, true)
}

// keepStrongest keeps the longer of overlapping values, of the same entity or of any two.
func keepStrongest(all []found, anyTwo bool) []found { //nolint:revive // which overlaps count
	if len(all) == 0 {
		return all
	}
	slices.SortFunc(all, func(a, b found) int {
		return cmp.Or(cmp.Compare(b.span, a.span), cmp.Compare(a.entity, b.entity), cmp.Compare(a.start, b.start))
	})
	kept := all[:0]
next:
	for i := range all {
		c := all[i]
		for k := range kept {
			if c.start < kept[k].end && kept[k].start < c.end && (anyTwo || c.entity == kept[k].entity) {
				continue next
			}
		}
		kept = append(kept, c)
	}
	slices.SortFunc(kept, func(a, b found) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.entity, b.entity))
	})
	return kept
}

// report turns findings into entities of the original text.
func (x *extractor) report(out []conversation.Entity, all []found, f *folded, text string) []conversation.Entity {
	for _, m := range all {
		e := conversation.Entity{Name: x.names[m.entity], Value: m.value, Start: int(f.at[m.start]), End: f.originalEnd(m.end)}
		if e.Value == "" {
			e.Value = foundValue(f.text[m.start:m.end], text, text[e.Start:e.End])
		}
		out = append(out, e)
	}
	return out
}

// foundValue gives what was found as a value. Where it stands like that in a text, it is a
// part of that; of long ones it is a copy, since a conversation keeps its values for
// longer than its texts.
func foundValue(found []byte, text, original string) string {
	if len(text) <= maxInstantBytes && string(found) == original && bytes.IndexByte(found, ' ') < 0 {
		return original
	}
	return joinDigits(found)
}

// originalEnd maps the end of a span: behind its last character, before any
// invisible ones that follow.
func (f *folded) originalEnd(end int) int { return int(f.ends[end-1]) }

// joinDigits takes out the spaces that people put between digits, and between the letters
// and the digits of a code.
func joinDigits(b []byte) string {
	if bytes.IndexByte(b, ' ') < 0 {
		return string(b)
	}
	code := numeric(b) && !isDigit(b[0])
	out := make([]byte, 0, len(b))
	for i, c := range b {
		if c == ' ' && i > 0 && (code || betweenDigits(b, i)) {
			continue
		}
		out = append(out, c)
	}
	return string(out)
}

// betweenDigits reports whether only spaces stand between i and digits on both
// sides.
func betweenDigits(b []byte, i int) bool {
	left := bytes.TrimRight(b[:i], " ")
	right := bytes.TrimLeft(b[i:], " ")
	return len(left) > 0 && len(right) > 0 &&
		unicode.IsDigit(rune(left[len(left)-1])) && unicode.IsDigit(rune(right[0]))
}
