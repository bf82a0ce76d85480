package intent

import (
	"cmp"
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
	wrongBy     = 0.1 // a question joins if its margin is short by more
	tryStride   = 128 // questions that one goroutine tries at a time
)

// training is the state of a head's training.
type training struct {
	head    *head
	corpus  *corpus
	rows    []int32
	options headOptions
	parties []party // per class
	others  []int32 // per class, the rows that it is trained against

	// The features that several rows have, with numbers of their own. A feature
	// that only one row has adds a constant to that row's own product and nothing
	// to any other, so training does without it.
	matrix  *sparse
	own     []int32   // per feature of the matrix, its number in the head
	weights []float32 // of these features, then the dense ones × classes
	singles []single
}

func newTraining(h *head, c *corpus, rows []int32, x *sparse, o headOptions) *training {
	t := &training{head: h, corpus: c, rows: rows, options: o, parties: make([]party, h.classes), others: make([]int32, h.classes)}
	t.narrow(x)
	t.weights = make([]float32, (len(t.own)+c.dim)*h.classes)
	questions := 0
	for i := range rows {
		ex := t.example(i)
		if ex.not {
			t.parties[ex.label].add(int32(i), ofOthers)
			t.others[ex.label]++
			continue
		}
		t.parties[ex.label].add(int32(i), ofClass)
		questions++
		t.others[ex.label]--
	}
	for k := range t.others {
		t.others[k] += int32(questions)
	}
	return t
}

func (t *training) example(row int) *example { return &t.corpus.examples[t.rows[row]] }

// narrow makes the matrix from one with all features.
func (t *training) narrow(x *sparse) {
	count := make([]int32, len(t.head.idf))
	for _, f := range x.index {
		count[f]++
	}
	number := make([]int32, len(count)) // in the matrix, and one
	y := &sparse{
		dense: x.dense, dim: x.dim, square: x.square, lone: make([]float32, len(t.rows)), start: make([]int32, 1, len(x.start)),
		index: make([]int32, 0, len(x.index)), value: make([]float32, 0, len(x.index)),
	}
	for i := range t.rows {
		row := int32(i)
		index, value, _ := x.row(row)
		for k, f := range index {
			if count[f] == 1 {
				t.singles = append(t.singles, single{f, weighed{row, value[k]}})
				y.lone[i] += value[k] * value[k]
				continue
			}
			if number[f] == 0 {
				t.own = append(t.own, f)
				number[f] = int32(len(t.own)) //nolint:gosec // bounded by maxQuestions × maxTokens
			}
			y.index, y.value = append(y.index, number[f]-1), append(y.value, value[k])
		}
		y.start = append(y.start, int32(len(y.index))) //nolint:gosec // as above
	}
	t.matrix = y
}

// run fills the weights and the bias of the head.
func (t *training) run(ctx context.Context) error {
	if err := t.invite(ctx); err != nil {
		return err
	}
	if err := t.train(ctx, firstLoose); err != nil {
		return err
	}
	if err := t.try(ctx); err != nil {
		return err
	}
	if err := t.train(ctx, 1); err != nil {
		return err
	}
	t.addDiscriminant()
	t.finish()
	return nil
}

// train trains every class on its party, to some times the usual tolerance.
func (t *training) train(ctx context.Context, loose float64) error {
	return spread(ctx, t.head.classes, t.options.workers, func() func(class int) {
		m := &machine{sparse: make([]float32, len(t.own)), dense: make([]float32, t.corpus.dim)}
		return func(class int) { t.trainClass(m, class, loose) }
	})
}

func (t *training) trainClass(m *machine, class int, loose float64) {
	h, p, o := t.head, &t.parties[class], t.options
	mine := p.mine()
	if mine == 0 {
		h.bias[class] = -1
		return
	}
	ratio := float64(t.others[class]) / float64(mine)
	m.train(t.matrix, p, svmOptions{
		cost: o.cost * math.Pow(max(ratio, 1), o.balance), other: o.cost, tolerance: o.tolerance * loose, epochs: o.epochs,
		seed: uint64(class) + 1, //nolint:gosec // at most maxIntents
	})
	for i, w := range m.sparse {
		t.weights[i*h.classes+class] = w
	}
	for d, w := range m.dense {
		t.weights[(len(t.own)+d)*h.classes+class] = w
	}
	h.bias[class] = m.bias
}

