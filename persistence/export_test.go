package persistence

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/colloquyhq/colloquy/conversation"
)

// furnish fills a store with something of every kind.
func furnish(t testing.TB, s *Store) {
	t.Helper()
	ctx := t.Context()
	for range 3 { // so that versions are not all 1
		in, err := s.Inbox("sales")
		if err != nil {
			in = conversation.Inbox{ID: "sales"}
		}
		in.Name += "<&>"
		if _, err := s.PutInbox(ctx, in); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.PutAgent(ctx, conversation.Agent{ID: "anna", Email: "a@example.com", PasswordHash: "argon2-hash"}); err != nil {
		t.Fatal(err)
	}
	hash := bytes.Repeat([]byte{7}, 32)
	if _, err := s.PutCredential(ctx, Credential{ID: "c", Kind: CredentialInbox, Hash: hash, CreatedAt: testStart}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Secret(ctx, "cookies", 32); err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutDoc(ctx, "blob", "x", 0, []byte{0xff, 0}); err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		if _, err := s.PutPack(ctx, "faq", uint64(n), conversation.PackVersion{Hash: "h"}, fmt.Appendf(nil, "pack: faq # %d", n)); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 6 {
		furnishConversation(t, s, n)
	}
	for n := range 3 { // two of the same bytes, one of them of a conversation, and one of several pieces
		f := fileOf(n, bytes.Repeat([]byte{byte(n / 2)}, 1+n*BlobChunkBytes))
		if n == 1 {
			f = fileOf(n, []byte{0})
			f.Sent, f.Conversation = true, conv(2)
			putFile(t, s, f, []byte{0})
			continue
		}
		putFile(t, s, f, bytes.Repeat([]byte{byte(n / 2)}, 1+n*BlobChunkBytes))
	}
	if _, err := s.Claim(ctx, conv(99)); err != nil { // claimed, never begun
		t.Fatal(err)
	}
}

func furnishConversation(t testing.TB, s *Store, n int) {
	t.Helper()
	state := &conversation.State{ID: conv(n)}
	start := conversation.Entry{Seq: 1, At: testStart, Event: conversation.ConversationStarted{
		Inbox: "sales", Channel: conversation.ChannelWeb, Contact: contact(n / 2).Contact,
		Status: conversation.StatusPending, Handler: conversation.HandlerBot,
	}}
	for i := range conversation.Seq(n*60 + 2) {
		a := &conversation.Append{ID: conv(n), Expect: i, Entries: []conversation.Entry{start}}
		if i > 0 {
			ref := conversation.Ref(fmt.Sprintf("%d-%d", n, i))
			a.Entries[0] = message(i+1, "")
			a.Entries[0].Event = conversation.MessageAccepted{
				Ref: ref, Text: conversation.Text(fmt.Sprintf("<b>%d & 你好 \u2028</b>", i)),
			}
			a.Refs = []conversation.RefRow{{Ref: ref, Seq: i + 1}}
		}
		state.Apply(a.Entries[0])
		state.ID = conv(n)
		a.Head, a.Contact = state.Head(), conversation.ContactKey{Inbox: "sales", Contact: contact(n / 2).Contact}
		a.Head.Contact, a.Head.Inbox = a.Contact.Contact, "sales"
		a.NextDue = testStart.Add(time.Duration(n) * time.Hour)
		if i%3 == 1 {
			a.Outbox = []conversation.Outbound{{Conversation: a.ID, Message: i + 1, Text: "out <>", At: testStart}}
		}
		mustAppend(t, s, a)
	}
}

func export(t testing.TB, s *Store) string {
	t.Helper()
	var b strings.Builder
	if err := s.Export(t.Context(), &b); err != nil {
		t.Fatalf("Export = %v", err)
	}
	return b.String()
}

func TestExportAndImportGiveTheSame(t *testing.T) {
	t.Parallel()
	from, to := openTest(t, testOptions(vfs.NewMem())), openTest(t, testOptions(vfs.NewMem()))
	furnish(t, from)
	var text strings.Builder
	if err := from.ExportWithSecrets(t.Context(), &text); err != nil {
		t.Fatal(err)
	}
	n, err := to.Import(t.Context(), strings.NewReader(text.String()))
	if err != nil {
		t.Fatalf("Import = %v", err)
	}
	if want := strings.Count(text.String(), "\n"); n != want {
		t.Errorf("Import read %d lines, want %d", n, want)
	}
	to = reopen(t, to)
	want, got := dump(t, from), dump(t, to)
	for _, rows := range []map[string]string{want, got} {
		delete(rows, string(appliedKey()))
		delete(rows, string(appendHeadKey(nil, conv(99))))
		for key := range rows {
			if key[0] == tagState { // how often a state is stored is up to the writer
				delete(rows, key)
			}
		}
	}
	diff(t, "rows", want, got)
	for id := range checkInvariants(t, to) {
		a, err := from.Load(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		b, err := to.Load(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		diff(t, "state", a, b)
	}
	if _, err := to.Import(t.Context(), strings.NewReader(text.String())); !errors.Is(err, conversation.ErrConflict) {
		t.Errorf("Import into a store that is not empty = %v, want a conflict", err)
	}
}

func TestExportHidesWhatOpensDoors(t *testing.T) {
	t.Parallel()
	s := openTest(t, testOptions(vfs.NewMem()))
	furnish(t, s)
	text := export(t, s)
	for _, secret := range []string{"argon2-hash", `"secret"`, `"credential"`, "password_hash", "BwcHBwcH"} {
		if strings.Contains(text, secret) {
			t.Errorf("the export holds %s", secret)
		}
	}
	if !strings.Contains(text, `"a@example.com"`) || !strings.Contains(text, "你好") || !strings.Contains(text, "<b>") {
		t.Error("the export lacks what should be in it")
	}
	to := openTest(t, testOptions(vfs.NewMem()))
	if _, err := to.Import(t.Context(), strings.NewReader(text)); err != nil {
		t.Errorf("Import = %v", err)
	}
}

func TestImportNamesTheBadLineAndLeavesNothing(t *testing.T) {
	t.Parallel()
	from := openTest(t, testOptions(vfs.NewMem()))
	furnish(t, from)
	lines := strings.SplitAfter(strings.TrimSuffix(export(t, from), "\n"), "\n")
	find := func(what string) int {
		for i, l := range lines {
			if strings.Contains(l, what) {
				return i
			}
		}
		t.Fatalf("no line with %s", what)
		return 0
	}
	for name, c := range map[string]struct {
		line int
		edit func(string) string
		want int // the line named, from 1; 0 = that of the edit
	}{
		"not JSON":          {line: find(`"seq":7,`), edit: func(string) string { return "{\n" }},
		"empty line":        {line: find(`"seq":7,`), edit: func(string) string { return "\n" }},
		"unknown type":      {line: find(`"seq":7,`), edit: func(l string) string { return strings.Replace(l, `"entry"`, `"entree"`, 1) }},
		"unknown event":     {line: find(`"seq":7,`), edit: func(l string) string { return strings.Replace(l, "message.accepted", "message.eaten", 1) }},
		"gap in the seqs":   {line: find(`"seq":7,`), edit: func(l string) string { return strings.Replace(l, `"seq":7,`, `"seq":8,`, 1) }},
		"line missing":      {line: find(`"seq":7,`), edit: func(string) string { return "" }},
		"no header":         {line: 0, edit: func(string) string { return "" }, want: 1},
		"newer format":      {line: 0, edit: func(l string) string { return strings.Replace(l, `"format":1`, `"format":2`, 1) }},
		"end missing":       {line: len(lines) - 1, edit: func(string) string { return "" }},
		"line after end":    {line: len(lines) - 1, edit: func(l string) string { return l + "\n" + l }, want: len(lines) + 1},
		"document line cut": {line: 1, edit: func(l string) string { return l[:len(l)/2] + "\n" }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			edited := append([]string(nil), lines...)
			edited[c.line] = c.edit(edited[c.line])
			to := openTest(t, testOptions(vfs.NewMem()))
			_, err := to.Import(t.Context(), strings.NewReader(strings.Join(edited, "")))
			var bad *LineError
			want := c.want
			if want == 0 {
				want = c.line + 1
			}
			if !errors.As(err, &bad) || bad.Line != want {
				t.Fatalf("Import = %v, want an error at line %d", err, want)
			}
			rows := dump(t, to)
			delete(rows, string(appliedKey()))
			diff(t, "rows left", map[string]string{}, rows)
			if len(to.Inboxes()) != 0 {
				t.Error("the directory is not empty")
			}
			if _, err := to.Import(t.Context(), strings.NewReader(strings.Join(lines, ""))); err != nil {
				t.Errorf("Import of the good file after the bad one = %v", err)
			}
			checkInvariants(t, to)
		})
	}
}
