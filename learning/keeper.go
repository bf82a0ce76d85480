package learning

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// Kinds of the documents.
const (
	docBook = "intent_book" // what an inbox has learned
	docDone = "intent_done" // which texts its operator has dealt with
)

// Bounds of the keeper's work.
const (
	lookEvery  = time.Second
	maxDirty   = 10_000 // conversations to be read now; more are read when they are quiet
	maxWaiting = 50_000 // conversations to be read once they are quiet
	readAtOnce = 256    // conversations in one look
	readPage   = 500    // entries at a time
	maxEntries = 2_000  // of one conversation, the newest
	surveyPage = 200
	surveyMost = 20_000 // conversations that a start reads again

	// overlap is how much of what is in a book already is read again: longer than a
	// visitor's silence takes, and than any node is behind.
	overlap = 2 * time.Hour
	// surveyBack is how far a node looks back for an inbox that has no book yet.
	surveyBack = 7 * 24 * time.Hour
)

// Keeper keeps the books of all inboxes.
//
// Concurrency: its methods may run together; Run is called once.
type Keeper struct {
	o       Options
	log     *slog.Logger
	metrics *metrics

	mu struct {
		sync.Mutex
		books   map[conversation.InboxID]*book
		dirty   map[conversation.ConversationID]place
		waiting map[conversation.ConversationID]place
		lost    bool // commits went by unseen
	}

	// The rest belongs to Run.
	versions map[conversation.InboxID]uint64 // of the stored books
	loaded   bool
	learned  map[conversation.InboxID]string // packs that the library was told about
	told     map[conversation.InboxID]string // what was said about answering by itself
	saved    time.Time
}

// place is a conversation to be read.
type place struct {
	inbox   conversation.InboxID
	contact conversation.ContactID
	version conversation.Seq
	due     time.Time
}

// New makes a keeper. It reads nothing yet.
func New(o Options) (*Keeper, error) {
	if err := o.fill(); err != nil {
		return nil, err
	}
	k := &Keeper{
		o: o, log: o.Logger.With("component", "learning"), metrics: newMetrics(o.Registerer),
		versions: map[conversation.InboxID]uint64{}, learned: map[conversation.InboxID]string{}, told: map[conversation.InboxID]string{},
	}
	k.mu.books = map[conversation.InboxID]*book{}
	k.mu.dirty = map[conversation.ConversationID]place{}
	k.mu.waiting = map[conversation.ConversationID]place{}
	k.mu.lost = true // nothing has been seen yet
	return k, nil
}

// Committed takes a commit of the node's apply stream. It does not block.
func (k *Keeper) Committed(c *conversation.Commit) {
	if c.Head.Erased {
		k.Forget(c.ID)
		return
	}
	now, later := concerns(c.Entries)
	if !now && !later {
		return
	}
	p := place{inbox: c.Head.Inbox, contact: c.Head.Contact, version: c.Head.Version, due: k.o.Now().Add(quietFor + time.Minute)}
	k.mu.Lock()
	defer k.mu.Unlock()
	if now {
		k.note(c.ID, p)
	}
	if _, known := k.mu.waiting[c.ID]; !known && len(k.mu.waiting) >= maxWaiting {
		k.metrics.dropped.Inc()
		return
	}
	k.mu.waiting[c.ID] = p
}

// note has a conversation read soon; the lock is held.
func (k *Keeper) note(id conversation.ConversationID, p place) {
	if _, known := k.mu.dirty[id]; !known && len(k.mu.dirty) >= maxDirty {
		k.metrics.dropped.Inc()
		return
	}
	k.mu.dirty[id] = p
}

// Lost says that commits went by without [Keeper.Committed].
func (k *Keeper) Lost() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.mu.lost = true
}

// Forget takes out of the books what a conversation gave, for a conversation
// that is erased. Every node does so, and the stored book follows within a minute.
func (k *Keeper) Forget(id conversation.ConversationID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.mu.dirty, id)
	delete(k.mu.waiting, id)
	for _, b := range k.mu.books {
		b.forget(func(c conversation.ConversationID) bool { return c == id })
	}
}

// concerns reports whether entries call for a look at their conversation, at
// once or when it is quiet.
func concerns(entries []conversation.Entry) (now, later bool) {
	for i := range entries {
		switch ev := entries[i].Event.(type) { //nolint:gochecksumtype // the rest says nothing about answers
		case conversation.AnswerJudged:
			now = true
		case conversation.HandoverRequested:
			now = now || ev.Reason != conversation.HandoverNoBot
		case conversation.ReplyComposed, conversation.AgentReplied:
			later = true
		}
	}
	return now, later
}

// Run keeps the books until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		k.look(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// look does what there is to do.
func (k *Keeper) look(ctx context.Context) {
	k.survey(ctx)
	k.readNoted(ctx)
	k.tellLibrary()
	now := k.o.Now()
	if k.saved.IsZero() {
		k.saved = now
	}
	if now.Sub(k.saved) >= k.o.SaveEvery {
		k.saved = now
		k.sweep(ctx)
		k.save(ctx)
	}
}

