package conformance

import (
	"context"
	"io"
	"strconv"
	"strings"

	"github.com/colloquyhq/colloquy/intent/remote"
)

// Measured is how a server does on labelled questions that it has not learned.
type Measured struct {
	Questions   int      `json:"questions"`
	Right       int      `json:"right"`       // best candidate is the label
	Declined    int      `json:"declined"`    // without a candidate
	Calibration []string `json:"calibration"` // points for the setting intent.http.calibration; none for too few questions
}

// outOfScope is the label of questions that no intent covers, as everywhere.
const outOfScope = "out_of_scope"

// Measure asks labelled questions and learns what the stated confidences are
// worth. A question of no intent counts as wrong whatever is answered.
func Measure(ctx context.Context, o Options, questions []Sample) (*Measured, error) {
	s, err := newSession(o)
	if err != nil {
		return nil, err
	}
	m := &Measured{Questions: len(questions), Calibration: []string{}}
	var samples []remote.Sample
	for len(questions) > 0 {
		part := questions[:min(len(questions), remote.MaxBatch/2)]
		questions = questions[len(part):]
		us := make([]remote.Utterance, len(part))
		for i, q := range part {
			us[i] = remote.Utterance{Text: q.Text, Lang: q.Lang, Packs: s.o.Packs}
		}
		got, err := s.understand(ctx, us...)
		if err != nil {
			return nil, err
		}
		for i, u := range got {
			b := best(u)
			right := b.Intent == part[i].Intent && b.Intent != "" && b.Intent != outOfScope
			switch {
			case right:
				m.Right++
			case b.Intent == "":
				m.Declined++
				continue
			}
			samples = append(samples, remote.Sample{Stated: b.Confidence, Right: right})
		}
	}
	if k := remote.Fit(samples); k != nil {
		m.Calibration = k.Strings()
	}
	return m, nil
}

// Print writes the figures for people.
func (m *Measured) Print(w io.Writer) error {
	p := &printer{w: w}
	p.line("%d labelled questions: %d understood as labelled, %d without a candidate", m.Questions, m.Right, m.Declined)
	if len(m.Calibration) == 0 {
		p.line("too few answers to learn a calibration from; 40 at least are needed")
		return p.err
	}
	p.line("what the stated confidences are worth, for the configuration:")
	p.line("intent:\n  http:\n    calibration: [%s]", joined(m.Calibration))
	return p.err
}

func joined(points []string) string {
	quoted := make([]string, len(points))
	for i, s := range points {
		quoted[i] = strconv.Quote(s)
	}
	return strings.Join(quoted, ", ")
}
