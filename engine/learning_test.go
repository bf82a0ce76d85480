package engine

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/intent"
)

// TestConversationsTeach: a node with few questions asks back, answers what is
// confirmed, and learns from a verdict and from what nobody could answer; it
// knows the same after a restart.
func TestConversationsTeach(t *testing.T) {
	t.Parallel()
	o := quietOptions(t, io.Discard)
	e, stop := serving(t, o)
	putInbox(t, e, conversation.Inbox{ID: "house", Name: "House", Lang: "en", Packs: []string{"house"}})
	in, err := e.Store().Inbox("house")
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the packs' questions are measured", func() bool {
		s := e.learning.State(in)
		return !s.ByItself && s.Answers == conversation.AnswersProven && strings.Contains(s.Reason, "too few")
	})
	ask := visitor("house", "when are you open")
	first := say(t, e, ask)
	if len(first.Replies) != 1 || len(first.Replies[0].Buttons) == 0 || first.Replies[0].Bot.Intent != "" {
		t.Fatalf("a pack that has proven nothing says %+v", first.Replies)
	}
	ask.Text = conversation.Text(first.Replies[0].Buttons[0].Text)
	pressed := say(t, e, ask)
	if len(pressed.Replies) != 1 || !strings.Contains(string(pressed.Replies[0].Text), "nine to five") {
		t.Fatalf("the pressed button gives %+v", pressed.Replies)
	}
	in.Policy.Answers = conversation.AnswersOn // the operator says so
	putInbox(t, e, in)
	answered := say(t, e, visitor("house", "how late are you open"))
	if len(answered.Replies) != 1 || answered.Replies[0].Bot.Intent != "opening_hours" {
		t.Fatalf("told to answer, the bot says %+v", answered.Replies)
	}
	judge := conversation.JudgeAnswer{By: conversation.PartyAgent, Agent: "mei", Answer: answered.Replies[0].Seq, Verdict: conversation.VerdictWrong, Intent: "parking"}
	for range 2 { // twice is once
		if _, err := e.Actors().Do(t.Context(), answered.Conversation, judge); err != nil {
			t.Fatal(err)
		}
	}
	lost := visitor("house", "zzyx qwfp arst")
	say(t, e, lost)
	lost.Text = "zzyx qwfp arst!!"
	if r := say(t, e, lost); r.Status != conversation.StatusOpen {
		t.Fatalf("what is not understood twice stays with the bot: %+v", r)
	}
	learned := func(e *Engine) bool {
		all, err := e.learning.Suggestions(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		texts := 0
		named := ""
		for _, s := range all {
			texts += s.Texts
			named += s.Right
		}
		return texts >= 2 && named == "parking" && testutil.CollectAndCount(e.registry, "colloquy_intent_judged_answers") == 2
	}
	eventually(t, "the conversations are read", func() bool { return learned(e) })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	again, _ := serving(t, o)
	eventually(t, "the same is known after a restart", func() bool { return learned(again) })

	// One click, and the packs know it, where they are not files.
	if err := again.learning.Accept(t.Context(), in, suggested(t, again, in), "mei", conversation.Acceptance{Intent: "parking"}); !errors.Is(err, conversation.ErrConflict) {
		t.Errorf("Accept = %v for a pack that is a file", err)
	}
	const above = "colloquy: 1\npack: cottage\nextends: [house]\nlang: en\nintents:\n  - id: cellar\n    ask: [is there a cellar]\n    answer: There is.\n"
	if _, err := again.Library().SavePack(t.Context(), intent.PackSave{Name: "cottage", Text: []byte(above)}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the saved pack is read", func() bool { return again.Library().HasIntent([]string{"cottage"}, "parking") })
	in.Packs = []string{"cottage"}
	all, err := again.learning.Suggestions(t.Context(), in)
	if err != nil || !again.learning.Editable() {
		t.Fatalf("Suggestions = %v, editable %v", err, again.learning.Editable())
	}
	at := slices.IndexFunc(all, func(s conversation.Suggestion) bool { return s.Right == "parking" })
	if err := again.learning.Accept(t.Context(), in, all[at].ID, "mei", conversation.Acceptance{Intent: "parking", Texts: all[at].Examples}); err != nil {
		t.Fatal(err)
	}
	stored, err := again.Store().StoredPack("cottage")
	if err != nil {
		t.Fatal(err)
	}
	text, err := again.Store().PackText(t.Context(), "cottage", stored.Current())
	if err != nil || !strings.Contains(string(text), string(all[at].Examples[0])) {
		t.Errorf("the pack says %s, %v; it lacks %q", text, err, all[at].Examples[0])
	}
	if left, err := again.learning.Suggestions(t.Context(), in); err != nil || len(left) != len(all)-1 {
		t.Errorf("%d suggestions are left of %d, %v", len(left), len(all), err)
	}
}

// suggested gives the suggestion whose right intent is known.
func suggested(t *testing.T, e *Engine, in conversation.Inbox) string {
	t.Helper()
	all, err := e.learning.Suggestions(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if s.Right != "" {
			return s.ID
		}
	}
	t.Fatal("no suggestion names an intent")
	return ""
}
