package actors

import (
	"strings"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// ear hears anger in exclamation marks and threats in courts.
type ear struct{}

// Tone implements [Ear].
func (ear) Tone(text conversation.Text) conversation.Tone {
	var t conversation.Tone
	if strings.Contains(string(text), "!") {
		t.Anger = 0.9
	}
	if strings.Contains(string(text), "court") {
		t.Threat = 0.9
	}
	if strings.Contains(string(text), "donkey") {
		t.Abuse = 0.9
	}
	return t
}

func newMoodRig(t *testing.T) *rig {
	t.Helper()
	r := newRig(t, func(o *Options) { o.Ear = ear{} })
	r.shelf.phrases[phraseApology] = "I am sorry."
	r.script.means("when?", "hours")
	r.script.means("when!", "hours")
	r.script.means("now!", "hours")
	r.directory.change("shop", func(i *conversation.Inbox) { i.Policy.MaxAbstains = 9 })
	return r
}

// TestAngerIsSoftenedOnce: the answer is as it would be, with an apology before
// it, once for each time the visitor gets angry.
func TestAngerIsSoftenedOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newMoodRig(t)
		said(t, r.say("when?"), "We open at nine.")
		said(t, r.say("when!"), "I am sorry.\nWe open at nine.")
		got := r.say("now!")
		said(t, got, "We open at nine.")
		s := r.journal.state(t, got.Conversation)
		if s.Priority != conversation.PriorityHigh || s.Status != conversation.StatusPending || !s.Mood.Angry() {
			t.Errorf("priority %s, status %s, mood %+v; want high, with the bot, angry", s.Priority, s.Status, s.Mood)
		}
		for range 4 {
			said(t, r.say("when?"), "We open at nine.")
		}
		said(t, r.say("when!"), "I am sorry.\nWe open at nine.")
		if n := r.metric("colloquy_mood_changes_total", "angry"); n != 2 {
			t.Errorf("angry %v times, want 2", n)
		}
		if n := r.metric("colloquy_mood_changes_total", "calm"); n != 1 {
			t.Errorf("calm %v times, want 1", n)
		}
	})
}

// TestAngerThatStaysGoesToHumans, when the bot has nothing certain to say.
func TestAngerThatStaysGoesToHumans(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newMoodRig(t)
		said(t, r.say("hm!"), "I am sorry.\nSorry, what?")
		last := r.say("hm!!")
		said(t, last, "I am calling a colleague.")
		s := r.journal.state(t, last.Conversation)
		if s.Handover == nil || s.Handover.Reason != conversation.HandoverAnger || s.Queue != conversation.QueueQueued || s.Priority != conversation.PriorityHigh {
			t.Errorf("handover %+v, queue %s, priority %s", s.Handover, s.Queue, s.Priority)
		}
		if h := s.Head(); h.Mood != conversation.TemperAngry || len(h.MoodReasons) == 0 {
			t.Errorf("head: mood %q, reasons %v", h.Mood, h.MoodReasons)
		}
		if n := r.metric("colloquy_handovers_total", "anger"); n != 1 {
			t.Errorf("%v handovers for anger", n)
		}
	})
}

func TestAThreatGoesToHumansAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newMoodRig(t)
		got := r.say("see you in court!")
		said(t, got, "I am sorry.\nI am calling a colleague.")
		if h := r.journal.state(t, got.Conversation).Handover; h == nil || h.Reason != conversation.HandoverAnger {
			t.Errorf("handover %+v", h)
		}
		if n := r.metric("colloquy_mood_reasons_total", "threat"); n != 1 {
			t.Errorf("%v threats", n)
		}
	})
}

// TestAbuseAloneChangesNothing but what agents see.
func TestAbuseAloneChangesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newMoodRig(t)
		r.script.means("when, donkey", "hours")
		for range 3 {
			said(t, r.say("when, donkey"), "We open at nine.")
		}
		got := r.say("donkey")
		said(t, got, "Sorry, what?")
		s := r.journal.state(t, got.Conversation)
		if s.Handover != nil || s.Priority != conversation.PriorityNone || s.Mood.Angry() {
			t.Errorf("handover %+v, priority %s, mood %+v", s.Handover, s.Priority, s.Mood)
		}
		if h := s.Head(); len(h.MoodReasons) != 1 || h.MoodReasons[0] != conversation.MoodAbuse || h.Mood != "" {
			t.Errorf("head: mood %q, reasons %v", h.Mood, h.MoodReasons)
		}
	})
}

func TestAngerFollowsThePolicies(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newMoodRig(t)
		r.directory.change("shop", func(i *conversation.Inbox) { i.Policy.Anger = conversation.AngerIgnore })
		got := r.say("see you in court!")
		said(t, got, "Sorry, what?")
		if s := r.journal.state(t, got.Conversation); s.Priority != conversation.PriorityNone || !s.Mood.Angry() {
			t.Errorf("ignored: priority %s, mood %+v", s.Priority, s.Mood)
		}
		r.directory.change("shop", func(i *conversation.Inbox) {
			i.Policy.Anger, i.Policy.AngerPriority = conversation.AngerSoften, conversation.PriorityUrgent
		})
		said(t, r.say("in court!"), "I am sorry.\nSorry, what?")
		r.shelf.playbooks["hours"].Anger = conversation.AngerHandover
		last := r.say("when!")
		said(t, last, "I am calling a colleague.")
		if h := r.journal.state(t, last.Conversation).Handover; h == nil || h.Reason != conversation.HandoverAnger || h.Intent != "hours" || h.Summary != "Opening hours" {
			t.Errorf("handover %+v", h)
		}
	})
}

// TestMoodIsHeardWhileHumansHaveIt, and moves the conversation up in the queue.
func TestMoodIsHeardWhileHumansHaveIt(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newMoodRig(t)
		r.directory.change("shop", func(i *conversation.Inbox) { i.Packs = nil })
		first := r.say("hello")
		if s := r.journal.state(t, first.Conversation); s.Status != conversation.StatusOpen || s.Mood.Angry() {
			t.Fatalf("status %s, mood %+v", s.Status, s.Mood)
		}
		time.Sleep(time.Minute)
		got := r.say("hello!")
		s := r.journal.state(t, got.Conversation)
		if !s.Mood.Angry() || s.Priority != conversation.PriorityHigh {
			t.Errorf("mood %+v, priority %s", s.Mood, s.Priority)
		}
		if got.Seq != s.LastVisitor {
			t.Errorf("the receipt is for %d, the message is %d", got.Seq, s.LastVisitor)
		}
	})
}

// TestNobodyListens: without an ear everybody is calm.
func TestNobodyListens(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		got := r.say("see you in court!!!")
		s := r.journal.state(t, got.Conversation)
		if s.Mood.Angry() || s.Priority != conversation.PriorityNone {
			t.Errorf("mood %+v, priority %s", s.Mood, s.Priority)
		}
	})
}
