package engine

import (
	"strings"
	"testing"

	"github.com/colloquyhq/colloquy/conversation"
)

// TestAngryVisitorsGetHumans runs a whole node: the anger of one visitor is
// heard, apologized for, shown and handed over; the polite complaint of another
// is none of that.
func TestAngryVisitorsGetHumans(t *testing.T) {
	t.Parallel()
	e, _ := serving(t, quietOptions(t, t.Output()))
	putInbox(t, e, conversation.Inbox{
		ID: "house", Lang: "en", Packs: []string{"house"}, Policy: conversation.Policy{Auto: 0.99, Suggest: 0.98, MaxAbstains: 9},
	})
	talk := func(texts ...string) (s *conversation.State, replies []string) {
		t.Helper()
		in := visitor("house", "")
		var id conversation.ConversationID
		for _, text := range texts {
			in.Text = conversation.Text(text)
			r := say(t, e, in)
			id = r.Conversation
			for _, m := range r.Replies {
				replies = append(replies, string(m.Text))
			}
		}
		s, err := e.Store().Load(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return s, replies
	}
	const apology = "I am very sorry about the trouble you have had."

	s, replies := talk(
		"hello, I left my umbrella at your place",
		"nobody answers the phone, your service is useless and I have had enough!!",
		"this is a joke, do something NOW, you people are unbelievable!!!",
	)
	if s.Handover == nil || s.Handover.Reason != conversation.HandoverAnger || s.Status != conversation.StatusOpen || s.Priority != conversation.PriorityHigh {
		t.Errorf("angry: handover %+v, status %s, priority %s, mood %+v", s.Handover, s.Status, s.Priority, s.Mood)
	}
	if all := strings.Join(replies, "|"); len(replies) != 3 || strings.Count(all, apology) != 1 || !strings.HasPrefix(replies[1], apology) {
		t.Errorf("angry: replies %q, want one apology, in the second", replies)
	}

	s, replies = talk("I will see you in court, my lawyer is preparing the papers, you thieves!")
	if s.Handover == nil || s.Handover.Reason != conversation.HandoverAnger || !s.Mood.Threatens() {
		t.Errorf("threat: handover %+v, mood %+v, replies %q", s.Handover, s.Mood, replies)
	}

	s, replies = talk(
		"hello, sorry to bother you, my cup arrived broken, could you please help me? thank you",
		"I waited for two weeks already, would you mind checking again? many thanks",
		"I am a little disappointed, but I understand you are busy. any news, please?",
		"thank you for your patience, the handle is broken and one part is missing",
	)
	if s.Handover != nil || s.Status != conversation.StatusPending || s.Priority != conversation.PriorityNone || s.Mood.Angry() {
		t.Errorf("polite: handover %+v, status %s, priority %s, mood %+v", s.Handover, s.Status, s.Priority, s.Mood)
	}
	if all := strings.Join(replies, "|"); strings.Contains(all, apology) {
		t.Errorf("polite: replies %q", replies)
	}
}
