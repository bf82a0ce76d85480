package email

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"path"
	"strings"
	"unicode/utf8"

	gomessage "github.com/emersion/go-message"
	"github.com/emersion/go-message/charset"
)

// What is read of one mail. The mail as a whole is bounded by the account.
const (
	maxDepth = 16
	maxParts = 200
	maxBody  = 1 << 20 // of one text
	maxFiles = 10
)

var (
	errPanicked = errors.New("the mail broke its parser")
	errTooDeep  = errors.New("too many parts, or parts within parts")
)

// file is something that came with a mail.
type file struct {
	name  string // as the sender calls it, cleaned; never empty
	media string // type/subtype, as the sender says
	data  []byte
}

// parse reads a mail as far as it can be read; broken says why not all of it.
func parse(raw []byte) *message {
	m := &message{raw: raw}
	m.broken = m.read()
	return m
}

func (m *message) read() (err error) {
	defer func() {
		if recover() != nil { // the value may quote the mail
			err = errPanicked
		}
	}()
	entity, err := gomessage.ReadWithOptions(bytes.NewReader(m.raw), &gomessage.ReadOptions{MaxHeaderBytes: maxHeader})
	if entity == nil {
		return fmt.Errorf("read the header: %w", err)
	}
	m.header = entity.Header
	m.readHeader()
	parts := 0
	return m.walk(entity, 0, &parts)
}

// walk reads a part and those within it. Errors of encodings are no errors: what
// comes through is better than nothing.
func (m *message) walk(e *gomessage.Entity, depth int, parts *int) error {
	if *parts++; *parts > maxParts || depth > maxDepth {
		return errTooDeep
	}
	inner := e.MultipartReader()
	if inner == nil {
		return m.leaf(e)
	}
	for {
		part, err := inner.NextPart()
		if part == nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) { // the end, or a mail that stops before it
				return nil
			}
			return fmt.Errorf("read a part: %w", err)
		}
		if err := m.walk(part, depth+1, parts); err != nil {
			return err
		}
	}
}

// leaf takes a part that holds no others: it is text, or a file.
func (m *message) leaf(e *gomessage.Entity) error {
	media, params, err := e.Header.ContentType()
	if err != nil || media == "" {
		media = "text/plain"
	}
	disposition, more, _ := e.Header.ContentDisposition()
	name := more["filename"]
	if name == "" {
		name = params["name"]
	}
	isText := disposition != "attachment" && name == ""
	switch {
	case isText && media == "text/plain" && len(m.plain) < maxBody:
		m.plain = join(m.plain, m.text(e))
	case isText && media == "text/html" && len(m.html) < maxBody:
		m.html = join(m.html, m.text(e))
	case media == "message/delivery-status" || media == "message/global-delivery-status":
		// of interest in a bounce only, which is read by itself
	default:
		m.attach(e, media, name)
	}
	return nil
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "\n" + b
}

// text reads a text as UTF-8.
func (m *message) text(e *gomessage.Entity) string {
	b, _ := io.ReadAll(io.LimitReader(e.Body, maxBody)) // what came before an error is worth reading
	if len(b) == maxBody {
		m.cut = true
		b = bytes.TrimRightFunc(b, func(r rune) bool { return r == utf8.RuneError }) // half a character
	}
	return legible(string(b))
}

// attach keeps a file.
func (m *message) attach(e *gomessage.Entity, media, name string) {
	if len(m.files) >= maxFiles {
		m.cut = true
		_, _ = io.Copy(io.Discard, e.Body)
		return
	}
	data, _ := io.ReadAll(e.Body) // no longer than the mail, which is bounded
	m.files = append(m.files, file{name: fileName(name, media), media: media, data: data})
}

// fileName cleans a sender's name of a file.
func fileName(name, media string) string {
	d := mime.WordDecoder{CharsetReader: charset.Reader}
	if out, err := d.DecodeHeader(legible(name)); err == nil {
		name = out
	}
	name = path.Base(strings.ReplaceAll(name, `\`, "/"))
	name = strings.TrimLeft(oneLine(name, maxNameSize), ".")
	if name != "" && name != "/" {
		return name
	}
	if media == "message/rfc822" {
		return "mail.eml"
	}
	return "attachment"
}
