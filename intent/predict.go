package intent

import (
	"context"

	"github.com/colloquyhq/colloquy/conversation"
)

const (
	maxCandidates = 5
	// contextMargin keeps a confidence below the point of answering by itself.
	contextMargin = 0.01
)

// Predict ranks the intents of u, best first, into p, whose slices are reused.
//
// Units: confidence 0–1, calibrated: of predictions that state 0.9 at least
// nine in ten should be right, counting what no pack covers as wrong.
// Errors: class [conversation.ErrNotFound] for a pack that is not loaded;
// context errors as they are.
func (l *Library) Predict(ctx context.Context, u *conversation.Utterance, p *conversation.Prediction) error {
	start := l.options.Now()
	*p = conversation.Prediction{Candidates: p.Candidates[:0], Entities: p.Entities[:0], Parts: p.Parts[:0]}
	m, err := l.modelFor(ctx, u.Packs)
	if err != nil {
		l.metrics.predictions[outcomeError].Inc()
		return err
	}
	s := l.borrow()
	v := l.live(u.Inbox, u.Packs)
	if v != nil {
		s.shift = v.shift
	}
	m.predict(s, u, p)
	tone := u.Tone
	if tone == (conversation.Tone{}) {
		tone = l.ear.Tone(u.Text) // folded may hold the context by now
	}
	p.Anger, p.Abuse, p.Threat = tone.Anger, tone.Abuse, tone.Threat
	s.shift = 0
	l.scratch.Put(s)
	p.Unproven = m.unproven(v, u.Auto)
	l.metrics.predictions[Decision(p)].Inc()
	l.metrics.seconds.Observe(l.options.Now().Sub(start).Seconds())
	return nil
}

// maxInstantBytes bounds the texts that [Library.Instant] says yes to: of the
// longest that there are, a prediction takes milliseconds.
const maxInstantBytes = 1 << 10

// Instant reports whether a prediction would only compute, for some tens of
// microseconds, and wait for nothing: there is a model already, and the text is
// not long.
func (l *Library) Instant(u *conversation.Utterance) bool {
	return len(u.Text) <= maxInstantBytes && l.now.Load().model(u.Packs) != nil
}

func (l *Library) modelFor(ctx context.Context, packs []string) (*model, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(packs) == 0 {
		return nil, conversation.Refuse(conversation.CodeNotFound, "the inbox has no packs")
	}
	return l.model(ctx, packs)
}

// Decision says what a prediction's confidence allows: answer, suggest or
// abstain.
func Decision(p *conversation.Prediction) string {
	best := p.Best()
	switch {
	case best.Intent == "" || best.Confidence < p.Suggest:
		return outcomeAbstain
	case best.Confidence < p.Auto:
		return outcomeSuggest
	}
	return outcomeAnswer
}

// predict fills p. It reads the model only.
func (m *model) predict(s *scratch, u *conversation.Utterance, p *conversation.Prediction) {
	k, hash := m.speaking()
	p.Model = hash
	m.analyze(s, string(u.Text))
	p.Entities = m.extract.report(p.Entities, s.found, &s.folded, string(u.Text))
	p.Lang = s.tokens.detect(u.Lang)
	p.Auto, p.Suggest = defaultAuto, defaultSuggest
	if s.tokens.units == 0 && len(s.tokens.list) <= 2 {
		return // nothing to read
	}
	unseen := m.weigh(s)
	r := m.head.rank(s, m.corpus.background, unseen, s.tokens.units)
	if r.best < 0 {
		return
	}
	confidence := m.settle(&r, k, s.shift)
	t := m.bundle.topics[r.best]
	p.Auto, p.Suggest = t.thresholds.auto, t.thresholds.suggest
	if r.nearest >= 0 {
		p.Nearest = m.corpus.questions[r.nearest].text
	}
	p.Raw = k.probability(&r.evidence)
	m.candidates(s, &r, confidence, p)
	if t.thresholds.margin > 0 && len(p.Candidates) > 1 && confidence-p.Candidates[1].Confidence < t.thresholds.margin {
		p.Candidates[0].Confidence = min(confidence, max(p.Auto-contextMargin, p.Candidates[1].Confidence))
	}
	if short := s.tokens.units <= contextUnits; short && len(u.Matters) > 0 {
		if confidence < max(p.Auto, u.Auto) {
			m.withContext(s, u, unseen, k, p)
		}
		if u.Follows {
			m.leansOn(s, u, k, p)
		}
	}
	m.parts(s, u, k, p)
}

// settle gives the confidence of a ranking, corrected by shift. What looks like
// none of the intents is never offered.
func (m *model) settle(r *ranking, k *calibrator, shift float64) float32 {
	confidence := k.corrected(&r.evidence, shift)
	if r.background {
		confidence = min(confidence, m.bundle.topics[r.best].thresholds.suggest*0.98)
	}
	return confidence
}

// weigh looks up the n-grams of s and weighs them, and gives the share that
// training has not seen.
func (m *model) weigh(s *scratch) (unseen float32) {
	if len(s.touched) < m.corpus.vocab.n {
		s.touched = make([]uint16, m.corpus.vocab.n)
	}
	s.ids = s.ids[:0]
	missed := 0
	for _, g := range s.grams {
		id := m.corpus.vocab.id(g)
		if id < 0 {
			missed++
			continue
		}
		if s.touched[id] == 0 {
			s.ids = append(s.ids, id)
		}
		s.touched[id] += uint16(times(g)) //nolint:gosec // small
	}
	s.values = s.values[:0]
	for _, id := range s.ids {
		s.values = append(s.values, sublinear(int(s.touched[id]))*m.head.idf[id])
		s.touched[id] = 0
	}
	seen := len(s.ids)
	unitLength(s.values)
	m.head.appendDense(s, s.dense)
	if missed+seen == 0 {
		return 1
	}
	return float32(missed) / float32(missed+seen)
}

// candidates writes the best classes with their confidence: the first has the
// calibrated one, the others share what is left in proportion, none above it.
func (m *model) candidates(s *scratch, r *ranking, confidence float32, p *conversation.Prediction) {
	p.Candidates = append(p.Candidates, conversation.Candidate{Intent: m.corpus.classes[r.best], Confidence: confidence})
	top := s.softmax[r.best]
	for len(p.Candidates) < maxCandidates {
		next := int32(-1)
		for k, share := range s.softmax {
			if m.corpus.background[k] || int32(k) == r.best || share <= 0.002 || taken(p, m.corpus.classes[k]) {
				continue
			}
			if next < 0 || share > s.softmax[next] {
				next = int32(k)
			}
		}
		if next < 0 {
			return
		}
		share := s.softmax[next]
		c := min(confidence*share/top, (1-confidence)*share/max(1-top, 1e-6))
		p.Candidates = append(p.Candidates, conversation.Candidate{Intent: m.corpus.classes[next], Confidence: c})
	}
}

func taken(p *conversation.Prediction, intent string) bool {
	for i := range p.Candidates {
		if p.Candidates[i].Intent == intent {
			return true
		}
	}
	return false
}
