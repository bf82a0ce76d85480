package persistence

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/colloquyhq/colloquy/conversation"
)

// canary is what must not be found any more.
const canary = "kanarienvogel-7f3a"

// scrubbing has passes come at once.
func scrubbing(o *Options) {
	o.scrub = scrubPace{soon: 20 * time.Millisecond, later: time.Millisecond, daily: time.Millisecond}
}

// confide makes a contact whose every row has the canary in it, with two
// conversations, and gives its id.
func confide(t testing.TB, s *Store) conversation.ContactID {
	t.Helper()
	if _, err := s.Inbox("sales"); err != nil {
		if _, err := s.PutInbox(t.Context(), conversation.Inbox{ID: "sales", Name: "Sales"}); err != nil {
			t.Fatal(err)
		}
	}
	who := contact(71)
	file := fileOf(71, []byte(strings.Repeat(canary, 20_000))) // three pieces
	file.Name, file.Contact = canary+".txt", who.Contact
	putFile(t, s, file, []byte(strings.Repeat(canary, 20_000)))
	unsent := fileOf(72, []byte(canary))
	unsent.Contact = who.Contact
	putFile(t, s, unsent, []byte(canary))
	first, second := confided(conv(71), who), confided(conv(72), who)
	first.Files = []conversation.AttachmentID{file.ID}
	begun, ok := second.Entries[0].Event.(conversation.ConversationStarted)
	if !ok {
		t.Fatal("a conversation begins with its start")
	}
	begun.Previous = conv(71)
	second.Entries[0].Event = begun
	second.State = fold(second)
	for _, a := range []*conversation.Append{first, second} {
		mustAppend(t, s, a)
	}
	if id, err := s.Current(t.Context(), who); err != nil || id != conv(72) {
		t.Fatalf("Current = %s, %v", id, err)
	}
	for _, l := range []conversation.DeadLetter{
		{Message: &conversation.Outbound{Conversation: conv(71), Contact: who.Contact, Text: canary}},
		{Event: json.RawMessage(`{"peer":"` + canary + `","text":"` + canary + `"}`)},
		{Delivery: &conversation.DeadDelivery{Method: "POST", Body: []byte(`{"from":"` + canary + `"`)}},
	} {
		l.Inbox, l.Channel, l.Direction, l.At = "sales", conversation.ChannelTelegram, conversation.DirectionIn, testStart
		if _, err := s.PutDeadLetter(t.Context(), l); err != nil {
			t.Fatal(err)
		}
	}
	r := s.ContactRecord(who.Contact)
	r.Inbox = "sales"
	r.Claim(conversation.ContactClaim{Kind: conversation.ClaimEmail, Value: canary + "@example.com", Verified: true, Source: "widget"})
	if _, err := s.PutContactRecord(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	return who.Contact
}

// confided is a conversation in which the canary is everywhere.
func confided(id conversation.ConversationID, who conversation.ContactKey) *conversation.Append {
	at := func(n conversation.Seq) time.Time { return testStart.Add(time.Duration(n) * time.Second) }
	a := &conversation.Append{ID: id, Contact: who, NextDue: testStart.Add(time.Hour)}
	a.Entries = []conversation.Entry{
		{Seq: 1, At: at(1), Event: conversation.ConversationStarted{
			Inbox: who.Inbox, Channel: conversation.ChannelTelegram, Contact: who.Contact, Peer: canary, Status: conversation.StatusOpen, Handler: conversation.HandlerNone,
		}},
		{Seq: 2, At: at(2), Event: conversation.MessageAccepted{Ref: canary, Text: canary, Metadata: map[string]string{"page": canary}}},
		{Seq: 3, At: at(3), Event: conversation.NoteAdded{Agent: "mei", Text: canary}},
	}
	a.Refs = []conversation.RefRow{{Ref: conversation.Ref(canary + id.String()), Seq: 2}}
	a.Outbox = []conversation.Outbound{{Conversation: id, Message: 3, Inbox: who.Inbox, Contact: who.Contact, Peer: canary, Text: canary, At: at(3)}}
	a.Head = fold(a).Head()
	return a
}

func fold(a *conversation.Append) *conversation.State {
	s := &conversation.State{ID: a.ID}
	for _, e := range a.Entries {
		s.Apply(e)
	}
	return s
}

// sightings lists the files of a directory, and of those in it, in which the
// canary can be read.
func sightings(t testing.TB, fs vfs.FS, dir string) []string {
	t.Helper()
	names, err := fs.List(dir)
	if err != nil {
		return nil // removed meanwhile
	}
	var out []string
	for _, name := range names {
		path := fs.PathJoin(dir, name)
		info, err := fs.Stat(path)
		if err != nil {
			continue
		}
		if info.IsDir() {
			out = append(out, sightings(t, fs, path)...)
			continue
		}
		f, err := fs.Open(path)
		if err != nil {
			continue
		}
		b, err := io.ReadAll(f)
		_ = f.Close()
		if err == nil && bytes.Contains(b, []byte(canary)) {
			out = append(out, path)
		}
	}
	return out
}

// erasePerson erases a contact and everybody they were merged with.
func erasePerson(t testing.TB, s *Store, who conversation.ContactID) (Erased, error) {
	t.Helper()
	p, err := s.Person(t.Context(), who)
	if err != nil {
		t.Fatal(err)
	}
	return s.ErasePerson(t.Context(), p, "ada")
}

// What somebody confided is in the files of every node, and after the erasure it
// is in none: not in the rows, not in the raft log, not in the logs and lists of
// the database. Their place is left, on all nodes alike.
func TestNothingIsLeftOfAPerson(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	c.change = scrubbing
	nodes := c.grow(3)
	for i := range 40 { // others' conversations lie around it
		mustAppend(t, nodes[0].store, step(conv(i), 0, 3))
	}
	who := confide(t, nodes[0].store)
	for i := range 40 {
		mustAppend(t, nodes[1].store, step(conv(100+i), 0, 3))
	}
	c.agree()
	for _, n := range nodes {
		if err := errors.Join(n.store.buffer.settle(), n.store.db.Flush()); err != nil { // so that it is in tables and not in logs only
			t.Fatal(err)
		}
		if len(sightings(t, n.fs, "journal")) == 0 {
			t.Fatalf("%s: the canary is nowhere before the erasure: this test cannot fail", n.address)
		}
	}
	done, err := erasePerson(t, c.follower().store, who)
	if want := (Erased{Contacts: 1, Conversations: 2, Files: 2, Letters: 3}); err != nil || done != want {
		t.Fatalf("ErasePerson = %+v, %v, want %+v", done, err, want)
	}
	c.agree()
	for _, n := range nodes {
		checkInvariants(t, n.store)
		waitFor(t, func() bool { return len(sightings(t, n.fs, "journal")) == 0 })
		if got := mustEntries(t, n.store, conv(3)); len(got) != 3 {
			t.Errorf("%s: %d entries of somebody else's conversation, want 3", n.address, len(got))
		}
	}
	wantErased(t, nodes[2].store, who)
	if again, err := erasePerson(t, nodes[0].store, who); err != nil || again.Conversations+again.Files+again.Letters != 0 {
		t.Errorf("erased again: %+v, %v", again, err)
	}
	c.agree()
}

// wantErased checks what is left.
func wantErased(t *testing.T, s *Store, who conversation.ContactID) {
	t.Helper()
	for _, id := range []conversation.ConversationID{conv(71), conv(72)} {
		log := mustEntries(t, s, id)
		state, err := s.Load(t.Context(), id)
		if err != nil || len(log) != 1 || log[0].Seq != 4 || !state.Gone || state.Version != 4 || state.Status != conversation.StatusClosed {
			t.Fatalf("%s: entries %+v, state %+v, %v", id, log, state, err)
		}
		ev, ok := log[0].Event.(conversation.ConversationErased)
		if !ok || ev.By != "ada" || ev.Reason != conversation.ErasedContact || ev.Contact != who {
			t.Errorf("%s: %+v is left", id, log[0].Event)
		}
		if head, err := s.Head(t.Context(), id); err != nil || !head.Erased || head.Peer != "" {
			t.Errorf("%s: head %+v, %v", id, head, err)
		}
		if files, err := s.FilesOf(t.Context(), id); err != nil || len(files) != 0 {
			t.Errorf("%s: files %v, %v", id, files, err)
		}
	}
	if id, err := s.Current(t.Context(), conversation.ContactKey{Inbox: "sales", Contact: who}); err != nil || id != conv(72) {
		t.Errorf("the place is %s, %v, want %s", id, err, conv(72))
	}
	heads, _, err := s.List(t.Context(), ListQuery{Limit: MaxListLimit})
	for _, h := range heads {
		if h.ID == conv(71) || h.ID == conv(72) {
			t.Errorf("%s is in a list, %v", h.ID, err)
		}
	}
	if rows, _, err := s.Outbox(t.Context(), OutboxCursor{}, 0); err != nil || len(rows) != 0 {
		t.Errorf("outbox %v, %v", rows, err)
	}
	if due, err := s.Due(t.Context(), testStart.Add(time.Hour*24), 0); err != nil || len(due) != 0 {
		t.Errorf("timers of %v, %v", due, err)
	}
	if id, _, err := s.FindRef(t.Context(), conversation.ContactKey{Inbox: "sales", Contact: who}, conversation.Ref(canary+conv(71).String())); err != nil || !id.IsZero() {
		t.Errorf("a sender's id leads to %s, %v", id, err)
	}
	if v := s.VerifiedContacts(conversation.ClaimEmail, canary+"@example.com"); len(v) != 0 {
		t.Errorf("the address leads to %v", v)
	}
	if r := s.ContactRecord(who); len(r.Claims) != 0 || len(r.History) != 1 || r.History[0].Action != conversation.ContactErased || r.History[0].By != "ada" {
		t.Errorf("record %+v", r)
	}
	if s.BlobBytes() != 0 {
		t.Errorf("%d bytes of files", s.BlobBytes())
	}
}

// A node that ends between the erasure and its scrubbing does it when it is back.
func TestScrubbingGoesOnAfterARestart(t *testing.T) {
	t.Parallel()
	o := testOptions(vfs.NewMem())
	o.scrub = scrubPace{soon: time.Hour, later: time.Hour} // not in this run
	s := openTest(t, o)
	who := confide(t, s)
	if _, err := erasePerson(t, s, who); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if len(sightings(t, o.FS, "journal")) == 0 {
		t.Fatal("nothing is left to scrub: this test cannot fail")
	}
	scrubbing(&o)
	s = openTest(t, o)
	waitFor(t, func() bool { return len(sightings(t, o.FS, "journal")) == 0 })
	waitFor(t, func() bool { // the mark goes when both passes are over
		left, err := value(s.db, scrubKey(), func([]byte) error { return nil })
		return err == nil && !left
	})
	wantErased(t, s, who)
}

// A node that was away while it happened, and whose log no longer fits, gets the
// state as a whole; its old files hold nothing any more either.
func TestScrubbingOfAStateThatIsReplaced(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	c.change = func(o *Options) { scrubbing(o); o.SnapshotEvery = 64 << 10 }
	c.grow(3)
	who := confide(t, c.leader().store)
	c.agree()
	away := c.follower()
	c.halt(away)
	if len(sightings(t, away.fs, "journal")) == 0 {
		t.Fatal("the canary is nowhere before the erasure: this test cannot fail")
	}
	lead := c.leader()
	if _, err := erasePerson(t, lead.store, who); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return len(sightings(t, lead.fs, "journal")) == 0 })
	for i := range 300 {
		mustAppend(t, lead.store, step(conv(1000+i), 0, 3))
	}
	back := c.mustStart(away.address)
	c.agree()
	waitFor(t, func() bool { return len(sightings(t, back.fs, "journal")) == 0 })
	wantErased(t, back.store, who)
}

