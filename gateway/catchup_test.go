package gateway

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway/wire"
)

// lagging is a node's copy of the journal that shows conversations up to a
// version only, until somebody asks their owner.
type lagging struct {
	*memoryStore

	mu    sync.Mutex
	shown map[conversation.ConversationID]conversation.Seq
	stuck bool // it does not catch up
	asked int
}

func (l *lagging) hide(id conversation.ConversationID, above conversation.Seq) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shown[id] = above
}

func (l *lagging) limit(id conversation.ConversationID) (conversation.Seq, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	v, hidden := l.shown[id]
	return v, hidden
}

// Do implements [Conversations]. The command that changes nothing gives the
// owner's version, and waits for the copy.
func (l *lagging) Do(ctx context.Context, id conversation.ConversationID, cmd conversation.Command) (conversation.Receipt, error) {
	if cmd != (conversation.MarkDelivered{}) {
		return l.memoryStore.Do(ctx, id, cmd)
	}
	l.mu.Lock()
	l.asked++
	if !l.stuck {
		delete(l.shown, id)
	}
	l.mu.Unlock()
	head, err := l.memoryStore.Head(ctx, id)
	return conversation.Receipt{Conversation: id, Version: head.Version}, err
}

// Head implements [Journal].
func (l *lagging) Head(ctx context.Context, id conversation.ConversationID) (conversation.Head, error) {
	head, err := l.memoryStore.Head(ctx, id)
	above, hidden := l.limit(id)
	if err != nil || !hidden {
		return head, err
	}
	if above == 0 {
		return conversation.Head{}, conversation.Refuse(conversation.CodeNotFound, "not here yet")
	}
	head.Version = min(head.Version, above)
	return head, nil
}

// Current implements [Contacts].
func (l *lagging) Current(ctx context.Context, key conversation.ContactKey) (conversation.ConversationID, error) {
	id, err := l.memoryStore.Current(ctx, key)
	if above, hidden := l.limit(id); hidden && above == 0 {
		return conversation.ConversationID{}, err
	}
	return id, err
}

// Entries implements [Journal].
func (l *lagging) Entries(ctx context.Context, id conversation.ConversationID, after conversation.Seq, limit int) ([]conversation.Entry, error) {
	entries, err := l.memoryStore.Entries(ctx, id, after, limit)
	if above, hidden := l.limit(id); hidden {
		for i := range entries {
			if entries[i].Seq > above {
				return entries[:i], err
			}
		}
	}
	return entries, err
}

func startLagging(t *testing.T) (*harness, *lagging) {
	t.Helper()
	l := &lagging{shown: map[conversation.ConversationID]conversation.Seq{}}
	h := start(t, func(o *Options) {
		l.memoryStore, _ = o.Journal.(*memoryStore)
		o.Journal, o.Contacts, o.Conversations, o.Relay = l, l, l, &wireTo{}
	})
	return h, l
}

func resumeFrom(id conversation.ConversationID, seq conversation.Seq) string {
	return fmt.Sprintf(`{"t":"hello","v":1,"resume":{"epoch":"e1","cursors":{%q:%d}}}`, id, seq)
}

// A client that comes from a node which is ahead of this one loses nothing.
func TestResumeOnANodeThatIsBehind(t *testing.T) {
	t.Parallel()
	for name, shown := range map[string]conversation.Seq{"knows nothing of it": 0, "knows its beginning": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, l := startLagging(t)
			me := conversation.ContactID{1}
			id := h.store.start("shop", me)
			for i := range 4 {
				h.store.append(id, conversation.MessageAccepted{Text: conversation.Text(fmt.Sprint(i))})
			}
			l.hide(id, shown)
			c := h.visitor(me, resumeFrom(id, 3))
			c.expect("welcome")
			for _, want := range []int{4, 5} {
				if m := c.expect("event"); m.num("seq") != want {
					t.Errorf("event %v, want seq %v", m, want)
				}
			}
			if m := c.expect("resumed"); m.at("complete") != true {
				t.Errorf("resumed %v", m)
			}
			agent := h.agent("mei")
			l.hide(id, shown)
			agent.say(fmt.Sprintf(`{"t":"subscribe","ref":"s","conversation_id":%q,"after":4}`, id))
			if m := agent.expect("event"); m.num("seq") != 5 {
				t.Errorf("event %v, want seq 5", m)
			}
			agent.expect("done")
			l.hide(id, 0)
			if a := h.do(call{method: "GET", path: "/v1/conversations/" + id.String(), headers: bearerOf(h.agentToken("mei"))}); a.status != http.StatusOK {
				t.Errorf("GET of what another node has acknowledged = %d", a.status)
			}
		})
	}
}

// When the node stays behind, the client is asked to come back, not to forget.
func TestResumeOnANodeThatStaysBehind(t *testing.T) {
	t.Parallel()
	h, l := startLagging(t)
	me := conversation.ContactID{1}
	id := h.store.start("shop", me)
	h.store.append(id, conversation.MessageAccepted{Text: "x"})
	l.hide(id, 0)
	l.mu.Lock()
	l.stuck = true
	l.mu.Unlock()
	visitor := h.visitor(me, resumeFrom(id, 2))
	visitor.expect("welcome")
	if got := visitor.closeCode(); got != int(wire.CloseStale) {
		t.Errorf("closed with %d, want %d", got, wire.CloseStale)
	}
	agent := h.agent("mei")
	agent.say(fmt.Sprintf(`{"t":"subscribe","ref":"s","conversation_id":%q,"after":2}`, id))
	if got := agent.closeCode(); got != int(wire.CloseStale) {
		t.Errorf("closed with %d, want %d", got, wire.CloseStale)
	}
}

// A cursor that nobody has given out, or of somebody else, is still refused, and
// the owners are not asked without bound.
func TestForgedCursorsAreReset(t *testing.T) {
	t.Parallel()
	h, l := startLagging(t)
	me := conversation.ContactID{1}
	id := h.store.start("shop", me)
	theirs := h.store.start("shop", conversation.ContactID{2})
	cursors := fmt.Sprintf(`%q:99,%q:1`, id, theirs)
	for i := range 10 {
		cursors += fmt.Sprintf(`,%q:1`, conversation.ConversationID{0xee, byte(i)})
	}
	c := h.visitor(me, `{"t":"hello","v":1,"resume":{"epoch":"e1","cursors":{`+cursors+`}}}`)
	c.expect("welcome")
	for range 12 {
		if m := c.expect("reset"); m.str("reason") != string(wire.ResetNotAvailable) {
			t.Errorf("reset %v", m)
		}
	}
	if m := c.expect("resumed"); m.at("complete") != false {
		t.Errorf("resumed %v", m)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.asked > maxVisitorFollows/2 {
		t.Errorf("the owners were asked %d times, want at most %d", l.asked, maxVisitorFollows/2)
	}
}
