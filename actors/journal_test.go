package actors

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// memory is a journal, an index and the lists over one set of entries. It keeps
// bytes, as a disk does, and follows the rules of the contract: compare and
// append, fencing by epoch, everything of an append at once or nothing.
type memory struct {
	mu       sync.Mutex
	rows     map[conversation.ConversationID]*stored
	refs     map[refKey]place
	current  map[conversation.ContactKey]conversation.ConversationID
	appends  []conversation.Append // without state, in commit order
	saves    int                   // snapshots by SaveState
	loads    int
	pageSize int // of Heads; zero = as asked

	watch func(*conversation.Commit)                                              // called in commit order
	fault func(op string, a *conversation.Append) (verdict outcome, err error)    // asked before every operation
	check func(op string, id conversation.ConversationID, a *conversation.Append) // sees every operation, without the lock; may block or panic
}

// outcome is what a fault does to an append.
type outcome int

const (
	asUsual      outcome = iota
	notStored            // nothing happens, the error is returned
	storedAnyway         // it happens, and the error is returned
)

type refKey struct {
	contact conversation.ContactKey
	ref     conversation.Ref
}

type stored struct {
	epoch    uint64
	entries  []storedEntry
	snapshot []byte // JSON of a state
	head     conversation.Head
	outbox   []conversation.Outbound
	due      time.Time
}

type storedEntry struct {
	seq  conversation.Seq
	at   time.Time
	kind string
	data []byte
}

func newMemory() *memory {
	return &memory{
		rows: map[conversation.ConversationID]*stored{}, refs: map[refKey]place{},
		current: map[conversation.ContactKey]conversation.ConversationID{},
	}
}

func (m *memory) enter(op string, id conversation.ConversationID, a *conversation.Append) (outcome, error) {
	m.mu.Lock()
	check, fault := m.check, m.fault
	m.mu.Unlock()
	if check != nil {
		check(op, id, a)
	}
	if fault != nil {
		return fault(op, a)
	}
	return asUsual, nil
}

// failWith makes operations fail from now on; nil ends it.
func (m *memory) failWith(fault func(op string, a *conversation.Append) (outcome, error)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fault = fault
}

// see lets a test look at operations, hold them up or panic in them.
func (m *memory) see(check func(op string, id conversation.ConversationID, a *conversation.Append)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.check = check
}

func (m *memory) row(id conversation.ConversationID) *stored {
	r := m.rows[id]
	if r == nil {
		r = &stored{}
		m.rows[id] = r
	}
	return r
}

// Claim implements [Journal].
func (m *memory) Claim(_ context.Context, id conversation.ConversationID) (uint64, error) {
	if _, err := m.enter("claim", id, nil); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.row(id)
	r.epoch++
	return r.epoch, nil
}

