package emotion

import (
	"cmp"
	"slices"
)

// AUROC is the chance that a text with the tone scores above one without; one
// half is guessing. It is 0 when either side is empty.
func AUROC(yes, no []float32) float64 {
	type scored struct {
		score float32
		yes   bool
	}
	all := make([]scored, 0, len(yes)+len(no))
	for _, s := range yes {
		all = append(all, scored{s, true})
	}
	for _, s := range no {
		all = append(all, scored{s, false})
	}
	if len(yes) == 0 || len(no) == 0 {
		return 0
	}
	slices.SortFunc(all, func(a, b scored) int { return cmp.Compare(a.score, b.score) })
	ranks := 0.0
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j].score == all[i].score {
			j++ // those that tie share their ranks
		}
		for _, s := range all[i:j] {
			if s.yes {
				ranks += float64(i+j+1) / 2
			}
		}
		i = j
	}
	n, m := float64(len(yes)), float64(len(no))
	return (ranks - n*(n+1)/2) / (n * m)
}
