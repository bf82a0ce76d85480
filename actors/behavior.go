package actors

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// Behavior answers turns of a conversation. Plug one in with a [Binding] to
// handle an intent, or a whole inbox, in your own way.
//
// Turn is called for each visitor message that the binding covers, and for each
// timer that the behavior asked for (then t.Timer is set). It runs off the
// conversation's mailbox and may take its time until ctx ends; after that, on
// an error, and on a panic, the conversation is handed to a human. What it
// returns is checked, made durable together with everything it implies, and
// only then shown. A result that comes after the visitor has written again, or
// after a human has taken over, is dropped.
//
// Concurrency: Turn is called for many conversations at once, but never twice
// at a time for one of them.
type Behavior interface {
	Turn(ctx context.Context, t *Turn) (conversation.Outcome, error)
}

// BehaviorFunc is a function that is a [Behavior].
type BehaviorFunc func(ctx context.Context, t *Turn) (conversation.Outcome, error)

// Turn implements [Behavior].
func (f BehaviorFunc) Turn(ctx context.Context, t *Turn) (conversation.Outcome, error) {
	return f(ctx, t)
}

// Binding says which turns a behavior gets. The most specific binding wins:
// inbox and intent, then intent, then inbox, then the built-in behaviors.
type Binding struct {
	Name     string               // shown as the reply's provenance
	Inbox    conversation.InboxID // empty = every inbox
	Intent   string               // empty = every turn, understood or not
	Timeout  time.Duration        // zero = Options.BehaviorTimeout
	Behavior Behavior
}

// Turn is what a behavior gets. It is the behavior's own copy, but for Playbook,
// which is read only.
type Turn struct {
	Inbox        conversation.Inbox
	Conversation *conversation.State // as of this turn, the visitor's message included
	Seq          conversation.Seq    // of the visitor's message; 0 for a timer
	Text         conversation.Text
	Timer        string // the id of the timer that fired; empty for a message
	Now          time.Time

	Prediction *conversation.Prediction // never nil; empty when nothing was recognized or for a timer
	Choice     conversation.Choice      // what the inbox's policy would do
	Lang       string                   // "zh" or "en"
	Slots      map[string]string        // what the dialogue knows, this message's entities included
	Playbook   *conversation.Playbook   // what the pack says about Choice.Intent, or nil

	wording *conversation.Wording // of the text, if somebody has read it already

	more   []string // further values that the message gives for the slot that was filled
	phrase func(name, lang string) string
}

// own makes the turn a copy that a behavior may change and keep.
func (t *Turn) own(s *conversation.State) {
	t.Conversation = s.Clone()
	p := *t.Prediction
	p.Candidates, p.Entities = slices.Clone(p.Candidates), slices.Clone(p.Entities)
	t.Prediction = &p
	t.Choice.Offer = slices.Clone(t.Choice.Offer)
	t.Inbox.Packs, t.Inbox.Vars = slices.Clone(t.Inbox.Packs), maps.Clone(t.Inbox.Vars)
	t.Inbox.Channels, t.Inbox.Origins = slices.Clone(t.Inbox.Channels), slices.Clone(t.Inbox.Origins)
}

// Attachments are the files that ride on the visitor's message. Their text may
// be empty then.
func (t *Turn) Attachments() []conversation.Attachment {
	m, _ := t.Conversation.MessageAt(t.Seq)
	return m.Attachments
}

// wordless reports whether the visitor sent files and said nothing.
func (t *Turn) wordless() bool { return t.Text == "" && t.Timer == "" && len(t.Attachments()) > 0 }

// Phrase gives a fixed sentence of the inbox's packs in the visitor's language,
// such as "fallback" or "handover".
func (t *Turn) Phrase(name string) string {
	if t.phrase == nil {
		return ""
	}
	return t.phrase(name, t.Lang)
}

