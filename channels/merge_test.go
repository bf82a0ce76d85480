package channels_test

import (
	"strings"
	"testing"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

// Texts are joined only where the provider counts, few messages are left, and one
// piece holds them.
func TestMerge(t *testing.T) {
	t.Parallel()
	wechat := &scripted{kind: conversation.ChannelWeChat, limits: channels.Limits{MaxText: 40, Buttons: 1}}
	telegram := &scripted{kind: conversation.ChannelTelegram}
	s := channels.NewSender(newWorld(t, "", wechat, telegram).registry)
	row := func(seq conversation.Seq, count int, text string) conversation.Outbound {
		return conversation.Outbound{
			Conversation: conversation.ConversationID{1}, Message: seq, Inbox: "shop", Channel: conversation.ChannelWeChat,
			From: conversation.PartyAgent, Text: conversation.Text(text), Count: count,
		}
	}
	with := func(o conversation.Outbound, change func(*conversation.Outbound)) conversation.Outbound {
		change(&o)
		return o
	}
	for name, c := range map[string]struct {
		rows []conversation.Outbound
		n    int
		text string
	}{
		"one":                 {[]conversation.Outbound{row(3, 5, "a")}, 1, "a"},
		"enough left":         {[]conversation.Outbound{row(3, 1, "a"), row(4, 2, "b")}, 1, "a"},
		"two left":            {[]conversation.Outbound{row(3, 4, "a"), row(4, 5, "b")}, 2, "a\n\nb"},
		"more wait than left": {[]conversation.Outbound{row(3, 2, "a"), row(4, 3, "b"), row(5, 4, "c"), row(6, 5, "d"), row(7, 6, "e")}, 5, "a\n\nb\n\nc\n\nd\n\ne"},
		"one piece":           {[]conversation.Outbound{row(3, 4, "a"), row(4, 5, strings.Repeat("b", 20)), row(5, 6, strings.Repeat("c", 20))}, 2, "a\n\n" + strings.Repeat("b", 20)},
		"not with buttons":    {[]conversation.Outbound{row(3, 4, "a"), with(row(4, 5, "b"), func(o *conversation.Outbound) { o.Buttons = []conversation.Button{{Label: "x"}} })}, 1, "a"},
		"not with the bot's":  {[]conversation.Outbound{row(3, 4, "a"), with(row(4, 5, "b"), func(o *conversation.Outbound) { o.From = conversation.PartyBot })}, 1, "a"},
		"nobody counts":       {[]conversation.Outbound{with(row(3, 0, "a"), telegramOf), with(row(4, 0, "b"), telegramOf)}, 1, "a"},
		"of an older version": {[]conversation.Outbound{row(3, 0, "a"), row(4, 0, "b")}, 1, "a"},
		"the visitor wrote":   {[]conversation.Outbound{row(3, 5, "a"), row(6, 1, "b")}, 1, "a"},
		"no such inbox":       {[]conversation.Outbound{with(row(3, 4, "a"), nowhere), with(row(4, 5, "b"), nowhere)}, 1, "a"},
	} {
		out, n := s.Merge(c.rows)
		if n != c.n || string(out.Text) != c.text || len(out.Carries) != n-1 || out.Message != 3 {
			t.Errorf("%s: %d in %q, carrying %v; want %d in %q", name, n, string(out.Text), out.Carries, c.n, c.text)
		}
	}
	// One that carries others is another message than its first alone.
	alone, together := row(3, 4, "a"), with(row(3, 4, "a\n\nb"), func(o *conversation.Outbound) { o.Carries = []conversation.Seq{4} })
	for _, o := range []conversation.Outbound{alone, together} {
		if _, err := s.Send(t.Context(), o); err != nil {
			t.Error(err)
		}
	}
	if parts := wechat.parts(); len(parts) != 2 || parts[0].Key == parts[1].Key {
		t.Errorf("parts %+v", parts)
	}
}

func telegramOf(o *conversation.Outbound) { o.Channel = conversation.ChannelTelegram }
func nowhere(o *conversation.Outbound)    { o.Inbox = "nowhere" }
