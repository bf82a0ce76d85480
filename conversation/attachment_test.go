package conversation

import (
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestCleanFileName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"photo.png":                    "photo.png",
		"订单截图.jpg":                     "订单截图.jpg",
		"../../etc/passwd":             "passwd",
		`C:\Users\me\invoice.pdf`:      "invoice.pdf",
		"/":                            "file",
		"":                             "file",
		" . . ":                        "file",
		".htaccess":                    "htaccess",
		"\u200b.htaccess":              "htaccess",
		"evil\u202egnp.exe":            "evilgnp.exe",
		"a\x00b\nc.txt":                "ab c.txt",
		"two\tlines\u2028here.txt":     "two lines here.txt",
		`a<b>:"c|d?e*.txt`:             "a_b___c_d_e_.txt",
		"CON":                          "_CON",
		"lpt1.txt":                     "_lpt1.txt",
		"com10.txt":                    "com10.txt",
		"ends.with.dots...":            "ends.with.dots",
		"broken\xff.txt":               "broken.txt",
		strings.Repeat("x", 300):       strings.Repeat("x", MaxFileNameBytes-1),
		strings.Repeat("长", 99) + ".m": strings.Repeat("长", 39) + ".m",
	} {
		if got := CleanFileName(name); got != want {
			t.Errorf("CleanFileName(%q) = %q, want %q", name, got, want)
		}
	}
}

// FuzzCleanFileName: whatever a sender calls a file, the name is short, one
// line of valid text without a path, and clean a second time.
func FuzzCleanFileName(f *testing.F) {
	for _, s := range []string{"a/b", "aux.tar.gz", strings.Repeat(".", 200), "a\u200d\u2066b", strings.Repeat("é", 100) + ".longending", "con ", ". con"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		got := CleanFileName(name)
		if got == "" || len(got) > MaxFileNameBytes || !utf8.ValidString(got) || strings.ContainsAny(got, "/\\\x00\r\n\"") {
			t.Fatalf("CleanFileName(%q) = %q", name, got)
		}
		if again := CleanFileName(got); again != got {
			t.Fatalf("CleanFileName(%q) = %q, and of that %q", name, got, again)
		}
	})
}

func TestAttachmentIDs(t *testing.T) {
	t.Parallel()
	id := NewAttachmentID(testDay())
	back, err := ParseAttachmentID(id.String())
	if err != nil || back != id || id.IsZero() {
		t.Errorf("ParseAttachmentID(%s) = %v, %v", id, back, err)
	}
	if later := NewAttachmentID(testDay().Add(time.Second)); later.String() <= id.String() {
		t.Errorf("%s does not sort behind %s", later, id)
	}
	for _, s := range []string{"", "att_", "cnv_" + id.String()[4:], id.String() + "0"} {
		if _, err := ParseAttachmentID(s); CodeOf(err) != CodeBadID {
			t.Errorf("ParseAttachmentID(%q) = %v, want %s", s, err, CodeBadID)
		}
	}
}

func TestAttachmentsAreChecked(t *testing.T) {
	t.Parallel()
	change := func(f func(*Attachment)) []Attachment {
		a := storedFile(1)
		f(&a)
		return []Attachment{a}
	}
	many := make([]Attachment, MaxAttachments+1)
	for i := range many {
		many[i] = storedFile(byte(i + 1))
	}
	for name, files := range map[string][]Attachment{
		"eleven":              many,
		"twice the same":      {storedFile(1), storedFile(1)},
		"no id":               change(func(a *Attachment) { a.ID = AttachmentID{} }),
		"a path for a name":   change(func(a *Attachment) { a.Name = "../x" }),
		"no name":             change(func(a *Attachment) { a.Name = "" }),
		"a type of two lines": change(func(a *Attachment) { a.Type = "image/png\r\nx: y" }),
		"a negative size":     change(func(a *Attachment) { a.Size = -1 }),
		"no bytes":            change(func(a *Attachment) { a.Blob = "" }),
		"bytes elsewhere":     change(func(a *Attachment) { a.Blob = strings.Repeat("/", 64) }),
		"pending with bytes":  change(func(a *Attachment) { a.State = AttachmentPending }),
		"no state":            change(func(a *Attachment) { a.State = "" }),
		"a sentence":          change(func(a *Attachment) { a.State, a.Blob, a.Reason = AttachmentUnavailable, "", "it is too big" }),
	} {
		s := pending(t, ChannelWeb).state
		if _, err := Decide(s, AcceptMessage{Ref: "r9", Text: "look", Attachments: files}, testDay()); CodeOf(err) != CodeBadAttachment {
			t.Errorf("%s: %v, want %s", name, err, CodeBadAttachment)
		}
	}
}

