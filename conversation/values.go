package conversation

import (
	"slices"
	"strings"
)

// The limits of what counts as a value.
const (
	maxValues      = 8
	maxValueRunes  = 32
	minSpelled     = 4 // digits that are spelled out; fewer are mostly words
	maxDigitLetter = 5
)

// readValues finds the numbers and codes of a text: digits in one piece or in groups
// (see [ReadDigits]), letters with digits such as SO-2024, and digits that are spelled
// out in Chinese or English. folded has one rune for each of text.
func readValues(text Text, folded []rune) []Value {
	starts := make([]int, 0, len(folded)+1)
	for i := range string(text) {
		starts = append(starts, i)
	}
	starts = append(starts, len(text))
	var out []Value
	numbers := ReadDigits(folded, nil)
	for i := 0; i < len(folded) && len(out) < maxValues; {
		for len(numbers) > 0 && numbers[0].End <= i {
			numbers = numbers[1:]
		}
		value, end := codeAt(folded, i)
		if len(numbers) > 0 {
			d := &numbers[0]
			if d.Start < i { // the end of a number is no value
				i = d.End
				continue
			}
			value, end = d.complete(folded, i, value, end)
		}
		if value == "" {
			value, end = spelledAt(folded, i)
		}
		if value == "" {
			i = afterWord(folded, i)
			continue
		}
		out = append(out, Value{Text: value, Start: starts[i], End: starts[end], Negated: negated(folded[:i])})
		i = end
	}
	return out
}

// codeAt reads a run of digits, or of letters and digits, that begins at i.
func codeAt(folded []rune, i int) (string, int) {
	if i > 0 && codeRune(folded[i-1]) {
		return "", i
	}
	end, digits := i, 0
	for end < len(folded) && end-i < maxValueRunes && (codeRune(folded[end]) || folded[end] == '-' && end > i && end+1 < len(folded) && codeRune(folded[end+1])) {
		if digit(folded[end]) {
			digits++
		}
		end++
	}
	letters := 0
	for _, r := range folded[i:end] {
		if r >= 'a' && r <= 'z' {
			letters++
		}
	}
	if digits == 0 || letters > maxDigitLetter || letters > 0 && digits < 3 || end < len(folded) && codeRune(folded[end]) {
		return "", i
	}
	return strings.ToUpper(string(folded[i:end])), end
}

// complete gives a value that begins at i whole: all of the number that begins there,
// or that the digits of a code such as SO-2024 1111 begin. A number that is too long is
// no value.
func (d *Digits) complete(folded []rune, i int, value string, end int) (string, int) {
	begins := i == d.Start && (d.Groups > 1 || len(d.Text) < d.End-d.Start)
	goesOn := i < d.Start && end > d.Start && !d.Apart
	if end > d.End || !begins && (!goesOn || end == d.End) {
		return value, end
	}
	value = strings.ToUpper(string(folded[i:d.Start])) + d.Text
	if len(value) > maxValueRunes {
		return "", i
	}
	return value, d.End
}

func codeRune(r rune) bool { return digit(r) || r >= 'a' && r <= 'z' }

func digit(r rune) bool { return r >= '0' && r <= '9' }

// afterWord goes on behind the word or character at i.
func afterWord(folded []rune, i int) int {
	if !codeRune(folded[i]) {
		return i + 1
	}
	for i < len(folded) && codeRune(folded[i]) {
		i++
	}
	return i
}

// spelledAt reads digits that are spelled out from i on: 二零二四, two zero two four.
func spelledAt(folded []rune, i int) (string, int) {
	var b strings.Builder
	end := i
	for k := i; k < len(folded) && b.Len() < maxValueRunes; {
		digits, next := spelledDigit(folded, k)
		if next == k {
			break
		}
		b.WriteString(digits)
		end, k = next, next
		for k < len(folded) && (folded[k] == ' ' || folded[k] == '-') {
			k++
		}
	}
	if b.Len() < minSpelled {
		return "", i
	}
	return b.String(), end
}

const digits10 = "0123456789"

// spelledDigit reads one digit word, or a doubled one.
func spelledDigit(folded []rune, k int) (digits string, next int) {
	if i := strings.IndexRune("零一二三四五六七八九", folded[k]); i >= 0 {
		n := i / len("零")
		return digits10[n : n+1], k + 1
	}
	switch folded[k] {
	case '〇':
		return "0", k + 1
	case '幺':
		return "1", k + 1
	case '两':
		return "2", k + 1
	}
	if k > 0 && codeRune(folded[k-1]) {
		return "", k
	}
	word, end := wordAt(folded, k)
	times := 1
	if n := slices.Index([]string{"double", "triple"}, word); n >= 0 {
		times = n + 2
		for end < len(folded) && folded[end] == ' ' {
			end++
		}
		word, end = wordAt(folded, end)
	}
	if word == "oh" || word == "o" {
		return strings.Repeat("0", times), end
	}
	n := slices.Index([]string{"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"}, word)
	if n < 0 {
		return "", k
	}
	return strings.Repeat(digits10[n:n+1], times), end
}

func wordAt(folded []rune, k int) (string, int) {
	end := k
	for end < len(folded) && folded[end] >= 'a' && folded[end] <= 'z' {
		end++
	}
	return string(folded[k:end]), end
}

// negated reports whether what stands before a value says that it is not the one.
func negated(before []rune) bool {
	s := strings.TrimRightFunc(string(before[max(0, len(before)-24):]), gap)
	for _, filler := range []string{"订单号", "订单", "单号", "学号", "order number", "order no", "number", "order", "my", "the", "单"} {
		s = strings.TrimRightFunc(strings.TrimSuffix(s, filler), gap)
	}
	for _, no := range []string{"不是", "不要", "而非", "别查", "not", "isn't", "isnt", "instead of", "rather than"} {
		if strings.HasSuffix(s, no) {
			return true
		}
	}
	return false
}

// PickValue chooses among the values that a text gives for one slot: not those
// that it rules out and, where it corrects, not the one that is known. The
// others that remain are given as well, in their order.
func PickValue(values []Value, known string, corrects bool) (value string, more []string) { //nolint:revive // what the text does, not a mode
	var left []string
	for _, v := range values {
		if !v.Negated && !slices.Contains(left, v.Text) {
			left = append(left, v.Text)
		}
	}
	if corrects && len(left) > 1 {
		left = slices.DeleteFunc(left, func(s string) bool { return s == known })
	}
	if len(left) == 0 {
		return "", nil
	}
	return left[0], left[1:]
}
