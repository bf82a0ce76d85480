package conversation

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// zeroCommands has one of each; TestEveryCommandHasARule keeps it complete.
func zeroCommands() map[string]Command {
	return map[string]Command{
		"AcceptMessage": AcceptMessage{}, "CompleteTurn": CompleteTurn{}, "ReplyAsAgent": ReplyAsAgent{}, "AddNote": AddNote{},
		"RequestHandover": RequestHandover{}, "Claim": Claim{}, "Assign": Assign{}, "Unassign": Unassign{},
		"ReturnToBot": ReturnToBot{}, "Snooze": Snooze{}, "Wake": Wake{}, "Resolve": Resolve{}, "Reopen": Reopen{}, "Close": Close{},
		"MarkRead": MarkRead{}, "MarkDelivered": MarkDelivered{}, "ChangeTags": ChangeTags{}, "ChangePriority": ChangePriority{},
		"RecordDelivery": RecordDelivery{}, "SendAgain": SendAgain{}, "FireTimer": FireTimer{}, "JudgeAnswer": JudgeAnswer{}, "RecordAttachment": RecordAttachment{},
	}
}

func TestEveryCommandHasARule(t *testing.T) {
	t.Parallel()
	commands := zeroCommands()
	for _, name := range declaredWith(t, "command.go", "command") {
		c, ok := commands[name]
		if !ok {
			t.Errorf("%s is missing from this test", name)
			continue
		}
		if _, err := Decide(pending(t, ChannelWeb).state, c, testDay()); err != nil && CodeOf(err) == CodeInternal {
			t.Errorf("Decide(%s) = %v", name, err)
		}
		if _, err := Decide(&State{}, c, testDay()); err == nil {
			t.Errorf("Decide(%s) on nothing is not refused", name)
		}
	}
	if _, err := Decide(pending(t, ChannelWeb).state, nil, testDay()); CodeOf(err) != CodeInternal {
		t.Errorf("Decide(nil) = %v, want %s", err, CodeInternal)
	}
}

