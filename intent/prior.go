package intent

import (
	"maps"
	"math"
	"slices"

	"github.com/colloquyhq/colloquy/conversation"
)

// A calibrator states its probabilities for the mixture of known and unknown
// questions that it was trained on. Where an inbox gets another one, every
// probability is off by the same factor in the odds: that is what the judgements
// of its answers are used for, and no more.

// Outcome is what became of one answer of an inbox's bot.
type Outcome struct {
	Confidence float32 // the plain probability, before any correction
	Right      bool
	Weight     float64 // 1 = an agent said so; less for weaker signs
}

// Tally sums up outcomes by confidence. The zero Tally is an empty one.
type Tally struct {
	Bins [tallyBins]TallyBin `json:"bins"`
}

// TallyBin holds weights of outcomes of about the same confidence.
type TallyBin struct {
	Right float64 `json:"right"`
	Wrong float64 `json:"wrong"`
	Logit float64 `json:"logit"` // weighted sum of the confidences' logarithms of odds
}

const (
	tallyBins = 16
	// tallyFloor is the confidence below which outcomes are not counted: the
	// classifier itself was not sure, so that something else made the answer.
	tallyFloor = 0.5
	// shiftDoubt is the variance of the correction that is expected before
	// anything is known: about one in three inboxes is off by more than 0.7,
	// which is a factor of two in the odds.
	shiftDoubt = 0.5
	// shiftDown and shiftUp bound the correction.
	shiftDown, shiftUp = -6.0, 1.0
	surest             = 0.999 // probabilities are cut to this before their odds are taken
)

// Add counts an outcome. Confidences below one half are left out.
func (t *Tally) Add(o Outcome) {
	p := float64(o.Confidence)
	if !(p >= tallyFloor) || !(o.Weight > 0) {
		return
	}
	b := &t.Bins[min(int((p-tallyFloor)/(1-tallyFloor)*tallyBins), tallyBins-1)]
	if o.Right {
		b.Right += o.Weight
	} else {
		b.Wrong += o.Weight
	}
	b.Logit += o.Weight * logOdds(p)
}

// total gives the sums of the weights.
func (t *Tally) total() (right, wrong float64) {
	for i := range t.Bins {
		right += t.Bins[i].Right
		wrong += t.Bins[i].Wrong
	}
	return right, wrong
}

// Shift estimates what has to be added to the logarithm of the odds of a
// probability, so that it meets what was judged: the most likely value, with a
// normal distribution around zero for what is expected beforehand. Few
// judgements move it little. A correction upwards is held back by its own
// doubt, because silence counts as consent and praise is cheap.
func (t *Tally) Shift() float64 {
	shift, curve := 0.0, 1/shiftDoubt
	for range 50 {
		slope := -shift / shiftDoubt
		curve = 1 / shiftDoubt
		for i := range t.Bins {
			b := &t.Bins[i]
			n := b.Right + b.Wrong
			if n == 0 {
				continue
			}
			p := logistic(b.Logit/n + shift)
			slope += b.Right - n*p
			curve += n * p * (1 - p)
		}
		step := max(min(slope/curve, 1), -1)
		shift += step
		if math.Abs(step) < 1e-9 {
			break
		}
	}
	if shift > 0 {
		shift = max(shift-1/math.Sqrt(curve), 0)
	}
	return max(min(shift, shiftUp), shiftDown)
}

// at gives what was judged among the answers that would still be given by
// themselves at a threshold, with a shift.
func (t *Tally) at(threshold float32, shift float64) (right, n float64) {
	for i := range t.Bins {
		b := &t.Bins[i]
		all := b.Right + b.Wrong
		if all == 0 || float32(logistic(b.Logit/all+shift)) < threshold {
			continue
		}
		right, n = right+b.Right, n+all
	}
	return right, n
}

func logistic(z float64) float64 { return 1 / (1 + math.Exp(-z)) }

func logOdds(p float64) float64 {
	p = max(min(p, surest), 1-surest)
	return math.Log(p / (1 - p))
}

// corrected gives the confidence of a prediction whose odds are off by shift.
//
// The calibrator bends its probabilities towards what holds for everything at
// least as sure, among the questions it was trained on. The further an inbox is
// from those, the less is known of that, and the less is bent.
func (k *calibrator) corrected(e *evidence, shift float64) float32 {
	if shift == 0 {
		return k.confidence(e)
	}
	p := float32(logistic(logOdds(float64(k.probability(e))) + shift))
	return p + (k.bend(p)-p)*float32(max(1-math.Abs(shift), 0))
}

// live is what an inbox's judgements came to.
type live struct {
	packs []string
	tally Tally
	shift float64
}

// Learn takes the judgements of an inbox's answers with a combination of packs
// in place of earlier ones. Predictions for the inbox follow at once.
func (l *Library) Learn(inbox conversation.InboxID, packs []string, t Tally) {
	l.learning.Lock()
	defer l.learning.Unlock()
	next := map[conversation.InboxID]*live{}
	if old := l.lives.Load(); old != nil {
		maps.Copy(next, *old)
	}
	next[inbox] = &live{packs: slices.Clone(packs), tally: t, shift: t.Shift()}
	l.lives.Store(&next)
}

// Shift gives the correction that is in effect for an inbox.
func (l *Library) Shift(inbox conversation.InboxID, packs []string) float64 {
	if v := l.live(inbox, packs); v != nil {
		return v.shift
	}
	return 0
}

// live finds an inbox's judgements; nil when there are none for these packs.
func (l *Library) live(inbox conversation.InboxID, packs []string) *live {
	all := l.lives.Load()
	if all == nil {
		return nil
	}
	v := (*all)[inbox]
	if v == nil || !slices.Equal(v.packs, packs) {
		return nil
	}
	return v
}
