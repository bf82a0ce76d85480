package intent

import "strings"

// placeholder is one {name} or {$.path} in a template.
type placeholder struct {
	name string // without braces
	path bool   // begins with $. and reads a response
	bad  bool   // not one of the two forms
}

// placeholders lists what stands in braces in a template.
func placeholders(s string) []placeholder {
	var out []placeholder
	for {
		open := strings.IndexByte(s, '{')
		if open < 0 {
			return out
		}
		end := strings.IndexByte(s[open:], '}')
		if end < 0 {
			return append(out, placeholder{name: s[open+1:], bad: true})
		}
		inner := s[open+1 : open+end]
		out = append(out, readPlaceholder(inner))
		s = s[open+end+1:]
	}
}

func readPlaceholder(inner string) placeholder {
	if path, ok := strings.CutPrefix(inner, "$."); ok {
		bad := path == "" || strings.ContainsAny(path, " \t\n{") || strings.Contains(path, "..")
		return placeholder{name: inner, path: true, bad: bad}
	}
	return placeholder{name: inner, bad: !isName(inner)}
}

// templateKind says what a template may read.
type templateKind uint8

const (
	ownTemplate   templateKind = iota // variables and slots
	replyTemplate                     // a flow's response as well
)
