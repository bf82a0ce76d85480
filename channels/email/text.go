package email

import (
	"strings"
	"unicode"

	"github.com/colloquyhq/colloquy/conversation"
)

const (
	maxNameSize = 120 // bytes of a person's or a file's name
	maxSubject  = 300
	cutMark     = "\n[…]" // stands where a text was too long
)

// oneLine makes of anything a single line that shows what it holds: no control
// characters, nothing that turns the writing direction or has no width.
func oneLine(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r) || deceives(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	return shorten(strings.Join(strings.Fields(s), " "), limit)
}

// deceives reports whether a character makes a text look like another: marks of
// direction and what has no width, except what joins emoji.
func deceives(r rune) bool {
	const zeroWidthJoiner, zeroWidthNonJoiner = '\u200d', '\u200c'
	return r != zeroWidthJoiner && r != zeroWidthNonJoiner && unicode.Is(unicode.Cf, r)
}

// shorten cuts between characters.
func shorten(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.TrimSpace(strings.ToValidUTF8(s[:limit], ""))
}

// body makes a text that can be stored of what people and programs write.
func body(s string) string {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r == '\r' || r == '\f' || r == '\v':
			return '\n'
		case unicode.IsControl(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	var lines []string
	blank := 0
	for line := range strings.SplitSeq(s, "\n") {
		line = strings.TrimRightFunc(line, unicode.IsSpace)
		if blank++; line != "" {
			blank = 0
		}
		if blank <= 1 {
			lines = append(lines, line)
		}
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}

// said gives what the sender has to say: the plain text if there is one, without
// what was quoted and without a signature.
func (m *message) said() string {
	text := m.plain
	if strings.TrimSpace(text) == "" {
		text = textOf(m.html)
	}
	return cutQuoted(unsigned(text))
}

// content is the text of the message that agents and bot see. The subject opens a
// thread, and so it stands before its first mail.
func (m *message) content(first bool) conversation.Text {
	text := body(m.said())
	if first && m.subject != "" && !repliesTo.MatchString(m.subject) && !strings.Contains(text, m.subject) {
		text = strings.TrimSpace(m.subject + "\n\n" + text)
	}
	if short := shorten(text, conversation.MaxTextBytes-len(cutMark)); short != text || m.cut {
		text = short + cutMark
	}
	if text == "" {
		text = m.subject
	}
	return conversation.Text(text)
}
