package conversation

import (
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestContextIsWhatTheVisitorSaidBefore(t *testing.T) {
	t.Parallel()
	h := pending(t, ChannelWeb)
	say := func(text Text) { h.mustRun(t, AcceptMessage{Origin: origin(ChannelWeb), Text: text}) }
	h.mustRun(t, AddNote{Agent: "a1", Text: "a note"}, CompleteTurn{Turn: 2, Outcome: Outcome{Replies: []Reply{{Text: "a reply"}}}})
	say("one")
	say("two")
	say("three")
	for seq, want := range map[Seq][]Text{
		0: nil, 2: nil, 3: {"hello"}, 6: {"hello"}, 7: {"hello", "one"}, 8: {"hello", "one", "two"}, 99: {"one", "two", "three"},
	} {
		if got := h.state.Context(seq); !slices.Equal(got, want) {
			t.Errorf("Context(%d) = %q, want %q", seq, got, want)
		}
	}
}

func TestRepliesTo(t *testing.T) {
	t.Parallel()
	h := pending(t, ChannelWeb)
	h.mustRun(t,
		CompleteTurn{Turn: 2, Outcome: Outcome{Replies: []Reply{{Text: "one"}, {Text: "two"}}}},
		AcceptMessage{Origin: origin(ChannelWeb), Text: "more"},
		ReplyAsAgent{Agent: "a1", Text: "a human's"})
	var got []Text
	for _, m := range h.state.RepliesTo(2) {
		got = append(got, m.Text)
	}
	if want := []Text{"one", "two"}; !slices.Equal(got, want) {
		t.Errorf("RepliesTo(2) = %q, want %q", got, want)
	}
	if got := h.state.RepliesTo(6); len(got) != 0 {
		t.Errorf("RepliesTo(6) = %v: an agent's answer is not the bot's", got)
	}
	if m, ok := h.state.MessageAt(5); !ok || m.Text != "two" || m.InReplyTo != 2 {
		t.Errorf("MessageAt(5) = %+v, %t", m, ok)
	}
	if m, ok := h.state.MessageAt(3); ok {
		t.Errorf("MessageAt(3) = %+v: that is no message", m)
	}
}

func TestDeliveryFollowsTheMessage(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		channel ChannelKind
		command CompleteTurn
		want    Delivery
	}{
		{ChannelWeb, CompleteTurn{Turn: 2}, DeliverySent},
		{ChannelTelegram, CompleteTurn{Turn: 2}, DeliveryPending},
		{ChannelTelegram, CompleteTurn{Turn: 2, Inline: true}, DeliverySent},
	} {
		h := pending(t, tc.channel)
		tc.command.Outcome.Replies = []Reply{{Text: "hi"}}
		h.mustRun(t, tc.command)
		if m, _ := h.state.MessageAt(4); m.Delivery != tc.want {
			t.Errorf("over %s, inline %t: %q, want %q", tc.channel, tc.command.Inline, m.Delivery, tc.want)
		}
		h.mustRun(t, RecordDelivery{Message: 4, Result: DeliveryFailed})
		want := DeliveryFailed // also of one that a provider had taken
		if tc.channel == ChannelWeb {
			want = tc.want
		}
		h.mustRun(t, RecordDelivery{Message: 4, Result: DeliverySent}) // too late
		if m, _ := h.state.MessageAt(4); m.Delivery != want || len(h.state.Unsent) != 0 {
			t.Errorf("over %s after the outcome: %q, want %q; unsent %v", tc.channel, m.Delivery, want, h.state.Unsent)
		}
	}
}

func TestNextDue(t *testing.T) {
	t.Parallel()
	early, late := testDay().Add(time.Hour), testDay().Add(2*time.Hour)
	for name, tc := range map[string]struct {
		state State
		want  time.Time
	}{
		"nothing":                  {},
		"snoozed":                  {State{Status: StatusSnoozed, SnoozedUntil: late}, late},
		"timers":                   {State{Status: StatusPending, Timers: []Timer{{"a", late}, {"b", early}}}, early},
		"snoozed, timer before it": {State{Status: StatusSnoozed, SnoozedUntil: late, Timers: []Timer{{"a", early}}}, early},
		"snoozed, timer after it":  {State{Status: StatusSnoozed, SnoozedUntil: early, Timers: []Timer{{"a", late}}}, early},
	} {
		if got := tc.state.NextDue(); !got.Equal(tc.want) {
			t.Errorf("%s: NextDue() = %v, want %v", name, got, tc.want)
		}
	}
}

