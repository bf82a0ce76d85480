package conversation

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// transitionTable and outcomeMatrix are printed into the transcript
// transitions.txt: the whole of status × trigger, and what every command comes
// to wherever a conversation may stand.
func transitionTable() string {
	var b strings.Builder
	for _, from := range Statuses() {
		for _, trigger := range triggerOrder() {
			to := "refused"
			var e *Error
			if err := from.guard(trigger); errors.As(err, &e) {
				to = "refused " + string(e.Code)
			} else if err == nil {
				to = fmt.Sprint("→ ", transitions[from][trigger])
			}
			fmt.Fprintf(&b, "%s: %s %s\n", from, trigger, to)
		}
	}
	return b.String()
}

// standing is a place where a conversation may stand.
type standing struct {
	name string
	way  []Command
}

func standings() []standing {
	hour := testDay().Add(time.Hour)
	handover, claim := RequestHandover{Reason: HandoverAsked}, Claim{Agent: "a1"}
	return []standing{
		{"pending", nil},
		{"open, queued", []Command{handover}},
		{"open, with a1", []Command{handover, claim}},
		{"snoozed, nobody's", []Command{handover, Snooze{By: "a1", Until: hour}}},
		{"snoozed, with a1", []Command{claim, Snooze{By: "a1", Until: hour}}},
		{"resolved", []Command{claim, Resolve{By: "a1"}}},
		{"closed", []Command{Resolve{}, Close{By: "a1"}}},
	}
}

type attempt struct {
	name string
	cmd  Command
}

func attempts() []attempt {
	return []attempt{
		{"visitor writes", AcceptMessage{Origin: origin(ChannelWeb), Ref: "r9", Text: "more"}},
		{"visitor repeats", AcceptMessage{Origin: origin(ChannelWeb), Ref: "r1", Text: "hello"}},
		{"bot completes turn 2", CompleteTurn{Turn: 2, Outcome: Outcome{Intent: "x", Replies: []Reply{{Text: "hi"}}}}},
		{"bot speaks up", CompleteTurn{Outcome: Outcome{Replies: []Reply{{Text: "hi"}}}}},
		{"handover", RequestHandover{Reason: HandoverByAgent, By: "a1"}},
		{"a1 claims", Claim{Agent: "a1"}},
		{"a2 claims", Claim{Agent: "a2"}},
		{"a1 writes", ReplyAsAgent{Agent: "a1", Ref: "k9", Text: "hi"}},
		{"a2 writes", ReplyAsAgent{Agent: "a2", Ref: "k9", Text: "hi"}},
		{"nobody writes", ReplyAsAgent{Ref: "k9", Text: "hi"}},
		{"the queue assigns a1", Assign{To: "a1"}},
		{"the queue assigns a2", Assign{To: "a2"}},
		{"lead assigns a1", Assign{To: "a1", By: "lead"}},
		{"lead assigns a2", Assign{To: "a2", By: "lead"}},
		{"unassign", Unassign{By: "lead"}},
		{"return to bot", ReturnToBot{By: "a1"}},
		{"snooze", Snooze{By: "a1", Until: testDay().Add(2 * time.Hour)}},
		{"wake", Wake{By: "a1"}},
		{"snooze's timer", FireTimer{}},
		{"a timer", FireTimer{ID: "t"}},
		{"a1 judges message 2", JudgeAnswer{By: PartyAgent, Agent: "a1", Answer: 2, Verdict: VerdictWrong}},
		{"a file of message 2 arrives", RecordAttachment{Message: 2, Attachment: storedFile(1)}},
		{"resolve", Resolve{By: "a1"}},
		{"reopen", Reopen{By: "a1"}},
		{"close", Close{By: "a1"}},
		{"note", AddNote{Agent: "a1", Text: "n"}},
		{"tag", ChangeTags{By: "a1", Add: []string{"x"}}},
		{"priority", ChangePriority{By: "a1", To: PriorityHigh}},
		{"agent reads", MarkRead{By: PartyAgent, Agent: "a1", UpTo: 2}},
		{"delivered", MarkDelivered{UpTo: 2}},
		{"message sent", RecordDelivery{Message: 2, Result: DeliverySent}},
		{"message sent again", SendAgain{Message: 2, By: "a1"}},
	}
}

