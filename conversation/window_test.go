package conversation

import (
	"errors"
	"testing"
	"time"
)

// An agent's reply outside of the provider's window is refused, and taken again
// once the visitor has written.
func TestReplyWindow(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		channel ChannelKind
		after   time.Duration
		replies int // that went before
		can     bool
		left    int // -1 = any number
	}{
		{ChannelWeChat, time.Hour, 0, true, 5},
		{ChannelWeChat, time.Hour, 4, true, 1},
		{ChannelWeChat, time.Hour, 5, false, 0},
		{ChannelWeChat, 48*time.Hour - time.Second, 0, true, 5},
		{ChannelWeCom, 48 * time.Hour, 0, false, 5},
		{ChannelWhatsApp, 23 * time.Hour, 20, true, -1},
		{ChannelWhatsApp, 24 * time.Hour, 0, false, -1},
	} {
		h := pending(t, c.channel)
		at := h.state.VisitorAt
		for range c.replies {
			h.mustRun(t, ReplyAsAgent{Agent: "a1", Text: "Hi."})
		}
		w := h.state.ReplyWindow(at.Add(c.after))
		if w == nil || w.CanReply != c.can || w.Until.Sub(at) != c.channel.Window().For || (w.Remaining == nil) != (c.left < 0) || w.Remaining != nil && *w.Remaining != c.left {
			t.Errorf("%s after %v and %d replies: %+v", c.channel, c.after, c.replies, w)
		}
		_, err := Decide(h.state, ReplyAsAgent{Agent: "a1", Text: "One more."}, at.Add(c.after))
		if (err == nil) != c.can || err != nil && (!errors.Is(err, ErrConflict) || CodeOf(err) != CodeWindowClosed) {
			t.Errorf("%s after %v and %d replies: Decide error = %v", c.channel, c.after, c.replies, err)
		}
		h.mustRun(t, AcceptMessage{Origin: origin(c.channel), Text: "still there"})
		if _, err := Decide(h.state, ReplyAsAgent{Agent: "a1", Text: "Yes."}, h.state.VisitorAt.Add(time.Minute)); err != nil {
			t.Errorf("%s after the visitor's next message: %v", c.channel, err)
		}
	}
}

// What rides on a response costs nothing.
func TestReplyWindowCountsWhatIsSent(t *testing.T) {
	t.Parallel()
	inline := pending(t, ChannelWeChat)
	inline.mustRun(t, CompleteTurn{Turn: 2, Inline: true, Outcome: Outcome{Replies: []Reply{{Text: "hi"}}}})
	if inline.state.Outgoing != 0 {
		t.Errorf("%d messages counted, want none of what rides on the response", inline.state.Outgoing)
	}
	h := pending(t, ChannelWeChat)
	h.mustRun(t, CompleteTurn{Turn: 2, Outcome: Outcome{Replies: []Reply{{Text: "hi"}, {Text: "there"}}}})
	if h.state.Outgoing != 2 {
		t.Errorf("%d messages counted, want 2", h.state.Outgoing)
	}
	if w := pending(t, ChannelTelegram).state.ReplyWindow(time.Now()); w != nil {
		t.Errorf("telegram has the window %+v", w)
	}
	old := &State{Channel: ChannelWeChat} // stored before windows were known
	if w := old.ReplyWindow(time.Now()); w != nil {
		t.Errorf("a state without the time of a message has the window %+v", w)
	}
}
