package intent

import (
	"context"
	"math"
	"slices"
)

// Most questions lie far from most intents and take no part in the solution. So
// the machine of each class begins with its own questions and those that look
// most like them; the solution is tried on all questions, those that it gets
// wrong join, and it goes on from where it stood. Trying is cheap, because it is
// done for all classes at once.
const (
	firstOthers = 64  // questions of other classes that a party begins with, at least
	firstShare  = 3   // and for each question of its own
	firstLoose  = 5   // the first solution is only to find who is missing
	wrongBy     = 0.2 // a question joins if its margin is short by more
)

// party is the rows that one class is trained on, with what they weigh in the
// solution.
type party struct {
	rows  []int32
	signs []float32
	alpha []float32
}

// The signs of a party's rows.
const (
	ofClass  = 1
	ofOthers = -1
)

func (p *party) add(row int32, sign float32) {
	p.rows, p.signs, p.alpha = append(p.rows, row), append(p.signs, sign), append(p.alpha, 0)
}

// grow makes room for so many rows.
func (p *party) grow(n int) {
	p.rows, p.signs, p.alpha = slices.Grow(p.rows, n), slices.Grow(p.signs, n), slices.Grow(p.alpha, n)
}

// mine counts the rows of the class.
func (p *party) mine() (n int) {
	for _, s := range p.signs {
		if s == ofClass {
			n++
		}
	}
	return n
}

// invite adds to each party the rows of other classes that are most like the mean
// of its own.
func (t *training) invite(ctx context.Context) error {
	err := spread(ctx, t.stripes(), t.options.workers, func() func(stripe int) { return t.average })
	if err != nil {
		return err
	}
	return t.join(ctx, func(p *party) (least float32, most int) {
		return -math.MaxFloat32, max(firstOthers, firstShare*len(p.rows))
	})
}

// try adds to each party the rows that its solution gets most wrong, up to as
// many as it has.
func (t *training) try(ctx context.Context) error {
	return t.join(ctx, func(p *party) (least float32, most int) { return wrongBy - 1, len(p.rows) })
}

// average makes the mean questions of a stripe of classes their weights.
func (t *training) average(stripe int) {
	weights := t.stripe(stripe)
	clear(weights)
	first := stripe * stripeClasses
	for k := range min(stripeClasses, t.head.classes-first) {
		t.addAverage(weights[k:], &t.parties[first+k])
	}
}

func (t *training) addAverage(weights []float32, p *party) {
	share := 1 / float32(max(p.mine(), 1))
	for i, row := range p.rows {
		if p.signs[i] != ofClass {
			continue
		}
		index, value, dense := t.matrix.row(row)
		for k, f := range index {
			weights[int(f)*stripeClasses] += share * value[k]
		}
		for d, v := range dense {
			weights[(len(t.own)+d)*stripeClasses] += share * v
		}
	}
}

// join adds to each party rows of other classes, of those with a margin above a least
// one the highest, as many as a party may get.
func (t *training) join(ctx context.Context, bounds func(p *party) (least float32, most int)) error {
	if err := t.fillMargins(ctx); err != nil {
		return err
	}
	n := len(t.rows)
	return spread(ctx, t.head.classes, t.options.workers, func() func(class int) {
		in, candidates := make([]bool, n), make([]float32, 0, n)
		return func(class int) {
			p := &t.parties[class]
			least, most := bounds(p)
			margins := t.margins[class*n:][:n]
			for _, row := range p.rows {
				in[row] = true
			}
			candidates = candidates[:0]
			for row, v := range margins {
				if v > least && !in[row] && t.stranger(row, class) {
					candidates = append(candidates, v)
				}
			}
			p.grow(min(most, len(candidates)))
			bar := nthHighest(candidates, most)
			for row, v := range margins {
				if v >= bar && v > least && !in[row] && t.stranger(row, class) {
					p.add(int32(row), ofOthers)
				}
			}
			for _, row := range p.rows {
				in[row] = false
			}
		}
	})
}

// stranger reports whether a row is a question of another class.
func (t *training) stranger(row, class int) bool {
	label := t.labels[row]
	return label >= 0 && int(label) != class
}

// nthHighest gives the n-th highest of some values, or the lowest if there are
// not so many. It reorders them.
func nthHighest(v []float32, n int) float32 {
	if len(v) == 0 {
		return 0
	}
	n = min(n, len(v)) - 1
	for from, to := 0, len(v); ; {
		pivot := v[from+(to-from)/2]
		i, j := from, to-1
		for i <= j {
			for v[i] > pivot {
				i++
			}
			for v[j] < pivot {
				j--
			}
			if i <= j {
				v[i], v[j] = v[j], v[i]
				i, j = i+1, j-1
			}
		}
		switch {
		case n <= j:
			to = j + 1
		case n >= i:
			from = i
		default:
			return v[n]
		}
	}
}
