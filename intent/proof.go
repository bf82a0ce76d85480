package intent

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/colloquyhq/colloquy/conversation"
)

// Whether packs are proven: their training questions, each predicted by a model
// that has not seen it, are answered at the threshold as precisely as the
// threshold says.
const (
	// proofSlack is how far below the stated precision the lower end of the 95 %
	// interval around the measured one may lie. With every answer right it asks
	// for 26 of them at a threshold of 0.9.
	proofSlack = 0.03
	// unknownSlack is the same for the precision with a share of unknown
	// questions, which is what the calibrator itself aims at.
	unknownSlack = 0.03
	// contradictionWeight is how many judged answers it takes to contradict.
	contradictionWeight = 20
	// proofSteps is the number of thresholds from 0.5 up for which an evaluation
	// keeps its counts, one hundredth apart.
	proofSteps = 50
)

// Evaluation is what cross-validation says about a model: how its training
// questions fare when they are new to it.
type Evaluation struct {
	N      int     `json:"n"`      // held-out questions
	Stated float64 `json:"stated"` // mean threshold of the answers at the packs' own thresholds
	Own    Answers `json:"own"`    // at the packs' own thresholds

	At []Answers `json:"at,omitempty"` // at 0.50, 0.51, … 0.99
}

// Answers counts the answers at a threshold.
type Answers struct {
	N     int `json:"n"`
	Right int `json:"right"`
	// Mixed is the precision when the calibrator's share of what comes is
	// questions of intents that the packs do not have.
	Mixed float64 `json:"mixed"`
}

// Standing says whether the bot of an inbox answers by itself, and why.
type Standing struct {
	Proven    bool    `json:"proven"`
	Reason    string  `json:"reason"`
	Measured  bool    `json:"measured"`           // there is an evaluation
	Earlier   bool    `json:"earlier,omitempty"`  // it is that of an earlier version of the packs
	Questions int     `json:"questions"`          // held-out ones
	Answered  int     `json:"answered"`           // of them, at the threshold
	Precision float64 `json:"precision"`          // of the answers
	Lower     float64 `json:"lower"`              // end of its 95 % interval
	Stated    float64 `json:"stated"`             // what the threshold promises
	Mixed     float64 `json:"with_unknown"`       // precision when a quarter of what comes is unknown
	Judged    float64 `json:"judged"`             // weight of judged answers of the inbox
	Right     float64 `json:"judged_right"`       // of them
	Shift     float64 `json:"shift"`              // correction of the confidence, in logarithms of odds
	Realised  float64 `json:"realised,omitempty"` // precision of the judged answers that would be given again
}

// proof is an evaluation and where it comes from.
type proof struct {
	evaluation Evaluation
	earlier    bool
}

// evaluate counts how held-out questions fare. Every one is judged by a
// calibrator that has not seen its fold.
func (m *model) evaluate(held []heldOut) Evaluation {
	all := m.corpus.samples(held)
	var e Evaluation
	type line struct {
		confidence, auto float32
		right, unknown   bool
		weight           float64
	}
	var lines []line
	for f := range ordinaryFolds {
		var train []sample
		for i := range all {
			if all[i].fold != f {
				train = append(train, all[i])
			}
		}
		if len(train) < minSamples {
			return Evaluation{N: len(m.corpus.examples)}
		}
		k := trainCalibrator(train)
		for i, at := 0, 0; i < len(held); i++ {
			x := &held[i]
			if x.predicted < 0 {
				continue
			}
			weight := all[at].weight // samples leaves out the same ones
			at++
			if x.fold != f {
				continue
			}
			j := m.judgeOne(x, k)
			lines = append(lines, line{
				confidence: j.confidence, auto: j.auto, right: j.got == j.want && !x.leftOut, unknown: x.leftOut, weight: weight,
			})
			if !x.leftOut {
				e.N++
			}
		}
	}
	count := func(answered func(*line) bool) (a Answers, stated float64) {
		right, total, auto := 0.0, 0.0, 0.0
		for i := range lines {
			l := &lines[i]
			if !answered(l) {
				continue
			}
			total += l.weight
			if l.right {
				right += l.weight
			}
			if !l.unknown {
				a.N++
				auto += float64(l.auto)
				if l.right {
					a.Right++
				}
			}
		}
		a.Mixed = right / max(total, 1e-9)
		return a, auto / max(float64(a.N), 1)
	}
	e.Own, e.Stated = count(func(l *line) bool { return l.confidence >= l.auto })
	for i := range proofSteps {
		threshold := 0.5 + float32(i)/100
		a, _ := count(func(l *line) bool { return l.confidence >= threshold })
		e.At = append(e.At, a)
	}
	return e
}

// answers gives the counts at an inbox's own threshold, or at the packs' where
// it has none.
func (e *Evaluation) answers(auto float32) (Answers, float64) {
	if auto <= 0 || len(e.At) != proofSteps {
		return e.Own, e.Stated
	}
	i := max(min(int(math.Ceil(float64(auto)*100-0.001))-50, proofSteps-1), 0)
	return e.At[i], float64(auto)
}

