package history

import (
	"github.com/colloquyhq/colloquy/conversation"
)

// truth is what is known of a turn from what people did afterwards.
type truth struct {
	intent string // what was really asked
	right  bool   // what the bot did was right
	wrong  bool   // it was wrong
	why    string
}

// turn is a visitor's message, what the bot did, and what came of it.
type turn struct {
	message conversation.Message
	old     Verdict
	after   []conversation.Entry
}

// judge says what is known of a turn. A person's verdict counts most; then what
// the visitor said next; then how it ended.
func (t *turn) judge() truth {
	if k, ok := t.judged(); ok {
		return k
	}
	if t.old.Kind != Answered {
		return truth{}
	}
	if why := t.contradicted(); why != "" {
		return truth{wrong: true, why: why}
	}
	if t.settled() {
		return truth{right: true, intent: t.old.Intent, why: "the conversation was resolved without people"}
	}
	return truth{}
}

// judged looks for a verdict: the newest of an agent, or else of the visitor.
func (t *turn) judged() (truth, bool) {
	var best *conversation.AnswerJudged
	for i := range t.after {
		ev, ok := t.after[i].Event.(conversation.AnswerJudged)
		if ok && ev.Turn == t.message.Seq && (best == nil || ev.By == conversation.PartyAgent || best.By != conversation.PartyAgent) {
			best = &ev
		}
	}
	switch {
	case best == nil:
		return truth{}, false
	case best.Verdict == conversation.VerdictRight:
		return truth{right: true, intent: best.Taken, why: "judged right by the " + string(best.By)}, true
	case best.Verdict == conversation.VerdictWrong:
		return truth{wrong: true, intent: best.Intent, why: "judged wrong by the " + string(best.By)}, true
	}
	return truth{}, false
}

// contradicted says how the visitor's next message took the answer back.
func (t *turn) contradicted() string {
	said := false
	for _, e := range t.after {
		switch ev := e.Event.(type) { //nolint:gochecksumtype // what visitors do about an answer
		case conversation.MessageAccepted:
			if said {
				return "" // the one after the next is about something else
			}
			said = true
		case conversation.TurnCompleted:
			if said && ev.Denied != "" && ev.Denied == t.old.Intent {
				return "the visitor said that it was not what was asked"
			}
		case conversation.HandoverRequested:
			if said && (ev.Reason == conversation.HandoverAsked || ev.Reason == conversation.HandoverAnger) {
				return "the visitor asked for people next"
			}
		}
	}
	return ""
}

// settled reports whether the conversation was resolved after the turn and
// nobody but the bot had said anything.
func (t *turn) settled() bool {
	for _, e := range t.after {
		switch ev := e.Event.(type) { //nolint:gochecksumtype // who spoke, and the end
		case conversation.AgentReplied, conversation.HandoverRequested:
			return false
		case conversation.StatusChanged:
			if ev.To == conversation.StatusResolved {
				return true
			}
		}
	}
	return false
}
