package intent

import "math/rand/v2"

// sparse is a matrix by rows: row i has the entries start[i] to start[i+1].
type sparse struct {
	start  []int32
	index  []int32
	value  []float32
	square []float32 // of each row's length, with the constant feature
}

// svmOptions are the settings of one linear machine.
type svmOptions struct {
	cost      float64 // C of the rows of the class
	other     float64 // C of the other rows
	tolerance float64
	epochs    int
	seed      uint64
}

// machine is the working memory for training one class against the rest.
type machine struct {
	weights []float32 // one per feature; the last is the constant
	alpha   []float32
	order   []int32
}

// train solves the dual of the L2-regularized L2-loss linear SVM by coordinate
// descent with shrinking. rows lists the examples to use, positive tells which
// of them belong to the class.
//
// Source: Hsieh, Chang, Lin, Keerthi, Sundararajan: A dual coordinate descent
// method for large-scale linear SVM, ICML 2008, algorithm 3.
func (m *machine) train(x *sparse, rows []int32, positive func(row int32) bool, o svmOptions) {
	clear(m.weights)
	m.alpha = append(m.alpha[:0], make([]float32, len(rows))...)
	m.order = m.order[:0]
	sign := make([]float32, len(rows))
	diag := make([]float32, len(rows))
	for i, r := range rows {
		m.order = append(m.order, int32(i))
		sign[i], diag[i] = -1, float32(0.5/o.other)
		if positive(r) {
			sign[i], diag[i] = 1, float32(0.5/o.cost)
		}
	}
	rng := rand.New(rand.NewPCG(o.seed, 0x9e3779b97f4a7c15)) //nolint:gosec // shuffling has to repeat
	active := len(m.order)
	limit := float32(1e30)
	for range o.epochs {
		rng.Shuffle(active, func(i, j int) { m.order[i], m.order[j] = m.order[j], m.order[i] })
		highest, lowest := float32(-1e30), float32(1e30)
		for k := 0; k < active; k++ {
			i := m.order[k]
			g := sign[i]*m.dot(x, rows[i]) - 1 + m.alpha[i]*diag[i]
			projected := g
			if m.alpha[i] == 0 {
				if g > limit {
					active--
					m.order[k], m.order[active] = m.order[active], m.order[k]
					k--
					continue
				}
				projected = min(g, 0)
			}
			highest, lowest = max(highest, projected), min(lowest, projected)
			if projected > -1e-6 && projected < 1e-6 {
				continue
			}
			old := m.alpha[i]
			m.alpha[i] = max(old-g/(x.square[rows[i]]+diag[i]), 0)
			m.add(x, rows[i], (m.alpha[i]-old)*sign[i])
		}
		if highest-lowest <= float32(o.tolerance) {
			if active == len(m.order) {
				return
			}
			active, limit = len(m.order), 1e30
			continue
		}
		limit = highest
		if limit <= 0 {
			limit = 1e30
		}
	}
}

func (m *machine) dot(x *sparse, row int32) float32 {
	sum := m.weights[len(m.weights)-1]
	index := x.index[x.start[row]:x.start[row+1]]
	value := x.value[x.start[row]:x.start[row+1]]
	for k, f := range index {
		sum += m.weights[f] * value[k]
	}
	return sum
}

func (m *machine) add(x *sparse, row int32, step float32) {
	m.weights[len(m.weights)-1] += step
	index := x.index[x.start[row]:x.start[row+1]]
	value := x.value[x.start[row]:x.start[row+1]]
	for k, f := range index {
		m.weights[f] += step * value[k]
	}
}
