package email

import (
	"slices"
	"strings"
	"unicode"

	"github.com/microcosm-cc/bluemonday"
	"golang.org/x/net/html"
)

// newPolicy says what of a mail's HTML may be shown. Nothing in it is fetched from
// elsewhere: no images, since they tell the sender who reads when, no styles, since
// they can fetch and can lay themselves over the page.
func newPolicy() *bluemonday.Policy {
	p := bluemonday.NewPolicy()
	p.AllowElements(
		"a", "abbr", "b", "blockquote", "br", "caption", "center", "code", "dd", "del", "div", "dl", "dt", "em", "h1", "h2", "h3",
		"h4", "h5", "h6", "hr", "i", "ins", "li", "ol", "p", "pre", "q", "s", "small", "span", "strong", "sub", "sup", "table",
		"tbody", "td", "tfoot", "th", "thead", "tr", "u", "ul",
	)
	p.AllowStandardURLs()
	p.AllowURLSchemes("http", "https", "mailto")
	p.AllowRelativeURLs(false)
	p.AllowAttrs("href").OnElements("a")
	p.RequireNoFollowOnLinks(true)
	p.RequireNoReferrerOnLinks(true)
	p.AddTargetBlankToFullyQualifiedLinks(true)
	p.AllowAttrs("colspan", "rowspan").Matching(bluemonday.Integer).OnElements("td", "th")
	return p
}

// textOf makes plain text of HTML. What a reader would not see is left out, or a
// mail could tell the bot something else than the agent. What mail programs mark
// as the mail that is answered comes out marked as quoted.
func textOf(source string) string {
	w := htmlText{z: html.NewTokenizer(strings.NewReader(source))}
	for w.step() {
	}
	return w.out.String()
}

// htmlText is a walk through HTML.
type htmlText struct {
	z      *html.Tokenizer
	out    strings.Builder
	open   []element // those that hide or quote, and what is named like them within them
	hidden int       // elements around that are not shown
	quotes int       // elements around that are quotes
	link   string    // address of the link that is open
	said   int       // length of out when it was opened
	bol    bool      // at the beginning of a line
}

type element struct {
	name          string
	hides, quotes bool
}

const maxOpen = 512 // elements within elements; what is deeper is not counted

func (w *htmlText) step() bool {
	switch w.z.Next() {
	case html.ErrorToken:
		return false
	case html.TextToken:
		if w.hidden == 0 {
			w.write(string(w.z.Text()))
		}
	case html.StartTagToken:
		w.start(w.z.Token(), true)
	case html.SelfClosingTagToken:
		w.start(w.z.Token(), false)
	case html.EndTagToken:
		w.end(w.z.Token().Data)
	case html.CommentToken, html.DoctypeToken:
	}
	return true
}

func (w *htmlText) start(t html.Token, opens bool) {
	if blocks(t.Data) && w.hidden == 0 {
		w.newline()
	}
	switch t.Data {
	case "br", "hr":
		w.line()
		return
	case "img", "input", "meta", "link", "col", "area", "base", "source", "wbr", "embed", "param", "track":
		return
	case "li":
		w.write("• ")
	case "td", "th":
		w.write(" ")
	case "a":
		w.link, w.said = attribute(t, "href"), w.out.Len()
	}
	e := element{name: t.Data, hides: hides(t), quotes: quotes(t)}
	if !opens || len(w.open) >= maxOpen || !e.hides && !e.quotes && !w.within(t.Data) {
		return // nobody will ask where it ended
	}
	if e.quotes {
		w.newline()
		w.quotes++
	}
	if e.hides {
		w.hidden++
	}
	w.open = append(w.open, e)
}

// within reports whether an element of that name is around.
func (w *htmlText) within(name string) bool {
	return slices.ContainsFunc(w.open, func(e element) bool { return e.name == name })
}

// end closes an element and what was left open within it.
func (w *htmlText) end(name string) {
	if name == "a" {
		w.endLink()
	}
	at := -1
	for i, e := range slices.Backward(w.open) {
		if e.name == name {
			at = i
			break
		}
	}
	if at < 0 {
		if blocks(name) && w.hidden == 0 {
			w.newline()
		}
		return
	}
	for _, e := range w.open[at:] {
		if e.hides {
			w.hidden--
		}
		if e.quotes {
			w.quotes--
			w.newline()
		}
	}
	w.open = w.open[:at]
	if blocks(name) && w.hidden == 0 {
		w.newline()
	}
}

// endLink says where a link leads unless its own text does.
func (w *htmlText) endLink() {
	link := w.link
	w.link = ""
	if w.hidden > 0 || !strings.HasPrefix(link, "http://") && !strings.HasPrefix(link, "https://") || len(link) > 300 {
		return
	}
	if text := w.out.String()[w.said:]; strings.TrimSpace(text) != "" && !strings.Contains(text, strings.TrimSuffix(link, "/")) {
		w.write(" (" + link + ")")
	}
}

// write adds text as a browser would show it: white space is one space.
func (w *htmlText) write(s string) {
	if w.hidden > 0 {
		return
	}
	words := strings.Fields(s)
	if len(words) == 0 {
		if s != "" && !w.bol && w.out.Len() > 0 {
			w.put(" ")
		}
		return
	}
	text := strings.Join(words, " ")
	if strings.TrimLeftFunc(s, unicode.IsSpace) != s && !w.bol {
		text = " " + text
	}
	if strings.TrimRightFunc(s, unicode.IsSpace) != s {
		text += " "
	}
	w.put(text)
}

func (w *htmlText) put(s string) {
	if w.quotes > 0 && (w.bol || w.out.Len() == 0) {
		w.out.WriteString("> ")
	}
	w.out.WriteString(s)
	w.bol = false
}

// line ends a line, newline ends one that has begun.
func (w *htmlText) line() {
	if w.hidden == 0 {
		w.out.WriteByte('\n')
		w.bol = true
	}
}

func (w *htmlText) newline() {
	if !w.bol && w.out.Len() > 0 {
		w.line()
	}
}

func blocks(name string) bool {
	switch name {
	case "p", "div", "tr", "table", "ul", "ol", "li", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "pre", "section", "article",
		"header", "footer", "dl", "dt", "dd", "center", "address", "form", "fieldset":
		return true
	}
	return false
}

// quotes reports whether an element holds the mail that is answered.
func quotes(t html.Token) bool {
	class, id := attribute(t, "class"), attribute(t, "id")
	return t.Data == "blockquote" || strings.Contains(class, "gmail_quote") || strings.Contains(class, "yahoo_quoted") ||
		strings.Contains(class, "moz-cite-prefix") || id == "divRplyFwdMsg" || id == "appendonsend" || id == "isReplyContent"
}

// hides reports whether a browser would not show an element.
func hides(t html.Token) bool {
	switch t.Data {
	case "script", "style", "head", "title", "noscript", "template", "iframe", "object", "svg", "math", "select", "textarea":
		return true
	}
	for _, a := range t.Attr {
		if a.Key == "hidden" {
			return true
		}
	}
	style := strings.ToLower(strings.Join(strings.Fields(attribute(t, "style")), ""))
	for _, s := range []string{
		"display:none", "visibility:hidden", "font-size:0;", "font-size:0px", "opacity:0;", "max-height:0;", "max-height:0px", "mso-hide:all",
	} {
		if strings.Contains(style+";", s) {
			return true
		}
	}
	return false
}

func attribute(t html.Token, name string) string {
	for _, a := range t.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}
