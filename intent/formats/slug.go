package formats

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"
	"unicode"

	"github.com/colloquyhq/colloquy/intent"
)

// maxSlugBytes keeps ids readable in reports and metrics.
const maxSlugBytes = 40

// slug turns a name of another program into an id: lower case, everything else
// than letters and digits of ASCII becomes _. Dots and dashes stay. Empty when
// too little is left to mean anything.
func slug(name string) string {
	var b strings.Builder
	lost := false
	for _, r := range strings.ToLower(name) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			b.WriteRune(r)
		case (r == '.' || r == '-') && b.Len() > 0:
			b.WriteRune(r)
		case r == '\'' || r == '’':
		default:
			lost = lost || r > unicode.MaxASCII && unicode.IsLetter(r)
			if s := b.String(); s != "" && !strings.HasSuffix(s, "_") {
				b.WriteByte('_')
			}
		}
	}
	s := strings.Trim(b.String(), "_.-")
	if len(s) > maxSlugBytes {
		s = s[:maxSlugBytes]
		if i := strings.LastIndexByte(s, '_'); i > maxSlugBytes/2 {
			s = s[:i]
		}
		s = strings.Trim(s, "_.-")
	}
	if lost || len(s) < 2 || !strings.ContainsFunc(s, unicode.IsLetter) {
		return ""
	}
	return s
}

// hashedSlug gives an id for a question that cannot be spelled in ASCII: what
// of it can, and six characters that depend on the question alone. It stays the
// same when rows are moved, added or taken away, and when width, punctuation or
// script of the question change; the title says what it is about.
func hashedSlug(question, canonical string) string {
	h := sha256.Sum256([]byte(canonical))
	tail := strings.ToLower(base32.StdEncoding.EncodeToString(h[:4]))[:6]
	head := slug(strings.Map(func(r rune) rune {
		if r > unicode.MaxASCII {
			return ' '
		}
		return r
	}, question))
	if head == "" || len(head) > 20 {
		head = "faq"
	}
	return head + "-" + tail
}

// label finds the id of an intent.
func (s *settler) labelOf(x *draftIntent) string {
	if x.label != "" {
		if intent.IsName(x.label) {
			return x.label
		}
		if l := slug(x.label); l != "" {
			return l
		}
		return hashedSlug(x.label, s.canonical(x.label))
	}
	if t, ok := x.title["en"]; ok {
		if l := slug(t.text); l != "" {
			return l
		}
	}
	if l := slug(x.key); l != "" {
		return l
	}
	return hashedSlug(x.key, s.canonical(x.key))
}
