package actors

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/colloquyhq/colloquy/conversation"
)

func TestAnswersAreFilled(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.shelf.playbooks["hours"].Buttons = []conversation.Button{{Label: "Sunday?", Text: "and on Sunday?"}}
		r.shelf.playbooks["hours"].Priority = conversation.PriorityLow
		r.script.means("when?", "hours")
		got := r.say("when?")
		said(t, got, "We open at nine.")
		if b := got.Replies[0].Buttons; len(b) != 1 || b[0].Text != "and on Sunday?" {
			t.Errorf("buttons = %+v", b)
		}
		r.directory.change("shop", func(i *conversation.Inbox) { i.Vars = map[string]string{"opens": "{closes}"} })
		said(t, r.say("when?"), "We open at {closes}.") // the inbox's value wins, and is no template
		r.shelf.playbooks["hours"].Answer = "At {nobody knows} {nowhere}"
		said(t, r.say("when?"), "At {nobody knows} —")
		if s := r.journal.state(t, got.Conversation); s.Priority != conversation.PriorityLow {
			t.Errorf("priority = %s", s.Priority)
		}
	})
}

func TestClarifyOffersTitles(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.script.on("maybe", scene{pred: conversation.Prediction{Candidates: []conversation.Candidate{
			{Intent: "hours", Confidence: 0.6}, {Intent: "no playbook", Confidence: 0.5}, {Intent: "refund", Confidence: 0.3}, {Intent: "human", Confidence: 0.1},
		}}})
		got := r.say("maybe")
		said(t, got, "Did you mean:")
		want := []conversation.Button{
			{Label: "Opening hours", Text: "Opening hours"}, {Label: "Refunds", Text: "Refunds"}, {Label: "None of these", Text: "None of these"},
		}
		if diff := cmp.Diff(want, got.Replies[0].Buttons); diff != "" {
			t.Errorf("buttons (-want +got):\n%s", diff)
		}
	})
}

func TestFallbackThenHandover(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.directory.change("shop", func(i *conversation.Inbox) { i.Policy.MaxAbstains = 3 })
		r.script.means("when?", "hours")
		said(t, r.say("hm"), "Sorry, what?")
		said(t, r.say("hm"), "Sorry, what?")
		said(t, r.say("when?"), "We open at nine.") // understood: counting starts over
		said(t, r.say("hm"), "Sorry, what?")
		said(t, r.say("hm"), "Sorry, what?")
		last := r.say("hm")
		said(t, last, "I am calling a colleague.")
		if h := r.journal.state(t, last.Conversation).Handover; h == nil || h.Reason != conversation.HandoverAbstained {
			t.Errorf("handover = %+v, want abstained", h)
		}
		said(t, r.say("hello?")) // humans have it; the bot is silent
	})
}

func TestAskAgainThenHandover(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.script.means("refund", "refund")
		said(t, r.say("refund"), "Which order?")
		said(t, r.say("the blue one"), "That was no number.\nWhich order?")
		last := r.say("no idea")
		said(t, last, "I am calling a colleague.")
		if h := r.journal.state(t, last.Conversation).Handover; h == nil || h.Reason != conversation.HandoverMissingSlot || h.Summary != "Refunds" {
			t.Errorf("handover = %+v, want slot_missing about refunds", h)
		}
	})
}

func TestAskedSlotIsFilled(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.script.means("refund", "refund")
		r.script.means("number 5 please", "hours", "order", "5")
		said(t, r.say("refund"), "Which order?")
		said(t, r.say("it is 4711"), "Refund for 4711.")
		said(t, r.say("refund"), "Refund for 4711.") // still known
		r.script.means("refund for 12", "refund", "order", "12")
		said(t, r.say("refund for 12"), "Refund for 12.")
	})
}

func TestLeavingAQuestion(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.script.means("refund", "refund")
		r.script.means("when?", "hours")
		said(t, r.say("refund"), "Which order?")
		said(t, r.say("when?"), "We open at nine.", "Which order?") // and the question is put again
		said(t, r.say("4711"), "Refund for 4711.")
	})
}

func TestPlaybookThatEndsAtAHuman(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.script.means("broken", "human")
		got := r.say("broken")
		said(t, got, "Somebody will look at it.")
		s := r.journal.state(t, got.Conversation)
		if s.Handover == nil || s.Handover.Reason != conversation.HandoverPolicy || s.Handover.Summary != "A human" || s.Priority != conversation.PriorityHigh {
			t.Errorf("handover %+v, priority %s", s.Handover, s.Priority)
		}
	})
}

