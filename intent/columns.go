package intent

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// textWidth is how many columns of a terminal a text takes: characters of East
// Asian scripts and emoji take two, marks on others none.
func textWidth(s string) int {
	n := 0
	for _, r := range s {
		n += runeWidth(r)
	}
	return n
}

// Source: Unicode Standard Annex #11, the ranges with East_Asian_Width W and F.
func runeWidth(r rune) int {
	switch {
	case r < utf8.RuneSelf:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case r >= 0x1100 && r <= 0x115f, r >= 0x2e80 && r <= 0xa4cf && r != 0x303f, r >= 0xac00 && r <= 0xd7a3, r >= 0xf900 && r <= 0xfaff,
		r >= 0xfe30 && r <= 0xfe6f, r >= 0xff00 && r <= 0xff60, r >= 0xffe0 && r <= 0xffe6,
		r >= 0x1f300 && r <= 0x1f64f, r >= 0x1f680 && r <= 0x1f6ff, r >= 0x1f900 && r <= 0x1f9ff, r >= 0x20000 && r <= 0x3fffd:
		return 2
	}
	return 1
}

// padded cuts or pads a text to a number of columns.
func padded(s string, columns int) string {
	s = cutColumns(strings.Join(strings.Fields(s), " "), columns)
	return s + strings.Repeat(" ", max(columns-textWidth(s), 0))
}

// cutColumns shortens a text to a number of columns, with … at the end where
// something is missing.
func cutColumns(s string, columns int) string {
	if textWidth(s) <= columns {
		return s
	}
	n := 0
	for i, r := range s {
		if n+runeWidth(r) > columns-1 {
			return s[:i] + "…"
		}
		n += runeWidth(r)
	}
	return s
}

// bar draws a share as a bar of at most so many columns.
func bar(share float64, columns int) string {
	eighths := int(share*float64(columns)*8 + 0.5)
	s := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		s += string([]rune(" ▏▎▍▌▋▊▉")[rest])
	}
	return s + strings.Repeat(" ", max(columns-utf8.RuneCountInString(s), 0))
}
