package intent

import (
	"context"
	"math"
)

// head is a trained linear classifier over tf-idf weighted n-grams, with the
// training questions beside it for the nearest one.
type head struct {
	classes int
	idf     []float32 // per feature; zero = not seen in training
	places  []int32   // per feature, the dense ones last: its row of weights, or -1-i for singles[i]
	weights *grid
	bias    []float32
	singles []weighed // the row that has the feature, and its value there
	parts   parts
	mean    []float32 // of the dense part
	share   float32   // length of the dense part
	near    *nearest

	centroids *grid   // of the dense part: the mean direction of each class
	labels    []int32 // per row of near, ascending
	first     []int32 // per label its first row; one more for the end
}

// trainerVersion changes when the same packs would give another model.
const trainerVersion = "colloquy intent 7"

// headOptions are the settings of training.
type headOptions struct {
	cost      float64 // C for examples of the class
	balance   float64 // power of the class imbalance that the cost of positives is raised by
	tolerance float64
	epochs    int
	workers   int
	dense     float32 // length of the dense part, beside one of the sparse part
}

func defaultHeadOptions() headOptions {
	return headOptions{cost: 0.7, balance: 0.2, dense: 1, tolerance: 0.2, epochs: 40}
}

// fit trains a head on some rows of a corpus.
func fit(ctx context.Context, c *corpus, rows []int32, o headOptions) (*head, error) {
	h := &head{classes: len(c.classes), share: o.dense}
	err := spread(ctx, 2, o.workers, func() func(int) {
		return func(i int) {
			if i == 0 {
				h.idf = c.inverseFrequencies(rows)
			} else {
				h.mean = c.denseMean(rows)
			}
		}
	})
	if err != nil {
		return nil, err
	}
	h.bias = make([]float32, h.classes)
	h.indexLabels(c, rows)
	t, err := newTraining(ctx, h, c, rows, o)
	if err != nil {
		return nil, err
	}
	defer t.release()
	h.addCentroids(c, rows, t.matrix)
	return h, t.run(ctx)
}

// addCentroids averages the dense parts of each class.
func (h *head) addCentroids(c *corpus, rows []int32, x *sparse) {
	means, _ := c.denseSums(rows, x, h.classes)
	centroids := make([]float32, len(means))
	for k := range h.classes {
		mean := means[k*c.dim:][:c.dim]
		unitLength(mean)
		for d, v := range mean {
			centroids[d*h.classes+k] = v
		}
	}
	h.centroids = newGrid(centroids, h.classes)
}

// denseSums adds up the dense parts of the questions of each class, and counts them.
// Counterexamples are left out.
func (c *corpus) denseSums(rows []int32, x *sparse, classes int) (sums []float32, count []int) {
	sums, count = make([]float32, classes*c.dim), make([]int, classes)
	for i, r := range rows {
		if ex := &c.examples[r]; !ex.not {
			_, _, dense := x.row(int32(i))
			axpy(sums[int(ex.label)*c.dim:][:c.dim], dense, 1)
			count[ex.label]++
		}
	}
	return sums, count
}

// indexLabels notes where the rows of each label stand. Examples are in the
// order of their labels, and rows in the order of examples.
func (h *head) indexLabels(c *corpus, rows []int32) {
	h.first = make([]int32, h.classes+1)
	h.labels = make([]int32, 0, len(rows))
	for _, r := range rows {
		label := c.examples[r].label
		h.labels = append(h.labels, label)
		h.first[label+1]++
	}
	for k := range h.classes {
		h.first[k+1] += h.first[k]
	}
}

// unitLength scales v to length one.
func unitLength(v []float32) {
	sum := float32(0)
	for _, f := range v {
		sum += f * f
	}
	if sum == 0 {
		return
	}
	scale := float32(1 / math.Sqrt(float64(sum)))
	for i := range v {
		v[i] *= scale
	}
}

// vectorize fills the ids and values of s from a question's features, leaving out
// those that training has not seen, and gives their share.
func (h *head) vectorize(s *scratch, x *features) (unseen float32) {
	ids, counts := x.ids, x.counts
	s.ids, s.values = s.ids[:0], s.values[:0]
	for i, id := range ids {
		if w := h.idf[id]; w > 0 {
			s.ids = append(s.ids, id)
			s.values = append(s.values, counts[i]*w)
		}
	}
	seen := len(s.ids)
	unitLength(s.values)
	h.appendDense(s, x.dense)
	if len(ids) == 0 {
		return 1
	}
	return float32(len(ids)-seen) / float32(len(ids))
}

// appendDense adds the dense part behind the sparse one.
func (h *head) appendDense(s *scratch, dense []float32) {
	begin := len(s.values)
	s.values = append(s.values, dense...)
	center(s.values[begin:], h.mean, h.share)
	for d := range dense {
		s.ids = append(s.ids, int32(len(h.idf)+d)) //nolint:gosec // maxQuestions × maxTokens × 4
	}
}

// denseMean gives the mean direction of the dense parts, which says nothing.
func (c *corpus) denseMean(rows []int32) []float32 {
	mean, direction := make([]float32, c.dim), make([]float32, c.dim)
	for _, r := range rows {
		copy(direction, c.features[r].dense)
		unitLength(direction)
		axpy(mean, direction, 1)
	}
	for d := range mean {
		mean[d] /= float32(max(len(rows), 1))
	}
	return mean
}

// score fills the margins of s, and its rows and singles.
func (h *head) score(s *scratch) {
	s.rows, s.weighed, s.singles = s.rows[:0], s.weighed[:0], s.singles[:0]
	for i, id := range s.ids {
		if place := h.places[id]; place >= 0 {
			s.rows, s.weighed = append(s.rows, place), append(s.weighed, s.values[i])
		} else {
			only := h.singles[-1-place]
			s.singles = append(s.singles, weighed{only.at, only.value * s.values[i]})
		}
	}
	s.margins = append(s.margins[:0], h.bias...)
	for _, only := range s.singles {
		for _, p := range h.parts.of(only.at) {
			s.margins[p.at] += only.value * p.value
		}
	}
	h.weights.add(s.margins, s.rows, s.weighed, &s.adder)
}