// TestStart: what the first message has to bring.
func TestStart(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		origin Origin
		want   Code
	}{
		"complete":         {origin: origin(ChannelWeb)},
		"no inbox":         {origin: Origin{Contact: ContactID{2}, Channel: ChannelWeb}, want: CodeInvalid},
		"nobody":           {origin: Origin{Inbox: "shop", Channel: ChannelWeb}, want: CodeInvalid},
		"no channel":       {origin: Origin{Inbox: "shop", Contact: ContactID{2}}, want: CodeInvalid},
		"unknown channel":  {origin: Origin{Inbox: "shop", Contact: ContactID{2}, Channel: "pigeon"}, want: CodeInvalid},
		"unstorable peer":  {origin: Origin{Inbox: "shop", Contact: ContactID{2}, Channel: ChannelSMS, Peer: "\xff"}, want: CodeInvalid},
		"unstorable inbox": {origin: Origin{Inbox: "\xff", Contact: ContactID{2}, Channel: ChannelSMS}, want: CodeInvalid},
	} {
		_, err := Decide(&State{}, AcceptMessage{Origin: tc.origin, Text: "hello"}, testDay())
		if tc.want == "" && err != nil || tc.want != "" && CodeOf(err) != tc.want {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
}

// TestOutcomeLimits: a behavior is anybody's code. Each limit is reached, and
// then passed by one.
func TestOutcomeLimits(t *testing.T) {
	t.Parallel()
	many := func(n int, f func(i int, o *Outcome)) Outcome {
		var o Outcome
		for i := range n {
			f(i, &o)
		}
		return o
	}
	reply := func(_ int, o *Outcome) { o.Replies = append(o.Replies, Reply{Text: "hi"}) }
	button := func(n int) Outcome {
		return Outcome{Replies: []Reply{{Text: "hi", Buttons: make([]Button, n)}}}
	}
	slot := func(name, value string) Outcome { return Outcome{Slots: map[string]string{name: value}} }
	slots := func(i int, o *Outcome) {
		if o.Slots == nil {
			o.Slots = map[string]string{}
		}
		o.Slots[fmt.Sprint("s", i)] = "v"
	}
	tag := func(i int, o *Outcome) { o.Tags = append(o.Tags, fmt.Sprint("t", i)) }
	timer := func(i int, o *Outcome) {
		o.Timers = append(o.Timers, Timer{ID: fmt.Sprint("t", i), Due: testDay().Add(time.Hour)})
	}
	timerIn := func(d time.Duration) Outcome { return Outcome{Timers: []Timer{{ID: "t", Due: testDay().Add(d)}}} }
	for name, tc := range map[string]struct {
		outcome Outcome
		want    Code
	}{
		"nothing":             {},
		"most replies":        {outcome: many(MaxRepliesATurn, reply)},
		"too many replies":    {outcome: many(MaxRepliesATurn+1, reply), want: CodeInvalid},
		"empty reply":         {outcome: Outcome{Replies: []Reply{{}}}, want: CodeEmptyText},
		"longest reply":       {outcome: Outcome{Replies: []Reply{{Text: Text(strings.Repeat("x", MaxTextBytes))}}}},
		"too long reply":      {outcome: Outcome{Replies: []Reply{{Text: Text(strings.Repeat("x", MaxTextBytes+1))}}}, want: CodeTextTooLong},
		"most buttons":        {outcome: button(MaxButtons)},
		"too many buttons":    {outcome: button(MaxButtons + 1), want: CodeInvalid},
		"bad button":          {outcome: Outcome{Replies: []Reply{{Text: "hi", Buttons: []Button{{Text: "\xff"}}}}}, want: CodeBadText},
		"most slots":          {outcome: many(MaxSlots, slots)},
		"too many slots":      {outcome: many(MaxSlots+1, slots), want: CodeInvalid},
		"longest slot":        {outcome: slot(strings.Repeat("k", MaxTagBytes), strings.Repeat("v", MaxSlotBytes))},
		"too long slot name":  {outcome: slot(strings.Repeat("k", MaxTagBytes+1), ""), want: CodeInvalid},
		"no slot name":        {outcome: slot("", "v"), want: CodeInvalid},
		"too long slot value": {outcome: slot("k", strings.Repeat("v", MaxSlotBytes+1)), want: CodeInvalid},
		"bad slot value":      {outcome: slot("k", "\xff"), want: CodeBadText},
		"bad summary":         {outcome: Outcome{Summary: "\xff"}, want: CodeBadText},
		"bad intent":          {outcome: Outcome{Intent: "\xff"}, want: CodeBadText},
		"most tags":           {outcome: many(MaxTags, tag)},
		"too many tags":       {outcome: many(MaxTags+1, tag), want: CodeBadTag},
		"one tag often":       {outcome: many(MaxTags+1, func(_ int, o *Outcome) { o.Tags = append(o.Tags, "same") }), want: CodeBadTag},
		"a tag twice":         {outcome: Outcome{Tags: []string{"same", "same"}}},
		"bad tag":             {outcome: Outcome{Tags: []string{"a\nb"}}, want: CodeBadTag},
		"bad priority":        {outcome: Outcome{Priority: "purple"}, want: CodeBadPriority},
		"most timers":         {outcome: many(MaxTimers, timer)},
		"too many timers":     {outcome: many(MaxTimers+1, timer), want: CodeInvalid},
		"one timer often":     {outcome: many(MaxTimers+1, func(_ int, o *Outcome) { o.Timers = append(o.Timers, timerIn(time.Hour).Timers...) }), want: CodeInvalid},
		"a timer twice":       {outcome: Outcome{Timers: append(timerIn(time.Hour).Timers, timerIn(time.Hour).Timers...)}},
		"timer now":           {outcome: timerIn(0), want: CodeBadTime},
		"timer in a year":     {outcome: timerIn(maxSnooze)},
		"timer after a year":  {outcome: timerIn(maxSnooze + 1), want: CodeBadTime},
		"bad timer":           {outcome: Outcome{Timers: []Timer{{ID: "\xff", Due: testDay().Add(1)}}}, want: CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := pending(t, ChannelWeb)
			d, err := Decide(h.state, CompleteTurn{Turn: 2, Outcome: tc.outcome}, h.now)
			if tc.want == "" && (err != nil || len(d.Events) == 0) || tc.want != "" && CodeOf(err) != tc.want {
				t.Errorf("Decide = %d events, %v, want %q", len(d.Events), err, tc.want)
			}
		})
	}
}

// TestLimitsCountWhatIsNew: at a limit, saying again what is known is no
// excess.
func TestLimitsCountWhatIsNew(t *testing.T) {
	t.Parallel()
	h := pending(t, ChannelWeb)
	var full Outcome
	for i := range MaxTags {
		full.Tags = append(full.Tags, fmt.Sprintf("tag%02d", i))
	}
	for i := range MaxTimers {
		full.Timers = append(full.Timers, Timer{ID: fmt.Sprint("t", i), Due: h.now.Add(time.Hour)})
	}
	h.mustRun(t, CompleteTurn{Turn: 2, Outcome: full})

	later := Timer{ID: "t3", Due: h.now.Add(2 * time.Hour)}
	h.mustRun(t,
		AcceptMessage{Origin: origin(ChannelWeb), Text: "more"},
		CompleteTurn{Turn: h.state.Version + 1, Outcome: Outcome{Tags: []string{"tag03"}, Timers: []Timer{later}}},
		ChangeTags{Add: []string{"new"}, Remove: []string{"tag03"}},
		ChangeTags{Add: []string{"new"}})
	if !slices.Contains(h.state.Timers, later) || len(h.state.Timers) != MaxTimers {
		t.Errorf("timers %v, want t3 renewed", h.state.Timers)
	}
	for name, c := range map[string]Command{
		"tag":           ChangeTags{Add: []string{"one more"}},
		"tag of a turn": CompleteTurn{Outcome: Outcome{Tags: []string{"one more"}}},
		"timer":         CompleteTurn{Outcome: Outcome{Timers: []Timer{{ID: "t99", Due: h.now.Add(time.Hour)}}}},
	} {
		if _, err := Decide(h.state, c, h.now); err == nil {
			t.Errorf("one %s over the limit is not refused", name)
		}
	}
}

