package actors

import (
	"context"
	"strings"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// Shadow is an engine that understands what visitors write and answers nobody.
// It is how another engine is judged on real traffic before it may speak, and
// how an inbox whose bot is silent shows what the bot would say.
type Shadow interface {
	// Watches reports whether PredictAsync is asked about an inbox's turns. It is
	// asked for every turn.
	Watches(inbox conversation.InboxID) bool
	// PredictAsync is that of [AsyncClassifier]. Its errors are told to Saw.
	PredictAsync(ctx context.Context, u *conversation.Utterance, done func(*conversation.Prediction, error))
	// Saw takes what came of a turn, of inboxes that are watched and of those
	// whose bot is silent. It must not block.
	Saw(t ShadowTurn)
}

// ShadowTurn is a visitor's message with what the engine that decides made of it
// and what the other one would have.
type ShadowTurn struct {
	Conversation conversation.ConversationID
	Seq          conversation.Seq // of the visitor's message
	Inbox        conversation.InboxID
	At           time.Time
	Text         conversation.Text
	Silent       bool     // Own was not said: the inbox's policy keeps the bot silent, or a human had the conversation
	Own          Verdict  // of the engine that decides
	Other        *Verdict // of the shadow; nil when it was not asked, or gave nothing
	Err          error    // why the shadow gave nothing
}

// Verdict is what an engine's prediction comes to in a turn.
type Verdict struct {
	Action     conversation.Action
	Intent     string
	Confidence float32
	Reason     conversation.HandoverReason // of a handover
	Model      string
	Behavior   string // what answers, when it is not the packs: a behavior that is bound, or a look-up
	Text       string // what is said; empty when a behavior or a look-up decides that
}

// Same reports whether two verdicts come to the same for the visitor.
func (v *Verdict) Same(o *Verdict) bool { return v.Action == o.Action && v.Intent == o.Intent }

// sighting is a turn as it was before its outcome.
type sighting struct {
	e         *Engine
	work      Turn // a copy
	utterance conversation.Utterance
	watched   bool
}

// sight notes a turn for the shadow; nil when nobody wants to see it.
func (g *grain) sight(t *turn) *sighting {
	if g.e.o.Shadow == nil || t.timerID != "" {
		return nil
	}
	return g.sighting(t.seq, t.text, t.pred)
}

func (g *grain) sighting(seq conversation.Seq, text conversation.Text, pred *conversation.Prediction) *sighting {
	inbox, err := g.e.o.Directory.Inbox(g.state.Inbox)
	if err != nil || !inbox.ServesBot() {
		return nil
	}
	watched := g.e.o.Shadow.Watches(inbox.ID)
	if !watched && !inbox.Policy.Silent {
		return nil
	}
	s := &sighting{e: g.e, watched: watched, utterance: g.utterance(&inbox, conversation.ReadWording(text), seq), work: Turn{
		Inbox: inbox, Conversation: g.state, Seq: seq, Text: text, Now: g.now(), Prediction: pred,
		phrase: g.e.phrases(&inbox),
	}}
	s.work.own(g.state)
	return s
}

// turn tells of a turn that the engine decided.
func (s *sighting) turn(behavior string, out conversation.Outcome) {
	if s == nil {
		return
	}
	silent := s.work.Inbox.Policy.Silent
	own := s.verdict(s.work.Prediction)
	if !silent {
		own.Text = spoken(out.Replies)
		if own.Behavior = ""; behavior != builtinName {
			own.Behavior = behavior
		}
		if out.Handover == conversation.HandoverBotFailed || out.Handover == conversation.HandoverLookup {
			own.Action, own.Reason = conversation.ActionHandover, out.Handover
		}
	}
	s.tell(own, silent)
}

// tell asks the shadow, if it watches, and reports both.
func (s *sighting) tell(own Verdict, silent bool) {
	w := &s.work
	t := ShadowTurn{
		Conversation: w.Conversation.ID, Seq: w.Seq, Inbox: w.Inbox.ID, At: w.Now, Text: w.Text, Silent: silent, Own: own,
	}
	if !s.watched {
		s.e.o.Shadow.Saw(t)
		return
	}
	err := s.e.pool.submit(&score{
		utterance: s.utterance, deadline: time.Now().Add(s.e.o.TurnTimeout), shadow: true,
		then: func(pred *conversation.Prediction, err error) {
			if t.Err = err; err == nil {
				other := s.verdict(pred)
				t.Other = &other
			}
			s.e.o.Shadow.Saw(t)
		},
	})
	if err != nil {
		t.Err = err
		s.e.o.Shadow.Saw(t)
	}
}

// verdict plays a prediction through, as a policy that speaks would. It does
// no I/O, runs no behavior, and changes nothing.
func (s *sighting) verdict(pred *conversation.Prediction) Verdict {
	w := s.work
	policy := w.Inbox.Policy
	policy.Silent = false
	w.Inbox.Policy = policy
	s.e.understand(&w, pred, policy)
	v := Verdict{
		Action: w.Choice.Action, Intent: w.Choice.Intent, Confidence: w.Choice.Confidence, Reason: w.Choice.Reason, Model: pred.Model,
	}
	if best := pred.Best(); v.Intent == "" {
		v.Intent, v.Confidence = best.Intent, best.Confidence
	}
	if b := s.e.behaviors.find(w.Inbox.ID, w.Choice); b != nil {
		v.Behavior = b.Name
		return v
	}
	out, slow := s.e.builtin.answer(&w)
	if slow != nil {
		v.Behavior = slow.Name
		return v
	}
	v.Text = spoken(out.Replies)
	return v
}

func spoken(replies []conversation.Reply) string {
	var texts []string
	for _, r := range replies {
		texts = append(texts, string(r.Text))
		for _, b := range r.Buttons {
			texts = append(texts, "["+b.Label+"]")
		}
	}
	return strings.Join(texts, "\n")
}

// overhear shows what the bot of a silent inbox would say to a message that
// humans answer. It is at best effort: a full scoring queue passes it by.
func (g *grain) overhear() {
	if g.e.o.Shadow == nil {
		return
	}
	inbox, err := g.e.o.Directory.Inbox(g.state.Inbox)
	m, ok := g.state.MessageAt(g.state.LastVisitor)
	if err != nil || !inbox.Policy.Silent || !ok {
		return
	}
	s := g.sighting(m.Seq, m.Text, &conversation.Prediction{})
	if s == nil {
		return
	}
	_ = g.e.pool.submit(&score{
		utterance: s.utterance, deadline: time.Now().Add(g.e.o.TurnTimeout),
		then: func(pred *conversation.Prediction, err error) {
			if err == nil {
				s.tell(s.verdict(pred), true)
			}
		},
	})
}