// soften puts the packs' apology before what is said to an angry visitor who
// has not heard one. Own behaviors choose their words themselves: the apology
// is t.Phrase("apology"), and an outcome that holds one says Softened.
func (t *Turn) soften(out conversation.Outcome) conversation.Outcome {
	apology := t.Phrase(phraseApology)
	if !t.Choice.Soften || apology == "" || len(out.Replies) == 0 {
		return out
	}
	text := conversation.Text(apology) + "\n" + out.Replies[0].Text
	if len(text) > conversation.MaxTextBytes {
		return out
	}
	out.Replies = slices.Clone(out.Replies)
	out.Replies[0].Text, out.Softened = text, true
	return out
}

// Reply answers with texts and keeps what the dialogue knows.
func (t *Turn) Reply(texts ...string) conversation.Outcome {
	out := conversation.Outcome{Intent: t.Choice.Intent, Slots: t.Slots}
	for _, s := range texts {
		out.Replies = append(out.Replies, conversation.Reply{Text: conversation.Text(s)})
	}
	return out
}

// Ask asks the visitor for a slot. The next message is understood as its value
// if the pack's entity of that name finds one in it, or as a whole if there is
// no such entity.
func (t *Turn) Ask(slot, question string) conversation.Outcome {
	out := t.Reply(question)
	out.Ask = slot
	return out
}

// Handover gives the conversation to a human after saying text, which may be
// empty.
func (t *Turn) Handover(text, summary string) conversation.Outcome {
	out := conversation.Outcome{Intent: t.Choice.Intent, Slots: t.Slots, Handover: conversation.HandoverBehavior, Summary: summary}
	if text != "" {
		out.Replies = []conversation.Reply{{Text: conversation.Text(text)}}
	}
	return out
}

// behaviors finds the behavior of a turn.
type behaviors struct {
	byBoth   map[inboxIntent]*Binding
	byIntent map[string]*Binding
	byInbox  map[conversation.InboxID]*Binding
	all      *Binding
}

type inboxIntent struct {
	inbox  conversation.InboxID
	intent string
}

func newBehaviors(bindings []Binding) (*behaviors, error) {
	b := &behaviors{
		byBoth: map[inboxIntent]*Binding{}, byIntent: map[string]*Binding{}, byInbox: map[conversation.InboxID]*Binding{},
	}
	for _, x := range bindings {
		if x.Behavior == nil || x.Name == "" {
			return nil, conversation.Refuse(conversation.CodeInvalid, "a behavior binding needs a name and a behavior")
		}
		var taken bool
		switch {
		case x.Inbox != "" && x.Intent != "":
			key := inboxIntent{x.Inbox, x.Intent}
			taken, b.byBoth[key] = b.byBoth[key] != nil, &x
		case x.Intent != "":
			taken, b.byIntent[x.Intent] = b.byIntent[x.Intent] != nil, &x
		case x.Inbox != "":
			taken, b.byInbox[x.Inbox] = b.byInbox[x.Inbox] != nil, &x
		default:
			taken, b.all = b.all != nil, &x
		}
		if taken {
			return nil, conversation.Refusef(conversation.CodeInvalid, "behavior %q: another one is bound to the same turns", x.Name)
		}
	}
	return b, nil
}

// find gives the binding for a turn in an inbox, or nil for the built-in
// behaviors. Bindings by intent get what the policy trusts to be that intent.
func (b *behaviors) find(inbox conversation.InboxID, c conversation.Choice) *Binding {
	if c.Action == conversation.ActionAnswer || c.Action == conversation.ActionContinue {
		if x := b.byBoth[inboxIntent{inbox, c.Intent}]; x != nil {
			return x
		}
		if x := b.byIntent[c.Intent]; x != nil {
			return x
		}
	}
	if x := b.byInbox[inbox]; x != nil {
		return x
	}
	return b.all
}

// serves reports whether an inbox has a behavior of its own, so that it has a
// bot even without packs.
func (b *behaviors) serves(inbox conversation.InboxID) bool {
	return b.all != nil || b.byInbox[inbox] != nil
}
