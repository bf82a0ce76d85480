package conversation

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	gocmp "github.com/google/go-cmp/cmp"
)

// sampleEvents has one of each with every field set, by name of the type.
func sampleEvents() map[string]Event {
	at := testDay()
	return map[string]Event{
		"ConversationStarted": ConversationStarted{
			Inbox: "shop", Channel: ChannelWeb, Contact: ContactID{2}, Peer: "77", Previous: ConversationID{3}, Status: StatusPending,
			Handler: HandlerBot,
		},
		"MessageAccepted": MessageAccepted{Ref: "r1", Text: "hello", Metadata: map[string]string{"page": "/a"}, Tone: Tone{Anger: 0.75, Abuse: 0.5, Threat: 0.25, Deny: 0.5}, Attachments: []Attachment{
			storedFile(1), {ID: AttachmentID{2}, Name: "voice.amr", State: AttachmentPending},
		}},
		"ReplyComposed": ReplyComposed{
			InReplyTo: 2, Text: "hi", Buttons: []Button{{Label: "yes", Text: "yes, please"}}, Inline: true,
			Bot: Provenance{Intent: "x", Confidence: 0.5, Model: "m1", Behavior: "faq"},
		},
		"AgentReplied":      AgentReplied{Agent: "a1", Ref: "k1", Text: "hi", Attachments: []Attachment{storedFile(3)}},
		"AttachmentChanged": AttachmentChanged{Message: 2, Attachment: Attachment{ID: AttachmentID{2}, Name: "voice.amr", State: AttachmentUnavailable, Reason: "too_large"}},
		"NoteAdded":         NoteAdded{Agent: "a1", Ref: "n1", Text: "VIP"},
		"TurnCompleted": TurnCompleted{
			Turn: 2, Intent: "x", Confidence: 0.5, Lang: "en", Model: "m1", Behavior: "faq", Ask: "order",
			Slots: map[string]string{"k": "v"}, Forget: true, Abstained: true, Offered: []string{"y"}, Denied: "z", Softened: true,
		},
		"HandoverRequested": HandoverRequested{Reason: HandoverAsked, Intent: "x", Confidence: 0.5, Summary: "s", By: "a1"},
		"AgentAssigned":     AgentAssigned{Agent: "a2", Before: "a1", By: "lead", Claimed: true},
		"AgentUnassigned":   AgentUnassigned{Agent: "a1", By: "lead", Reason: "break"},
		"StatusChanged": StatusChanged{
			From: StatusOpen, To: StatusSnoozed, Trigger: TriggerSnooze, By: "a1", Reason: "later", SnoozedUntil: at,
		},
		"MessagesRead":      MessagesRead{By: PartyAgent, Agent: "a1", UpTo: 7},
		"MessagesDelivered": MessagesDelivered{UpTo: 7},
		"TagsChanged":       TagsChanged{By: "a1", Added: []string{"x"}, Removed: []string{"y"}},
		"PriorityChanged":   PriorityChanged{By: "a1", From: PriorityLow, To: PriorityHigh},
		"MessageSent":       MessageSent{Message: 4, Result: DeliveryFailed, ProviderID: "t-1", Detail: "blocked", Again: 9, By: "a2", With: 3},
		"TimerStarted":      TimerStarted{Timer{ID: "t", Due: at}},
		"TimerEnded":        TimerEnded{ID: "t", Fired: true},
		"MoodChanged":       MoodChanged{From: TemperCalm, To: TemperAngry, Reasons: []MoodReason{MoodThreat, MoodSudden}, Heat: 320},
		"ConversationErased": ConversationErased{
			Inbox: "shop", Channel: ChannelWeb, Contact: ContactID{2}, Previous: ConversationID{3}, Reason: ErasedContact, By: "lead",
		},
		"AnomalyFound": AnomalyFound{Anomaly: AnomalyLoop, Measured: 3 * time.Second, Usual: time.Second, Count: 6, Same: 4, Score: 0.5, UsualScore: 0.25},
		"AnswerJudged": AnswerJudged{
			By: PartyAgent, Agent: "a1", Answer: 4, Turn: 2, Verdict: VerdictWrong, Intent: "y", Taken: "x", Confidence: 0.5, Raw: 0.75, Model: "m1",
		},
	}
}

// TestEventsAreComplete: the declarations, the samples, the kinds and the
// decoder list the same events, each with every field.
func TestEventsAreComplete(t *testing.T) {
	t.Parallel()
	declared := declaredWith(t, "event.go", "event")
	var kinds []string
	for _, name := range declared {
		ev, ok := sampleEvents()[name]
		if !ok {
			t.Errorf("%s has no sample", name)
			continue
		}
		kinds = append(kinds, ev.Kind())
		v := reflect.ValueOf(ev)
		for i := range v.NumField() {
			if v.Field(i).IsZero() {
				t.Errorf("the sample of %s leaves %s out", name, v.Type().Field(i).Name)
			}
		}
		back, err := throughJSON(ev)
		if diff := gocmp.Diff(ev, back); err != nil || diff != "" {
			t.Errorf("%s comes back as %v, %v:\n%s", name, back, err, diff)
		}
	}
	if !slices.Equal(EventKinds(), kinds) {
		t.Errorf("EventKinds() =\n%v, the declarations say\n%v", EventKinds(), kinds)
	}
	if slices.Sort(kinds); len(slices.Compact(kinds)) != len(declared) {
		t.Error("two events have the same kind")
	}
}

