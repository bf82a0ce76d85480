package email

import (
	"crypto/sha256"
	"encoding/hex"
	"mime"
	"net/mail"
	"slices"
	"strings"
	"unicode/utf8"

	gomessage "github.com/emersion/go-message"
	"github.com/emersion/go-message/charset"
	"golang.org/x/text/encoding/simplifiedchinese"
)

const (
	maxReferences = 100 // of one mail; a long thread's middle says nothing that its ends do not
	maxIDSize     = 500
	maxRecipients = 50
	maxRefSize    = 100
)

// message is a mail that was read.
type message struct {
	raw    []byte
	header gomessage.Header
	broken error // why not all of it could be read

	id         string   // Message-ID without brackets; empty when it is missing or malformed
	inReplyTo  []string // oldest first
	references []string // oldest first
	from       string   // address, in lower case; empty when there is none
	fromName   string
	recipients []string
	subject    string
	verified   verdict

	plain string
	html  string
	files []file
	cut   bool // there was more than is read of a mail
}

// readHeader takes from a header what is asked of it later.
func (m *message) readHeader() {
	if ids := messageIDs(m.header.Get("Message-Id")); len(ids) == 1 {
		m.id = ids[0]
	}
	m.inReplyTo = messageIDs(m.header.Get("In-Reply-To"))
	m.references = messageIDs(m.header.Get("References"))
	if list := addresses(m.header.Get("From")); len(list) > 0 {
		m.from, m.fromName = strings.ToLower(list[0].Address), oneLine(list[0].Name, maxNameSize)
	}
	m.subject = oneLine(decodeHeader(m.header.Get("Subject")), maxSubject)
	for _, key := range []string{"Delivered-To", "X-Original-To", "To", "Cc"} {
		for _, v := range m.header.Values(key) {
			for _, a := range addresses(v) {
				if len(m.recipients) < maxRecipients {
					m.recipients = append(m.recipients, a.Address)
				}
			}
		}
	}
}

// name gives what tells the mail from all others: its Message-ID, or a digest when
// it has none.
func (m *message) name() string {
	if m.id != "" {
		return m.id
	}
	return digestOf(m.raw)
}

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// ref is the name as short as a ref has to be.
func (m *message) ref() string {
	if name := m.name(); len(name) <= maxRefSize {
		return name
	}
	return digestOf([]byte(m.id))
}

// ancestors gives what the mail answers, the nearest first.
func (m *message) ancestors() []string {
	out := slices.Clone(m.inReplyTo)
	slices.Reverse(out)
	for _, id := range slices.Backward(m.references) {
		if !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}

// root gives the mail that the thread began with; empty when this one does.
func (m *message) root() string {
	switch {
	case len(m.references) > 0:
		return m.references[0]
	case len(m.inReplyTo) > 0:
		return m.inReplyTo[0]
	}
	return ""
}

// messageIDs reads a list of Message-IDs without their brackets. What is not in
// brackets, or could break a header that it is written into, is left out. Of very
// many, the first and the last are kept.
func messageIDs(s string) []string {
	var out []string
	for {
		_, rest, ok := strings.Cut(s, "<")
		if !ok {
			break
		}
		id, after, ok := strings.Cut(rest, ">")
		if !ok {
			break
		}
		if s = after; plainID(id) {
			out = append(out, id)
		}
		if len(out) > maxReferences {
			out = slices.Delete(out, 1, 2)
		}
	}
	return out
}

// plainID reports whether a Message-ID can be kept and repeated as it is.
func plainID(id string) bool {
	if id == "" || len(id) > maxIDSize || !strings.Contains(id, "@") {
		return false
	}
	return !strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' || r == '<' || r == '>' })
}

// addresses reads a list of addresses; one that cannot be read is looked for
// between brackets, since what stands before them is often written wrongly.
func addresses(s string) []*mail.Address {
	p := mail.AddressParser{WordDecoder: &mime.WordDecoder{CharsetReader: charset.Reader}}
	if list, err := p.ParseList(legible(s)); err == nil {
		return slices.DeleteFunc(list, func(a *mail.Address) bool { return !plainAddress(a.Address) })
	}
	before, rest, ok := strings.Cut(s, "<")
	address, _, closed := strings.Cut(rest, ">")
	if !ok || !closed {
		address, before = strings.TrimSpace(s), ""
	}
	if a, err := mail.ParseAddress(address); err == nil && plainAddress(a.Address) {
		return []*mail.Address{{Name: strings.Trim(decodeHeader(before), "\" "), Address: a.Address}}
	}
	return nil
}

// plainAddress reports whether an address can be written to.
func plainAddress(a string) bool {
	local, domain, ok := cutLast(a, '@')
	return ok && local != "" && domain != "" && len(a) <= maxAddressSize && utf8.ValidString(a) &&
		!strings.ContainsFunc(a, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '<' || r == '>' })
}

// decodeHeader reads a header's text: encoded words of any charset, and the bytes
// of those who do not encode.
func decodeHeader(s string) string {
	d := mime.WordDecoder{CharsetReader: charset.Reader}
	if out, err := d.DecodeHeader(legible(s)); err == nil {
		return out
	}
	return legible(s)
}

// legible makes text of bytes whose charset nobody states. Chinese mail programs
// are those who leave it out most often.
func legible(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	if out, err := simplifiedchinese.GB18030.NewDecoder().String(s); err == nil && !strings.ContainsRune(out, utf8.RuneError) {
		return out
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
