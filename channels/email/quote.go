package email

import (
	"regexp"
	"strings"
)

// What mail programs write between a reply and what it replies to.
var (
	// «On Mon, 2 Mar 2026 at 10:00, Shop <shop@example.com> wrote:», which is often
	// broken into lines, and others, which begin with the name.
	wroteLine = regexp.MustCompile(`(?i)^\s*(on\s.{4,250}\swrote|在.{2,250}写道)\s?[:：]\s*$`)
	namedLine = regexp.MustCompile(`(?i)^\s*(.{2,250}(于|在).{2,200}写道|.{2,200}<[^<>\s]+@[^<>\s]+>\s*(写道|wrote))\s?[:：]\s*$`)
	divider   = regexp.MustCompile(`(?i)^\s*[-–—_]{3,}\s*(original message|original|原始邮件|原邮件|回复邮件|reply message)\s*[-–—_]{3,}\s*$`)
	underline = regexp.MustCompile(`^\s*_{20,}\s*$`)
	fromLine  = regexp.MustCompile(`(?i)^\s*\**(from|发件人|寄件者)\s*\**\s?[:：]\**\s?\S`)
	aboutLine = regexp.MustCompile(`(?i)^\s*\**(sent|date|to|cc|subject|发送时间|发送日期|时间|日期|收件人|抄送|主题|寄件日期|收件者|主旨)\s*\**\s?[:：]`)
	mobile    = regexp.MustCompile(`(?i)^\s*(sent from my \S.{0,40}|发自我的\S.{0,30}|来自我的\S.{0,30}|get outlook for \S.{0,40})$`)
)

const (
	aboutLines   = 5      // that may stand behind fromLine
	wroteLines   = 3      // that one sentence may be broken into
	maxSignature = 15     // lines; more is no signature
	maxLines     = 20_000 // of a text that are looked at
	maxLine      = 1000   // bytes of a line that may say something about a quote
)

// page is a text by lines. Everything about it takes time that grows with its
// length and not faster, since anybody can send one.
type page struct {
	lines    []string
	answered []bool // by line: quoted lines begin here, and the sender's own follow
}

func newPage(text string) *page {
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	p := &page{lines: lines[:min(len(lines), maxLines)]}
	p.answered = make([]bool, len(p.lines)+1)
	written := false // something of the sender's own follows
	for i := len(p.lines) - 1; i >= 0; i-- {
		switch l := p.lines[i]; {
		case strings.TrimSpace(l) == "", p.says(wroteLine, i), p.says(namedLine, i):
			p.answered[i] = p.answered[i+1]
		case quoted(l):
			p.answered[i] = written
		default:
			written = true
		}
	}
	return p
}

func (p *page) says(what *regexp.Regexp, i int) bool {
	return len(p.lines[i]) <= maxLine && what.MatchString(p.lines[i])
}

func quoted(line string) bool { return strings.HasPrefix(strings.TrimLeft(line, " "), ">") }

// cutQuoted leaves out what a reply repeats of earlier mails. Quoted lines between
// which the sender has written stay, since the answers make no sense without
// them; if nothing else is left, everything stays.
func cutQuoted(text string) string {
	p := newPage(text)
	end := 0
	for end < len(p.lines) && !p.startsQuote(end) {
		end++
	}
	for end > 0 && (strings.TrimSpace(p.lines[end-1]) == "" || quoted(p.lines[end-1]) || p.says(mobile, end-1)) {
		end--
	}
	if kept := strings.TrimSpace(strings.Join(p.lines[:end], "\n")); kept != "" {
		return kept
	}
	return strings.TrimSpace(text)
}

// startsQuote reports whether an earlier mail begins at a line. Where the lines of
// that mail are marked, and the sender has written below them, nothing begins.
func (p *page) startsQuote(i int) bool {
	switch {
	case p.says(divider, i):
		return true
	case p.says(underline, i):
		return p.startsHeader(i + 1)
	case p.says(fromLine, i):
		return p.startsHeader(i)
	case p.says(namedLine, i):
		return !p.answered[i+1]
	}
	var sentence []byte
	for n := range min(wroteLines, len(p.lines)-i) {
		l := p.lines[i+n]
		if strings.TrimSpace(l) == "" || len(l) > maxLine {
			return false
		}
		if sentence = append(append(sentence, ' '), l...); wroteLine.Match(sentence) {
			return !p.answered[i+n+1]
		}
	}
	return false
}

// startsHeader reports whether lines begin like the header of a mail.
func (p *page) startsHeader(i int) bool {
	if i < len(p.lines) && strings.TrimSpace(p.lines[i]) == "" {
		i++
	}
	if i >= len(p.lines) || !p.says(fromLine, i) {
		return false
	}
	found := 0
	for j := i + 1; j < min(i+1+aboutLines, len(p.lines)); j++ {
		if p.says(aboutLine, j) {
			found++
		}
	}
	return found >= 2
}

// unsigned leaves out a signature: what stands below a line of two dashes and a
// space (RFC 3676, 4.3), if it is short and nothing but a quote follows.
func unsigned(text string) string {
	p := newPage(text)
	for i, l := range p.lines {
		if i == 0 || l != "-- " && l != "--" {
			continue
		}
		end := i + 1
		for end < len(p.lines) && end-i <= maxSignature && !quoted(p.lines[end]) && !p.startsQuote(end) {
			end++
		}
		if end-i <= maxSignature {
			return strings.Join(append(p.lines[:i:i], p.lines[end:]...), "\n")
		}
	}
	return text
}
