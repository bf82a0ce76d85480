package learning

import (
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/colloquyhq/colloquy/conversation"
)

var testDay = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// talk builds the log of a conversation, a minute an event.
type talk struct {
	log  []conversation.Entry
	turn conversation.Seq
}

func (l *talk) add(ev conversation.Event) conversation.Seq {
	seq := conversation.Seq(len(l.log) + 1)
	l.log = append(l.log, conversation.Entry{Seq: seq, At: testDay.Add(time.Duration(seq) * time.Minute), Event: ev})
	return seq
}

func newTalk() *talk {
	l := &talk{}
	l.add(conversation.ConversationStarted{Inbox: "shop", Channel: conversation.ChannelWeb, Contact: conversation.ContactID{7}, Status: conversation.StatusPending})
	return l
}

func (l *talk) visitor(text string) *talk {
	l.turn = l.add(conversation.MessageAccepted{Text: conversation.Text(text)})
	return l
}

// answered has the bot take the message for an intent and answer.
func (l *talk) answered(intent string, p float32) *talk {
	l.add(conversation.TurnCompleted{Turn: l.turn, Intent: intent, Confidence: p, Lang: "en"})
	l.add(conversation.ReplyComposed{InReplyTo: l.turn, Text: "…", Bot: conversation.Provenance{Intent: intent, Confidence: p}})
	return l
}

// askedBack has the bot offer buttons.
func (l *talk) askedBack(p float32, buttons ...string) *talk {
	l.add(conversation.TurnCompleted{Turn: l.turn, Abstained: true, Confidence: p, Lang: "en"})
	r := conversation.ReplyComposed{InReplyTo: l.turn, Text: "did you mean", Bot: conversation.Provenance{Confidence: p}}
	for _, b := range buttons {
		r.Buttons = append(r.Buttons, conversation.Button{Label: b, Text: b})
	}
	l.add(r)
	return l
}

func (l *talk) handover(r conversation.HandoverReason) *talk {
	l.add(conversation.HandoverRequested{Reason: r})
	return l
}

func (l *talk) agent(text string) *talk {
	l.add(conversation.AgentReplied{Agent: "mei", Text: conversation.Text(text)})
	return l
}

func (l *talk) judged(answer conversation.Seq, by conversation.Party, v conversation.Verdict, intent string) *talk {
	j := conversation.AnswerJudged{By: by, Answer: answer, Turn: l.turn, Verdict: v, Intent: intent}
	if by == conversation.PartyAgent {
		j.Agent = "mei"
	}
	l.add(j)
	return l
}

// TestRead: what a conversation teaches, as "right 0.5" for answers and "reason:
// text" for missing questions.
func TestRead(t *testing.T) {
	t.Parallel()
	const soon, later = 10 * time.Minute, 2 * time.Hour
	for name, tc := range map[string]struct {
		talk   *talk
		after  time.Duration
		answer string
		missed string
	}{
		"silence, not long enough": {newTalk().visitor("where is it").answered("order_status", 0.95), soon, "", ""},
		"silence":                  {newTalk().visitor("where is it").answered("order_status", 0.95), later, "right 0.25", ""},
		"thanks":                   {newTalk().visitor("where is it").answered("order_status", 0.95).visitor("thank you").answered("thanks", 0.99), soon, "right 0.5", ""},
		"another question":         {newTalk().visitor("where is it").answered("order_status", 0.95).visitor("and my invoice").answered("invoice", 0.95), soon, "", ""},
		"denied":                   {newTalk().visitor("can I pay by cheque").answered("payment_failed", 0.95).visitor("that's not what I asked").askedBack(0.2), soon, "wrong 0.5", "denied: can I pay by cheque"},
		"denied in Chinese":        {newTalk().visitor("能用支票吗").answered("payment_failed", 0.95).visitor("不是我想问的").askedBack(0.2), soon, "wrong 0.5", "denied: 能用支票吗"},
		"a human right after":      {newTalk().visitor("can I pay by cheque").answered("payment_failed", 0.95).visitor("agent!").answered("talk_to_human", 0.99).handover(conversation.HandoverAsked), soon, "wrong 0.5", "handed_over: can I pay by cheque"},
		"a human at once":          {newTalk().visitor("agent!").answered("talk_to_human", 0.99).handover(conversation.HandoverAsked), later, "", ""},
		"a human by the pack":      {newTalk().visitor("the parcel is broken").answered("damaged", 0.95).handover(conversation.HandoverPolicy), later, "", ""},
		"not understood":           {newTalk().visitor("do you do gift wrap").askedBack(0.2), later, "", "not_understood: do you do gift wrap"},
		"not understood, answered": {newTalk().visitor("do you do gift wrap").askedBack(0.2).handover(conversation.HandoverAbstained).agent("yes, for 2 euros"), later, "", "not_understood: do you do gift wrap → yes, for 2 euros"},
		"asked back, first button": {newTalk().visitor("parcl where").askedBack(0.8, "Order status", "Refund", "None of these").visitor("Order status").answered("order_status", 0.99), soon, "right 0.5", ""},
		"asked back, second":       {newTalk().visitor("parcl where").askedBack(0.8, "Order status", "Refund", "None of these").visitor("Refund").answered("refund", 0.99), soon, "wrong 0.5", "not_understood: parcl where"},
		"asked back, none":         {newTalk().visitor("gift wrap").askedBack(0.8, "Order status", "None of these").visitor("None of these").askedBack(0.1), soon, "wrong 0.5", "not_understood: gift wrap"},
		"small talk":               {newTalk().visitor("hi").answered("greeting", 0.99), later, "", ""},
		"agent: wrong":             {newTalk().visitor("can I pay by cheque").answered("payment_failed", 0.95).judged(4, conversation.PartyAgent, conversation.VerdictWrong, "payment_methods"), later, "wrong 1", "wrong: can I pay by cheque = payment_methods"},
		"agent: right":             {newTalk().visitor("where is it").answered("order_status", 0.95).judged(4, conversation.PartyAgent, conversation.VerdictRight, ""), soon, "right 1", ""},
		"visitor: wrong":           {newTalk().visitor("cheque?").answered("payment_failed", 0.95).judged(4, conversation.PartyVisitor, conversation.VerdictWrong, ""), soon, "wrong 0.8", "wrong: cheque?"},
		"agent over visitor":       {newTalk().visitor("where is it").answered("order_status", 0.95).judged(4, conversation.PartyAgent, conversation.VerdictRight, "").judged(4, conversation.PartyVisitor, conversation.VerdictWrong, ""), soon, "right 1", ""},
		"the agent's second thought": {newTalk().visitor("where is it").answered("order_status", 0.95).
			judged(4, conversation.PartyAgent, conversation.VerdictWrong, "refund").judged(4, conversation.PartyAgent, conversation.VerdictRight, ""), soon, "right 1", ""},
		"numbers are masked": {newTalk().visitor("what about 4711-0815-42").askedBack(0.2).handover(conversation.HandoverAbstained).agent("mail a@b.com"), later, "", "not_understood: what about 0000-0000-00 → mail name@example.com"},
		"only the end of it": {&talk{log: newTalk().visitor("where is it").answered("order_status", 0.95).log[3:]}, later, "", ""},
		"nothing":            {&talk{}, later, "", ""},
	} {
		answers, missed := read(conversation.ConversationID{1}, conversation.ContactID{7}, tc.talk.log, testDay.Add(tc.after))
		got := ""
		for _, a := range answers {
			word := "wrong "
			if a.Right {
				word = "right "
			}
			got += word + strconv.FormatFloat(a.Weight, 'g', -1, 64)
		}
		if got != tc.answer {
			t.Errorf("%s: answers %q, want %q", name, got, tc.answer)
		}
		texts := ""
		for _, m := range missed {
			texts += string(m.Reason) + ": " + m.Text
			if m.Right != "" {
				texts += " = " + m.Right
			}
			if m.Answer != "" {
				texts += " → " + m.Answer
			}
			if m.Visitor == 0 || m.Seq == 0 {
				t.Errorf("%s: %+v has no visitor or place", name, m)
			}
		}
		if texts != tc.missed {
			t.Errorf("%s: missed %q, want %q", name, texts, tc.missed)
		}
	}
}