// survey reads the books that are not known yet, and notes the conversations
// that may hold more than what is in them.
func (k *Keeper) survey(ctx context.Context) {
	k.mu.Lock()
	lost := k.mu.lost
	k.mu.lost = false
	k.mu.Unlock()
	if !lost {
		return
	}
	now := k.o.Now()
	since := now
	for _, in := range k.o.Directory.Inboxes() {
		at, err := k.load(ctx, in.ID)
		if err != nil {
			k.failed(ctx, "book not read", in.ID, err)
			k.Lost()
			return
		}
		if at.Before(now.Add(-surveyBack)) {
			at = now.Add(-surveyBack)
		}
		if at.Before(since) {
			since = at
		}
	}
	if err := k.noteSince(ctx, since.Add(-overlap)); err != nil {
		k.failed(ctx, "conversations not listed", "", err)
		k.Lost()
		return
	}
	k.loaded = true
}

// load takes a book over from the journal, if this node has none of the inbox,
// and says up to when it is complete.
func (k *Keeper) load(ctx context.Context, inbox conversation.InboxID) (time.Time, error) {
	raw, version, err := k.o.Journal.Doc(ctx, docBook, string(inbox))
	if err != nil {
		return time.Time{}, err
	}
	var stored book
	if version > 0 {
		if err := json.Unmarshal(raw, &stored); err != nil {
			// Written by a newer version, or damaged: it is made anew.
			k.failed(ctx, "book not understood", inbox, err)
			stored = book{}
		}
	}
	k.versions[inbox] = version
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.mu.books[inbox] == nil {
		stored.fresh = true
		k.mu.books[inbox] = &stored
	}
	return stored.SavedAt, nil
}

func (k *Keeper) noteSince(ctx context.Context, since time.Time) error {
	cursor := ""
	for n := 0; n < surveyMost; {
		heads, next, err := k.o.Journal.Since(ctx, since, cursor, surveyPage)
		if err != nil {
			return err
		}
		k.mu.Lock()
		for i := range heads {
			h := &heads[i]
			p := place{inbox: h.Inbox, contact: h.Contact, version: h.Version, due: h.LastActivity.Add(quietFor + time.Minute)}
			if len(k.mu.dirty) < maxDirty {
				k.mu.dirty[h.ID] = p
			}
			if p.due.After(k.o.Now()) && len(k.mu.waiting) < maxWaiting {
				k.mu.waiting[h.ID] = p
			}
		}
		k.mu.Unlock()
		n += len(heads)
		if cursor = next; next == "" {
			break
		}
	}
	return nil
}

// take gives the conversations to be read now.
func (k *Keeper) take() map[conversation.ConversationID]place {
	now := k.o.Now()
	k.mu.Lock()
	defer k.mu.Unlock()
	out := map[conversation.ConversationID]place{}
	for id, p := range k.mu.dirty {
		if len(out) == readAtOnce {
			return out
		}
		out[id] = p
		delete(k.mu.dirty, id)
	}
	for id, p := range k.mu.waiting {
		if len(out) == readAtOnce {
			return out
		}
		if !p.due.After(now) {
			out[id] = p
			delete(k.mu.waiting, id)
		}
	}
	return out
}

func (k *Keeper) readNoted(ctx context.Context) {
	var trouble error
	for id, p := range k.take() {
		if trouble == nil {
			if trouble = k.read(ctx, id, p); trouble == nil {
				continue
			}
			k.failed(ctx, "conversation not read", p.inbox, trouble)
		}
		// The journal has trouble; the next look tries this one and the rest again.
		k.mu.Lock()
		k.note(id, p)
		k.mu.Unlock()
	}
}

// read puts into the book what a conversation gives.
func (k *Keeper) read(ctx context.Context, id conversation.ConversationID, p place) error {
	in, err := k.o.Directory.Inbox(p.inbox)
	if err != nil {
		return nil // the inbox is gone, and its book with it
	}
	log, err := k.entries(ctx, id, p.version-min(p.version, maxEntries))
	if err != nil {
		return err
	}
	k.metrics.reads.Inc()
	answers, missed := read(id, p.contact, log, k.o.Now())
	k.mu.Lock()
	defer k.mu.Unlock()
	b := k.mu.books[p.inbox]
	if b == nil {
		b = &book{}
		k.mu.books[p.inbox] = b
	}
	b.replace(id, answers, missed, packsKey(in.Packs))
	b.trim(k.o.Now())
	return nil
}

// packsKey names a combination of packs.
func packsKey(packs []string) string { return strings.Join(packs, ",") }

