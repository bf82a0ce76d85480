package email

import (
	"regexp"
	"strings"
)

// What mail programs write between a reply and what it replies to.
//
//nolint:gochecknoglobals // compiled once, never changed
var (
	// «On Mon, 2 Mar 2026 at 10:00, Shop <shop@example.com> wrote:», which is often
	// broken into lines.
	wroteLine = regexp.MustCompile(`(?i)^\s*(on\s.{4,250}\swrote\s?[:：]|在.{2,250}写道\s?[:：]|.{2,250}(于|在).{2,200}写道\s?[:：]|.{2,200}<[^<>\s]+@[^<>\s]+>\s*(写道|wrote)\s?[:：])\s*$`)
	divider   = regexp.MustCompile(`(?i)^\s*[-–—_]{3,}\s*(original message|original|原始邮件|原邮件|回复邮件|reply message)\s*[-–—_]{3,}\s*$`)
	underline = regexp.MustCompile(`^\s*_{20,}\s*$`)
	fromLine  = regexp.MustCompile(`(?i)^\s*\**(from|发件人|寄件者)\s*\**\s?[:：]\**\s?\S`)
	aboutLine = regexp.MustCompile(`(?i)^\s*\**(sent|date|to|cc|subject|发送时间|发送日期|时间|日期|收件人|抄送|主题|寄件日期|收件者|主旨)\s*\**\s?[:：]`)
	mobile    = regexp.MustCompile(`(?i)^\s*(sent from my \S.{0,40}|发自我的\S.{0,30}|来自我的\S.{0,30}|get outlook for \S.{0,40})$`)
)

const (
	aboutLines    = 5  // that may stand behind fromLine
	wroteLines    = 3  // that one sentence may be broken into
	maxSignature  = 15 // lines; more is no signature
	maxQuoteLines = 20_000
)

// cutQuoted leaves out what a reply repeats of earlier mails. Quoted lines between
// which the sender has written stay, since the answers make no sense without
// them; if nothing else is left, everything stays.
func cutQuoted(text string) string {
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	if len(lines) > maxQuoteLines {
		lines = lines[:maxQuoteLines]
	}
	end := len(lines)
	for i := range lines {
		if i > 0 && startsQuote(lines, i) || i == 0 && startsQuote(lines, i) && !answersBelow(lines) {
			end = i
			break
		}
	}
	for end > 0 && (strings.TrimSpace(lines[end-1]) == "" || quoted(lines[end-1])) {
		end--
	}
	if kept := strings.TrimSpace(strings.Join(withoutMobile(lines[:end]), "\n")); kept != "" {
		return kept
	}
	return strings.TrimSpace(text)
}

// startsQuote reports whether an earlier mail begins at a line. Where the lines of
// that mail are marked, and the sender has written below them, nothing begins.
func startsQuote(lines []string, i int) bool {
	line := lines[i]
	switch {
	case divider.MatchString(line):
		return true
	case underline.MatchString(line):
		return i+1 < len(lines) && startsHeader(lines[i+1:])
	case fromLine.MatchString(line):
		return startsHeader(lines[i:])
	}
	for n := 1; n <= wroteLines && i+n <= len(lines); n++ {
		if wroteLine.MatchString(strings.Join(lines[i:i+n], " ")) {
			return !answersBelow(lines[i+n:])
		}
	}
	return false
}

// startsHeader reports whether lines begin like the header of a mail.
func startsHeader(lines []string) bool {
	for len(lines) > 0 && strings.TrimSpace(lines[0]) == "" {
		lines = lines[1:]
	}
	if len(lines) == 0 || !fromLine.MatchString(lines[0]) {
		return false
	}
	found := 0
	for _, l := range lines[1:min(len(lines), aboutLines+1)] {
		if aboutLine.MatchString(l) {
			found++
		}
	}
	return found >= 2
}

// answersBelow reports whether the first lines are quoted and others follow that
// are not: somebody who answers below what they quote, or between.
func answersBelow(lines []string) bool {
	marked := false
	for _, l := range lines {
		switch {
		case strings.TrimSpace(l) == "":
		case quoted(l):
			marked = true
		case wroteLine.MatchString(l):
		default:
			return marked
		}
	}
	return false
}

func quoted(line string) bool { return strings.HasPrefix(strings.TrimLeft(line, " "), ">") }

func withoutMobile(lines []string) []string {
	for n := len(lines); n > 0; n-- {
		last := lines[n-1]
		if strings.TrimSpace(last) != "" && !mobile.MatchString(last) {
			return lines[:n]
		}
	}
	return nil
}

// unsigned leaves out a signature: what stands below a line of two dashes and a
// space (RFC 3676, 4.3), if it is short and nothing but a quote follows.
func unsigned(text string) string {
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	for i, l := range lines {
		if l != "-- " && l != "--" {
			continue
		}
		end := i + 1
		for end < len(lines) && !quoted(lines[end]) && !startsQuote(lines, end) {
			end++
		}
		if i > 0 && end-i-1 <= maxSignature {
			return strings.Join(append(lines[:i:i], lines[end:]...), "\n")
		}
	}
	return text
}
