package conversation

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"
)

// testDay is when the stories and the random runs begin: a Monday morning.
func testDay() time.Time { return time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC) }

// shell is the smallest owner of a conversation: it decides, stores through
// the codec, folds, and keeps the queue's books from the effects.
type shell struct {
	state *State
	now   time.Time
	log   []Entry // as read back from their JSON
	books books
}

// step is what one run of commands came to.
type step struct {
	duplicate Seq
	entries   []Entry
	effects   []Effect
	err       error
}

// next makes a command once the state is known that it meets.
type next func(s *State) Command

func newShell(id ConversationID) *shell {
	return &shell{state: &State{ID: id}, now: testDay(), books: newBooks()}
}

func (h *shell) run(c Command) (step, error) {
	return h.together(func(*State) Command { return c })
}

// together makes one append of several commands, as the grain does with a
// message and its turn. A refusal or a duplicate ends the row; what came before
// it stays. The error is about the codec or the books, never a refusal.
func (h *shell) together(row ...next) (step, error) {
	before := h.state.Head()
	var out step
	for _, n := range row {
		d, err := Decide(h.state, n(h.state), h.now)
		if err != nil {
			out.err = err
			break
		}
		if d.Duplicate != 0 {
			out.duplicate = d.Duplicate
			break
		}
		for _, ev := range d.Events {
			e := Entry{Seq: h.state.Version + 1, At: h.now, Event: ev}
			h.state.Apply(e)
			out.entries = append(out.entries, e)
		}
	}
	for _, e := range out.entries {
		back, err := throughJSON(e.Event)
		if err != nil {
			return out, fmt.Errorf("store entry %d: %w", e.Seq, err)
		}
		h.log = append(h.log, Entry{Seq: e.Seq, At: e.At, Event: back})
	}
	if len(out.entries) > 0 {
		out.effects = Effects(h.state, before, out.entries)
	}
	h.books.enter(out.entries, out.effects)
	return out, h.books.differ(h.state)
}

func throughJSON(ev Event) (Event, error) {
	data, err := json.Marshal(ev)
	if err != nil {
		return nil, err
	}
	return DecodeEvent(ev.Kind(), data)
}

// refold folds a log from nothing.
func refold(id ConversationID, log []Entry) *State {
	s := &State{ID: id}
	for _, e := range log {
		s.Apply(e)
	}
	return s
}

// recovered is the state as a snapshot gives it back.
func recovered(s *State) (*State, error) {
	data, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	var out State
	return &out, json.Unmarshal(data, &out)
}

// mustRun is for tests in which a refusal is a mistake of the test.
func (h *shell) mustRun(tb testing.TB, cs ...Command) {
	tb.Helper()
	for _, c := range cs {
		st, err := h.run(c)
		if err != nil {
			tb.Fatal(err)
		}
		if st.err != nil {
			tb.Fatalf("%T: %v", c, st.err)
		}
	}
}

// books is what the queue and the courier know, learned from effects alone.
type books struct {
	waiting map[ConversationID]EnqueueConversation
	load    map[AgentID][]ConversationID
	toSend  []Seq
	faults  []string
}

func newBooks() books {
	return books{waiting: map[ConversationID]EnqueueConversation{}, load: map[AgentID][]ConversationID{}}
}

func (b *books) enter(entries []Entry, effects []Effect) {
	for _, f := range effects {
		switch f := f.(type) {
		case EnqueueConversation:
			b.waiting[f.ID] = f
		case DequeueConversation:
			if _, ok := b.waiting[f.ID]; !ok {
				b.faults = append(b.faults, "dequeued what was not queued")
			}
			delete(b.waiting, f.ID)
		case OccupyAgent:
			if slices.Contains(b.load[f.Agent], f.ID) {
				b.faults = append(b.faults, "occupied twice: "+string(f.Agent))
			}
			b.load[f.Agent] = append(b.load[f.Agent], f.ID)
		case ReleaseAgent:
			i := slices.Index(b.load[f.Agent], f.ID)
			if i < 0 {
				b.faults = append(b.faults, "released without being occupied: "+string(f.Agent))
				continue
			}
			if b.load[f.Agent] = slices.Delete(b.load[f.Agent], i, i+1); len(b.load[f.Agent]) == 0 {
				delete(b.load, f.Agent)
			}
		case SendOutbound:
			b.toSend = append(b.toSend, f.Message.Row())
		case ClassifyUtterance, RunTimer:
		}
	}
	for _, e := range entries {
		if sent, ok := e.Event.(MessageSent); ok && sent.Result != DeliveryPending {
			b.toSend = slices.DeleteFunc(b.toSend, func(s Seq) bool { return s == cmp.Or(sent.Again, sent.Message) })
		}
	}
}

// differ compares the books with the conversation's own truth.
func (b *books) differ(s *State) error {
	if len(b.faults) > 0 {
		return fmt.Errorf("books: %v", b.faults)
	}
	row, waits := b.waiting[s.ID]
	switch {
	case waits != (s.Queue == QueueQueued):
		return fmt.Errorf("books: waiting = %t, the state says %s", waits, s.Queue)
	case waits && (row.Priority != s.Priority || !row.Since.Equal(s.QueuedAt) || row.Inbox != s.Inbox):
		return fmt.Errorf("books: %+v, the state says %s since %s", row, s.Priority, s.QueuedAt)
	}
	var has []AgentID
	if s.Assignee != "" {
		has = []AgentID{s.Assignee}
	}
	if got := slices.Sorted(maps.Keys(b.load)); !slices.Equal(got, has) {
		return fmt.Errorf("books: occupied %v, the state says %v", got, has)
	}
	if !slices.Equal(b.toSend, s.Unsent) {
		return fmt.Errorf("books: to send %v, the state says %v", b.toSend, s.Unsent)
	}
	return nil
}