func TestReadIsTheSameAgain(t *testing.T) {
	t.Parallel()
	l := newTalk().visitor("can I pay by cheque").answered("payment_failed", 0.95).visitor("not my question").askedBack(0.3).handover(conversation.HandoverAbstained).agent("no")
	now := testDay.Add(3 * time.Hour)
	a, m := read(conversation.ConversationID{1}, conversation.ContactID{7}, l.log, now)
	b := &book{}
	b.replace(conversation.ConversationID{1}, a, m, "shop")
	if !b.changed || !b.fresh || len(b.Answers) != 1 || len(b.Missed) != 1 {
		t.Fatalf("the book holds %+v", b)
	}
	before := *b
	b.changed, b.fresh = false, false
	again, missed := read(conversation.ConversationID{1}, conversation.ContactID{7}, l.log, now.Add(time.Hour))
	b.replace(conversation.ConversationID{1}, again, missed, "other packs by now")
	if b.changed || b.fresh {
		t.Error("reading again counts as news")
	}
	if diff := cmp.Diff(before.Answers, b.Answers); diff != "" {
		t.Errorf("answers differ (-before +again):\n%s", diff)
	}
}

// TestOutcome: what is known of a turn afterwards, as "right 0.5 intent".
func TestOutcome(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		log   *talk
		after time.Duration
		want  conversation.TurnOutcome
	}{
		"nothing yet": {log: newTalk().visitor("where is it").answered("track", 0.9)},
		"an agent agrees": {
			log:  newTalk().visitor("where is it").answered("track", 0.9).judged(4, conversation.PartyAgent, conversation.VerdictRight, ""),
			want: conversation.TurnOutcome{Right: true, Intent: "track", Weight: 1},
		},
		"an agent says what it was": {
			log:  newTalk().visitor("where is it").answered("track", 0.9).judged(4, conversation.PartyAgent, conversation.VerdictWrong, "refund"),
			want: conversation.TurnOutcome{Intent: "refund", Weight: 1},
		},
		"a visitor only says that it was not it": {
			log:  newTalk().visitor("where is it").answered("track", 0.9).visitor("that's not what I asked"),
			want: conversation.TurnOutcome{Weight: 0.5},
		},
		"the second button": {
			log:  newTalk().visitor("hm").askedBack(0.6, "Track", "Refund").visitor("Refund").answered("refund", 1),
			want: conversation.TurnOutcome{Intent: "refund", Weight: 0.5},
		},
		"silence": {
			log: newTalk().visitor("where is it").answered("track", 0.9), after: 2 * time.Hour,
			want: conversation.TurnOutcome{Right: true, Intent: "track", Weight: 0.25},
		},
	} {
		j := newMemJournal()
		r := newRig(t, j, true)
		c := j.put(1, tc.log, testDay)
		r.now = testDay.Add(tc.after)
		got, err := r.Outcome(t.Context(), c.ID, 2)
		if err != nil || got != tc.want {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, tc.want)
		}
	}
	r := newRig(t, newMemJournal(), true)
	if got, err := r.Outcome(t.Context(), conversation.ConversationID{9}, 2); err != nil || got != (conversation.TurnOutcome{}) {
		t.Errorf("of a conversation that is gone: %+v, %v", got, err)
	}
}
