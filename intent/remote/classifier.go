package remote

import (
	"context"

	"github.com/colloquyhq/colloquy/conversation"
)

// Builtin is the engine that answers when the backend does not, and what it
// knows about the packs.
type Builtin interface {
	Labels
	// Predict understands an utterance within microseconds.
	Predict(ctx context.Context, u *conversation.Utterance, p *conversation.Prediction) error
	// Thresholds gives what the packs demand of an intent; false when they do not
	// have it.
	Thresholds(packs []string, intent string) (Thresholds, bool)
}

// Thresholds are the limits of an intent: at or above Auto the bot answers by
// itself, at or above Suggest it asks back, and the next best must be Margin
// below.
type Thresholds struct{ Auto, Suggest, Margin float32 }

// Classifier understands by a backend, and by the built-in engine where that
// does not answer. What it decides by stays ours: the entities, the thresholds
// of the packs, and that a visitor who asks for a human gets one.
type Classifier struct {
	builtin     Builtin
	client      *Client
	calibration Calibration
}

// NewClassifier puts a backend in front of the built-in engine.
func NewClassifier(c *Client, b Builtin, k Calibration) *Classifier {
	return &Classifier{builtin: b, client: c, calibration: k}
}

// PredictAsync understands u and calls done once: at once, or from another
// goroutine before the client's time limit ends. done must not block, and u must
// not change until then.
//
// Errors: those of the built-in engine; a backend that fails is none.
func (c *Classifier) PredictAsync(ctx context.Context, u *conversation.Utterance, done func(*conversation.Prediction, error)) {
	p := &conversation.Prediction{}
	if err := c.builtin.Predict(ctx, u, p); err != nil {
		done(nil, err)
		return
	}
	c.client.Ask(ctx, u, func(a Answer, err error) {
		if err == nil {
			c.merge(u, p, a)
		}
		done(p, nil)
	})
}

// ShadowAsync is PredictAsync that does not fall back: what it tells is the
// backend's own, or why there is nothing.
func (c *Classifier) ShadowAsync(ctx context.Context, u *conversation.Utterance, done func(*conversation.Prediction, error)) {
	p := &conversation.Prediction{}
	if err := c.builtin.Predict(ctx, u, p); err != nil {
		done(nil, err)
		return
	}
	c.client.Ask(ctx, u, func(a Answer, err error) {
		if err != nil {
			done(nil, err)
			return
		}
		c.merge(u, p, a)
		done(p, nil)
	})
}

// Predict is PredictAsync that waits.
func (c *Classifier) Predict(ctx context.Context, u *conversation.Utterance, p *conversation.Prediction) error {
	type outcome struct {
		p   *conversation.Prediction
		err error
	}
	got := make(chan outcome, 1)
	c.PredictAsync(ctx, u, func(p *conversation.Prediction, err error) { got <- outcome{p, err} })
	select {
	case o := <-got:
		if o.err == nil {
			*p = *o.p
		}
		return o.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// merge puts what the backend understood into p, which holds what the built-in
// engine did.
func (c *Classifier) merge(u *conversation.Utterance, p *conversation.Prediction, a Answer) {
	p.Entities = withOthers(p.Entities, a.Entities)
	if a.Lang != "" {
		p.Lang = a.Lang
	}
	if a.Anger != nil {
		p.Anger = float32(*a.Anger)
	}
	if best := p.Best(); best.Intent == conversation.IntentTalkToHuman && best.Confidence >= p.Suggest {
		return // a backend that was never taught this must not lock visitors in
	}
	p.Model, p.Nearest = modelPrefix+a.Model, ""
	p.InContext, p.Parts = conversation.Candidate{}, nil // the packs' own view of the text, which the backend has replaced
	p.Candidates = p.Candidates[:0]
	for _, x := range a.Candidates[:min(len(a.Candidates), maxKept)] {
		x.Confidence = c.calibration.Apply(x.Confidence)
		p.Candidates = append(p.Candidates, x)
	}
	if len(p.Candidates) == 0 {
		return
	}
	best := &p.Candidates[0]
	t, ok := c.builtin.Thresholds(u.Packs, best.Intent)
	if !ok {
		return // the packs have changed since; the thresholds at hand are as good as any
	}
	p.Auto, p.Suggest = t.Auto, t.Suggest
	if len(p.Candidates) > 1 && t.Margin > 0 && best.Confidence-p.Candidates[1].Confidence < t.Margin {
		best.Confidence = min(best.Confidence, max(p.Auto-marginStep, p.Candidates[1].Confidence))
	}
}

const (
	modelPrefix = "http:"
	// marginStep keeps a confidence that lacks its margin below the point of
	// answering by itself.
	marginStep = 0.01
)

// withOthers adds the values that the rules of the packs did not find. Where both
// found something, the rules stand: they are what a look-up was tested with.
func withOthers(mine, theirs []conversation.Entity) []conversation.Entity {
next:
	for _, e := range theirs {
		for _, m := range mine {
			if e.Start < m.End && m.Start < e.End {
				continue next
			}
		}
		mine = append(mine, e)
	}
	return mine
}
