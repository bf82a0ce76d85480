package intent

import (
	"context"
	"math"
	"slices"
)

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
func (t *training) addDiscriminant(ctx context.Context) error {
	h, dim := t.head, t.corpus.dim
	means, count := t.corpus.denseSums(t.rows, t.matrix, h.classes)
	asked, questions := 0, 0
	for _, n := range count {
		questions += n
		asked += min(n, 1)
	}
	weight := min(discriminantMost, discriminantShare*float64(asked)/float64(max(questions, 1)))
	if weight < discriminantLeast || asked < 2 {
		return nil
	}
	for k, n := range count {
		for d := range dim {
			means[k*dim+d] /= float32(max(n, 1))
		}
	}
	moments, err := t.moments(ctx)
	if err != nil {
		return err
	}
	factor := factorize(covariance(moments, means, count), dim)
	if factor == nil {
		return nil
	}
	directions, err := t.directions(ctx, factor, means)
	if err != nil {
		return err
	}
	spread := deviation(directions, moments, means, count)
	if spread == 0 {
		return nil
	}
	scale := float32(weight / spread)
	for k := range h.classes {
		weights := t.stripe(k / stripeClasses)[k%stripeClasses:]
		for d, v := range directions[k*dim:][:dim] {
			weights[(len(t.own)+d)*stripeClasses] += scale * v
		}
	}
	return nil
}

// directions gives the way in which the discriminant of each class points.
func (t *training) directions(ctx context.Context, factor []float64, means []float32) ([]float32, error) {
	const atOnce = 4 // classes
	dim, classes := t.corpus.dim, t.head.classes
	out := make([]float32, classes*dim)
	return out, spread(ctx, (classes+atOnce-1)/atOnce, t.options.workers, func() func(int) {
		x := make([][atOnce]float64, dim)
		return func(i int) {
			first := i * atOnce
			for k := range min(atOnce, classes-first) {
				for d, v := range means[(first+k)*dim:][:dim] {
					x[d][k] = float64(v)
				}
			}
			substituteFour(factor, x)
			for k := range min(atOnce, classes-first) {
				for d := range x {
					out[(first+k)*dim+d] = float32(x[d][k])
				}
			}
		}
	})
}

// moments gives the sums over all questions of the products of any two numbers of the
// dense part: the lower half of a matrix.
func (t *training) moments(ctx context.Context) ([]float32, error) {
	const atOnce = 4 // rows
	dim := t.corpus.dim
	dense := make([][]float32, 0, len(t.rows)+atOnce)
	for row, label := range t.labels {
		if label >= 0 {
			_, _, d := t.matrix.row(int32(row))
			dense = append(dense, d)
		}
	}
	for none := make([]float32, dim); len(dense)%atOnce != 0; {
		dense = append(dense, none)
	}
	out := make([]float32, dim*dim)
	const lines = 8 // that one goroutine takes at a time
	return out, spread(ctx, (dim+lines-1)/lines, t.options.workers, func() func(int) {
		return func(block int) {
			for rows := dense; len(rows) > 0; rows = rows[atOnce:] {
				four := [atOnce][]float32(rows)
				for i := block * lines; i < min(dim, (block+1)*lines); i++ {
					times := [atOnce]float32{rows[0][i], rows[1][i], rows[2][i], rows[3][i]}
					addFour(out[i*dim:][:i+1], &four, &times)
				}
			}
		}
	})
}

// covariance gives the lower half of the covariance within classes, drawn to a
// ball.
func covariance(moments, means []float32, count []int) []float64 {
	dim := len(means) / len(count)
	within := slices.Clone(moments)
	for k, n := range count {
		mean := means[k*dim:][:dim]
		for i, v := range mean {
			axpy(within[i*dim:][:i+1], mean[:i+1], -float32(n)*v)
		}
	}
	trace := 0.0
	for d := range dim {
		trace += float64(within[d*dim+d])
	}
	out := make([]float64, len(within))
	for i, v := range within {
		out[i] = (1 - shrinkage) * float64(v)
	}
	for d := range dim {
		out[d*dim+d] += shrinkage * trace / float64(dim)
	}
	return out
}

// deviation gives the standard deviation of the discriminant over all questions and
// classes.
func deviation(directions, moments, means []float32, count []int) float64 {
	dim := len(means) / len(count)
	questions, classes, sum, squares := 0, 0, 0.0, 0.0
	total := make([]float32, dim) // of all questions
	for k, n := range count {
		questions += n
		axpy(total, means[k*dim:][:dim], float32(n))
	}
	for k, n := range count {
		if n == 0 {
			continue
		}
		classes++
		direction := directions[k*dim:][:dim]
		sum += float64(dot(direction, total))
		for i, v := range direction {
			line := moments[i*dim:][:i+1]
			squares += float64(v * (2*dot(line[:i], direction[:i]) + line[i]*v))
		}
	}
	n := float64(questions * classes)
	return math.Sqrt(max(squares/n-sum/n*sum/n, 0))
}
