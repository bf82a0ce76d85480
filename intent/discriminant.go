package intent

import "math"

// Where a class has few questions, what the classes have in common says more
// about their shapes than each class by itself. So the machine of each class is
// helped by a linear discriminant on the dense part, which takes one covariance for
// all classes; it weighs less the more questions there are. Both are linear, so
// the sum is one set of weights and costs nothing when predicting.
//
// Source: Ng, Jordan: On discriminative vs. generative classifiers, NIPS 2001.
const (
	discriminantShare = 1.5  // divided by the questions of a class, on average
	discriminantMost  = 0.15 // at most, in standard deviations of a margin of the discriminant
	discriminantLeast = 0.01 // below it, the discriminant is left out
	shrinkage         = 0.2  // how far the covariance is drawn to a ball
)

// addDiscriminant adds the discriminant to the weights of the dense part. Its
// constants are left out: dense parts have one length, and an utterance of unknown
// words shall not lean to any class.
func (t *training) addDiscriminant() {
	h, dim := t.head, t.corpus.dim
	means, count, asked := t.means()
	weight := min(discriminantMost, discriminantShare*float64(asked)/float64(max(t.questions, 1)))
	if weight < discriminantLeast || asked < 2 {
		return
	}
	factor := factorize(t.covariance(means), dim)
	if factor == nil {
		return
	}
	directions := make([]float32, h.classes*dim)
	for k := range h.classes {
		if count[k] > 0 {
			substitute(factor, means[k*dim:][:dim], directions[k*dim:][:dim])
		}
	}
	spread := t.deviation(directions, count)
	if spread == 0 {
		return
	}
	scale := float32(weight / spread)
	from := len(t.own) * h.classes
	for k := range h.classes {
		for d, v := range directions[k*dim:][:dim] {
			t.weights[from+d*h.classes+k] += scale * v
		}
	}
}

// means averages the dense parts of each class, and says how many questions each
// has and how many classes have any.
func (t *training) means() (means []float32, count []int, asked int) {
	dim := t.corpus.dim
	means, count = make([]float32, t.head.classes*dim), make([]int, t.head.classes)
	for i := range t.rows {
		if ex := t.example(i); !ex.not {
			count[ex.label]++
			axpy(means[int(ex.label)*dim:][:dim], t.dense(i), 1)
		}
	}
	for k, n := range count {
		if n == 0 {
			continue
		}
		asked++
		for d := range dim {
			means[k*dim+d] /= float32(n)
		}
	}
	return means, count, asked
}

func (t *training) dense(row int) []float32 {
	return t.matrix.dense[row*t.corpus.dim:][:t.corpus.dim]
}

// covariance gives the lower half of the covariance within classes, drawn to a
// ball.
func (t *training) covariance(means []float32) []float64 {
	dim := t.corpus.dim
	out, apart := make([]float64, dim*dim), make([]float32, dim)
	for i := range t.rows {
		ex := t.example(i)
		if ex.not {
			continue
		}
		mean := means[int(ex.label)*dim:][:dim]
		for d, v := range t.dense(i) {
			apart[d] = v - mean[d]
		}
		for a, v := range apart {
			line := out[a*dim:][:a+1]
			for b := range line {
				line[b] += float64(v * apart[b])
			}
		}
	}
	trace := 0.0
	for d := range dim {
		trace += out[d*dim+d]
	}
	for i := range out {
		out[i] *= 1 - shrinkage
	}
	for d := range dim {
		out[d*dim+d] += shrinkage * trace / float64(dim)
	}
	return out
}

// deviation gives the standard deviation of the discriminant over all questions
// and classes.
func (t *training) deviation(directions []float32, count []int) float64 {
	dim, n, sum, squares := t.corpus.dim, 0.0, 0.0, 0.0
	for i := range t.rows {
		if t.example(i).not {
			continue
		}
		for k := range t.head.classes {
			if count[k] == 0 {
				continue
			}
			v := float64(dot(directions[k*dim:][:dim], t.dense(i)))
			n, sum, squares = n+1, sum+v, squares+v*v
		}
	}
	return math.Sqrt(max(squares/n-sum/n*sum/n, 0))
}

// factorize gives the Cholesky factor of a symmetric matrix of which the lower
// half is read, or nil if it has none.
func factorize(a []float64, n int) []float64 {
	for i := range n {
		for j := range i + 1 {
			sum := a[i*n+j]
			for k := range j {
				sum -= a[i*n+k] * a[j*n+k]
			}
			switch {
			case i != j:
				a[i*n+j] = sum / a[j*n+j]
			case sum > 0:
				a[i*n+i] = math.Sqrt(sum)
			default:
				return nil
			}
		}
	}
	return a
}

// substitute fills x with the solution of A x = b, of which factor is that of A.
func substitute(factor []float64, b, x []float32) {
	n := len(b)
	y := make([]float64, n)
	for i := range n {
		sum := float64(b[i])
		for k := range i {
			sum -= factor[i*n+k] * y[k]
		}
		y[i] = sum / factor[i*n+i]
	}
	for i := n - 1; i >= 0; i-- {
		sum := y[i]
		for k := i + 1; k < n; k++ {
			sum -= factor[k*n+i] * y[k]
		}
		y[i] = sum / factor[i*n+i]
		x[i] = float32(y[i])
	}
}
