package intent

import "math/rand/v2"

// sparse is a matrix by rows: row i has the sparse entries start[i] to start[i+1],
// and behind them, the same number in each row, the dense ones.
type sparse struct {
	start  []int32
	index  []int32
	value  []float32
	dense  []float32 // rows × dim
	dim    int
	square []float32 // of each row's length, with the constant feature
	lone   []float32 // the square of what the entries leave out; see training.matrix
}

// row gives the parts of one row.
func (x *sparse) row(i int32) (index []int32, value, dense []float32) {
	from, to := x.start[i], x.start[i+1]
	return x.index[from:to], x.value[from:to], x.dense[int(i)*x.dim:][:x.dim]
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
	sparse []float32 // weights, one per feature, to be filled in
	dense  []float32
	bias   float32
	order  []int32
	diag   []float32
}

// small is a step that is not worth its cost.
const small = 0.03

// train solves the dual of the L2-regularized L2-loss linear SVM by coordinate
// descent with shrinking, from the solution that p has.
//
// Source: Hsieh, Chang, Lin, Keerthi, Sundararajan: A dual coordinate descent
// method for large-scale linear SVM, ICML 2008, algorithm 3.
func (m *machine) train(x *sparse, p *party, o svmOptions) {
	m.begin(x, p, o)
	rng := rand.New(rand.NewPCG(o.seed, 0x9e3779b97f4a7c15)) //nolint:gosec // shuffling has to repeat
	active := len(m.order)
	limit := float32(1e30)
	for range o.epochs {
		rng.Shuffle(active, func(i, j int) { m.order[i], m.order[j] = m.order[j], m.order[i] })
		highest, lowest := float32(-1e30), float32(1e30)
		for k := 0; k < active; k++ {
			i := m.order[k]
			row := p.rows[i]
			g := p.signs[i]*m.dot(x, row) + p.alpha[i]*(m.diag[i]+x.lone[row]) - 1
			projected := g
			if p.alpha[i] == 0 {
				if g > limit {
					active--
					m.order[k], m.order[active] = m.order[active], m.order[k]
					k--
					continue
				}
				projected = min(g, 0)
			}
			highest, lowest = max(highest, projected), min(lowest, projected)
			if projected > -small && projected < small {
				continue
			}
			old := p.alpha[i]
			p.alpha[i] = max(old-g/(x.square[row]+m.diag[i]), 0)
			m.add(x, row, (p.alpha[i]-old)*p.signs[i])
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

// begin takes up the solution that p has. The weights are zero before.
func (m *machine) begin(x *sparse, p *party, o svmOptions) {
	m.bias = 0
	m.order, m.diag = m.order[:0], m.diag[:0]
	for i, row := range p.rows {
		m.order = append(m.order, int32(i))
		cost := o.other
		if p.signs[i] == ofClass {
			cost = o.cost
		}
		m.diag = append(m.diag, float32(0.5/cost))
		if p.alpha[i] != 0 {
			m.add(x, row, p.alpha[i]*p.signs[i])
		}
	}
}

func (m *machine) dot(x *sparse, row int32) float32 {
	index, value, dense := x.row(row)
	return m.bias + dotSparse(m.sparse, index, value) + dot(m.dense, dense)
}

func (m *machine) add(x *sparse, row int32, step float32) {
	index, value, dense := x.row(row)
	m.bias += step
	addSparse(m.sparse, index, value, step)
	axpy(m.dense, dense, step)
}
