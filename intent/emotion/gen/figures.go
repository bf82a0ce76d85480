package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"

	"github.com/colloquyhq/colloquy/intent/emotion"
)

const (
	folds        = 5
	hardestLines = 130
)

// crossValidate shows how sentences are scored whose lines were left out.
func crossValidate(w io.Writer, samples []sample) error {
	scores := make([]emotion.Score, len(samples))
	for f := range folds {
		var rest []sample
		for _, s := range samples {
			if s.group%folds != f {
				rest = append(rest, s)
			}
		}
		scorer, err := emotion.Read(train(rest).pack([32]byte{}, shift()))
		if err != nil {
			return err
		}
		for i, s := range samples {
			if s.group%folds == f {
				scores[i] = scorer.Score([]byte(s.text))
			}
		}
	}
	if err := hardest(w, samples, scores); err != nil {
		return err
	}
	for h, name := range emotion.Heads() {
		var yes, no []float32
		for i, s := range samples {
			p := []float32{scores[i].Anger, scores[i].Abuse, scores[i].Threat, scores[i].Deny}[h]
			if s.targets[h] > 0 {
				yes = append(yes, p)
			} else {
				no = append(no, p)
			}
		}
		slices.Sort(no)
		at := float64(no[len(no)*995/1000])
		if _, err := fmt.Fprintf(w, "%-7s yes %5d  no %5d  AUROC %.4f  at 0.5: found %.1f %%, false %.2f %%  99.5 %% of no below %.3f (log-odds %.2f)\n",
			name, len(yes), len(no), emotion.AUROC(yes, no), 100*above(yes, 0.5), 100*above(no, 0.5), at, math.Log(at/(1-at))); err != nil {
			return err
		}
	}
	return nil
}

func above(p []float32, limit float32) float64 {
	n := 0
	for _, x := range p {
		if x >= limit {
			n++
		}
	}
	return float64(n) / float64(max(1, len(p)))
}

// hardest lists the lines of whose sentences anger is judged wrong on average,
// worst first, with one sentence each: what more lines are needed for.
func hardest(w io.Writer, samples []sample, scores []emotion.Score) error {
	type line struct {
		off, n float64
		text   string
	}
	lines := map[int]*line{}
	for i, s := range samples {
		l := lines[s.group]
		if l == nil {
			l = &line{text: s.text}
			lines[s.group] = l
		}
		l.off += float64(scores[i].Anger - s.targets[emotion.Anger])
		l.n++
	}
	all := slices.SortedFunc(maps.Values(lines), func(a, b *line) int { return cmp.Compare(math.Abs(b.off/b.n), math.Abs(a.off/a.n)) })
	for _, l := range all[:min(len(all), hardestLines)] {
		if _, err := fmt.Fprintf(w, "%+.2f  %s\n", l.off/l.n, l.text); err != nil {
			return err
		}
	}
	return nil
}
