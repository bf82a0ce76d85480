package intent

import (
	"context"

	"github.com/colloquyhq/colloquy/conversation"
)

// CrossReport is how well packs understand their own questions.
type CrossReport struct {
	Folds EvalReport `json:"folds"` // every training question, predicted by a model that has not seen it
	Test  EvalReport `json:"test"`  // the test lines, predicted by the whole model

	Standing Standing `json:"standing"` // whether an inbox with these packs answers by itself
}

// CrossValidate measures packs by what they hold: their training questions in
// folds, with confidences of a calibrator that has not seen the fold either,
// and their test lines. Lines of background intents count as out of scope.
func CrossValidate(ctx context.Context, l *Library, packs []string) (CrossReport, error) {
	m, held, err := l.holdOut(ctx, packs)
	if err != nil {
		return CrossReport{}, err
	}
	out := CrossReport{Folds: newEvalReport(m.judgeHeld(held)), Test: newEvalReport(m.judgeTests())}
	out.Standing = l.Standing("", packs, 0)
	out.Folds.Packs, out.Folds.Model = packs, m.hash
	out.Test.Packs, out.Test.Model = packs, m.hash
	return out, nil
}

// holdOut predicts every question of the packs by models that have not seen it.
func (l *Library) holdOut(ctx context.Context, packs []string) (*model, []heldOut, error) {
	m, err := l.model(ctx, packs)
	if err != nil {
		return nil, nil, err
	}
	m.calibrate.Lock()
	defer m.calibrate.Unlock()
	held, err := m.crossFit(ctx, l.options.Workers)
	if err != nil {
		return nil, nil, err
	}
	m.calibrate.ready.CompareAndSwap(nil, m.learn(held))
	m.proof.Store(&proof{evaluation: m.evaluate(held)})
	return m, held, nil
}

// judgeHeld turns held-out predictions of the ordinary folds into lines.
func (m *model) judgeHeld(held []heldOut) []judged { return m.judgeApart(held, false) }

// judgeUnknown turns predictions of questions whose whole intent was left out
// into lines: what the packs know nothing about.
func (m *model) judgeUnknown(held []heldOut) []judged {
	out := m.judgeApart(held, true)
	for i := range out {
		out[i].want = OutOfScope
	}
	return out
}

// judgeApart judges each fold by a calibrator that has not seen it.
func (m *model) judgeApart(held []heldOut, leftOut bool) []judged { //nolint:revive // which half of held is meant
	all := m.corpus.samples(held)
	var out []judged
	for f := range ordinaryFolds {
		var train []sample
		for _, s := range all {
			if s.fold != f {
				train = append(train, s)
			}
		}
		k := trainCalibrator(train)
		for i := range held {
			if x := &held[i]; x.fold == f && x.leftOut == leftOut && x.predicted >= 0 {
				out = append(out, m.judgeOne(x, k))
			}
		}
	}
	return out
}

func (m *model) judgeOne(x *heldOut, k *calibrator) judged {
	q := &m.corpus.questions[x.row]
	t := m.bundle.topics[x.predicted]
	r := ranking{best: x.predicted, background: x.background, evidence: x.evidence}
	return judged{
		row: x.row, text: q.text, lang: q.lang, want: m.label(m.corpus.examples[x.row].label), got: t.id,
		confidence: m.settle(&r, k, 0), auto: t.thresholds.auto, suggest: t.thresholds.suggest,
	}
}

// label names a class as evaluation does.
func (m *model) label(class int32) string {
	if m.corpus.background[class] {
		return OutOfScope
	}
	return m.corpus.classes[class]
}

// judgeTests predicts the test lines.
func (m *model) judgeTests() []judged { return m.judgeLines(m.testLines()) }

// testLines gives the test lines of the packs, with what they should be taken
// for.
func (m *model) testLines() []judged {
	var out []judged
	for _, t := range m.bundle.topics {
		want := t.id
		if t.background {
			want = OutOfScope
		}
		for _, q := range t.test {
			out = append(out, judged{text: q.text, lang: q.lang, want: want})
		}
	}
	return out
}

// judgeLines predicts lines and fills in what they are taken for.
func (m *model) judgeLines(lines []judged) []judged {
	s := &scratch{}
	var p conversation.Prediction
	for i := range lines {
		p = conversation.Prediction{}
		m.predict(s, &conversation.Utterance{Text: conversation.Text(lines[i].text)}, &p)
		lines[i].judge(&p)
	}
	return lines
}
