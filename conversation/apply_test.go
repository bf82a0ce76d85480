package conversation

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func origin(channel ChannelKind) Origin {
	return Origin{ID: ConversationID{1}, Inbox: "shop", Channel: channel, Contact: ContactID{2}, Peer: "77", Bot: true}
}

// pending gives a conversation whose bot has been spoken to once.
func pending(tb testing.TB, channel ChannelKind) *shell {
	tb.Helper()
	h := newShell(ConversationID{1})
	h.mustRun(tb, AcceptMessage{Origin: origin(channel), Ref: "r1", Text: "hello"})
	return h
}

// TestSlotsOverTheLimit: which slots are kept must not depend on the order in
// which a map is walked, or a recovered conversation knows other things than
// the live one did.
func TestSlotsOverTheLimit(t *testing.T) {
	t.Parallel()
	h := pending(t, ChannelWeb)
	slots := func(prefix string, n int) map[string]string {
		m := map[string]string{}
		for i := range n {
			m[fmt.Sprintf("%s%02d", prefix, i)] = prefix
		}
		return m
	}
	second := slots("b", MaxSlots-1)
	second["a00"] = "again"
	h.mustRun(t,
		CompleteTurn{Turn: 2, Outcome: Outcome{Intent: "x", Slots: slots("a", 20)}},
		AcceptMessage{Origin: origin(ChannelWeb), Text: "more"},
		CompleteTurn{Turn: 4, Outcome: Outcome{Intent: "x", Slots: second}})
	want := h.state.Dialogue.Slots
	if len(want) != MaxSlots || want["a00"] != "again" || want["a01"] != "a" {
		t.Fatalf("slots %v: want %d, known ones kept and renewed", want, MaxSlots)
	}
	for range 20 {
		if diff := cmp.Diff(want, refold(h.state.ID, h.log).Dialogue.Slots); diff != "" {
			t.Fatalf("folded again:\n%s", diff)
		}
	}
}

// TestStateStaysSmall: a conversation may go on for ever, its state may not
// grow with it.
func TestStateStaysSmall(t *testing.T) {
	t.Parallel()
	h := pending(t, ChannelWeb)
	for i := range 3 * recentRefs {
		h.mustRun(t, AcceptMessage{Origin: origin(ChannelWeb), Ref: Ref(fmt.Sprint("r", i+2)), Text: "again"})
		s := h.state
		if len(s.Recent) > 2*recentMessages || len(s.Refs) > 2*recentRefs {
			t.Fatalf("%d messages and %d refs after %d", len(s.Recent), len(s.Refs), i)
		}
		if newest := s.Recent[len(s.Recent)-1].Seq; newest != s.Version {
			t.Fatalf("newest message %d at version %d", newest, s.Version)
		}
		if i > recentMessages && len(s.Recent) < recentMessages {
			t.Fatalf("only %d messages are remembered", len(s.Recent))
		}
		if forgot := s.FindRef("r1") == 0; forgot && s.RefsComplete() {
			t.Fatalf("after %d messages the first ref is gone and the refs count as complete", i+1)
		}
		if s.FindRef(Ref(fmt.Sprint("r", i+2))) != s.Version {
			t.Fatalf("the newest ref is not known")
		}
	}
	if h.state.FindRef("r1") != 0 {
		t.Error("the refs were never trimmed")
	}
	again, err := Decide(h.state, AcceptMessage{Origin: origin(ChannelWeb), Ref: "r1", Text: "hello", Known: 2}, h.now)
	if err != nil || again.Duplicate != 2 {
		t.Errorf("what the journal knows: %+v, %v", again, err)
	}
}

// TestCloneIsApart: a copy is handed to behaviors, which may do with it as
// they like.
func TestCloneIsApart(t *testing.T) {
	t.Parallel()
	h := pending(t, ChannelTelegram)
	h.mustRun(t,
		ChangeTags{Add: []string{"b", "a"}},
		CompleteTurn{Turn: 2, Outcome: Outcome{
			Intent: "x", Slots: map[string]string{"k": "v"}, Timers: []Timer{{ID: "t", Due: h.now.Add(time.Hour)}},
			Replies: []Reply{{Text: "hi"}},
		}})
	want := refold(h.state.ID, h.log)
	c := h.state.Clone()
	if !reflect.DeepEqual(c, h.state) {
		t.Fatalf("clone differs:\n%s", cmp.Diff(h.state, c))
	}
	c.Tags[0], c.Timers[0].ID, c.Recent[0].Text, c.Refs[0].Ref, c.Unsent[0] = "z", "z", "z", "z", 99
	c.Dialogue.Slots["k"] = "z"
	c.Apply(Entry{Seq: c.Version + 1, Event: MessageSent{Message: 4, Result: DeliverySent}})
	c.Apply(Entry{Seq: c.Version + 1, Event: TimerEnded{ID: "z"}})
	if diff := cmp.Diff(want, h.state); diff != "" {
		t.Errorf("the original saw what happened to the copy:\n%s", diff)
	}
}

// TestCommandsAreNotKept: whoever sent a command may use its maps and slices
// again.
func TestCommandsAreNotKept(t *testing.T) {
	t.Parallel()
	h := newShell(ConversationID{1})
	metadata := map[string]string{"page": "/a"}
	h.mustRun(t, AcceptMessage{Origin: origin(ChannelWeb), Text: "hello", Metadata: metadata})
	add, slots, buttons := []string{"tag"}, map[string]string{"k": "v"}, []Button{{Label: "yes", Text: "yes"}}
	h.mustRun(t,
		ChangeTags{Add: add},
		CompleteTurn{Turn: 2, Outcome: Outcome{Slots: slots, Replies: []Reply{{Text: "hi", Buttons: buttons}}}})
	want := refold(h.state.ID, h.log)
	metadata["page"], add[0], slots["k"], buttons[0].Text = "z", "z", "z", "z"
	if diff := cmp.Diff(want, h.state); diff != "" {
		t.Errorf("the state saw a command change afterwards:\n%s", diff)
	}
}