// invite adds to each party the rows of other classes that are most like the mean
// of its own.
func (t *training) invite(ctx context.Context) error {
	t.average()
	classes := t.head.classes
	similar := make([]float32, len(t.rows)*classes) // by class
	err := t.blocks(ctx, func(row int, margins []float32) {
		for k, m := range margins {
			similar[k*len(t.rows)+row] = m
		}
	})
	if err != nil {
		return err
	}
	err = spread(ctx, classes, t.options.workers, func() func(class int) {
		var others []float32
		return func(class int) { others = t.inviteTo(class, similar[class*len(t.rows):][:len(t.rows)], others) }
	})
	clear(t.weights)
	return err
}

func (t *training) inviteTo(class int, similar, others []float32) []float32 {
	others = others[:0]
	for row, v := range similar {
		if t.stranger(row, class) {
			others = append(others, v)
		}
	}
	least := nthHighest(others, max(firstOthers, firstShare*len(t.parties[class].rows)))
	for row, v := range similar {
		if v >= least && t.stranger(row, class) {
			t.parties[class].add(int32(row), ofOthers)
		}
	}
	return others
}

// stranger reports whether a row is a question of another class.
func (t *training) stranger(row, class int) bool {
	ex := t.example(row)
	return !ex.not && int(ex.label) != class
}

// average makes the mean question of each class its weights.
func (t *training) average() {
	classes := t.head.classes
	for row := range t.rows {
		ex := t.example(row)
		if ex.not {
			continue
		}
		k := int(ex.label)
		share := 1 / float32(len(t.parties[k].rows))
		index, value, dense := t.matrix.row(int32(row))
		for i, f := range index {
			t.weights[int(f)*classes+k] += share * value[i]
		}
		for d, v := range dense {
			t.weights[(len(t.own)+d)*classes+k] += share * v
		}
	}
}

// try adds to each party the rows that its solution gets most wrong, up to as
// many as it has.
func (t *training) try(ctx context.Context) error {
	short := make([][]weighed, len(t.rows)) // classes and margins, by row
	err := t.blocks(ctx, func(row int, margins []float32) {
		for k, m := range margins {
			if m > wrongBy-1 && t.stranger(row, k) {
				short[row] = append(short[row], weighed{int32(k), m})
			}
		}
	})
	if err != nil {
		return err
	}
	byClass := make([][]weighed, t.head.classes) // rows and margins
	for row, list := range short {
		for _, w := range list {
			byClass[w.at] = append(byClass[w.at], weighed{int32(row), w.value})
		}
	}
	for k, list := range byClass {
		t.parties[k].join(list)
	}
	return nil
}

// blocks calls f with the margins of every row for all classes, on several
// goroutines.
func (t *training) blocks(ctx context.Context, f func(row int, margins []float32)) error {
	n, classes := len(t.rows), t.head.classes
	return spread(ctx, (n+tryStride-1)/tryStride, t.options.workers, func() func(int) {
		margins := make([]float32, classes)
		return func(block int) {
			for row := block * tryStride; row < min(n, (block+1)*tryStride); row++ {
				index, value, dense := t.matrix.row(int32(row)) //nolint:gosec // bounded by maxQuestions
				copy(margins, t.head.bias)
				addRows(margins, t.weights, index, value)
				addDense(margins, t.weights[len(t.own)*classes:], dense)
				f(row, margins)
			}
		}
	})
}

// join adds rows to a party, the worst first, up to as many as it has. Rows that
// are in it already are passed over.
func (p *party) join(list []weighed) {
	in := make(map[int32]bool, len(p.rows))
	for _, row := range p.rows {
		in[row] = true
	}
	list = slices.DeleteFunc(list, func(w weighed) bool { return in[w.at] })
	slices.SortFunc(list, func(a, b weighed) int { return cmp.Or(cmp.Compare(b.value, a.value), cmp.Compare(a.at, b.at)) })
	for _, w := range list[:min(len(list), len(p.rows))] {
		p.add(w.at, ofOthers)
	}
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