// TestEventsOnDisk pins the stored form. A changed line here is a journal that
// older or newer nodes cannot read.
func TestEventsOnDisk(t *testing.T) {
	t.Parallel()
	datadriven.RunTest(t, "testdata/events.txt", func(t *testing.T, d *datadriven.TestData) string {
		t.Helper()
		var b strings.Builder
		for _, name := range declaredWith(t, "event.go", "event") {
			ev := sampleEvents()[name]
			plain, carries := withoutFiles(ev)
			switch {
			case d.Cmd == "events" && plain == nil, d.Cmd == "attachments" && !carries:
				continue
			case d.Cmd == "events":
				ev = plain
			}
			data, err := json.Marshal(ev)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&b, "%s %s\n", sampleEvents()[name].Kind(), data)
		}
		return b.String()
	})
}

// withoutFiles gives an event as it was before messages carried attachments, nil
// when there was no such event, and whether it carries any.
func withoutFiles(ev Event) (plain Event, carries bool) {
	switch ev := ev.(type) {
	case MessageAccepted:
		ev.Attachments = nil
		return ev, true
	case AgentReplied:
		ev.Attachments = nil
		return ev, true
	case AttachmentChanged:
		return nil, true
	}
	return ev, false
}

// storedFile is a picture that is there.
func storedFile(n byte) Attachment {
	return Attachment{
		ID: AttachmentID{n}, Name: "photo.png", Type: "image/png", Size: 70, Blob: strings.Repeat("0a", 32), State: AttachmentStored,
	}
}

func TestDecodeEvent(t *testing.T) {
	t.Parallel()
	kind := MessageAccepted{}.Kind()
	for name, tc := range map[string]struct {
		kind, data string
		want       Event
	}{
		"plain":                {kind, `{"ref":"r1","text":"hello"}`, MessageAccepted{Ref: "r1", Text: "hello"}},
		"from a newer version": {kind, `{"text":"hello","mood":"sunny","deep":{"a":[1]}}`, MessageAccepted{Text: "hello"}},
		"no fields":            {kind, `{}`, MessageAccepted{}},
		"none":                 {"conversation.started", `{"inbox":"shop","contact":""}`, ConversationStarted{Inbox: "shop"}},
		"unknown kind":         {kind: "message.sung", data: `{}`},
		"no kind":              {data: `{}`},
		"cut off":              {kind: kind, data: `{"text":"hel`},
		"nothing":              {kind: kind},
		"a list":               {kind: kind, data: `[]`},
		"wrong type":           {kind: kind, data: `{"text":7}`},
		"bad id":               {kind: "conversation.started", data: `{"contact":"ctc_1"}`},
		"bad time":             {kind: "timer.started", data: `{"id":"t","due":"noon"}`},
		"negative seq":         {kind: "messages.delivered", data: `{"up_to":-1}`},
	} {
		got, err := DecodeEvent(tc.kind, []byte(tc.data))
		if tc.want == nil {
			if got != nil || !errors.Is(err, ErrInvalid) || CodeOf(err) != CodeInvalid {
				t.Errorf("%s: DecodeEvent = %v, %v, want a refusal", name, got, err)
			}
			continue
		}
		if diff := gocmp.Diff(tc.want, got); err != nil || diff != "" {
			t.Errorf("%s: DecodeEvent = %v, %v:\n%s", name, got, err, diff)
		}
	}
}

// FuzzDecodeEvent: whatever a journal holds, decoding ends in an event or a
// refusal, the event is stored as it was read, and it can be folded, looked at
// and acted on without harm.
func FuzzDecodeEvent(f *testing.F) {
	for i, kind := range EventKinds() {
		for _, ev := range sampleEvents() {
			if ev.Kind() == kind {
				data, err := json.Marshal(ev)
				if err != nil {
					f.Fatal(err)
				}
				f.Add(uint8(i), data)
			}
		}
		f.Add(uint8(i), []byte(`null`))
	}
	f.Add(uint8(200), []byte(`{}`))
	f.Fuzz(func(t *testing.T, n uint8, data []byte) {
		kind := "unknown"
		if int(n) < len(EventKinds()) {
			kind = EventKinds()[n]
		}
		ev, err := DecodeEvent(kind, data)
		if err != nil {
			if ev != nil || !errors.Is(err, ErrInvalid) {
				t.Fatalf("DecodeEvent = %v, %v", ev, err)
			}
			return
		}
		stored, err := json.Marshal(ev)
		if err != nil {
			t.Fatal(err)
		}
		again, err := DecodeEvent(kind, stored)
		if err != nil {
			t.Fatalf("%s cannot be read back: %v", stored, err)
		}
		if twice, err := json.Marshal(again); err != nil || !bytes.Equal(stored, twice) {
			t.Fatalf("%s and then %s, %v", stored, twice, err)
		}
		for _, s := range []*State{{}, pending(t, ChannelTelegram).state} {
			for range 2 {
				before, e := s.Head(), Entry{Seq: s.Version + 1, At: time.Unix(0, 0), Event: ev}
				s.Apply(e)
				Effects(s, before, []Entry{e})
				s.NextDue()
			}
		}
		VisibleToVisitor(ev)
	})
}