// Whoever runs a conversation that is erased is fenced, and its next append, and
// what it would remember of it, is refused before it is written down.
func TestErasureFences(t *testing.T) {
	t.Parallel()
	s := openTest(t, testOptions(vfs.NewMem()))
	epoch, err := s.Claim(t.Context(), conv(1))
	if err != nil {
		t.Fatal(err)
	}
	a := step(conv(1), 0, 2)
	a.Epoch = epoch
	mustAppend(t, s, a)
	state, err := s.Load(t.Context(), conv(1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.EraseConversation(t.Context(), conv(1), conversation.ErasedContact, "ada"); err != nil {
		t.Fatal(err)
	}
	before := s.machine.position()
	if err := s.SaveState(t.Context(), state, epoch); conversation.CodeOf(err) != conversation.CodeFenced || s.machine.position() != before {
		t.Errorf("SaveState = %v after %d entries", err, s.machine.position().index-before.index)
	}
	late := step(conv(1), 2, 1)
	late.Epoch = epoch
	if err := s.Append(t.Context(), late); conversation.CodeOf(err) != conversation.CodeFenced {
		t.Errorf("Append = %v, want %s", err, conversation.CodeFenced)
	}
	s = reopen(t, s)
	checkInvariants(t, s)
	if got := mustEntries(t, s, conv(1)); len(got) != 1 || !erases(&got[0]) {
		t.Errorf("entries %v", got)
	}
}

// The erasure goes through the apply stream, like everything that happens.
func TestErasureIsPublished(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	nodes := c.grow(3)
	mustAppend(t, nodes[0].store, step(conv(1), 0, 2))
	c.agree()
	var streams []*Subscription
	for _, n := range nodes {
		sub := n.store.Watch(16)
		defer sub.Close()
		streams = append(streams, sub)
	}
	if _, err := nodes[0].store.EraseConversation(t.Context(), conv(1), conversation.ErasedRetention, ""); err != nil {
		t.Fatal(err)
	}
	for i, sub := range streams {
		select {
		case got := <-sub.C():
			if got.ID != conv(1) || len(got.Entries) != 1 || got.Entries[0].Seq != 3 || !erases(&got.Entries[0]) || !got.Head.Erased {
				t.Errorf("node %d: %+v", i, got)
			}
		case <-time.After(patience):
			t.Fatalf("node %d: nothing was published", i)
		}
	}
}

// While a hold stands nothing is erased, whatever asks for it: of the contact, of
// one merged with it, of a single conversation.
func TestHoldsKeep(t *testing.T) {
	t.Parallel()
	s := openTest(t, testOptions(vfs.NewMem()))
	who := confide(t, s)
	other := conversation.ContactRecord{ID: conversation.ContactID{9}, Inbox: "sales", Into: who}
	if _, err := s.PutContactRecord(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	for _, on := range []fmt.Stringer{who, conv(71), other.ID} {
		h := conversation.Hold{By: "ada", At: testStart, Reason: "court"}
		if err := s.PutHold(t.Context(), on.String(), h); err != nil {
			t.Fatal(err)
		}
		if err := s.PutHold(t.Context(), on.String(), conversation.Hold{By: "bob"}); err != nil {
			t.Fatalf("a second hold on %s: %v", on, err)
		}
		s = reopen(t, s)
		if got, ok := s.Hold(on.String()); !ok || got != h {
			t.Errorf("the hold on %s is %+v, %t", on, got, ok)
		}
		if _, err := erasePerson(t, s, who); conversation.CodeOf(err) != conversation.CodeHeld {
			t.Errorf("with a hold on %s: ErasePerson = %v", on, err)
		}
		if _, err := s.EraseConversation(t.Context(), conv(71), conversation.ErasedRetention, ""); conversation.CodeOf(err) != conversation.CodeHeld {
			t.Errorf("with a hold on %s: EraseConversation = %v", on, err)
		}
		if got := mustEntries(t, s, conv(71)); len(got) != 3 || len(s.letterIDs()) != 3 {
			t.Fatalf("with a hold on %s: %d entries and %d letters are left", on, len(got), len(s.letterIDs()))
		}
		for range 2 {
			if err := s.DropHold(t.Context(), on.String()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if done, err := erasePerson(t, s, who); err != nil || done.Conversations != 2 || done.Contacts != 2 {
		t.Errorf("without a hold: %+v, %v", done, err)
	}
}

// A conversation with more files than one operation drops goes as well.
func TestErasureOfManyFiles(t *testing.T) {
	t.Parallel()
	s := openTest(t, testOptions(vfs.NewMem()))
	const many = dropsAtOnce + 5
	for n := range many {
		a := step(conv(1), conversation.Seq(n), 1)
		f := fileOf(n, fmt.Appendf(nil, "file %d", n))
		putFile(t, s, f, fmt.Appendf(nil, "file %d", n))
		a.Files = []conversation.AttachmentID{f.ID}
		mustAppend(t, s, a)
	}
	n, err := s.EraseConversation(t.Context(), conv(1), conversation.ErasedContact, "ada")
	if err != nil || n != many || s.BlobBytes() != 0 {
		t.Errorf("EraseConversation = %d, %v; %d bytes are left", n, err, s.BlobBytes())
	}
	for _, tag := range []byte{tagFile, tagBlob, tagFileOf} {
		if found, err := s.any(t.Context(), prefixBounds(tagPrefix(tag), nil)); err != nil || found {
			t.Errorf("rows of %q are left, %v", tag, err)
		}
	}
}

// An export leaves out what was erased, and can be imported.
func TestExportWithoutWhatWasErased(t *testing.T) {
	t.Parallel()
	s := openTest(t, testOptions(vfs.NewMem()))
	mustAppend(t, s, step(conv(1), 0, 2))
	mustAppend(t, s, step(conv(2), 0, 2))
	if _, err := s.EraseConversation(t.Context(), conv(1), conversation.ErasedContact, "ada"); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := s.Export(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), conv(1).String()) {
		t.Error("the erased conversation is in the export")
	}
	into := openTest(t, testOptions(vfs.NewMem()))
	if _, err := into.Import(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	if got := mustEntries(t, into, conv(2)); len(got) != 2 {
		t.Errorf("%d entries were imported, want 2", len(got))
	}
}