// wilson gives the ends of the 95 % interval of a share.
func wilson(right, n float64) (lower, upper float64) {
	if n <= 0 {
		return 0, 1
	}
	const z = 1.96
	p := right / n
	middle := p + z*z/(2*n)
	spread := z * math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	return (middle - spread) / (1 + z*z/n), (middle + spread) / (1 + z*z/n)
}

// proven reports whether counts reach what is stated.
func (a Answers) proven(stated float64) bool {
	if a.N == 0 {
		return false
	}
	lower, _ := wilson(float64(a.Right), float64(a.N))
	return float64(a.Right)/float64(a.N) >= stated && lower >= stated-proofSlack && a.Mixed >= stated-unknownSlack
}

// contradicted reports whether the judged answers, corrected as they are now,
// are less precise than stated beyond doubt.
func (v *live) contradicted(stated float64) bool {
	if v == nil {
		return false
	}
	right, n := v.tally.at(float32(stated), v.shift)
	_, upper := wilson(right, n)
	return n >= contradictionWeight && upper < stated
}

// unproven reports whether the bot should not answer by itself.
func (m *model) unproven(v *live, auto float32) bool {
	p := m.proof.Load()
	if p == nil {
		return true
	}
	a, stated := p.evaluation.answers(auto)
	return !a.proven(stated) || v.contradicted(stated)
}

// Standing says whether the bot of an inbox answers by itself. auto is the
// inbox's own threshold; zero means the packs'. It trains nothing: of packs
// without a model it says that they are not measured.
func (l *Library) Standing(inbox conversation.InboxID, packs []string, auto float32) Standing {
	m := l.now.Load().model(packs)
	v := l.live(inbox, packs)
	var s Standing
	if v != nil {
		right, wrong := v.tally.total()
		s.Right, s.Judged, s.Shift = right, right+wrong, v.shift
	}
	if m == nil || m.proof.Load() == nil {
		s.Reason = "the packs' questions are being measured"
		return s
	}
	p := m.proof.Load()
	a, stated := p.evaluation.answers(auto)
	s.Measured, s.Earlier, s.Stated, s.Mixed = true, p.earlier, stated, a.Mixed
	s.Questions, s.Answered = p.evaluation.N, a.N
	if a.N > 0 {
		s.Precision = float64(a.Right) / float64(a.N)
		s.Lower, _ = wilson(float64(a.Right), float64(a.N))
	}
	if v != nil {
		if right, n := v.tally.at(float32(stated), v.shift); n > 0 {
			s.Realised = right / n
		}
	}
	s.Proven, s.Reason = s.judge(a, v)
	return s
}

// judge decides and says why.
func (s *Standing) judge(a Answers, v *live) (bool, string) {
	measured := fmt.Sprintf("%s of %d answers to %d held-out questions are right", percentage(s.Precision), a.N, s.Questions)
	switch {
	case s.Stated == 0 && a.N == 0:
		return false, fmt.Sprintf("%d questions are too few to be measured", s.Questions)
	case a.N == 0:
		return false, fmt.Sprintf("none of %d held-out questions would be answered at %s", s.Questions, percentage(s.Stated))
	case s.Precision < s.Stated:
		return false, fmt.Sprintf("%s; %s is promised", measured, percentage(s.Stated))
	case s.Lower < s.Stated-proofSlack:
		return false, fmt.Sprintf("%s, too few to be sure of %s: it may be %s", measured, percentage(s.Stated), percentage(s.Lower))
	case a.Mixed < s.Stated-unknownSlack:
		return false, fmt.Sprintf("%s, but %s when a quarter of what comes is unknown", measured, percentage(a.Mixed))
	case v.contradicted(s.Stated):
		return false, fmt.Sprintf("%s, but only %s of the judged answers of this inbox", measured, percentage(s.Realised))
	}
	return true, measured
}

func percentage(p float64) string { return fmt.Sprintf("%.1f %%", 100*p) }

// prove finds the evaluation of an earlier version of the same packs, which holds
// until there is a new one.
func (m *model) prove() {
	if m.proof.Load() != nil {
		return
	}
	if e := m.earlierEvaluation(); e != nil {
		m.proof.CompareAndSwap(nil, &proof{evaluation: *e, earlier: true})
	}
}

// maxEarlier bounds how many kept calibrators are looked at.
const maxEarlier = 64

// earlierEvaluation looks through the kept calibrators for the newest one of the
// same packs.
func (m *model) earlierEvaluation() *Evaluation {
	if m.cache == "" {
		return nil
	}
	files, err := filepath.Glob(filepath.Join(m.cache, "*"+calibratorSuffix))
	if err != nil {
		return nil
	}
	type kept struct {
		name string
		at   int64
	}
	var found []kept
	for _, f := range files {
		if info, err := os.Stat(f); err == nil {
			found = append(found, kept{f, info.ModTime().UnixNano()})
		}
	}
	slices.SortFunc(found, func(a, b kept) int { return cmp.Compare(b.at, a.at) })
	for _, f := range found[:min(len(found), maxEarlier)] {
		var s storedCalibrator
		raw, err := os.ReadFile(f.name)
		if err == nil && json.Unmarshal(raw, &s) == nil && s.Evaluation != nil && slices.Equal(s.Packs, m.bundle.packs) {
			return s.Evaluation
		}
	}
	return nil
}