// tellLibrary brings what was learned to the packs, and says when an inbox
// begins or ceases to answer by itself.
func (k *Keeper) tellLibrary() {
	for _, in := range k.o.Directory.Inboxes() {
		if !in.ServesBot() {
			continue
		}
		key := packsKey(in.Packs)
		k.mu.Lock()
		b := k.mu.books[in.ID]
		if b == nil {
			b = &book{fresh: true}
			k.mu.books[in.ID] = b
		}
		missed := len(b.Missed)
		if b.fresh || k.learned[in.ID] != key {
			b.fresh = false
			k.learned[in.ID] = key
			k.o.Library.Learn(in.ID, in.Packs, b.tally(key))
		}
		k.mu.Unlock()
		k.tell(in, missed)
	}
}

func (k *Keeper) tell(in conversation.Inbox, missed int) {
	s := k.o.Library.Standing(in.ID, in.Packs, in.Policy.Auto)
	state := stateOf(in, s.Proven, s.Reason)
	value := 0.0
	if state.ByItself {
		value = 1
	}
	name := string(in.ID)
	k.metrics.byItself.WithLabelValues(name).Set(value)
	k.metrics.shift.WithLabelValues(name).Set(s.Shift)
	k.metrics.judged.WithLabelValues(name, string(conversation.VerdictRight)).Set(s.Right)
	k.metrics.judged.WithLabelValues(name, string(conversation.VerdictWrong)).Set(s.Judged - s.Right)
	k.metrics.missed.WithLabelValues(name).Set(float64(missed))
	now := fmt.Sprint(state.Answers, state.ByItself, s.Measured)
	if k.told[in.ID] == now {
		return
	}
	k.told[in.ID] = now
	k.log.Info("whether the bot answers by itself", "inbox", name, "by_itself", state.ByItself, "policy", string(state.Answers), "reason", state.Reason)
}

// stateOf says what an inbox's policy comes to.
func stateOf(in conversation.Inbox, proven bool, reason string) conversation.IntentState {
	s := conversation.IntentState{Inbox: in.ID, Answers: in.Policy.Answers, Reason: reason}
	if s.Answers == "" {
		s.Answers = conversation.AnswersProven
	}
	switch {
	case !in.ServesBot():
		s.Reason = "the inbox has no packs"
	case in.Policy.Silent:
		s.Reason = "the inbox is silent: every turn goes to humans"
	case s.Answers == conversation.AnswersOn:
		s.ByItself = true
	case s.Answers == conversation.AnswersOff:
	default:
		s.ByItself = proven
	}
	return s
}

// sweep drops what is too old, and what belongs to conversations that are no
// longer there.
func (k *Keeper) sweep(ctx context.Context) {
	now := k.o.Now()
	ids := map[conversation.ConversationID]bool{}
	k.mu.Lock()
	for _, b := range k.mu.books {
		b.trim(now)
		for i := range b.Missed {
			ids[b.Missed[i].Conversation] = true
		}
		for i := range b.Answers {
			ids[b.Answers[i].Conversation] = true
		}
	}
	k.mu.Unlock()
	gone := map[conversation.ConversationID]bool{}
	for id := range ids {
		there, err := k.o.Journal.Exists(ctx, id)
		if err != nil {
			k.failed(ctx, "conversation not looked for", "", err)
			return
		}
		if !there {
			gone[id] = true
		}
	}
	if len(gone) == 0 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, b := range k.mu.books {
		b.forget(func(id conversation.ConversationID) bool { return gone[id] })
	}
}

// save writes down the changed books of the inboxes that are this node's to
// write.
func (k *Keeper) save(ctx context.Context) {
	if !k.loaded {
		return // what this node knows may be less than what is stored
	}
	for _, in := range k.o.Directory.Inboxes() {
		if !k.o.Owns(in.ID) {
			continue
		}
		k.mu.Lock()
		b := k.mu.books[in.ID]
		if b == nil || !b.changed {
			k.mu.Unlock()
			continue
		}
		raw, err := b.encode(k.o.Now())
		b.changed = false
		k.mu.Unlock()
		if err == nil {
			err = k.put(ctx, in.ID, raw)
		}
		if err != nil {
			k.failed(ctx, "book not written", in.ID, err)
			k.mu.Lock()
			b.changed = true
			k.mu.Unlock()
		}
	}
}

func (k *Keeper) put(ctx context.Context, inbox conversation.InboxID, raw []byte) error {
	version, err := k.o.Journal.PutDoc(ctx, docBook, string(inbox), k.versions[inbox], raw)
	if errors.Is(err, conversation.ErrConflict) {
		// Another node had the inbox meanwhile. Its book was made of the same
		// conversations.
		if _, k.versions[inbox], err = k.o.Journal.Doc(ctx, docBook, string(inbox)); err == nil {
			version, err = k.o.Journal.PutDoc(ctx, docBook, string(inbox), k.versions[inbox], raw)
		}
	}
	if err == nil {
		k.versions[inbox] = version
	}
	return err
}

func (k *Keeper) failed(ctx context.Context, what string, inbox conversation.InboxID, err error) {
	k.metrics.failures.Inc()
	if ctx.Err() == nil {
		k.log.Warn("learning goes on later", "what", what, "inbox", string(inbox), "err", err)
	}
}
