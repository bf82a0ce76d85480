package learning

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/intent"
)

// memJournal is a journal in memory that several keepers share, as nodes do.
type memJournal struct {
	mu struct {
		sync.Mutex
		logs   map[conversation.ConversationID][]conversation.Entry
		docs   map[string][]byte
		vers   map[string]uint64
		broken bool
		reads  int
	}
}

func newMemJournal() *memJournal {
	j := &memJournal{}
	j.mu.logs = map[conversation.ConversationID][]conversation.Entry{}
	j.mu.docs, j.mu.vers = map[string][]byte{}, map[string]uint64{}
	return j
}

var errBroken = errors.New("the disk is on fire")

func (j *memJournal) Entries(_ context.Context, id conversation.ConversationID, after conversation.Seq, limit int) ([]conversation.Entry, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.mu.broken {
		return nil, errBroken
	}
	j.mu.reads++
	var out []conversation.Entry
	for _, e := range j.mu.logs[id] {
		if e.Seq > after && len(out) < limit {
			out = append(out, e)
		}
	}
	return out, nil
}

func (j *memJournal) Exists(_ context.Context, id conversation.ConversationID) (bool, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.mu.logs[id] != nil, nil
}

func (j *memJournal) Since(_ context.Context, at time.Time, cursor string, limit int) ([]conversation.Head, string, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	ids := slices.SortedFunc(maps.Keys(j.mu.logs), func(a, b conversation.ConversationID) int { return slices.Compare(a[:], b[:]) })
	var out []conversation.Head
	for _, id := range ids {
		if h := headOf(id, j.mu.logs[id]); !h.LastActivity.Before(at) && id.String() > cursor {
			if len(out) == limit {
				return out, out[limit-1].ID.String(), nil
			}
			out = append(out, h)
		}
	}
	return out, "", nil
}

func (j *memJournal) Doc(_ context.Context, kind, id string) ([]byte, uint64, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.mu.broken {
		return nil, 0, errBroken
	}
	return j.mu.docs[kind+id], j.mu.vers[kind+id], nil
}

func (j *memJournal) PutDoc(_ context.Context, kind, id string, expect uint64, data []byte) (uint64, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.mu.vers[kind+id] != expect {
		return 0, conversation.Refuse(conversation.CodeConflict, "another version")
	}
	j.mu.vers[kind+id]++
	j.mu.docs[kind+id] = slices.Clone(data)
	return j.mu.vers[kind+id], nil
}

func headOf(id conversation.ConversationID, log []conversation.Entry) conversation.Head {
	last := log[len(log)-1]
	return conversation.Head{ID: id, Inbox: "shop", Contact: conversation.ContactID(id), LastActivity: last.At, Version: last.Seq}
}

