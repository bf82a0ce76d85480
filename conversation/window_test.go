package conversation

import (
	"errors"
	"slices"
	"strings"
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
			h.mustRun(t, RecordDelivery{Message: h.state.Unsent[0], Result: DeliverySent})
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

// A file is a message of its own to the provider, and a reply of which only a part
// would be taken is refused whole.
func TestReplyWindowCountsFiles(t *testing.T) {
	t.Parallel()
	files := func(n int) []Attachment {
		out := make([]Attachment, n)
		for i := range out {
			out[i] = Attachment{ID: AttachmentID{byte(i + 1)}, Name: "a.png", Type: "image/png", Size: 1, Blob: strings.Repeat("a1", 32), State: AttachmentStored}
		}
		return out
	}
	h := pending(t, ChannelWeChat)
	now := h.state.VisitorAt
	for i, c := range []struct {
		text  Text
		files int
		left  int // afterwards; -1 = refused
	}{{"Look.", 1, 3}, {"Look.", 3, -1}, {"", 4, -1}, {"", 2, 1}, {"Look.", 1, -1}, {"Good bye.", 0, 0}} {
		reply := ReplyAsAgent{Agent: "a1", Text: c.text, Attachments: files(c.files)}
		if c.left < 0 {
			if _, err := Decide(h.state, reply, now); CodeOf(err) != CodeWindowClosed {
				t.Errorf("reply %d: %v, want it refused", i, err)
			}
			continue
		}
		h.mustRun(t, reply)
		if w := h.state.ReplyWindow(now); *w.Remaining != c.left {
			t.Errorf("reply %d: %d are left, want %d", i, *w.Remaining, c.left)
		}
	}
	mail := pending(t, ChannelTelegram)
	mail.mustRun(t, ReplyAsAgent{Agent: "a1", Text: "Look.", Attachments: files(9)})
}

// Messages that wait together cost less than one each, because they are carried
// in one, and what was carried costs nothing.
func TestReplyWindowCountsWhatIsCarried(t *testing.T) {
	t.Parallel()
	h := pending(t, ChannelWeChat)
	h.mustRun(t, Claim{Agent: "a1"})
	for range 5 {
		h.mustRun(t, ReplyAsAgent{Agent: "a1", Text: "Hi."})
	}
	now := h.state.VisitorAt
	if w := h.state.ReplyWindow(now); *w.Remaining != 3 || !w.CanReply || w.LastOne {
		t.Errorf("with five that wait: %+v, %d left", w, *w.Remaining)
	}
	first := h.state.Unsent[0]
	for _, seq := range slices.Clone(h.state.Unsent[1:]) {
		h.mustRun(t, RecordDelivery{Message: seq, Result: DeliverySent, With: first})
	}
	h.mustRun(t, RecordDelivery{Message: first, Result: DeliverySent})
	if w := h.state.ReplyWindow(now); h.state.Outgoing != 1 || *w.Remaining != 4 {
		t.Errorf("carried in one: %d counted, %d left", h.state.Outgoing, *w.Remaining)
	}
	for i := range 4 {
		if w := h.state.ReplyWindow(now); w.LastOne != (i == 3) {
			t.Errorf("with %d left: last one is %v", *w.Remaining, w.LastOne)
		}
		h.mustRun(t, ReplyAsAgent{Agent: "a1", Text: "Hi."})
		h.mustRun(t, RecordDelivery{Message: h.state.Unsent[0], Result: DeliverySent})
	}
	if w := h.state.ReplyWindow(now); w.CanReply || *w.Remaining != 0 {
		t.Errorf("used up: %+v", w)
	}
}
