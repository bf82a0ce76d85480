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
	means, count := t.corpus.denseSums(t.rows, t.matrix, h.classes)
	asked, questions := 0, 0
	for k, n := range count {
		if n == 0 {
			continue
		}
		asked, questions = asked+1, questions+n
		for d := range dim {
			means[k*dim+d] /= float32(n)
		}
	}
	weight := min(discriminantMost, discriminantShare*float64(asked)/float64(max(questions, 1)))
	if weight < discriminantLeast || asked < 2 {
		return
	}
	factor := factorize(t.covariance(means), dim)
	if factor == nil {
		return
	}
	directions, x := make([]float32, h.classes*dim), make([]float64, dim)
	for k := range h.classes {
		for d, v := range means[k*dim:][:dim] {
			x[d] = float64(v)
		}
		substitute(factor, x)
		for d, v := range x {
			directions[k*dim+d] = float32(v)
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
		_, _, dense := t.matrix.row(int32(i))
		for d, v := range dense {
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
		_, _, dense := t.matrix.row(int32(i))
		for k := range t.head.classes {
			if count[k] == 0 {
				continue
			}
			v := float64(dot(directions[k*dim:][:dim], dense))
			n, sum, squares = n+1, sum+v, squares+v*v
		}
	}
	return math.Sqrt(max(squares/n-sum/n*sum/n, 0))
}
