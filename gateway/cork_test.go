package gateway

import (
	"bytes"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/colloquyhq/colloquy/conversation"
)

// TestAnswersLeaveTogether: frames that come with one write are answered with
// one, or two when the kernel has cut them.
func TestAnswersLeaveTogether(t *testing.T) {
	t.Parallel()
	h := start(t, func(o *Options) { o.Loops = 1 })
	if h.gw.group.Loops() == 0 {
		t.Skip("no loops here")
	}
	c := h.visitor(conversation.ContactID{1}, hello)
	c.expect("welcome")
	c.say(stillThere)
	c.expect("pong")
	before := testutil.ToFloat64(h.gw.metrics.writes)
	c.raw(bytes.Repeat(text(`{"t":"ping","ref":"x"}`), 50))
	for range 50 {
		c.expect("pong")
	}
	if n := testutil.ToFloat64(h.gw.metrics.writes) - before; n < 1 || n > 2 {
		t.Errorf("50 answers left with %v writes, want 1", n)
	}
}

// TestEventsAreFramedOnce: all followers of a conversation share the bytes.
func TestEventsAreFramedOnce(t *testing.T) {
	t.Parallel()
	c := offline(t)
	commit := &conversation.Commit{ID: conversation.ConversationID{1}, Entries: []conversation.Entry{
		{Seq: 1, At: time.Unix(1, 0).UTC(), Event: conversation.MessageAccepted{Text: "hello"}},
	}}
	p := publication{hub: c.gw.hub, commit: commit}
	for _, frames := range []func() []seqFrame{p.forVisitors, p.forAgents} {
		one, other := frames(), frames()
		if len(one) != 1 || len(other) != 1 || &one[0].frame.bytes[0] != &other[0].frame.bytes[0] {
			t.Errorf("%d and %d frames that are not the same", len(one), len(other))
		}
	}
}

// TestPublishingYields: whoever publishes much at once lets the loops look for
// what has come meanwhile.
func TestPublishingYields(t *testing.T) {
	t.Parallel()
	h := start(t, func(o *Options) { o.Loops = 1 })
	if h.gw.group.Loops() == 0 {
		t.Skip("no loops here")
	}
	id := h.store.start("shop", conversation.ContactID{1})
	eventually(t, "the loop is called", func() bool {
		for range publishedAtOnce {
			h.store.append(id, conversation.MessageAccepted{Text: "more"})
		}
		return h.gw.group.Load()[0].Nudges > 0
	})
}