// TestConfidenceIsStorable: an engine may divide by zero; the turn has to be
// stored all the same.
func TestConfidenceIsStorable(t *testing.T) {
	t.Parallel()
	for give, want := range map[float32]float32{
		0: 0, 0.5: 0.5, 1: 1, -0.1: 0, 1.0001: 1, float32(math.Inf(1)): 1, float32(math.Inf(-1)): 0, float32(math.NaN()): 0,
	} {
		h := pending(t, ChannelWeb)
		h.mustRun(t, CompleteTurn{
			Turn: 2, Prediction: &Prediction{Candidates: []Candidate{{Intent: "x", Confidence: give}}},
			Outcome: Outcome{Handover: HandoverPolicy},
		})
		if got := h.state.Handover.Confidence; got != want {
			t.Errorf("confidence %v is stored as %v, want %v", give, got, want)
		}
	}
}

// TestAgentsReplyEndsTheTurn: what a human has answered, the bot does not
// answer again when it gets the conversation back.
func TestAgentsReplyEndsTheTurn(t *testing.T) {
	t.Parallel()
	h := pending(t, ChannelWeb)
	h.mustRun(t, ReplyAsAgent{Agent: "a1", Text: "Here you are."}, ReturnToBot{By: "a1"})
	if h.state.LastVisitor > h.state.LastTurn {
		t.Errorf("message %d counts as unanswered after turn %d", h.state.LastVisitor, h.state.LastTurn)
	}
	late := CompleteTurn{Turn: 2, Outcome: Outcome{Replies: []Reply{{Text: "Here you are."}}}}
	if d, err := Decide(h.state, late, h.now); CodeOf(err) != CodeStaleTurn {
		t.Errorf("late turn = %+v, %v, want %s", d.Events, err, CodeStaleTurn)
	}
	h = pending(t, ChannelWeb)
	h.mustRun(t, Claim{Agent: "a1"}, AddNote{Agent: "a1", Text: "for the bot"}, ReturnToBot{By: "a1"}, late)
}

// TestMarksComeToRest: two readers that mark whatever they see, each other's
// marks included, stop after one round.
func TestMarksComeToRest(t *testing.T) {
	t.Parallel()
	h := pending(t, ChannelWeb)
	h.mustRun(t, ReplyAsAgent{Agent: "a1", Text: "Hi."})
	for round := range 3 {
		before := h.state.Version
		h.mustRun(t,
			MarkRead{By: PartyVisitor, UpTo: h.state.Version},
			MarkRead{By: PartyAgent, Agent: "a1", UpTo: h.state.Version},
			MarkDelivered{UpTo: h.state.Version})
		if round > 0 && h.state.Version != before {
			t.Fatalf("round %d wrote %d entries more", round, h.state.Version-before)
		}
	}
	if h.state.ReadVisitor != 5 || h.state.ReadAgent != 5 {
		t.Errorf("read to %d and %d, want the reply, 5", h.state.ReadVisitor, h.state.ReadAgent)
	}
}

// TestMarksWithoutMessages: a log that was cut after its first entry has
// nothing to mark.
func TestMarksWithoutMessages(t *testing.T) {
	t.Parallel()
	s := refold(ConversationID{1}, []Entry{{Seq: 1, At: testDay(), Event: ConversationStarted{Status: StatusPending, Handler: HandlerBot}}})
	for _, c := range []Command{MarkRead{By: PartyVisitor, UpTo: 1}, MarkRead{By: PartyAgent, UpTo: 9}, MarkDelivered{UpTo: 1}} {
		if d, err := Decide(s, c, testDay()); err != nil || len(d.Events) > 0 {
			t.Errorf("%+v = %+v, %v", c, d.Events, err)
		}
	}
}

// TestTimesAreStoredInMilliseconds: what the journal gives back is what was
// folded.
func TestTimesAreStoredInMilliseconds(t *testing.T) {
	t.Parallel()
	odd := testDay().Add(time.Hour + 1234567*time.Nanosecond).In(time.FixedZone("CET", 3600))
	want := testDay().Add(time.Hour + time.Millisecond)
	h := pending(t, ChannelWeb)
	h.mustRun(t,
		CompleteTurn{Turn: 2, Outcome: Outcome{Timers: []Timer{{ID: "t", Due: odd}}}},
		Claim{Agent: "a1"}, Snooze{By: "a1", Until: odd})
	if s := h.state; s.SnoozedUntil != want || s.Timers[0].Due != want || s.NextDue() != want {
		t.Errorf("snoozed until %v, timer due %v, want %v", s.SnoozedUntil, s.Timers[0].Due, want)
	}
}
