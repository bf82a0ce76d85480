package conversation

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Of an erased conversation the place is left: its message goes to a successor,
// and for every command there is no such conversation.
func TestErasedConversation(t *testing.T) {
	t.Parallel()
	at := testDay()
	s := State{ID: ConversationID{1}}
	for i, ev := range []Event{
		ConversationStarted{Inbox: "shop", Channel: ChannelTelegram, Contact: ContactID{2}, Peer: "77", Previous: ConversationID{3}, Status: StatusOpen},
		MessageAccepted{Ref: "r1", Text: "my name is Anna", Attachments: []Attachment{{ID: AttachmentID{2}, Name: "anna.png", State: AttachmentPending}}},
		TagsChanged{Added: []string{"anna"}},
		AgentAssigned{Agent: "mei"},
	} {
		s.Apply(Entry{Seq: Seq(i + 1), At: at.Add(time.Duration(i) * time.Second), Event: ev})
	}
	left := Entry{Seq: 5, At: at.Add(time.Hour), Event: s.Erased(ErasedContact, "ada")}
	s.Apply(left)
	want := State{
		ID: ConversationID{1}, Inbox: "shop", Channel: ChannelTelegram, Contact: ContactID{2}, Previous: ConversationID{3}, Version: 5,
		Status: StatusClosed, Handler: HandlerNone, Queue: QueueNone, Priority: PriorityNone, CreatedAt: left.At, LastActivity: left.At, Gone: true,
	}
	if d := cmp.Diff(want, s); d != "" {
		t.Errorf("what is left differs (-want +got):\n%s", d)
	}
	fresh := State{ID: ConversationID{1}}
	fresh.Apply(left)
	if d := cmp.Diff(want, fresh); d != "" {
		t.Errorf("the fold of what is left differs (-want +got):\n%s", d)
	}
	if h := s.Head(); !h.Erased || h.Peer != "" || h.Preview != "" || len(h.Tags) != 0 {
		t.Errorf("head %+v", h)
	}
	message := AcceptMessage{Origin: Origin{Inbox: "shop", Channel: ChannelTelegram, Contact: ContactID{2}}, Ref: "r1", Text: "hello again"}
	if _, err := Decide(&s, message, left.At); CodeOf(err) != CodeConversationClosed {
		t.Errorf("a message, even one that was stored: %v, want %s", err, CodeConversationClosed)
	}
	for _, cmd := range []Command{
		AddNote{Agent: "mei", Text: "x"},
		Claim{},
		Reopen{By: "mei"},
		RecordDelivery{Message: 2, Result: DeliverySent},
		RecordAttachment{Message: 2, Attachment: Attachment{ID: AttachmentID{2}, Name: "anna.png", State: AttachmentUnavailable}},
		MarkDelivered{UpTo: 2},
	} {
		if _, err := Decide(&s, cmd, left.At); CodeOf(err) != CodeNotFound {
			t.Errorf("%T: %v, want %s", cmd, err, CodeNotFound)
		}
	}
}

func TestRetentionBounds(t *testing.T) {
	t.Parallel()
	const day = spanDay
	for _, tc := range []struct {
		after  Span
		reopen time.Duration
		ok     bool
	}{
		{0, 0, true},
		{180 * day, 0, true},
		{Span(DefaultReopenWindow), 0, true},
		{Span(DefaultReopenWindow) - 1, 0, false},
		{day, time.Hour, true},
		{day - 1, time.Hour, false},
		{30 * day, 31 * 24 * time.Hour, false},
		{MaxRetention, 0, true},
		{MaxRetention + 1, 0, false},
		{-day, 0, false},
	} {
		if err := (Retention{ResolvedAfter: tc.after}).Validate(tc.reopen); (err == nil) != tc.ok {
			t.Errorf("%v with a reopen window of %v: %v", tc.after, tc.reopen, err)
		}
	}
}

func TestSpansInJSON(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Span{
		`"180d"`: 180 * spanDay, `"36h"`: Span(36 * time.Hour), `86400000000000`: spanDay, `"0d"`: 0, `0`: 0, `"1h30m"`: Span(90 * time.Minute),
	} {
		var r Retention
		if err := json.Unmarshal([]byte(`{"resolved_after":`+text+`}`), &r); err != nil || r.ResolvedAfter != want {
			t.Errorf("%s = %v, %v, want %v", text, r.ResolvedAfter, err, want)
		}
		b, err := json.Marshal(r)
		var back Retention
		if err != nil || json.Unmarshal(b, &back) != nil || back != r {
			t.Errorf("%s comes back as %s, %v", text, b, err)
		}
	}
	for _, text := range []string{`"180"`, `"d"`, `"1.5d"`, `"-3d"`, `"99999999d"`, `"99999999999999999999d"`, `true`, `{}`, `"`, `"six months"`} {
		var r Retention
		if err := json.Unmarshal([]byte(`{"resolved_after":`+text+`}`), &r); err == nil {
			t.Errorf("%s = %v", text, r.ResolvedAfter)
		}
	}
}