func outcomeMatrix(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, place := range standings() {
		for _, a := range attempts() {
			h := pending(t, ChannelWeb)
			h.mustRun(t, place.way...)
			before := h.state.Status
			st, err := h.run(a.cmd)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&b, "%s: %s: %s\n", place.name, a.name, came(st, before, h.state))
		}
	}
	return b.String()
}

// came says in one line what a command came to.
func came(st step, before Status, s *State) string {
	switch {
	case st.err != nil:
		return "refused " + string(CodeOf(st.err))
	case st.duplicate != 0:
		return fmt.Sprintf("duplicate of %d", st.duplicate)
	case len(st.entries) == 0:
		return "nothing"
	}
	line := "done"
	if before != s.Status {
		line = fmt.Sprintf("→ %s", s.Status)
	}
	if s.Assignee != "" {
		line += ", with " + string(s.Assignee)
	}
	if s.Queue == QueueQueued {
		line += ", queued"
	}
	return line
}

// TestTransitionsAreWhole: every status has a row, rows name only what exists,
// and the way out of closed is none.
func TestTransitionsAreWhole(t *testing.T) {
	t.Parallel()
	if got, want := len(Statuses()), len(constantsOf(t, "status.go", "Status")); got != want {
		t.Errorf("Statuses lists %d of %d", got, want)
	}
	if got, want := len(triggerOrder()), len(constantsOf(t, "status.go", "Trigger")); got != want {
		t.Errorf("triggerOrder lists %d of %d", got, want)
	}
	for _, from := range Statuses() {
		row, ok := transitions[from]
		if !ok {
			t.Errorf("%s has no row", from)
		}
		for trigger, to := range row {
			if !slices.Contains(triggerOrder(), trigger) || len(to) == 0 {
				t.Errorf("%s: %s → %v", from, trigger, to)
			}
			for _, s := range to {
				if !slices.Contains(Statuses(), s) {
					t.Errorf("%s: %s leads to %q", from, trigger, s)
				}
			}
		}
		if got := len(from.Transitions()); got != len(row) {
			t.Errorf("%s tells %d of %d transitions", from, got, len(row))
		}
	}
	if n := len(transitions[StatusClosed]); n != 0 {
		t.Errorf("%d ways lead out of closed", n)
	}
}

// TestMatrixCoversEveryCommand keeps transitions.txt complete.
func TestMatrixCoversEveryCommand(t *testing.T) {
	t.Parallel()
	var tried []string
	for _, a := range attempts() {
		tried = append(tried, strings.TrimPrefix(fmt.Sprintf("%T", a.cmd), "conversation."))
	}
	for _, name := range declaredWith(t, "command.go", "command") {
		if !slices.Contains(tried, name) {
			t.Errorf("nobody tries %s in every status", name)
		}
	}
	var reached []Status
	for _, place := range standings() {
		h := pending(t, ChannelWeb)
		h.mustRun(t, place.way...)
		reached = append(reached, h.state.Status)
	}
	for _, s := range Statuses() {
		if !slices.Contains(reached, s) {
			t.Errorf("nothing is tried in status %s", s)
		}
	}
}

func TestPriorityRank(t *testing.T) {
	t.Parallel()
	for p, want := range map[Priority]int{
		"": 0, PriorityNone: 0, PriorityLow: 1, PriorityMedium: 2, PriorityHigh: 3, PriorityUrgent: 4, "High": -1, "5": -1,
	} {
		if got := p.Rank(); got != want {
			t.Errorf("Priority(%q).Rank() = %d, want %d", p, got, want)
		}
	}
	if got := len(constantsOf(t, "status.go", "Priority")); got != 5 {
		t.Errorf("%d priorities are declared, this table knows 5", got)
	}
}