func TestHeadPreview(t *testing.T) {
	t.Parallel()
	long := Text(strings.Repeat("好", previewBytes))
	h := pending(t, ChannelWeb)
	h.mustRun(t, AcceptMessage{Origin: origin(ChannelWeb), Text: long}, AddNote{Agent: "a1", Text: "a note"})
	head := h.state.Head()
	if !utf8.ValidString(string(head.Preview)) || len(head.Preview) > previewBytes || len(head.Preview) < previewBytes-utf8.UTFMax {
		t.Errorf("preview of %d bytes: %q", len(head.Preview), string(head.Preview))
	}
	if !strings.HasPrefix(string(long), string(head.Preview)) || head.PreviewFrom != PartyVisitor {
		t.Errorf("preview from %s: %q", head.PreviewFrom, string(head.Preview))
	}
	if got := (&State{}).Head(); got.Preview != "" || got.Version != 0 {
		t.Errorf("the head of nothing is %+v", got)
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		text Text
		n    int
		want Text
	}{
		{"", 3, ""},
		{"abc", 3, "abc"},
		{"abcd", 3, "abc"},
		{"你好", 3, "你"},
		{"你好", 4, "你"},
		{"你好", 5, "你"},
		{"你好", 6, "你好"},
		{"你好", 2, ""},
		{"你好", 0, ""},
		{"\x80\x80\x80", 2, ""},
	} {
		if got := cut(tc.text, tc.n); got != tc.want {
			t.Errorf("cut(%q, %d) = %q, want %q", tc.text, tc.n, got, tc.want)
		}
	}
}

// TestVisibility looks at every event: only what a visitor takes part in is
// shown, and a new event is hidden until somebody decides.
func TestVisibility(t *testing.T) {
	t.Parallel()
	shown := []string{
		"ConversationStarted", "MessageAccepted", "ReplyComposed", "AgentReplied", "HandoverRequested", "AgentAssigned", "StatusChanged",
		"MessagesRead", "MessageSent", "AttachmentChanged", "ConversationErased",
	}
	for _, name := range declaredWith(t, "event.go", "event") {
		if got := VisibleToVisitor(sampleEvents()[name]); got != slices.Contains(shown, name) {
			t.Errorf("VisibleToVisitor(%s) = %t", name, got)
		}
	}
	if VisibleToVisitor(nil) {
		t.Error("nothing is visible")
	}
}

func TestInbox(t *testing.T) {
	t.Parallel()
	all, some := Inbox{}, Inbox{Channels: []ChannelKind{ChannelWeb, "pigeon"}, Packs: []string{"shop"}}
	if !all.Serves(ChannelEmail) || all.Serves("pigeon") || !some.Serves(ChannelWeb) || some.Serves(ChannelEmail) || some.Serves("pigeon") {
		t.Error("an inbox serves the known kinds that it lists, or all known kinds")
	}
	if all.ServesBot() || !some.ServesBot() {
		t.Error("an inbox has a bot if it has packs")
	}
	if got, want := len(ChannelKinds()), len(constantsOf(t, "directory.go", "ChannelKind")); got != want {
		t.Errorf("ChannelKinds lists %d of %d", got, want)
	}
}

func TestMaySee(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		agent Agent
		want  bool
	}{
		"all":              {Agent{}, true},
		"this one":         {Agent{Inboxes: []InboxID{"other", "shop"}}, true},
		"another":          {Agent{Inboxes: []InboxID{"other"}}, false},
		"disabled":         {Agent{Disabled: true}, false},
		"disabled, listed": {Agent{Disabled: true, Inboxes: []InboxID{"shop"}}, false},
		"disabled admin":   {Agent{Disabled: true, Role: RoleAdmin}, false},
	} {
		if got := tc.agent.MaySee("shop"); got != tc.want {
			t.Errorf("%s: MaySee = %t, want %t", name, got, tc.want)
		}
	}
}
