package replay

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/colloquyhq/colloquy/conversation"
)

// Action is what the bot did on a turn.
type Action string

// The actions.
const (
	Answered   Action = "answered"
	Asked      Action = "asked"       // asked for what the answer needs
	AskedAgain Action = "asked_again" // repeated that question
	Offered    Action = "offered"     // asked which of several matters is meant
	Fallback   Action = "fallback"    // said that it had not understood
	Silent     Action = "silent"      // said nothing
	HandedOver Action = "handed_over" // gave the conversation to humans
	WithHuman  Action = "with_human"  // they had it already
)

// Verdict is how an action compares with what was expected.
type Verdict string

// The verdicts.
const (
	Right   Verdict = "right"
	Wrong   Verdict = "wrong"   // an answer that ought not to have been given
	Missed  Verdict = "missed"  // no answer where one was expected
	Nothing Verdict = "nothing" // nothing was expected, and nothing wrong was said
)

// Judged is a turn with what the bot made of it.
type Judged struct {
	Visitor    string            `json:"visitor"`
	Expect     string            `json:"expect,omitempty"`
	Action     Action            `json:"action"`
	Intent     string            `json:"intent,omitempty"` // that was answered
	Confidence float32           `json:"confidence,omitempty"`
	Slots      map[string]string `json:"slots,omitempty"` // of those expected, what the bot took them for
	Lookups    []Lookup          `json:"lookups,omitempty"`
	Reply      string            `json:"reply,omitempty"`
	Buttons    []string          `json:"buttons,omitempty"`
	Reason     string            `json:"reason,omitempty"` // for a verdict that is not right
	Handover   string            `json:"handover,omitempty"`
	Chosen     bool              `json:"chosen_otherwise,omitempty"` // the visitor chose what had not been expected, among what was offered
	Verdict    Verdict           `json:"verdict"`

	expect            *Expect
	wanted            bool // something that the packs know
	slots, slotsRight int  // expected, and taken for what they are
}

// Result is what became of a dialogue.
type Result string

// The results. They exclude each other.
const (
	AutoResolved    Result = "auto_resolved"    // all that was asked was answered right, nothing was answered wrongly, no human was needed
	WronglyResolved Result = "wrongly_resolved" // a wrong answer was given, whatever else happened
	LeftToHumans    Result = "handed_over"      // the rest
)

// Outcome is a dialogue with its judged turns.
type Outcome struct {
	ID          string   `json:"id"`
	Line        int      `json:"line"`
	Domain      string   `json:"domain,omitempty"`
	Lang        string   `json:"lang,omitempty"`
	Automatable bool     `json:"automatable"`
	Expected    Ending   `json:"expected_outcome"`
	Result      Result   `json:"result"`
	ToHuman     bool     `json:"to_human"` // a human was called
	Turns       []Judged `json:"turns"`
}

func newOutcome(d *Dialogue) Outcome {
	return Outcome{ID: d.ID, Line: d.line, Domain: d.Domain, Lang: d.Lang, Automatable: d.Automatable, Expected: d.Ending}
}

// smallTalk are the intents that need no answer, so that answering one is never
// wrong.
func smallTalk(intent string) bool {
	switch intent {
	case "greeting", "thanks", "goodbye", "affirm", "deny":
		return true
	}
	return false
}

// actionable reports whether a visitor wants something that the packs know.
func (e *Expect) actionable() bool {
	return e != nil && e.Intent != "" && e.Intent != OutOfScope && !smallTalk(e.Intent)
}

func (e *Expect) text() string { return strings.Join(append([]string{e.Intent}, e.Or...), " or ") }

func (e *Expect) accepts(intent string) bool {
	return e.Intent == intent || slices.Contains(e.Or, intent)
}

// add judges a turn.
func (o *Outcome) add(t *Turn, s *said) {
	j := Judged{Visitor: t.Visitor, Lookups: s.lookups, expect: t.Expect, wanted: t.Expect.actionable()}
	if t.Expect != nil {
		j.Expect = t.Expect.text()
	}
	done := j.see(s)
	o.ToHuman = o.ToHuman || j.Action == HandedOver
	if at := o.choice(t.Expect, s, &j); at >= 0 {
		o.choose(at, &j)
	} else {
		j.judge(t.Expect, s, done)
	}
	o.Turns = append(o.Turns, j)
}

// choice gives the turn whose clarifying question this one answers with a choice,
// such as "the second one", or -1.
func (o *Outcome) choice(e *Expect, s *said, j *Judged) int {
	last := len(o.Turns) - 1
	if last < 0 || o.Turns[last].Action != Offered || e.actionable() || j.Action != Answered && j.Action != Asked || !slices.Contains(s.before.Offered, j.Intent) {
		return -1
	}
	return last
}

// choose judges a choice by what the earlier turn wanted, which it then settles.
// A choice of something else is the visitor's, and no answer that the bot gave by
// itself; the earlier turn stays open.
func (o *Outcome) choose(at int, j *Judged) {
	asked := &o.Turns[at]
	if asked.expect == nil || !asked.expect.accepts(j.Intent) {
		j.Verdict, j.Reason, j.Chosen = Nothing, "the visitor chose "+j.Intent, true
		return
	}
	j.Verdict = Right
	if asked.Verdict == Missed {
		asked.Verdict, asked.Reason = Right, "settled by the choice that followed"
	}
}

