package intent

import (
	"context"
	"math"
)

// classBlock is how many classes one goroutine trains at a time, so that the weights
// that they have for a feature are written side by side. Stripes are made of blocks.
const classBlock = 4

// training is the state of a head's training.
type training struct {
	head    *head
	corpus  *corpus
	rows    []int32
	options headOptions
	labels  []int32 // per row, -1 for counterexamples
	parties []party // per class
	others  []int32 // per class, the rows that it is trained against

	// The features that several rows have, with numbers of their own. A feature
	// that only one row has adds a constant to that row's own product and nothing
	// to any other, so training does without it.
	matrix  *sparse
	own     []int32 // per feature of the matrix, its number in the head
	dims    []int32 // the numbers behind them, of the dense features
	singles []single

	weights []float32 // by stripe of classes, of all these features
	margins []float32 // of the classes × rows, by the weights
	memory  *memory
}

func newTraining(ctx context.Context, h *head, c *corpus, rows []int32, o headOptions) (*training, error) {
	t := &training{
		head: h, corpus: c, rows: rows, options: o,
		labels: make([]int32, len(rows)), parties: make([]party, h.classes), others: make([]int32, h.classes),
		memory: borrowMemory(),
	}
	if err := t.fillMatrix(ctx); err != nil {
		return nil, err
	}
	for d := range c.dim {
		t.dims = append(t.dims, int32(len(t.own)+d)) //nolint:gosec // bounded by maxQuestions × maxTokens
	}
	t.weights = take(&t.memory.weights, t.stripes()*t.width()*stripeClasses)
	t.margins = take(&t.memory.margins, h.classes*len(rows))
	questions := 0
	for i := range rows {
		ex := t.example(i)
		t.labels[i] = ex.label
		if ex.not {
			t.labels[i] = -1
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
	return t, nil
}

// release ends the training: another one may have its memory.
func (t *training) release() {
	spareMemory.Put(t.memory)
	t.memory, t.matrix, t.weights, t.margins = nil, nil, nil, nil
}

func (t *training) example(row int) *example { return &t.corpus.examples[t.rows[row]] }

// width is how many weights a class has.
func (t *training) width() int { return len(t.own) + t.corpus.dim }

// stripes is how many stripes the classes make; the last may have less of them than
// numbers.
func (t *training) stripes() int { return (t.head.classes + stripeClasses - 1) / stripeClasses }

// stripe gives the weights of a stripe of classes: for each feature those of the classes
// side by side.
func (t *training) stripe(i int) []float32 {
	size := t.width() * stripeClasses
	return t.weights[i*size:][:size]
}

// run fills the weights and the bias of the head.
func (t *training) run(ctx context.Context) error {
	for _, step := range []func(context.Context) error{t.invite, t.trainLoosely, t.try, t.trainAll, t.addDiscriminant} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return t.finish(ctx)
}

// trainLoosely is only to find who is missing.
func (t *training) trainLoosely(ctx context.Context) error { return t.train(ctx, firstLoose) }

func (t *training) trainAll(ctx context.Context) error { return t.train(ctx, 1) }

// train trains every class on its party, to some times the usual tolerance.
func (t *training) train(ctx context.Context, loose float64) error {
	classes, width := t.head.classes, t.width()
	return spread(ctx, (classes+classBlock-1)/classBlock, t.options.workers, func() func(int) {
		m, block := &machine{}, make([]float32, classBlock*width)
		return func(i int) {
			first := i * classBlock
			n := min(classBlock, classes-first)
			clear(block)
			for k := range n {
				weights := block[k*width:][:width]
				m.sparse, m.dense = weights[:len(t.own)], weights[len(t.own):]
				t.trainClass(m, first+k, loose)
			}
			t.place(block, first)
		}
	})
}

// place writes the weights of a block of classes, which are by class, where they belong.
func (t *training) place(block []float32, first int) {
	width := t.width()
	to := t.stripe(first / stripeClasses)[first%stripeClasses:]
	a, b, c, d := block[:width], block[width:][:width], block[2*width:][:width], block[3*width:][:width]
	for f := range a {
		*(*[classBlock]float32)(to[f*stripeClasses:]) = [classBlock]float32{a[f], b[f], c[f], d[f]}
	}
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
	h.bias[class] = m.bias
}

// marginStride is how many rows one goroutine takes at a time.
const marginStride = 64

// fillMargins takes the margins of every row for all classes.
func (t *training) fillMargins(ctx context.Context) error {
	n, classes := len(t.rows), t.head.classes
	// Stripe by stripe, so that the weights of one stay near.
	strides := (n + marginStride - 1) / marginStride
	return spread(ctx, t.stripes()*strides, t.options.workers, func() func(int) {
		margins := make([][stripeClasses]float32, marginStride)
		return func(i int) {
			class, first := i/strides*stripeClasses, i%strides*marginStride
			rows := margins[:min(marginStride, n-first)]
			t.stripeMargins(rows, class/stripeClasses, first)
			for k := range min(stripeClasses, classes-class) {
				side := t.margins[(class+k)*n+first:][:len(rows)]
				for r := range side {
					side[r] = rows[r][k]
				}
			}
		}
	})
}

// stripeMargins takes the margins of some rows for a stripe of classes.
func (t *training) stripeMargins(out [][stripeClasses]float32, stripe, first int) {
	var bias [stripeClasses]float32
	copy(bias[:], t.head.bias[stripe*stripeClasses:])
	weights := t.stripe(stripe)
	for r := range out {
		index, value, dense := t.matrix.row(int32(first + r)) //nolint:gosec // bounded by maxQuestions
		out[r] = bias
		addStripe(&out[r], weights, index, value)
		addStripe(&out[r], weights, t.dims, dense)
	}
}