// put stores a conversation and gives its commit.
func (j *memJournal) put(n byte, l *talk, at time.Time) *conversation.Commit {
	id := conversation.ConversationID{n}
	log := slices.Clone(l.log)
	for i := range log {
		log[i].At = at.Add(time.Duration(i) * time.Second)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.mu.logs[id] = log
	return &conversation.Commit{ID: id, Entries: log, Head: headOf(id, log)}
}

type oneInbox struct {
	mu struct {
		sync.Mutex
		inbox conversation.Inbox
	}
}

func (d *oneInbox) Inbox(id conversation.InboxID) (conversation.Inbox, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if id != d.mu.inbox.ID {
		return conversation.Inbox{}, conversation.ErrNotFound
	}
	return d.mu.inbox, nil
}

func (d *oneInbox) Inboxes() []conversation.Inbox {
	in, _ := d.Inbox("shop")
	return []conversation.Inbox{in}
}

const shopPack = `colloquy: 1
pack: shop
lang: en
intents:
  - id: order_status
    title: Where is my order
    ask: [where is my order, has my parcel been shipped, track my order, order status please, when will it arrive]
    answer: On its way.
  - id: payment_failed
    title: Payment failed
    ask: [my payment failed, the card was declined, I cannot pay, paying does not work, checkout error]
    answer: Try another card.
`

// editorOf remembers what it was told to add.
type editorOf struct {
	edits []Edit
	err   error
}

func (e *editorOf) EditPacks(_ context.Context, _ []string, _ conversation.AgentID, edits []Edit) error {
	if e.err == nil {
		e.edits = append(e.edits, edits...)
	}
	return e.err
}

// rig is one node's keeper over a shared journal.
type rig struct {
	*Keeper

	t       *testing.T
	journal *memJournal
	dir     *oneInbox
	library *intent.Library
	editor  *editorOf
	now     time.Time
	reg     *prometheus.Registry
}

func newRig(t *testing.T, j *memJournal, owns bool) *rig {
	t.Helper()
	l, err := intent.Open(intent.Options{Builtin: fstest.MapFS{"shop/pack.yaml": {Data: []byte(shopPack)}}})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, journal: j, dir: &oneInbox{}, library: l, editor: &editorOf{}, now: testDay, reg: prometheus.NewRegistry()}
	r.dir.mu.inbox = conversation.Inbox{ID: "shop", Lang: "en", Packs: []string{"shop"}}
	r.Keeper, err = New(Options{
		Journal: j, Library: l, Directory: r.dir, Editor: r.editor, Registerer: r.reg,
		Owns: func(conversation.InboxID) bool { return owns }, Now: func() time.Time { return r.now },
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// pass lets time pass and the keeper look.
func (r *rig) pass(d time.Duration) {
	r.t.Helper()
	r.now = r.now.Add(d)
	r.look(r.t.Context())
}

func (r *rig) inbox() conversation.Inbox { in, _ := r.dir.Inbox("shop"); return in }

func (r *rig) suggestions() []conversation.Suggestion {
	r.t.Helper()
	all, err := r.Suggestions(r.t.Context(), r.inbox())
	if err != nil {
		r.t.Fatal(err)
	}
	return all
}

func (r *rig) shift() float64 { return r.library.Shift("shop", []string{"shop"}) }

// missedTalk is a conversation that ended at a human, who answered.
func missedTalk(text, reply string) *talk {
	return newTalk().visitor(text).askedBack(0.2).handover(conversation.HandoverAbstained).agent(reply)
}

func wrongTalk() *talk {
	return newTalk().visitor("can I pay by cheque").answered("payment_failed", 0.95).judged(4, conversation.PartyAgent, conversation.VerdictWrong, "")
}

func TestVerdictsReachThePacks(t *testing.T) {
	t.Parallel()
	r := newRig(t, newMemJournal(), true)
	r.pass(0)
	if r.shift() != 0 {
		t.Fatalf("shift %v of nothing", r.shift())
	}
	for n := range byte(40) {
		r.Committed(r.journal.put(n+1, wrongTalk(), r.now))
	}
	r.pass(time.Second)
	if s := r.shift(); s > -1 {
		t.Errorf("shift %.2f after 40 wrong answers", s)
	}
	if got := testutil.ToFloat64(r.metrics.judged.WithLabelValues("shop", "wrong")); got != 40 {
		t.Errorf("%v judged wrong, want 40", got)
	}
	// The inbox gets other packs: what was judged says nothing about them.
	r.dir.mu.Lock()
	r.dir.mu.inbox.Packs = []string{"shop", "shop2"}
	r.dir.mu.Unlock()
	r.pass(time.Second)
	if s := r.library.Shift("shop", []string{"shop", "shop2"}); s != 0 {
		t.Errorf("shift %.2f with other packs", s)
	}
}

func TestSilenceIsASignOnlyLater(t *testing.T) {
	t.Parallel()
	r := newRig(t, newMemJournal(), true)
	r.pass(0)
	r.Committed(r.journal.put(1, newTalk().visitor("where is it").answered("order_status", 0.95), r.now))
	r.pass(10 * time.Minute)
	if n := len(r.mu.books["shop"].Answers); n != 0 {
		t.Errorf("%d answers are judged after 10 minutes", n)
	}
	r.pass(25 * time.Minute)
	if b := r.mu.books["shop"]; len(b.Answers) != 1 || !b.Answers[0].Right {
		t.Errorf("after 35 minutes the book holds %+v", b.Answers)
	}
}

// TestEveryNodeHasTheSameBook: a second node that sees all commits, a third that
// starts later, and the first after a restart know the same.
func TestEveryNodeHasTheSameBook(t *testing.T) {
	t.Parallel()
	j := newMemJournal()
	a, b := newRig(t, j, true), newRig(t, j, false)
	a.pass(0)
	b.pass(0)
	for n := range byte(30) {
		l := missedTalk(fmt.Sprintf("do you sell gift cards no %d", n), "yes")
		if n%3 == 0 {
			l = wrongTalk()
		}
		c := j.put(n+1, l, a.now)
		a.Committed(c)
		b.Committed(c)
		b.Committed(c) // twice is once
	}
	a.pass(2 * time.Minute)
	b.pass(2 * time.Minute)
	if j.mu.vers[docBook+"shop"] == 0 {
		t.Fatal("the owner has not written its book down")
	}
	if len(j.mu.docs) != 1 || j.mu.vers[docBook+"shop"] != 1 {
		t.Errorf("written: %v", j.mu.vers)
	}
	// What the book does not hold yet is read again.
	last := j.put(99, wrongTalk(), a.now)
	a.Committed(last)
	b.Committed(last)
	a.pass(time.Second)
	b.pass(time.Second)
	c := newRig(t, j, false)
	c.now = a.now
	c.pass(0)
	want, _ := a.mu.books["shop"].encode(testDay)
	for name, r := range map[string]*rig{"the second node": b, "a new node": c} {
		got, _ := r.mu.books["shop"].encode(testDay)
		if string(got) != string(want) || r.shift() != a.shift() {
			t.Errorf("%s knows\n%s\nwant\n%s", name, got, want)
		}
	}
	// Commits that went by are made up for.
	missed := j.put(100, wrongTalk(), a.now)
	_ = missed
	b.Lost()
	b.pass(time.Second)
	if n := len(b.mu.books["shop"].Answers); n != 12 {
		t.Errorf("%d answers after the stream was lost, want 12", n)
	}
	// Another node takes the inbox over.
	d := newRig(t, j, true)
	d.now = a.now
	d.pass(0)
	a.pass(2 * time.Minute)
	d.pass(2 * time.Minute)
	if got := testutil.ToFloat64(d.metrics.failures); got != 0 {
		t.Errorf("%v failures of the new owner", got)
	}
}

func TestJournalInTroubleIsTriedAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, newMemJournal(), true)
	r.journal.mu.broken = true
	r.pass(0)
	if r.loaded {
		t.Fatal("nothing was read, and it counts as read")
	}
	r.journal.mu.broken = false
	r.pass(time.Second)
	r.journal.mu.broken = true
	for n := range byte(5) {
		r.Committed(r.journal.put(n+1, wrongTalk(), r.now))
	}
	r.pass(time.Second)
	r.journal.mu.broken = false
	r.pass(time.Second)
	if n := len(r.mu.books["shop"].Answers); n != 5 {
		t.Errorf("%d of 5 conversations were read again", n)
	}
	if testutil.ToFloat64(r.metrics.failures) != 2 {
		t.Errorf("%v failures are counted, want 2", testutil.ToFloat64(r.metrics.failures))
	}
}

// TestDeletedConversationsLeave: with the conversation goes what it taught,
// here at once and from what is written down within a minute.
func TestDeletedConversationsLeave(t *testing.T) {
	t.Parallel()
	j := newMemJournal()
	r := newRig(t, j, true)
	r.pass(0)
	for n := range byte(3) {
		r.Committed(j.put(n+1, missedTalk("do you sell gift cards", "yes"), r.now))
	}
	r.pass(2 * time.Minute)
	if !strings.Contains(string(j.mu.docs[docBook+"shop"]), "gift cards") {
		t.Fatal("nothing is written down, so that the test shows nothing")
	}
	r.Forget(conversation.ConversationID{1})
	if n := len(r.mu.books["shop"].Missed); n != 2 {
		t.Errorf("%d texts after Forget, want 2", n)
	}
	j.mu.Lock()
	clear(j.mu.logs)
	j.mu.Unlock()
	r.pass(2 * time.Minute)
	if len(r.suggestions()) != 0 || strings.Contains(string(j.mu.docs[docBook+"shop"]), "gift cards") {
		t.Errorf("texts of deleted conversations are still there: %s", j.mu.docs[docBook+"shop"])
	}
}

func TestTextsAge(t *testing.T) {
	t.Parallel()
	r := newRig(t, newMemJournal(), true)
	r.pass(0)
	r.Committed(r.journal.put(1, missedTalk("do you sell gift cards", "yes"), r.now))
	r.Committed(r.journal.put(2, wrongTalk(), r.now))
	r.pass(2 * time.Minute)
	if len(r.mu.books["shop"].Missed) != 2 || len(r.mu.books["shop"].Answers) != 1 {
		t.Fatalf("the book holds %+v", r.mu.books["shop"])
	}
	r.pass(missedFor)
	if len(r.mu.books["shop"].Missed) != 0 || len(r.mu.books["shop"].Answers) != 1 {
		t.Errorf("after a month the book holds %+v", r.mu.books["shop"])
	}
	r.pass(answersFor)
	if len(r.mu.books["shop"].Answers) != 0 {
		t.Errorf("after four months the book holds %+v", r.mu.books["shop"])
	}
}

func TestBooksAreBounded(t *testing.T) {
	t.Parallel()
	b := &book{}
	long := strings.Repeat("很长的一句话", 300)
	for n := range maxAnswers + 500 {
		id := conversation.ConversationID{byte(n >> 8), byte(n)}
		b.Answers = append(b.Answers, Answer{Conversation: id, At: testDay.Add(time.Duration(n) * time.Second)})
		b.Missed = append(b.Missed, Missed{Conversation: id, At: testDay, Text: mask(long), Answer: mask(long)})
	}
	b.trim(testDay.Add(time.Hour))
	if len(b.Answers) != maxAnswers || len(b.Missed) != maxMissed || b.Answers[0].At.Equal(testDay) {
		t.Errorf("%d answers and %d texts", len(b.Answers), len(b.Missed))
	}
	for i := range b.Missed {
		b.Missed[i].Text = long // as a newer version might have kept
	}
	raw, err := b.encode(testDay)
	if err != nil || len(raw) > maxBookBytes {
		t.Errorf("encode gives %d bytes, %v", len(raw), err)
	}
	k := newRig(t, newMemJournal(), true)
	for n := range maxWaiting + 10 {
		id := conversation.ConversationID{byte(n >> 16), byte(n >> 8), byte(n)}
		k.Committed(&conversation.Commit{ID: id, Entries: []conversation.Entry{{Event: conversation.ReplyComposed{}}, {Event: conversation.AnswerJudged{}}}})
	}
	if len(k.mu.waiting) != maxWaiting || len(k.mu.dirty) != maxDirty {
		t.Errorf("%d waiting, %d dirty", len(k.mu.waiting), len(k.mu.dirty))
	}
}

func TestSuggestions(t *testing.T) {
	t.Parallel()
	j := newMemJournal()
	r := newRig(t, j, true)
	r.pass(0)
	for n, l := range []*talk{
		missedTalk("do you sell gift cards", "Yes, from 10 to 200 euros."),
		missedTalk("Can I buy a gift card?", "Yes, gift cards from 10 to 200 euros."),
		missedTalk("do you sell GIFT CARDS?", "We do: from 10 to 200 euros, by mail."),
		missedTalk("is there a student discount", "10 % with a student card."),
		missedTalk("student discounts?", "10 %"),
		missedTalk("?", "pardon"), // asks nothing
		newTalk().visitor("can I pay by cheque 4711081542").answered("payment_failed", 0.95).judged(4, conversation.PartyAgent, conversation.VerdictWrong, "order_status"),
	} {
		r.Committed(j.put(byte(n+1), l, r.now.Add(time.Duration(n)*time.Second)))
	}
	// One visitor asks ten times.
	again := newTalk()
	for range 10 {
		again.visitor("student discounts please").askedBack(0.1)
	}
	r.Committed(j.put(50, again.handover(conversation.HandoverAbstained), r.now))
	r.pass(time.Minute)
	all := r.suggestions()
	if len(all) != 3 {
		t.Fatalf("%d suggestions: %+v", len(all), all)
	}
	gift, student, cheque := all[0], all[1], all[2]
	if !strings.Contains(string(gift.Examples[0]), "gift") {
		gift, student = student, gift
	}
	if gift.Visitors != 3 || gift.Texts != 3 || len(gift.Examples) != 2 || !strings.Contains(string(gift.Answer), "from 10 to 200") {
		t.Errorf("gift cards: %+v", gift)
	}
	if student.Visitors != 3 || student.Texts != 12 {
		t.Errorf("student discount: %d visitors, %d texts", student.Visitors, student.Texts)
	}
	if cheque.Taken != "payment_failed" || cheque.Right != "order_status" || cheque.Reasons[conversation.MissedWrong] != 1 ||
		cheque.Examples[0] != "can I pay by cheque 0000000000" || len(cheque.Nearest) == 0 {
		t.Errorf("cheque: %+v", cheque)
	}

	in, ctx := r.inbox(), t.Context()
	if err := r.Accept(ctx, in, gift.ID, "mei", conversation.Acceptance{Intent: "gift_cards"}); !errors.Is(err, conversation.ErrInvalid) {
		t.Errorf("a new intent without an answer = %v", err)
	}
	if err := r.Accept(ctx, in, gift.ID, "mei", conversation.Acceptance{}); !errors.Is(err, conversation.ErrInvalid) {
		t.Errorf("nothing to do = %v", err)
	}
	if err := r.Accept(ctx, in, gift.ID, "mei", conversation.Acceptance{Intent: "order_status", Texts: []conversation.Text{"rm -rf"}}); !errors.Is(err, conversation.ErrInvalid) {
		t.Errorf("a text of somebody else = %v", err)
	}
	r.editor.err = conversation.Refuse(conversation.CodeInvalid, "pack.yaml:3: no")
	accept := conversation.Acceptance{Intent: "gift_cards", Title: "Gift cards", Answer: "Yes.", Texts: gift.Examples[:1]}
	if err := r.Accept(ctx, in, gift.ID, "mei", accept); !errors.Is(err, conversation.ErrInvalid) || len(r.suggestions()) != 3 {
		t.Errorf("a pack that would be bad = %v, %d suggestions left", err, len(r.suggestions()))
	}
	r.editor.err = nil
	if err := r.Accept(ctx, in, gift.ID, "mei", accept); err != nil {
		t.Fatal(err)
	}
	if err := r.Accept(ctx, in, cheque.ID, "mei", conversation.Acceptance{Intent: "order_status", NotTaken: true}); err != nil {
		t.Fatal(err)
	}
	want := []Edit{
		{Intent: "gift_cards", Lang: "en", Ask: []string{string(gift.Examples[0])}, Title: "Gift cards", Answer: "Yes."},
		{Intent: "order_status", Lang: "en", Ask: []string{"can I pay by cheque 0000000000"}},
		{Intent: "payment_failed", Lang: "en", Not: []string{"can I pay by cheque 0000000000"}},
	}
	if fmt.Sprint(r.editor.edits) != fmt.Sprint(want) {
		t.Errorf("edits %+v,\nwant %+v", r.editor.edits, want)
	}
	if err := r.Dismiss(ctx, in, student.ID); err != nil {
		t.Fatal(err)
	}
	if err := r.Dismiss(ctx, in, student.ID); !errors.Is(err, conversation.ErrNotFound) {
		t.Errorf("a second Dismiss = %v", err)
	}
	left := r.suggestions()
	if len(left) != 1 || len(left[0].Examples) != 1 || left[0].Examples[0] == gift.Examples[0] {
		t.Errorf("left: %+v, want the text that was not taken", left)
	}
	// What was dismissed stays so on other nodes, and for who asks the same later.
	other := newRig(t, j, false)
	other.now = r.now
	other.Committed(j.put(60, missedTalk("Is there a student discount?", "no"), r.now))
	other.pass(0)
	if n := len(other.suggestions()); n != 1 {
		t.Errorf("another node has %d suggestions, want 1", n)
	}
	r.o.Editor = nil
	if err := r.Accept(ctx, in, left[0].ID, "mei", accept); !errors.Is(err, conversation.ErrUnavailable) || r.Editable() {
		t.Errorf("without an editor = %v", err)
	}
}

func TestStateFollowsThePolicy(t *testing.T) {
	t.Parallel()
	in := conversation.Inbox{ID: "shop", Packs: []string{"shop"}}
	for name, tc := range map[string]struct {
		change func(*conversation.Inbox)
		proven bool
		want   bool
	}{
		"proven":           {func(*conversation.Inbox) {}, true, true},
		"not proven":       {func(*conversation.Inbox) {}, false, false},
		"on":               {func(i *conversation.Inbox) { i.Policy.Answers = conversation.AnswersOn }, false, true},
		"off":              {func(i *conversation.Inbox) { i.Policy.Answers = conversation.AnswersOff }, true, false},
		"silent":           {func(i *conversation.Inbox) { i.Policy.Silent = true }, true, false},
		"without any pack": {func(i *conversation.Inbox) { i.Packs = nil }, true, false},
	} {
		i := in
		tc.change(&i)
		if got := stateOf(i, tc.proven, "because"); got.ByItself != tc.want || got.Answers == "" || got.Reason == "" {
			t.Errorf("%s: %+v, want %v", name, got, tc.want)
		}
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	r := newRig(t, newMemJournal(), true)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Run(ctx); err != nil {
		t.Errorf("Run = %v", err)
	}
	if _, err := New(Options{}); err == nil {
		t.Error("New without a journal is no error")
	}
}
