package actors

import (
	"context"

	"github.com/colloquyhq/colloquy/conversation"
)

// Rehearsal says what the packs' bot would do in turns that are long over, so
// that other packs or another engine can be judged on what visitors really
// wrote. It changes nothing and runs no look-ups and no behaviors.
//
// Concurrency: safe for all if the classifier is.
type Rehearsal struct {
	classifier Classifier
	e          *Engine // as much of one as a verdict needs
}

// NewRehearsal makes one of a classifier and what the packs say.
func NewRehearsal(c Classifier, l Library) *Rehearsal {
	e := &Engine{o: Options{Library: l}, behaviors: &behaviors{}, builtin: &builtin{library: l}}
	e.builtin.flows = &flows{b: e.builtin}
	return &Rehearsal{classifier: c, e: e}
}

// Verdict says what becomes of a visitor's message. The state is the one after
// the message was accepted and before anything came of it. An inbox that keeps
// its bot silent is taken as one that lets it speak.
//
// Errors: those of the classifier.
func (r *Rehearsal) Verdict(ctx context.Context, inbox *conversation.Inbox, s *conversation.State, m *conversation.Message) (Verdict, error) {
	u := utteranceOf(s, inbox, s.Channel, conversation.ReadWording(m.Text), m.Seq)
	var pred conversation.Prediction
	if err := r.classifier.Predict(ctx, &u, &pred); err != nil {
		return Verdict{}, err
	}
	seen := sighting{e: r.e, work: Turn{
		Inbox: *inbox, Conversation: s, Seq: m.Seq, Text: m.Text, Prediction: &pred,
		phrase: r.e.phrases(inbox),
	}}
	return seen.verdict(&pred), nil
}