// TestMessageOfFilesOnly: a text may be empty beside a file, lists show the name,
// and the classifier's context has no empty texts.
func TestMessageOfFilesOnly(t *testing.T) {
	t.Parallel()
	w := pending(t, ChannelTelegram)
	if _, err := Decide(w.state, AcceptMessage{Ref: "none"}, testDay()); CodeOf(err) != CodeEmptyText {
		t.Fatalf("nothing at all: %v, want %s", err, CodeEmptyText)
	}
	w.mustRun(t, AcceptMessage{Origin: origin(ChannelTelegram), Ref: "files", Attachments: []Attachment{storedFile(1), storedFile(2)}})
	if got := w.state.Head().Preview; got != "[photo.png]\n[photo.png]" {
		t.Errorf("the list shows %q", string(got))
	}
	w.mustRun(t, AcceptMessage{Origin: origin(ChannelTelegram), Ref: "words", Text: "see above"})
	for _, text := range w.state.Context(w.state.LastVisitor) {
		if text == "" {
			t.Error("the context holds an empty text")
		}
	}
}

// TestAwaitedAttachment: what is fetched later takes the place of the pending
// one, once, and visitors may learn of it.
func TestAwaitedAttachment(t *testing.T) {
	t.Parallel()
	w := pending(t, ChannelTelegram)
	waits := Attachment{ID: AttachmentID{7}, Name: "voice.ogg", State: AttachmentPending}
	w.mustRun(t, AcceptMessage{Origin: origin(ChannelTelegram), Ref: "voice", Attachments: []Attachment{storedFile(1), waits}})
	at := w.state.LastVisitor
	shown := w.state.Clone()

	came := storedFile(7)
	wrong := RecordAttachment{Message: at + 1, Attachment: came}
	if d, err := Decide(w.state, wrong, testDay()); err != nil || len(d.Events) != 0 {
		t.Errorf("for another message: %v, %v", d, err)
	}
	if _, err := Decide(w.state, RecordAttachment{Message: at, Attachment: waits}, testDay()); CodeOf(err) != CodeInvalid {
		t.Errorf("pending as an outcome: %v", err)
	}
	w.mustRun(t, RecordAttachment{Message: at, Attachment: came})
	if last := w.log[len(w.log)-1].Event; last != (AttachmentChanged{Message: at, Attachment: came}) || !VisibleToVisitor(last) {
		t.Fatalf("it came as %v", last)
	}
	m, _ := w.state.MessageAt(at)
	if m.Attachments[1] != came || m.Attachments[0] != storedFile(1) {
		t.Errorf("the message has %+v", m.Attachments)
	}
	if old, _ := shown.MessageAt(at); old.Attachments[1].State != AttachmentPending {
		t.Error("a clone changed with the state")
	}
	if d, err := Decide(w.state, RecordAttachment{Message: at, Attachment: came}, testDay()); err != nil || len(d.Events) != 0 {
		t.Errorf("a second time: %v, %v", d, err)
	}
}

func TestConversationWaitsForSoManyFiles(t *testing.T) {
	t.Parallel()
	w := pending(t, ChannelTelegram)
	for i := range maxAwaited/MaxAttachments + 1 {
		files := make([]Attachment, MaxAttachments)
		for k := range files {
			files[k] = Attachment{ID: AttachmentID{byte(i + 1), byte(k)}, Name: "f", State: AttachmentPending}
		}
		w.mustRun(t, AcceptMessage{Origin: origin(ChannelTelegram), Attachments: files})
	}
	if n := len(w.state.Awaited); n != maxAwaited {
		t.Errorf("it waits for %d, want %d", n, maxAwaited)
	}
	m, _ := w.state.MessageAt(w.state.LastVisitor)
	if last := m.Attachments[MaxAttachments-1]; last.State != AttachmentUnavailable || last.Reason != "too_many" {
		t.Errorf("the last one is %+v", last)
	}
}

// TestAgentSendsFiles: they reach the provider with the message, and what is not
// stored is refused.
func TestAgentSendsFiles(t *testing.T) {
	t.Parallel()
	w := pending(t, ChannelTelegram)
	st, err := w.run(ReplyAsAgent{Agent: "mei", Attachments: []Attachment{storedFile(1)}})
	if err != nil || st.err != nil {
		t.Fatal(err, st.err)
	}
	i := slices.IndexFunc(st.effects, func(e Effect) bool { _, ok := e.(SendOutbound); return ok })
	if i < 0 {
		t.Fatal("nothing is sent")
	}
	out, _ := st.effects[i].(SendOutbound)
	if len(out.Message.Attachments) != 1 || out.Message.Attachments[0] != storedFile(1) {
		t.Errorf("sent with %+v", out.Message.Attachments)
	}
	waits := []Attachment{{ID: AttachmentID{7}, Name: "f", State: AttachmentPending}}
	if _, err := Decide(w.state, ReplyAsAgent{Agent: "mei", Text: "x", Attachments: waits}, testDay()); CodeOf(err) != CodeBadAttachment {
		t.Errorf("a file that is not there: %v", err)
	}
}

func TestPolicyOnFilesWithoutWords(t *testing.T) {
	t.Parallel()
	s := pending(t, ChannelWeb).state
	if c := (Policy{}).Unread(s); c.Action != ActionHandover || c.Reason != HandoverAttachment {
		t.Errorf("by default: %+v", c)
	}
	ask := Policy{Files: FilesAsk}
	if c := ask.Unread(s); c.Action != ActionFallback {
		t.Errorf("ask: %+v", c)
	}
	s.Dialogue.Abstains = 1
	if c := ask.Unread(s); c.Action != ActionHandover {
		t.Errorf("ask, the second time: %+v", c)
	}
}
