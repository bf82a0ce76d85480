package channels

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/colloquyhq/colloquy/conversation"
)

// Style is how a piece of a text is set.
type Style uint8

// The styles, which go together.
const (
	Bold Style = 1 << iota
	Italic
	Strike
	Code
)

// Span is a piece of a text in one style.
type Span struct {
	Text  string
	Style Style
	URL   string // where it leads; empty = nowhere
}

const (
	maxNesting = 8    // styles within each other; deeper ones are shown as they are written
	maxMarked  = 1024 // bytes between two marks; what is longer is no emphasis
)

// Markdown reads the marks that replies of agents, packs and models carry:
// **bold**, *italic*, _italic_, ~~struck~~, `code`, fenced code, # headings and
// [links](https://example.com). What is not surely one of them stays text, so that
// 2*3*4 and snake_case_names arrive as they are.
//
// Source: a part of CommonMark 0.31.2; lists and quotes read well without marks.
func Markdown(text string) []Span {
	var out spans
	for line := range strings.SplitAfterSeq(text, "\n") {
		if out.fence(line) {
			continue
		}
		title, heading := headingOf(line)
		if heading {
			out.inline(title, Bold, 0)
		} else {
			out.inline(line, 0, 0)
		}
	}
	return out.unfenced()
}

// spans collects the pieces of a text.
type spans struct {
	list []Span
	open string // lines of a fenced block that has not ended, with its fence; empty = there is none
}

// add joins a piece to the one before it, if it is set alike.
func (s *spans) add(text string, style Style, url string) {
	if text == "" {
		return
	}
	if n := len(s.list); n > 0 && s.list[n-1].Style == style && s.list[n-1].URL == url {
		s.list[n-1].Text += text
		return
	}
	s.list = append(s.list, Span{Text: text, Style: style, URL: url})
}

const fenceMark = "```"

// fence takes a line that belongs to a fenced block of code.
func (s *spans) fence(line string) bool {
	mark := strings.HasPrefix(line, fenceMark)
	switch {
	case s.open == "" && mark && !strings.Contains(line[len(fenceMark):], "`"):
		s.open = line
	case s.open == "":
		return false
	case mark && strings.TrimSpace(line) == fenceMark:
		_, code, _ := strings.Cut(s.open, "\n")
		end := line[len(fenceMark):]
		s.add(strings.TrimSuffix(code, "\n"), Code, "")
		s.add(strings.TrimLeft(end, " \t"), 0, "")
		s.open = ""
	default:
		s.open += line
	}
	return true
}

// unfenced gives the pieces. A block that never ended was none.
func (s *spans) unfenced() []Span {
	s.add(s.open, 0, "")
	return s.list
}

// headingOf gives the text of a heading, with the end of its line.
func headingOf(line string) (title string, ok bool) {
	rest := strings.TrimLeft(line, "#")
	n := len(line) - len(rest)
	if n < 1 || n > 6 || !strings.HasPrefix(rest, " ") || strings.TrimSpace(rest) == "" {
		return "", false
	}
	return strings.TrimLeft(rest, " "), true
}

// marks are those around a piece of text, longer ones first.
var marks = []struct { //nolint:gochecknoglobals // a table
	text  string
	style Style
	words bool // only around whole words
}{{"***", Bold | Italic, false}, {"**", Bold, false}, {"__", Bold, true}, {"~~", Strike, false}, {"*", Italic, true}, {"_", Italic, true}}

// inline reads one line. Bold that is within bold changes nothing.
func (s *spans) inline(line string, style Style, depth int) {
	rest, before := line, utf8.RuneError
	plain := 0 // bytes at the beginning of rest that are text
	for plain < len(rest) {
		n := 0
		if address := addressAt(rest[plain:], before); address > 0 {
			before, plain = '/', plain+address
			continue
		}
		if depth < maxNesting {
			n = s.piece(rest[:plain], rest[plain:], style, before, depth)
		}
		if n == 0 {
			r, size := utf8.DecodeRuneInString(rest[plain:])
			before, plain = r, plain+size
			continue
		}
		before, _ = utf8.DecodeLastRuneInString(rest[:plain+n])
		rest, plain = rest[plain+n:], 0
	}
	s.add(rest, style, "")
}

// addressAt gives the bytes of an address, in which nothing is a mark; zero when
// there is none.
func addressAt(from string, before rune) int {
	if wordy(before) || !strings.HasPrefix(from, "https://") && !strings.HasPrefix(from, "http://") {
		return 0
	}
	if end := strings.IndexFunc(from, unicode.IsSpace); end >= 0 {
		return end
	}
	return len(from)
}