// see takes down what the bot did.
func (j *Judged) see(s *said) conversation.TurnCompleted {
	var done conversation.TurnCompleted
	var text []string
	handed := false
	for _, e := range s.events {
		switch ev := e.(type) {
		case conversation.TurnCompleted:
			done = ev
		case conversation.ReplyComposed:
			text = append(text, string(ev.Text))
			for _, b := range ev.Buttons {
				j.Buttons = append(j.Buttons, b.Label)
			}
		case conversation.HandoverRequested:
			handed, j.Handover = true, string(ev.Reason)
		default: // says nothing about the turn
		}
	}
	j.Reply, j.Confidence = strings.Join(text, "\n"), done.Confidence
	if !done.Abstained {
		j.Intent = done.Intent
	}
	switch {
	case !s.bot:
		j.Action = WithHuman
	case handed:
		j.Action = HandedOver
	case done.Abstained && len(j.Buttons) > 0:
		j.Action = Offered
	case done.Abstained:
		j.Action = Fallback
	case len(text) == 0:
		j.Action = Silent
	case done.Ask == "":
		j.Action = Answered
	case done.Ask == s.before.Ask && done.Intent == s.before.Intent && len(s.lookups) == 0:
		j.Action = AskedAgain
	default:
		j.Action = Asked
	}
	return done
}

func (j *Judged) judge(e *Expect, s *said, done conversation.TurnCompleted) {
	slotProblem := j.judgeSlots(e, s, done)
	switch {
	case j.Action == HandedOver && j.Handover == string(conversation.HandoverPolicy) && j.Reply != "":
		// The pack's answer was given on the way to a human: right or wrong, it was said.
		if e == nil || !e.accepts(j.Intent) {
			j.wrong(e)
			return
		}
	case j.Action == Answered || j.Action == Asked:
		j.judgeAnswer(e, s, slotProblem)
		return
	}
	j.Verdict = Nothing
	if e.actionable() {
		j.Verdict = Missed
		j.Reason = fmt.Sprintf("%s where %s was expected", j.Action, j.Expect)
	}
}

func (j *Judged) judgeAnswer(e *Expect, s *said, slotProblem string) {
	switch {
	case smallTalk(j.Intent):
		j.Verdict = Nothing
		if e.actionable() {
			j.Verdict = Missed
			j.Reason = fmt.Sprintf("taken for %s where %s was expected", j.Intent, j.Expect)
		}
	case e == nil || e.Intent == "":
		// To go on with the running matter is no answer to something else.
		j.Verdict = Nothing
		if s.before.Ask == "" || j.Intent != s.before.Intent {
			j.wrong(e)
		} else if slotProblem != "" {
			j.Verdict, j.Reason = Wrong, slotProblem
		}
	case !e.accepts(j.Intent):
		j.wrong(e)
	case slotProblem != "" && (j.Action == Answered || len(j.Lookups) > 0):
		j.Verdict, j.Reason = Wrong, slotProblem
	case slotProblem != "":
		j.Verdict, j.Reason = Missed, slotProblem
	default:
		j.Verdict = Right
	}
}

func (j *Judged) wrong(e *Expect) {
	j.Verdict = Wrong
	j.Reason = fmt.Sprintf("%s %s where nothing was asked", j.Action, j.Intent)
	if e != nil && e.Intent != "" {
		j.Reason = fmt.Sprintf("%s %s where %s was expected", j.Action, j.Intent, e.text())
	}
}

// judgeSlots compares the expected values with those that the bot went by: what
// it looked up, or else what the dialogue knows.
func (j *Judged) judgeSlots(e *Expect, s *said, done conversation.TurnCompleted) (problem string) {
	if e == nil || len(e.Slots) == 0 || j.Action == WithHuman {
		return ""
	}
	j.Slots = map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(e.Slots)) {
		want := e.Slots[name]
		got := done.Slots[name]
		if got == "" {
			got = s.after.Slots[name]
		}
		if n := len(s.lookups); n > 0 && got == "" {
			got = s.lookups[n-1].Number // a number that was not found is forgotten again
		}
		j.Slots[name] = got
		j.slots++
		if got == want {
			j.slotsRight++
		} else if problem == "" {
			problem = fmt.Sprintf("%s is %q where %q was expected", name, got, want)
		}
	}
	return problem
}

// settle says what became of the dialogue as a whole.
func (o *Outcome) settle() {
	asked, open := 0, 0
	for i := range o.Turns {
		switch o.Turns[i].Verdict {
		case Wrong:
			o.Result = WronglyResolved
			return
		case Right:
			asked++
		case Missed:
			open++
		case Nothing:
		}
	}
	o.Result = LeftToHumans
	if asked > 0 && open == 0 && !o.ToHuman && o.Expected == EndsResolved {
		o.Result = AutoResolved
	}
}