func TestAskingForAHuman(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.shelf.playbooks[conversation.IntentTalkToHuman] = &conversation.Playbook{Intent: conversation.IntentTalkToHuman, Title: "Human", Answer: "At once, {name}."}
		r.directory.change("shop", func(i *conversation.Inbox) { i.Vars = map[string]string{"name": "friend"} })
		r.script.on("human!", scene{pred: conversation.Prediction{Candidates: []conversation.Candidate{{Intent: conversation.IntentTalkToHuman, Confidence: 0.55}}}})
		got := r.say("human!")
		said(t, got, "At once, friend.")
		if h := r.journal.state(t, got.Conversation).Handover; h == nil || h.Reason != conversation.HandoverAsked {
			t.Errorf("handover = %+v, want asked", h)
		}
	})
}

func TestSilentInboxOnlyPredicts(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.directory.change("shop", func(i *conversation.Inbox) { i.Policy.Silent = true })
		r.script.means("when?", "hours")
		got := r.say("when?")
		said(t, got)
		if h := r.journal.state(t, got.Conversation).Handover; h == nil || h.Reason != conversation.HandoverPolicy || h.Intent != "hours" {
			t.Errorf("handover = %+v, want policy with the intent", h)
		}
	})
}

func TestIntentWithoutPlaybookFallsBack(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.script.means("odd", "unwritten")
		said(t, r.say("odd"), "Sorry, what?")
	})
}

func TestPacksWithoutPhrases(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.shelf.phrases = nil
		r.script.on("maybe", scene{pred: conversation.Prediction{Candidates: []conversation.Candidate{{Intent: "hours", Confidence: 0.6}}}})
		r.script.on("broken", scene{panics: true})
		said(t, r.say("maybe"))
		last := r.say("broken")
		said(t, last)
		if h := r.journal.state(t, last.Conversation).Handover; h == nil || h.Reason != conversation.HandoverBotFailed {
			t.Errorf("handover = %+v, want bot_failed", h)
		}
	})
}

func TestClip(t *testing.T) {
	t.Parallel()
	long := ""
	for range conversation.MaxSlotBytes {
		long += "é"
	}
	if got := clip(long); len(got) != conversation.MaxSlotBytes || got != long[:len(got)] {
		t.Errorf("clip = %d bytes", len(got))
	}
	if got := clip("x" + long); len(got) != conversation.MaxSlotBytes-1 {
		t.Errorf("clip = %d bytes, want no half character", len(got))
	}
}

func TestContextReachesTheClassifier(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.directory.change("shop", func(i *conversation.Inbox) { i.Policy.MaxAbstains = 100 })
		for i := range 5 {
			r.say(fmt.Sprint("m", i))
		}
		u := r.script.asked[4]
		want := conversation.Utterance{
			Inbox: "shop", Channel: "web", Lang: "en", Text: "m4", Context: []conversation.Text{"m1", "m2", "m3"}, Packs: []string{"base"},
			Matters: []conversation.Matter{{Text: "m3"}}, // it was not understood
		}
		if diff := cmp.Diff(want, u); diff != "" {
			t.Errorf("utterance (-want +got):\n%s", diff)
		}
	})
}

// A channel can keep the bot silent on a message: a program's needs nobody, a
// person's reaches a human.
func TestMessagesThatTheBotMustNotAnswer(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.script.means("when?", "hours")
		in := with(anna("when?"), "", time.Minute)
		in.Metadata = map[string]string{conversation.MetadataBotReply: conversation.BotReplyNone}
		got := r.deliver(in)
		said(t, got)
		if s := r.journal.state(t, got.Conversation); s.Handover != nil || s.Status != conversation.StatusPending {
			t.Errorf("status %s, handover %+v, want none", s.Status, s.Handover)
		}
		said(t, r.say("when?"), "We open at nine.")

		in.Metadata = map[string]string{conversation.MetadataBotReply: conversation.BotReplyHuman}
		said(t, r.deliver(in))
		if h := r.journal.state(t, got.Conversation).Handover; h == nil || h.Reason != conversation.HandoverPolicy {
			t.Errorf("handover = %+v, want policy", h)
		}
	})
}
