package intent

import (
	"slices"
	"unicode/utf8"

	"github.com/colloquyhq/colloquy/conversation"
)

// Patterns of packs are written for numbers in one piece. A text with a number in groups
// is looked through twice: as it stands and with the number joined. What then holds only
// a part of the number is no value: it would be somebody else's order.

// joinedText is a text with its numbers joined, and the way back.
type joinedText struct {
	text  []byte
	at    []int32 // for each byte of text, where it is in the text before; one more for the end
	bloom bloom
	runs  []run // of the numbers that were joined, in the text before
}

// run is a stretch of a folded text.
type run struct{ start, end int }

// meets reports a value that has some of the run in it.
func (r run) meets(m found) bool { return m.start < r.end && r.start < m.end }

// joined adds to what was found in f what its patterns find when numbers are joined, and
// takes parts of them away.
func (x *extractor) joined(out []found, f *folded) []found {
	if !f.parted() {
		return out
	}
	j := f.join(out)
	if len(j.runs) == 0 {
		return out
	}
	kept := out[:0]
	for _, m := range out {
		if !j.cuts(m) {
			kept = append(kept, m)
		}
	}
	out = kept
	var more []found
	for i := range x.patterns {
		if p := &x.patterns[i]; p.need.met(&j.bloom) {
			more = p.find(more, j.text, &f.search)
		}
	}
	for _, m := range more {
		value := joinDigits(j.text[m.start:m.end])
		m.start, m.end = int(j.at[m.start]), int(j.at[m.end-1])+1
		if m.value = value; j.touches(m) && len(out) < maxFound {
			out = append(out, m)
		}
	}
	return out
}

// parted reports whether there may be a number in groups: two groups of digits with
// nothing between but what parts groups. It is asked for every text, and mostly there is
// none.
func (f *folded) parted() bool {
	open := false // digits stood before, and since then nothing that ends a number
	for i, c := range f.text {
		switch {
		case isDigit(c):
			if open && !isDigit(f.text[i-1]) {
				return true
			}
			open = true
		case !partsGroups(c):
			open = false
		}
	}
	return false
}

// partsGroups reports the bytes of what stands between the groups of a number for
// [conversation.ReadDigits], of which the hyphens beyond ASCII begin with e2, and a few more.
func partsGroups(c byte) bool {
	return c == ' ' || c == '-' || c == '.' || c == 0xe2 || c >= 0x80 && c < 0xc0
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// join puts the groups of each number together, but for those that belong to a date, an
// amount or the like that was found.
func (f *folded) join(all []found) joinedText {
	runes, at := f.runes()
	numbers := conversation.ReadDigits(runes, func(start, end int) bool {
		return belongs(all, f.text, at[start], at[end])
	})
	var j joinedText
	for _, n := range numbers {
		if n.Groups > 1 && !n.Apart {
			j.runs = append(j.runs, run{at[n.Start], at[n.End]})
		}
	}
	next, prev := 0, rune(0)
	for i, r := range runes {
		for next < len(j.runs) && j.runs[next].end <= at[i] {
			next++
		}
		if next < len(j.runs) && j.runs[next].start <= at[i] && (r < '0' || r > '9') {
			continue
		}
		if r == '\n' {
			r = ' '
		}
		before := len(j.text)
		j.text = utf8.AppendRune(j.text, r)
		for k := range len(j.text) - before {
			j.at = append(j.at, int32(at[i]+k)) //nolint:gosec // at most maxFoldBytes and a few
		}
		low := foldCase(r)
		j.bloom.see(prev, low)
		prev = low
	}
	return j
}

// runes gives the text by characters, with its line breaks, and where each stands; the
// last place is the end.
func (f *folded) runes() (runes []rune, at []int) {
	for i, r := range string(f.text) {
		runes, at = append(runes, r), append(at, i)
	}
	at = append(at, len(f.text))
	k := 0
	for _, line := range f.lines {
		for k < len(runes) && at[k] < int(line) {
			k++
		}
		if k < len(runes) {
			runes[k] = '\n'
		}
	}
	return runes, at
}

// belongs reports whether a group of digits is part of a value that is more than a
// number: 3 May, 50元.
func belongs(all []found, text []byte, start, end int) bool {
	for _, m := range all {
		if m.start <= start && end <= m.end && !numeric(text[m.start:m.end]) {
			return true
		}
	}
	return false
}

// minCode is how many digits follow the letters of a code such as SO-2024; fewer are the
// day after a month.
const minCode = 4

// numeric reports a value of digits and what parts them, with letters or without: 1234
// 5678, SO-2024. It is not up to the pattern that found it to say where it ends.
func numeric(value []byte) bool {
	i := 0
	for i < len(value) && (value[i]|0x20 >= 'a' && value[i]|0x20 <= 'z') {
		i++
	}
	letters := i
	if i > 0 && i < len(value) && (value[i] == '-' || value[i] == ' ') {
		i++
	}
	first := 0
	for i+first < len(value) && isDigit(value[i+first]) {
		first++
	}
	if letters > 0 && first < minCode {
		return false
	}
	for _, c := range value[i:] {
		if !isDigit(c) && c != ' ' && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

// cuts reports a value that holds a part of a joined number only.
func (j *joinedText) cuts(m found) bool {
	return slices.ContainsFunc(j.runs, func(r run) bool { return r.meets(m) && (m.start > r.start || m.end < r.end) })
}

// touches reports a value that has a joined number in it.
func (j *joinedText) touches(m found) bool {
	return slices.ContainsFunc(j.runs, func(r run) bool { return r.meets(m) })
}

// dropTails takes the digits of codes away that were found as values of their own:
// 1234567890123 of SF 1234567890123 is no order number.
func dropTails(all []found, text []byte) []found {
	return slices.DeleteFunc(all, func(m found) bool {
		return isDigit(text[m.start]) && slices.ContainsFunc(all, func(o found) bool {
			return o.start < m.start && m.end == o.end && !isDigit(text[o.start]) && numeric(text[o.start:o.end])
		})
	})
}

// cutsDigits reports a stretch that begins or ends between two digits.
func cutsDigits(text []byte, start, end int) bool {
	return start > 0 && isDigit(text[start-1]) && isDigit(text[start]) ||
		end < len(text) && isDigit(text[end-1]) && isDigit(text[end])
}
