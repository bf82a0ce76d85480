package history

import (
	"strings"

	"github.com/colloquyhq/colloquy/actors"
	"github.com/colloquyhq/colloquy/conversation"
)

// Kind is what a bot does in a turn.
type Kind string

// The kinds.
const (
	Answered   Kind = "answered"    // or asked for what the answer needs
	Offered    Kind = "offered"     // asked which of several matters is meant
	Fallback   Kind = "fallback"    // said that it had not understood
	HandedOver Kind = "handed_over" // gave the conversation to people
	Unknown    Kind = "unknown"     // a behavior of the operator's own decided, or nothing is stored
)

// Verdict is what a bot does in a turn, or did.
type Verdict struct {
	Kind       Kind    `json:"kind"`
	Intent     string  `json:"intent,omitempty"`
	Confidence float32 `json:"confidence,omitempty"`
	Model      string  `json:"model,omitempty"`
	Text       string  `json:"text,omitempty"` // empty where a look-up decides it
}

// same reports whether two verdicts come to the same for the visitor.
func (v *Verdict) same(o *Verdict) bool {
	return v.Kind == o.Kind && (v.Kind != Answered || v.Intent == o.Intent)
}

func verdictOf(v *actors.Verdict) Verdict {
	out := Verdict{Intent: v.Intent, Confidence: v.Confidence, Model: v.Model, Text: v.Text}
	switch v.Action {
	case conversation.ActionAnswer, conversation.ActionContinue:
		out.Kind = Answered
	case conversation.ActionClarify:
		out.Kind = Offered
	case conversation.ActionHandover:
		out.Kind = HandedOver
	case conversation.ActionFallback:
		out.Kind = Fallback
	default:
		out.Kind = Unknown
	}
	return out
}

// builtin is the behavior whose turns can be compared, and lookup what the names
// of the packs' look-ups begin with.
const (
	builtin = "builtin"
	lookup  = "flow:"
)

// stored reads what the bot did in a turn from the events that completed it,
// which are all of one append: entries begins with TurnCompleted.
func stored(entries []conversation.Entry) Verdict {
	done, ok := entries[0].Event.(conversation.TurnCompleted)
	if !ok || done.Behavior != builtin && !strings.HasPrefix(done.Behavior, lookup) {
		return Verdict{Kind: Unknown}
	}
	out := Verdict{Kind: Answered, Intent: done.Intent, Confidence: done.Confidence, Model: done.Model}
	switch {
	case done.Abstained && len(done.Offered) > 0:
		out.Kind = Offered
	case done.Abstained:
		out.Kind = Fallback
	}
	var said []string
	for _, e := range entries[1:] {
		switch ev := e.Event.(type) { //nolint:gochecksumtype // what a turn of the bot consists of
		case conversation.ReplyComposed:
			if ev.InReplyTo == done.Turn {
				said = append(said, string(ev.Text))
			}
		case conversation.HandoverRequested:
			// A playbook may answer and hand over; then it has answered.
			if ev.Reason != conversation.HandoverPolicy || done.Intent == "" {
				out.Kind = HandedOver
			}
		case conversation.MessageAccepted, conversation.TurnCompleted, conversation.AgentReplied:
			out.Text = strings.Join(said, "\n")
			return out
		}
	}
	out.Text = strings.Join(said, "\n")
	return out
}