// Exists implements [Journal].
func (m *memory) Exists(_ context.Context, id conversation.ConversationID) (bool, error) {
	if _, err := m.enter("exists", id, nil); err != nil {
		return false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.rows[id]
	return r != nil && len(r.entries) > 0, nil
}

// Load implements [Journal].
func (m *memory) Load(_ context.Context, id conversation.ConversationID) (*conversation.State, error) {
	if _, err := m.enter("load", id, nil); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.loads++
	s := &conversation.State{}
	r := m.rows[id]
	if r == nil {
		s.ID = id
		return s, nil
	}
	if r.snapshot != nil {
		if err := json.Unmarshal(r.snapshot, s); err != nil {
			return nil, err
		}
	}
	s.ID = id
	for _, e := range r.entries {
		if e.seq <= s.Version {
			continue
		}
		ev, err := conversation.DecodeEvent(e.kind, e.data)
		if err != nil {
			return nil, err
		}
		s.Apply(conversation.Entry{Seq: e.seq, At: e.at, Event: ev})
	}
	return s, nil
}

// Append implements [Journal].
func (m *memory) Append(_ context.Context, a *conversation.Append) error {
	verdict, err := m.enter("append", a.ID, a)
	if verdict == notStored {
		return err
	}
	if refusal := m.append(a); refusal != nil {
		return refusal
	}
	return err
}

func (m *memory) append(a *conversation.Append) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.row(a.ID)
	switch have := conversation.Seq(len(r.entries)); {
	case a.Epoch < r.epoch:
		return conversation.Refuse(conversation.CodeFenced, "a younger claim owns the conversation")
	case a.Expect != have:
		return conversation.Refusef(conversation.CodeVersionMismatch, "expected %d, have %d", a.Expect, have)
	}
	for _, ref := range a.Refs {
		if p, known := m.refs[refKey{a.Contact, ref.Ref}]; known && a.CheckRefs && p.conversation != a.ID {
			return conversation.Refuse(conversation.CodeVersionMismatch, "the ref is stored for another conversation")
		}
	}
	for i, e := range a.Entries {
		if want := a.Expect + conversation.Seq(i) + 1; e.Seq != want {
			return fmt.Errorf("entry %d has seq %d, want %d", i, e.Seq, want)
		}
		data, err := json.Marshal(e.Event)
		if err != nil {
			return err
		}
		r.entries = append(r.entries, storedEntry{e.Seq, e.At, e.Event.Kind(), data})
	}
	if a.State != nil {
		if err := r.save(a.State); err != nil {
			return err
		}
	}
	r.head, r.due = a.Head, a.NextDue
	r.outbox = slices.DeleteFunc(append(r.outbox, a.Outbox...), func(o conversation.Outbound) bool {
		return slices.Contains(a.Settled, o.Row())
	})
	if len(a.Entries) > 0 && a.Expect == 0 {
		m.current[a.Contact] = a.ID
	}
	for _, ref := range a.Refs {
		m.refs[refKey{a.Contact, ref.Ref}] = place{a.ID, ref.Seq}
	}
	kept := *a
	kept.State = nil
	m.appends = append(m.appends, kept)
	if m.watch != nil {
		m.watch(&conversation.Commit{ID: a.ID, Entries: a.Entries, Head: a.Head, Outbox: a.Outbox, Settled: a.Settled, NextDue: a.NextDue})
	}
	return nil
}

func (r *stored) save(s *conversation.State) (err error) {
	if s.Version != conversation.Seq(len(r.entries)) {
		return conversation.Refusef(conversation.CodeVersionMismatch, "a state at %d, the log is at %d", s.Version, len(r.entries))
	}
	r.snapshot, err = json.Marshal(s)
	return err
}

// SaveState implements [Journal].
func (m *memory) SaveState(_ context.Context, s *conversation.State, epoch uint64) error {
	if _, err := m.enter("save", s.ID, nil); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.row(s.ID)
	if epoch < r.epoch {
		return conversation.Refuse(conversation.CodeFenced, "a younger claim owns the conversation")
	}
	m.saves++
	return r.save(s)
}

