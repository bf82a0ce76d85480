package email

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/mail"
	"strings"
	"testing"
	"time"

	gomail "github.com/emersion/go-message/mail"

	"github.com/colloquyhq/colloquy/channels"

	"github.com/colloquyhq/colloquy/conversation"
)

// answering gives a conversation in which a visitor has written a mail, and a
// message that answers it.
func answering(from conversation.Party, text string, metadata map[string]string) (*conversation.Outbound, *conversation.State) {
	conv := conversation.ConversationID{1, 2, 3}
	s := &conversation.State{ID: conv, Inbox: inbox, Channel: conversation.ChannelEmail}
	s.Recent = []conversation.Message{
		{Seq: 1, From: conversation.PartyVisitor, Metadata: map[string]string{metaMessageID: "old@example.org", metaSubject: "Old"}},
		{Seq: 2, From: conversation.PartyVisitor, Metadata: metadata},
		{Seq: 3, From: conversation.PartyAgent, Note: true},
		{Seq: 9, From: conversation.PartyVisitor, Metadata: map[string]string{metaMessageID: "later@example.org", metaSubject: "Later"}},
	}
	return &conversation.Outbound{
		Conversation: conv, Message: 4, Inbox: inbox, Channel: conversation.ChannelEmail, Peer: peerOf("ann@example.org", thread{1}),
		From: from, InReplyTo: 2, Text: conversation.Text(text), At: time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC),
	}, s
}

// composed writes a letter and reads it with the standard library.
func composed(t *testing.T, r *reading, o *conversation.Outbound, s *conversation.State) (*mail.Message, string) {
	t.Helper()
	l := compose(r.box, o, s)
	var b bytes.Buffer
	if err := l.write(&b); err != nil {
		t.Fatal(err)
	}
	raw := b.Bytes()
	if i := bytes.IndexFunc(raw, func(r rune) bool { return r >= 0x80 }); i >= 0 {
		t.Errorf("byte %d of the mail is not ASCII", i)
	}
	for line := range strings.SplitSeq(string(raw), "\r\n") {
		if len(line) > 998 {
			t.Errorf("a line of %d bytes", len(line))
		}
	}
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	body, err := gomail.CreateReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	part, err := body.NextPart()
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(part.Body)
	if err != nil {
		t.Fatal(err)
	}
	return m, strings.ReplaceAll(string(text), "\r\n", "\n")
}

