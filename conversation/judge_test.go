package conversation

import (
	"errors"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// judgeable is a conversation with an answer at 4, a fallback at 7 and an
// agent's note at 8.
func judgeable() *State {
	s := &State{ID: ConversationID{1}}
	for i, ev := range []Event{
		ConversationStarted{Inbox: "shop", Channel: ChannelWeb, Contact: ContactID{2}, Status: StatusPending, Handler: HandlerBot},
		MessageAccepted{Text: "where is it"},
		TurnCompleted{Turn: 2, Intent: "order_status", Confidence: 0.93},
		ReplyComposed{InReplyTo: 2, Text: "on its way", Bot: Provenance{Intent: "order_status", Confidence: 0.93, Raw: 0.96, Model: "m"}},
		MessageAccepted{Text: "grmpf"},
		TurnCompleted{Turn: 5, Abstained: true},
		ReplyComposed{InReplyTo: 5, Text: "pardon?", Buttons: []Button{{Label: "Refund", Text: "Refund"}}, Bot: Provenance{Confidence: 0.3}},
		NoteAdded{Agent: "mei", Text: "hm"},
	} {
		s.Apply(Entry{Seq: Seq(i + 1), At: testDay(), Event: ev})
	}
	return s
}

func TestDecideJudge(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		cmd  JudgeAnswer
		want Event
		code Code
	}{
		"agent: wrong": {
			cmd:  JudgeAnswer{By: PartyAgent, Agent: "mei", Answer: 4, Verdict: VerdictWrong, Intent: "refund"},
			want: AnswerJudged{By: PartyAgent, Agent: "mei", Answer: 4, Turn: 2, Verdict: VerdictWrong, Intent: "refund", Taken: "order_status", Confidence: 0.93, Raw: 0.96, Model: "m"},
		},
		"visitor: right": {
			cmd:  JudgeAnswer{By: PartyVisitor, Answer: 4, Verdict: VerdictRight},
			want: AnswerJudged{By: PartyVisitor, Answer: 4, Turn: 2, Verdict: VerdictRight, Taken: "order_status", Confidence: 0.93, Raw: 0.96, Model: "m"},
		},
		"agent: what was not understood": {
			cmd:  JudgeAnswer{By: PartyAgent, Agent: "mei", Answer: 7, Verdict: VerdictWrong, Intent: "refund"},
			want: AnswerJudged{By: PartyAgent, Agent: "mei", Answer: 7, Turn: 5, Verdict: VerdictWrong, Intent: "refund", Confidence: 0.3},
		},
		"visitor: a fallback":              {cmd: JudgeAnswer{By: PartyVisitor, Answer: 7, Verdict: VerdictWrong}, code: CodeInvalid},
		"agent: a fallback is right":       {cmd: JudgeAnswer{By: PartyAgent, Agent: "mei", Answer: 7, Verdict: VerdictRight}, code: CodeInvalid},
		"visitor: names an intent":         {cmd: JudgeAnswer{By: PartyVisitor, Answer: 4, Verdict: VerdictWrong, Intent: "refund"}, code: CodeInvalid},
		"visitor: in an agent's name":      {cmd: JudgeAnswer{By: PartyVisitor, Agent: "mei", Answer: 4, Verdict: VerdictWrong}, code: CodeInvalid},
		"agent: without a name":            {cmd: JudgeAnswer{By: PartyAgent, Answer: 4, Verdict: VerdictWrong}, code: CodeForbidden},
		"the bot":                          {cmd: JudgeAnswer{By: PartyBot, Answer: 4, Verdict: VerdictWrong}, code: CodeInvalid},
		"right, and yet another intent":    {cmd: JudgeAnswer{By: PartyAgent, Agent: "mei", Answer: 4, Verdict: VerdictRight, Intent: "refund"}, code: CodeInvalid},
		"wrong, and yet the same intent":   {cmd: JudgeAnswer{By: PartyAgent, Agent: "mei", Answer: 4, Verdict: VerdictWrong, Intent: "order_status"}, code: CodeInvalid},
		"an intent that cannot be stored":  {cmd: JudgeAnswer{By: PartyAgent, Agent: "mei", Answer: 4, Verdict: VerdictWrong, Intent: "\xff"}, code: CodeInvalid},
		"no verdict":                       {cmd: JudgeAnswer{By: PartyVisitor, Answer: 4}, code: CodeInvalid},
		"a visitor's message":              {cmd: JudgeAnswer{By: PartyAgent, Agent: "mei", Answer: 2, Verdict: VerdictWrong}, code: CodeInvalid},
		"a note":                           {cmd: JudgeAnswer{By: PartyAgent, Agent: "mei", Answer: 8, Verdict: VerdictWrong}, code: CodeInvalid},
		"nothing there":                    {cmd: JudgeAnswer{By: PartyAgent, Agent: "mei", Answer: 99, Verdict: VerdictWrong}, code: CodeNotFound},
		"an event that is no message":      {cmd: JudgeAnswer{By: PartyAgent, Agent: "mei", Answer: 3, Verdict: VerdictWrong}, code: CodeNotFound},
		"the beginning of the whole thing": {cmd: JudgeAnswer{By: PartyVisitor, Verdict: VerdictWrong}, code: CodeNotFound},
	} {
		d, err := Decide(judgeable(), tc.cmd, testDay())
		if tc.want == nil {
			if CodeOf(err) != tc.code || len(d.Events) != 0 {
				t.Errorf("%s: Decide = %v, %v; want code %s", name, d.Events, err, tc.code)
			}
			continue
		}
		if diff := gocmp.Diff([]Event{tc.want}, d.Events); err != nil || diff != "" {
			t.Errorf("%s: Decide = %v (-want +got):\n%s", name, err, diff)
		}
	}
}