// Current implements [Index].
func (m *memory) Current(_ context.Context, key conversation.ContactKey) (conversation.ConversationID, error) {
	if _, err := m.enter("current", conversation.ConversationID{}, nil); err != nil {
		return conversation.ConversationID{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.current[key], nil
}

// FindRef implements [Index].
func (m *memory) FindRef(_ context.Context, key conversation.ContactKey, ref conversation.Ref) (conversation.ConversationID, conversation.Seq, error) {
	if _, err := m.enter("find", conversation.ConversationID{}, nil); err != nil {
		return conversation.ConversationID{}, 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.refs[refKey{key, ref}]
	return p.conversation, p.seq, nil
}

// Entries implements [Index].
func (m *memory) Entries(_ context.Context, id conversation.ConversationID, after conversation.Seq, limit int) ([]conversation.Entry, error) {
	if _, err := m.enter("entries", id, nil); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.entries(id, after, limit)
}

func (m *memory) entries(id conversation.ConversationID, after conversation.Seq, limit int) ([]conversation.Entry, error) {
	var out []conversation.Entry
	r := m.rows[id]
	if r == nil {
		return nil, nil
	}
	for _, e := range r.entries {
		if e.seq <= after || len(out) == limit {
			continue
		}
		ev, err := conversation.DecodeEvent(e.kind, e.data)
		if err != nil {
			return nil, err
		}
		out = append(out, conversation.Entry{Seq: e.seq, At: e.at, Event: ev})
	}
	return out, nil
}

// Heads implements [Lists]: newest activity first, the cursor is the last row's
// key.
func (m *memory) Heads(_ context.Context, q HeadsQuery) ([]conversation.Head, string, error) {
	if _, err := m.enter("heads:"+q.Cursor, conversation.ConversationID{}, nil); err != nil {
		return nil, "", err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	limit := q.Limit
	if m.pageSize > 0 {
		limit = min(limit, m.pageSize)
	}
	var all []conversation.Head
	for id, r := range m.rows {
		if len(r.entries) > 0 && (q.Inboxes == nil || slices.Contains(q.Inboxes, r.head.Inbox)) && slices.Contains(q.Status, r.head.Status) &&
			!r.head.LastActivity.Before(q.Since) && (q.Only == nil || q.Only(id)) {
			all = append(all, r.head)
		}
	}
	key := func(h conversation.Head) string {
		return fmt.Sprintf("%020d%x", 1<<62-h.LastActivity.UnixMilli(), h.ID[:])
	}
	slices.SortFunc(all, func(a, b conversation.Head) int { return cmp.Compare(key(a), key(b)) })
	all = slices.DeleteFunc(all, func(h conversation.Head) bool { return key(h) <= q.Cursor })
	if len(all) > limit {
		return all[:limit], key(all[limit-1]), nil
	}
	return all, "", nil
}

// Due implements [Lists].
func (m *memory) Due(_ context.Context, until time.Time, limit int) ([]conversation.ConversationID, error) {
	if _, err := m.enter("due", conversation.ConversationID{}, nil); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []conversation.ConversationID
	for id, r := range m.rows {
		if !r.due.IsZero() && !r.due.After(until) && len(out) < limit {
			out = append(out, id)
		}
	}
	return out, nil
}

// Unsent implements [Lists]. Rows are ordered by conversation and message.
func (m *memory) Unsent(_ context.Context, cursor string, limit int) ([]conversation.Outbound, string, error) {
	rows, next := m.unsent(cursor, limit)
	if _, err := m.enter("unsent", conversation.ConversationID{}, nil); err != nil {
		return nil, "", err
	}
	return rows, next, nil // as they were before a test held the call up
}

func (m *memory) unsent(cursor string, limit int) ([]conversation.Outbound, string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.pageSize > 0 {
		limit = min(limit, m.pageSize)
	}
	var all []conversation.Outbound
	for _, r := range m.rows {
		all = append(all, r.outbox...)
	}
	key := func(o conversation.Outbound) string { return conversation.MessageID(o.Conversation, o.Row()) }
	slices.SortFunc(all, func(a, b conversation.Outbound) int { return cmp.Compare(key(a), key(b)) })
	all = slices.DeleteFunc(all, func(o conversation.Outbound) bool { return key(o) <= cursor })
	if len(all) > limit {
		return all[:limit], key(all[limit-1])
	}
	return all, ""
}

// count tells how many appends there were.
func (m *memory) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.appends)
}

// log gives a conversation's entries.
func (m *memory) log(t testing.TB, id conversation.ConversationID) []conversation.Entry {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	out, err := m.entries(id, 0, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// state folds a conversation's log from nothing.
func (m *memory) state(t testing.TB, id conversation.ConversationID) *conversation.State {
	t.Helper()
	s := &conversation.State{ID: id}
	for _, e := range m.log(t, id) {
		s.Apply(e)
	}
	return s
}

// events gives the events of one kind in a conversation's log.
func events[E conversation.Event](t testing.TB, m *memory, id conversation.ConversationID) []E {
	t.Helper()
	var out []E
	for _, e := range m.log(t, id) {
		if ev, ok := e.Event.(E); ok {
			out = append(out, ev)
		}
	}
	return out
}
