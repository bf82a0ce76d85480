package email

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/channels/channeltest"
	"github.com/colloquyhq/colloquy/conversation"
)

// The suite plays a provider that speaks HTTP. Nothing comes in or goes out that way
// here; what is fetched lies in a mailroom. The server that takes mail is played by
// the tests beside this one, and real ones by cmd/colloquy.
func TestConformance(t *testing.T) {
	office := &postOffice{}
	settings := office.serve(t)
	channeltest.Run(t, channeltest.Suite{
		New: func(t testing.TB, _ http.RoundTripper) channels.Driver {
			t.Helper()
			return newDriver(t, dialAnywhere, nil, settings)
		},
		Account: inbox, Peer: peerOf("ann@example.org", thread{1}),
		Ref:    func(i int) string { return fmt.Sprintf("m%d@example.org", i) },
		Pulled: pulled(),
	})
	if n := len(office.arrived()); n != 1 {
		t.Errorf("%d mails at the server, want the one that the suite sends", n)
	}
}

func TestOptionsAreRequired(t *testing.T) {
	if _, err := New(Options{Dial: noDial}); err == nil {
		t.Error("New without accounts gave no error")
	}
}

// Hostile mails end as something that can be stored, within bounds.
func TestHostileMails(t *testing.T) {
	nested := strings.Builder{}
	nested.WriteString("From: a@b.example\nMessage-ID: <n@x>\n")
	for i := range 1000 {
		boundary := strings.Repeat("b", 1+i%60) + string(rune('a'+i%26))
		nested.WriteString("Content-Type: multipart/mixed; boundary=" + boundary + "\n\n--" + boundary + "\n")
	}
	parts := "From: a@b.example\nContent-Type: multipart/mixed; boundary=B\n\n" + strings.Repeat("--B\nContent-Type: text/plain\n\nx\n", 1000) + "--B--\n"
	mails := map[string]string{
		"empty":                   "",
		"100,000 fields":          "From: a@b.example\n" + strings.Repeat("X-Field: value\n", 20_000) + "\nHello\n",
		"a field of a megabyte":   "From: a@b.example\nSubject: " + strings.Repeat("x", 1<<20) + "\n\nHello\n",
		"1,000 parts in parts":    nested.String(),
		"1,000 parts":             parts,
		"2,000 links":             "From: a@b.example\nContent-Type: text/html\n\n" + strings.Repeat(`<a href="https://x.example/">x</a>`, 2000),
		"HTML within HTML":        "From: a@b.example\nContent-Type: text/html\n\n" + strings.Repeat(`<blockquote><div style="display:none">`, 20_000),
		"a megabyte of base64":    "From: a@b.example\nContent-Transfer-Encoding: base64\n\n" + strings.Repeat("QUFB", 1<<18),
		"a megabyte of quotes":    "From: a@b.example\n\n" + strings.Repeat("> x\n", 1<<18),
		"a megabyte of one line":  "From: a@b.example\n\n" + strings.Repeat("在", 1<<18),
		"lines that almost match": "From: a@b.example\n\n" + strings.Repeat("On x wrote\n", 20_000),
		"names that wrote":        "From: a@b.example\n\n" + strings.Repeat("Ann <a@b.example> wrote:\n", 20_000) + "> x\ny\n",
		"signatures":              "From: a@b.example\n\n" + strings.Repeat("-- \n", 20_000),
		"a thousand references":   "From: a@b.example\nReferences: " + strings.Repeat("<abcdefghij@example.org> ", 1000) + "\n\nHello\n",
		"long names":              "From: \"" + strings.Repeat("长", 1000) + "\" <" + strings.Repeat("a", 300) + "@b.example>\nMessage-ID: <" + strings.Repeat("i", 400) + "@x>\n\nHello\n",
		"an endless boundary":     "From: a@b.example\nContent-Type: multipart/mixed; boundary=" + strings.Repeat("B", 5000) + "\n\n--\n",
		"a charset of noughts":    "From: a@b.example\nContent-Type: text/plain; charset=utf-16\n\n" + strings.Repeat("\x00", 9999),
	}
	for name, mail := range mails {
		t.Run(name, func(t *testing.T) { storable(t, newReading(t, nil, nil), []byte(mail)) })
	}
}

func FuzzMail(f *testing.F) {
	paths, _ := filepath.Glob("testdata/*.eml")
	for _, p := range paths {
		raw, err := os.ReadFile(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) { storable(t, newReading(t, nil, nil), raw) })
}

// storable fails unless what a mail becomes can be stored, and what is answered to
// it can be sent.
func storable(t *testing.T, r *reading, raw []byte) {
	t.Helper()
	events, err := r.events(context.Background(), raw, size{uid: 7, bytes: int64(len(raw)), at: time.Unix(1_772_000_000, 0)})
	if err != nil {
		t.Fatalf("events: %v", err)
	}
	for _, e := range events {
		if e.Receipt != nil {
			continue
		}
		if len(e.Peer) > 256 || !utf8.ValidString(e.Peer) || strings.ContainsFunc(e.Peer, unicode.IsControl) {
			t.Errorf("peer %q", e.Peer)
		}
		if len(e.Ref) == 0 || len(e.Ref) > conversation.MaxRefBytes || strings.ContainsFunc(string(e.Ref), unicode.IsControl) {
			t.Errorf("ref %q", e.Ref)
		}
		if len(e.Text) > conversation.MaxTextBytes || !utf8.ValidString(string(e.Text)) {
			t.Errorf("a text of %d bytes", len(e.Text))
		}
		if i := strings.IndexFunc(string(e.Text), func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r == 0x7f }); i >= 0 {
			t.Errorf("a control character at byte %d of the text", i)
		}
		n := 0
		for k, v := range e.Metadata {
			if n += len(k) + len(v); !utf8.ValidString(v) {
				t.Errorf("%s is %q", k, v)
			}
		}
		if n > conversation.MaxMetadataBytes {
			t.Errorf("%d bytes of metadata", n)
		}
		o, s := answering(conversation.PartyBot, "Hello", e.Metadata)
		o.Peer = e.Peer
		l := compose(r.box, o, s)
		if err := l.write(io.Discard); err != nil {
			t.Errorf("the answer: %v", err)
		}
	}
}

// A mail that breaks its reader is kept as it came, and holds up nothing.
func TestMailsThatBreakTheReader(t *testing.T) {
	r := newReading(t, nil, nil)
	r.driver.o.Load = func(context.Context, conversation.ConversationID) (*conversation.State, error) { panic("canary") }
	mail := mailOf("ann@example.org", "x@example.org", "Hello", "In-Reply-To: <"+r.box.marks.messageID(conversation.ConversationID{1}, 4, "example.com")+">")
	e := r.one(t, mail)
	if e.Unsupported != "unreadable_mail" || len(e.Files) != 1 || string(e.Files[0].Body) != mail || e.Metadata[metaUID] != "7" {
		t.Errorf("the event is %+v, want a note with the mail", e)
	}
	if again := r.one(t, mail); again.Ref != e.Ref || again.Peer != e.Peer {
		t.Errorf("the same mail again is %q of %q, want %q of %q", again.Ref, again.Peer, e.Ref, e.Peer)
	}
}