func TestRepliesAreMails(t *testing.T) {
	r := newReading(t, nil, map[string]string{settingName: "商店, Ltd", settingTags: "on"})
	const text = "您好！\n.\nFrom here = a line that is long enough to be broken: " + "0123456789 0123456789 0123456789 0123456789 0123456789\n"
	o, s := answering(conversation.PartyBot, text, map[string]string{
		metaMessageID: "q@example.org", metaReferences: "root@example.org mid@example.org", metaSubject: "退款 \"now\"", metaName: "王芳",
	})
	m, body := composed(t, r, o, s)
	if body != text {
		t.Errorf("text %q, want %q", body, text)
	}
	id := r.box.marks.messageID(o.Conversation, 4, "example.com")
	for name, want := range map[string]string{
		"Message-Id": "<" + id + ">", "In-Reply-To": "<q@example.org>",
		"References": "<root@example.org> <mid@example.org> <q@example.org>", "Date": "Mon, 02 Mar 2026 10:00:00 +0000",
		"Auto-Submitted": "auto-replied", "X-Loop": "shop@example.com",
	} {
		if got := strings.Join(strings.Fields(m.Header.Get(name)), " "); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if got := decodeHeader(m.Header.Get("Subject")); got != "Re: 退款 \"now\"" {
		t.Errorf("Subject: %s", got)
	}
	for name, want := range map[string]mail.Address{
		"From": {Name: "商店, Ltd", Address: "shop@example.com"}, "To": {Name: "王芳", Address: "ann@example.org"},
		"Reply-To": {Name: "商店, Ltd", Address: "shop+" + r.box.marks.tag(o.Conversation) + "@example.com"},
	} {
		if got, err := m.Header.AddressList(name); err != nil || len(got) != 1 || *got[0] != want {
			t.Errorf("%s: %v, %v, want %v", name, got, err, want)
		}
	}
}

func TestAgentsMailsAreNotAutomatic(t *testing.T) {
	r := newReading(t, nil, nil)
	o, s := answering(conversation.PartyAgent, "Hello", map[string]string{metaMessageID: "q@example.org", metaSubject: "RE: Parcel"})
	o.InReplyTo = 0
	m, _ := composed(t, r, o, s)
	for _, name := range []string{autoHeader, loopHeader, suppressHeader, "Reply-To"} {
		if got := m.Header.Get(name); got != "" {
			t.Errorf("%s: %s, want none", name, got)
		}
	}
	if m.Header.Get("In-Reply-To") != "<q@example.org>" || m.Header.Get("Subject") != "RE: Parcel" {
		t.Errorf("header %v, want an answer to the newest mail before it", m.Header)
	}
}

// Whatever a visitor or an agent writes stays where it belongs.
func TestNothingBecomesAHeader(t *testing.T) {
	const evil = "x\r\nBcc: all@example.net\r\n\r\nBody\x00"
	r := newReading(t, nil, map[string]string{settingName: evil})
	o, s := answering(conversation.PartyBot, evil, map[string]string{
		metaMessageID: evil, metaReferences: evil + " <a@b>\r\nCc: c@example.net", metaSubject: evil, metaName: evil,
	})
	m, _ := composed(t, r, o, s)
	for _, name := range []string{"Bcc", "Cc", "Body"} {
		if got := m.Header.Get(name); got != "" {
			t.Errorf("%s: %s, want none", name, got)
		}
	}
	if got := m.Header.Get("To"); strings.ContainsAny(got, "\r\n") || !strings.Contains(got, "<ann@example.org>") {
		t.Errorf("To: %q", got)
	}
}

func TestLongThreadsKeepTheirEnds(t *testing.T) {
	r := newReading(t, nil, nil)
	var list []string
	for i := range 60 {
		list = append(list, "m"+string(rune('a'+i%26))+"@example.org")
	}
	o, s := answering(conversation.PartyBot, "Hello", map[string]string{metaMessageID: "last@example.org", metaReferences: strings.Join(list, " ")})
	l := compose(r.box, o, s)
	if n := len(l.ancestors); n != maxReplyReferences || l.ancestors[0] != list[0] || l.ancestors[n-1] != "last@example.org" {
		t.Errorf("%d references, %v", n, l.ancestors)
	}
}

// opened gives a stored file with its bytes.
func opened(name, media, data string) channels.OutFile {
	return channels.OutFile{
		Attachment: conversation.Attachment{Name: name, Type: media, Size: int64(len(data)), State: conversation.AttachmentStored},
		Open:       func(context.Context) (io.ReadSeeker, error) { return strings.NewReader(data), nil },
	}
}

func TestFilesAreEnclosed(t *testing.T) {
	office := &postOffice{}
	d := newDriver(t, dialAnywhere, known{}, office.serve(t))
	for _, text := range []string{"See the file.", ""} {
		o, _ := answering(conversation.PartyAgent, text, nil)
		files := []channels.OutFile{opened("发票 \"1\".pdf", "application/pdf", "%PDF-1.4\n"), opened("x", "", strings.Repeat("0123456789", 1000))}
		if _, err := d.Send(t.Context(), channels.Part{Outbound: *o, Enclosed: files}); err != nil {
			t.Fatal(err)
		}
		all := office.arrived()
		m := parse([]byte(all[len(all)-1]))
		if m.broken != nil || strings.TrimSpace(m.plain) != text || len(m.files) != 2 {
			t.Fatalf("the mail holds %q and %d files, %v", m.plain, len(m.files), m.broken)
		}
		if f := m.files[0]; f.name != "发票 \"1\".pdf" || f.media != "application/pdf" || string(f.data) != "%PDF-1.4\n" {
			t.Errorf("the first file is %q, %s, %q", f.name, f.media, f.data)
		}
		if f := m.files[1]; f.name != "x" || len(f.data) != 10_000 {
			t.Errorf("the second file is %q of %d bytes", f.name, len(f.data))
		}
	}
}

func TestFilesThatCannotBeSent(t *testing.T) {
	d := newDriver(t, noDial, known{}, nil)
	gone, kept := opened("x", "", "x"), opened("x", "", "x")
	gone.Open = func(context.Context) (io.ReadSeeker, error) {
		return nil, conversation.Refuse(conversation.CodeNotFound, "it has expired")
	}
	kept.State = conversation.AttachmentUnavailable
	for code, file := range map[string]channels.OutFile{"file_gone": gone, "file_not_kept": kept} {
		o, _ := answering(conversation.PartyAgent, "Hello", nil)
		_, err := d.Send(t.Context(), channels.Part{Outbound: *o, Enclosed: []channels.OutFile{file}})
		var e *channels.SendError
		if !errors.As(err, &e) || e.Class != channels.Permanent || e.Code != code {
			t.Errorf("Send error = %v, want permanent: %s", err, code)
		}
	}
}

// A file that cannot be read to its end leaves no half mail behind.
func TestBrokenFilesSendNothing(t *testing.T) {
	office := &postOffice{}
	d := newDriver(t, dialAnywhere, known{}, office.serve(t))
	broken := opened("x", "", "x")
	broken.Open = func(context.Context) (io.ReadSeeker, error) { return brokenFile{}, nil }
	o, _ := answering(conversation.PartyAgent, "Hello", nil)
	if _, err := d.Send(t.Context(), channels.Part{Outbound: *o, Enclosed: []channels.OutFile{broken}}); channels.ClassOf(err) != channels.Retry {
		t.Errorf("Send error = %v, want class retry", err)
	}
	if got := office.arrived(); len(got) != 0 {
		t.Errorf("the server got %q", got)
	}
}

type brokenFile struct{ io.ReadSeeker }

// Read implements [io.Reader].
func (brokenFile) Read([]byte) (int, error) { return 0, errors.New("the disk is broken") }