// piece takes a marked piece from the beginning of a text, behind the text before
// it, and gives its bytes; zero when there is none.
func (s *spans) piece(text, from string, style Style, before rune, depth int) int {
	switch from[0] {
	case '`':
		if code, _, ok := strings.Cut(from[1:min(len(from), maxMarked)], "`"); ok && code != "" && !strings.Contains(code, "\n") {
			s.add(text, style, "")
			s.add(code, style|Code, "")
			return len(code) + 2
		}
	case '[':
		if label, url, n := linkOf(from); n > 0 {
			s.add(text, style, "")
			s.add(label, style, url)
			return n
		}
	case '*', '_', '~':
		for _, m := range marks {
			inner, ok := within(from, m.text)
			if !ok || m.words && (wordy(before) || wordy(first(from[len(inner)+2*len(m.text):]))) {
				continue
			}
			s.add(text, style, "")
			s.inline(inner, style|m.style, depth+1)
			return len(inner) + 2*len(m.text)
		}
	}
	return 0
}

// within gives what stands between two marks on one line: something that neither
// begins nor ends with a blank or with the mark.
func within(from, mark string) (string, bool) {
	body, ok := strings.CutPrefix(from[:min(len(from), maxMarked)], mark)
	if !ok || unicode.IsSpace(first(body)) || strings.HasPrefix(body, mark[:1]) {
		return "", false
	}
	for at := 0; ; {
		i := strings.IndexByte(body[at:], mark[0])
		if i < 0 {
			return "", false
		}
		start := at + i
		rest := strings.TrimLeft(body[start:], mark[:1])
		at = len(body) - len(rest)
		// Three at once end two pieces, of which this is the outer one.
		run := at - start
		last, _ := utf8.DecodeLastRuneInString(body[:start])
		if (run == len(mark) || run == 3) && !unicode.IsSpace(last) {
			end := at - len(mark)
			return body[:end], !strings.Contains(body[:end], "\n")
		}
	}
}

// linkOf reads [label](address) and gives its bytes; zero when it is none.
func linkOf(from string) (label, url string, n int) {
	label, rest, ok := strings.Cut(from[1:min(len(from), maxMarked)], "](")
	if !ok || label == "" || strings.ContainsAny(label, "[]\n") {
		return "", "", 0
	}
	url, _, ok = strings.Cut(rest, ")")
	web := strings.HasPrefix(url, "https://") || strings.HasPrefix(url, "http://")
	if !ok || !web || strings.ContainsAny(url, " \t\n<>(|") {
		return "", "", 0
	}
	return label, url, len(label) + len(url) + 4
}

func first(s string) rune {
	r, _ := utf8.DecodeRuneInString(s)
	return r
}

// wordy reports whether a mark beside this would stand inside a word. Nothing at
// all decodes as [utf8.RuneError], which is no letter.
func wordy(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' }

// DialectPlain is for providers that show text and nothing else: the marks are left
// out, and the address of a link stands behind it.
func DialectPlain(text conversation.Text) conversation.Text {
	return rendered(text, func(Style) string { return "" })
}

// DialectChat is for providers that know *bold*, _italic_, ~struck~ and `code`. They
// take marks only around whole words, so within a word they are left out.
func DialectChat(text conversation.Text) conversation.Text {
	return rendered(text, func(s Style) string {
		switch {
		case s&Code != 0:
			return "`" // nothing else counts within code
		case s&Bold != 0:
			return "*"
		case s&Italic != 0:
			return "_"
		case s&Strike != 0:
			return "~"
		}
		return ""
	})
}

// rendered writes a text in a dialect with these marks. Of several styles one is
// shown, so pieces that get the same mark are one.
func rendered(text conversation.Text, markOf func(Style) string) conversation.Text {
	type run struct{ text, mark string }
	var runs []run
	for _, s := range Markdown(string(text)) {
		body, mark := s.Text, markOf(s.Style)
		if s.URL != "" && s.URL != s.Text {
			body += " (" + s.URL + ")"
		}
		if n := len(runs); n > 0 && runs[n-1].mark == mark {
			runs[n-1].text += body
			continue
		}
		runs = append(runs, run{body, mark})
	}
	var b strings.Builder
	for i, r := range runs {
		before, _ := utf8.DecodeLastRuneInString(b.String())
		after := utf8.RuneError
		if i+1 < len(runs) {
			after = first(runs[i+1].text)
		}
		b.WriteString(marked(r.text, r.mark, before, after))
	}
	return conversation.Text(b.String())
}

// marked sets the mark around every line, since none reaches further, unless it
// would not be read as one.
func marked(text, mark string, before, after rune) string {
	if mark == "" || strings.Contains(text, mark) || wordy(before) && !unicode.IsSpace(first(text)) {
		return text
	}
	if last, _ := utf8.DecodeLastRuneInString(text); wordy(after) && !unicode.IsSpace(last) {
		return text
	}
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		body := strings.TrimSpace(line)
		if body == "" {
			continue
		}
		from := strings.Index(line, body)
		lines[i] = line[:from] + mark + body + mark + line[from+len(body):]
	}
	return strings.Join(lines, "\n")
}
