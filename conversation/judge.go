package conversation

import (
	"cmp"
	"slices"
)

// Verdict says whether an answer was right.
type Verdict string

// The verdicts.
const (
	VerdictRight Verdict = "right"
	VerdictWrong Verdict = "wrong"
)

// Judged is a verdict as the state remembers it.
type Judged struct {
	By      Party   `json:"by"`
	Agent   AgentID `json:"agent,omitempty"`
	Answer  Seq     `json:"answer"`
	Verdict Verdict `json:"verdict"`
	Intent  string  `json:"intent,omitempty"`
}

// sameJudge reports whether both verdicts are of one judge on one answer.
func (j Judged) sameJudge(o Judged) bool {
	return j.Answer == o.Answer && j.By == o.By && j.Agent == o.Agent
}

// decideJudge takes a verdict on a message of the bot. The visitor may judge
// what they got as an answer; an agent may also say what a message should have
// been taken for that the bot did not understand. Only messages that the state
// still remembers can be judged.
func decideJudge(s *State, c JudgeAnswer) (Decision, error) {
	if err := checkJudge(c); err != nil {
		return Decision{}, err
	}
	if s.Status == StatusClosed {
		return Decision{}, s.Status.guard(TriggerMessage)
	}
	m, ok := s.MessageAt(c.Answer)
	if !ok {
		return Decision{}, Refusef(CodeNotFound, "there is no message %d, or it is too far back to be judged", c.Answer)
	}
	if m.From != PartyBot || m.InReplyTo == 0 || m.Bot == nil {
		return Decision{}, Refusef(CodeInvalid, "message %d is no answer of the bot", c.Answer)
	}
	if m.Bot.Intent == "" && (c.By == PartyVisitor || c.Verdict == VerdictRight) {
		return Decision{}, Refusef(CodeInvalid, "message %d answers nothing: the bot had not understood", c.Answer)
	}
	if c.Intent != "" && c.Intent == m.Bot.Intent {
		return Decision{}, Refusef(CodeInvalid, "message %d was taken for the intent %q already", c.Answer, c.Intent)
	}
	now := Judged(c)
	if slices.Contains(s.Judged, now) {
		return nothing()
	}
	return events(AnswerJudged{
		By: c.By, Agent: c.Agent, Answer: c.Answer, Turn: m.InReplyTo, Verdict: c.Verdict, Intent: c.Intent,
		Taken: m.Bot.Intent, Confidence: m.Bot.Confidence, Raw: m.Bot.Raw, Model: m.Bot.Model,
	})
}

func checkJudge(c JudgeAnswer) error {
	switch {
	case c.Verdict != VerdictRight && c.Verdict != VerdictWrong:
		return Refuse(CodeInvalid, "a verdict is right or wrong")
	case c.By == PartyAgent && c.Agent == "":
		return Refuse(CodeForbidden, "an agent's verdict needs the agent")
	case c.By != PartyAgent && (c.By != PartyVisitor || c.Agent != ""):
		return Refuse(CodeInvalid, "an answer is judged by the visitor or by an agent")
	case c.Intent != "" && (c.By != PartyAgent || c.Verdict != VerdictWrong):
		return Refuse(CodeInvalid, "only an agent says what a wrong answer should have been taken for")
	case len(c.Intent) > MaxTagBytes || !storable(c.Intent):
		return Refusef(CodeInvalid, "an intent has at most %d bytes of valid UTF-8", MaxTagBytes)
	}
	return nil
}

func (s *State) applyJudged(ev AnswerJudged) {
	now := Judged{Answer: ev.Answer, By: ev.By, Agent: ev.Agent, Verdict: ev.Verdict, Intent: ev.Intent}
	s.Judged = append(slices.DeleteFunc(s.Judged, now.sameJudge), now)
	if n := len(s.Judged) - recentJudged; n > 0 {
		s.Judged = slices.Delete(s.Judged, 0, n)
	}
}

// confirmed reports whether the newest message is one that the bot has just
// offered as a button: the visitor has confirmed what it is about.
func (s *State) confirmed() bool {
	last := len(s.Recent) - 1
	if last < 0 || s.Recent[last].From != PartyVisitor {
		return false
	}
	for i := last - 1; i >= 0; i-- {
		switch m := &s.Recent[i]; {
		case m.Note:
		case m.From != PartyBot:
			return false
		default:
			text := s.Recent[last].Text
			return slices.ContainsFunc(m.Buttons, func(b Button) bool { return b.Text != "" && Text(b.Text) == text })
		}
	}
	return false
}

// raw gives the plain probability where it differs from the confidence.
func (p *Prediction) raw() float32 {
	if p == nil || p.Raw == p.Best().Confidence {
		return 0
	}
	return unit(p.Raw)
}

// Plain gives the plain probability of what the message was taken for.
func (ev AnswerJudged) Plain() float32 { return cmp.Or(ev.Raw, ev.Confidence) }

// Plain gives the plain probability of what the message was taken for.
func (p Provenance) Plain() float32 { return cmp.Or(p.Raw, p.Confidence) }
