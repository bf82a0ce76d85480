package intent

import (
	"context"
	"slices"
)

// single is a feature that only one row has, with its value there. Its weights are
// what the row weighs in the solution of each class, times that value; most rows weigh
// nothing for most classes.
type single struct {
	feature int32
	weighed
}

// weighed is a class or a row with a number: what it weighs in a solution, its margin,
// or what a feature weighs in it.
type weighed struct {
	at    int32
	value float32
}

// parts lists by row the classes in whose solution it has a part, and how much.
type parts struct {
	start []int32 // per row, and the end
	list  []weighed
}

func (p *parts) of(row int32) []weighed { return p.list[p.start[row]:p.start[row+1]] }

// roundStride is how many rows of weights one goroutine rounds at a time.
const roundStride = 1024

// finish hands the weights to the head, and for the features that only one row
// has what that row weighs.
func (t *training) finish(ctx context.Context) error {
	h := t.head
	h.weights = emptyGrid(t.width(), h.classes)
	rounds := (t.width() + roundStride - 1) / roundStride
	return spread(ctx, rounds+2, t.options.workers, func() func(int) {
		row := make([]float32, t.stripes()*stripeClasses)
		return func(i int) {
			switch i {
			case 0:
				h.near = newNearest(t.matrix, len(t.own), func(row int) bool { return t.labels[row] < 0 })
			case 1:
				t.finishSingles()
			default:
				for f := (i - 2) * roundStride; f < min(t.width(), (i-1)*roundStride); f++ {
					for k := range t.stripes() {
						copy(row[k*stripeClasses:], t.stripe(k)[f*stripeClasses:][:stripeClasses])
					}
					h.weights.round(f, row[:h.classes])
				}
			}
		}
	})
}

func (t *training) finishSingles() {
	h := t.head
	h.places = make([]int32, len(h.idf)+t.corpus.dim)
	for i, f := range t.own {
		h.places[f] = int32(i)
	}
	for d := range t.corpus.dim {
		h.places[len(h.idf)+d] = int32(len(t.own) + d) //nolint:gosec // bounded by maxQuestions × maxTokens
	}
	h.singles = make([]weighed, len(t.singles))
	for i, s := range t.singles {
		h.places[s.feature] = int32(-1 - i)
		h.singles[i] = s.weighed
	}
	h.parts = t.parts()
}

func (t *training) parts() parts {
	out := parts{start: make([]int32, len(t.rows)+1)}
	t.eachPart(func(row int32, _ weighed) { out.start[row+1]++ })
	for row := range t.rows {
		out.start[row+1] += out.start[row]
	}
	out.list = make([]weighed, out.start[len(t.rows)])
	next := slices.Clone(out.start)
	t.eachPart(func(row int32, part weighed) {
		out.list[next[row]] = part
		next[row]++
	})
	return out
}

// eachPart calls f for every row that has a part in the solution of a class.
func (t *training) eachPart(f func(row int32, part weighed)) {
	for k := range t.parties {
		p := &t.parties[k]
		for i, row := range p.rows {
			if p.alpha[i] != 0 {
				f(row, weighed{int32(k), p.signs[i] * p.alpha[i]})
			}
		}
	}
}