func TestLaterVerdictReplacesTheEarlierOfTheSameJudge(t *testing.T) {
	t.Parallel()
	s := judgeable()
	do := func(c JudgeAnswer) int {
		t.Helper()
		d, err := Decide(s, c, testDay())
		if err != nil {
			t.Fatalf("Decide(%+v) = %v", c, err)
		}
		for _, ev := range d.Events {
			s.Apply(Entry{Seq: s.Version + 1, At: testDay(), Event: ev})
		}
		return len(d.Events)
	}
	wrong := JudgeAnswer{By: PartyAgent, Agent: "mei", Answer: 4, Verdict: VerdictWrong}
	named := JudgeAnswer{By: PartyAgent, Agent: "mei", Answer: 4, Verdict: VerdictWrong, Intent: "refund"}
	visitor := JudgeAnswer{By: PartyVisitor, Answer: 4, Verdict: VerdictRight}
	if do(wrong) != 1 || do(wrong) != 0 || do(visitor) != 1 || do(named) != 1 || do(named) != 0 {
		t.Error("a verdict is stored twice, or a new one is not")
	}
	if diff := gocmp.Diff([]Judged{Judged(visitor), Judged(named)}, s.Judged); diff != "" {
		t.Errorf("Judged (-want +got):\n%s", diff)
	}
	for i := range 3 * recentJudged {
		s.Apply(Entry{Seq: s.Version + 1, At: testDay(), Event: AnswerJudged{By: PartyVisitor, Answer: Seq(100 + i), Verdict: VerdictRight}})
	}
	if len(s.Judged) != recentJudged {
		t.Errorf("%d verdicts are remembered, the bound is %d", len(s.Judged), recentJudged)
	}
}

func TestClosedConversationIsNotJudged(t *testing.T) {
	t.Parallel()
	s := judgeable()
	s.Status = StatusClosed
	if _, err := Decide(s, JudgeAnswer{By: PartyVisitor, Answer: 4, Verdict: VerdictWrong}, testDay()); !errors.Is(err, ErrConflict) {
		t.Errorf("Decide = %v, want a conflict", err)
	}
}

func TestVisitorsNeverSeeVerdicts(t *testing.T) {
	t.Parallel()
	if VisibleToVisitor(AnswerJudged{By: PartyAgent}) || VisibleToVisitor(AnswerJudged{By: PartyVisitor}) {
		t.Error("a verdict is shown to visitors")
	}
}

// TestAnswersByItself: without proof the bot asks back, unless the visitor has
// just confirmed by a button what it is about.
func TestAnswersByItself(t *testing.T) {
	t.Parallel()
	sure := func(unproven bool) *Prediction {
		return &Prediction{Candidates: []Candidate{{Intent: "refund", Confidence: 0.97}}, Auto: 0.9, Suggest: 0.5, Unproven: unproven}
	}
	said := func(text Text) *State {
		s := judgeable()
		s.Apply(Entry{Seq: s.Version + 1, At: testDay(), Event: MessageAccepted{Text: text}})
		s.Dialogue.Abstains = 0
		return s
	}
	for name, tc := range map[string]struct {
		answers  Answers
		unproven bool
		text     Text
		want     Action
	}{
		"proven":                       {"", false, "money back", ActionAnswer},
		"proven, and said so":          {AnswersProven, false, "money back", ActionAnswer},
		"not proven":                   {"", true, "money back", ActionClarify},
		"not proven, and said so":      {AnswersProven, true, "money back", ActionClarify},
		"not proven, but pressed":      {"", true, "Refund", ActionAnswer},
		"not proven, the operator may": {AnswersOn, true, "money back", ActionAnswer},
		"off":                          {AnswersOff, false, "money back", ActionClarify},
		"off, but pressed":             {AnswersOff, false, "Refund", ActionAnswer},
	} {
		if got := (Policy{Answers: tc.answers}).Choose(said(tc.text), sure(tc.unproven), Heard{}); got.Action != tc.want {
			t.Errorf("%s: Choose = %+v, want %s", name, got, tc.want)
		}
	}
	human := &Prediction{Candidates: []Candidate{{Intent: IntentTalkToHuman, Confidence: 0.97}}, Auto: 0.9, Suggest: 0.5, Unproven: true}
	if got := (Policy{Answers: AnswersOff}).Choose(said("a human please"), human, Heard{}); got.Action != ActionHandover {
		t.Errorf("Choose = %+v for who wants a human", got)
	}
	if Answers("maybe").Valid() || !AnswersOff.Valid() || !Answers("").Valid() {
		t.Error("Valid does not tell the values from others")
	}
}
