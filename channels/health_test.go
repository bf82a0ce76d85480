package channels

import (
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// The health of an account tells of the conversation with the least room in its
// window, and forgets one whose window is over.
func TestHealthTellsTheTightestWindow(t *testing.T) {
	t.Parallel()
	var h health
	now := time.Date(2026, 11, 3, 8, 0, 0, 0, time.UTC)
	sent := func(to byte, kind conversation.ChannelKind, count int, open time.Duration) {
		h.counted(&conversation.Outbound{
			Conversation: conversation.ConversationID{to}, Channel: kind, Count: count, WindowTo: now.Add(open),
		}, now)
	}
	want := func(left int, open time.Duration) {
		t.Helper()
		if h.mu.QuotaLeft == nil || *h.mu.QuotaLeft != left || !h.mu.WindowTo.Equal(now.Add(open)) {
			t.Errorf("quota %v until %v, want %d until %v", h.mu.QuotaLeft, h.mu.WindowTo, left, now.Add(open))
		}
	}
	sent(1, conversation.ChannelTelegram, 0, 0)
	if h.mu.QuotaLeft != nil {
		t.Error("a provider without a window has a quota")
	}
	sent(1, conversation.ChannelWeChat, 3, time.Hour)
	want(2, time.Hour)
	sent(2, conversation.ChannelWeChat, 1, 2*time.Hour)
	want(2, time.Hour)
	sent(2, conversation.ChannelWeChat, 5, 2*time.Hour)
	want(0, 2*time.Hour)
	sent(2, conversation.ChannelWeChat, 1, 3*time.Hour) // their visitor wrote
	want(4, 3*time.Hour)
	now = now.Add(4 * time.Hour)
	sent(3, conversation.ChannelWeChat, 1, time.Hour)
	want(4, time.Hour)
}
