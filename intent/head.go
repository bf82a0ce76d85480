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
	weights []float32 // features × classes
	bias    []float32
	mean    []float32 // of the dense part
	share   float32   // length of the dense part
	near    *nearest

	centroids []float32 // classes × dense: the mean direction of each class's dense parts
	labels    []int32   // per row of near, ascending
	first     []int32   // per label its first row; one more for the end
}

// trainerVersion changes when the same packs would give another model.
const trainerVersion = "colloquy intent 1"

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
	return headOptions{cost: 0.7, balance: 0.2, dense: 1, tolerance: 0.1, epochs: 40}
}

// drill is what the classes of one head are trained on.
type drill struct {
	corpus  *corpus
	rows    []int32
	matrix  *sparse // of rows
	options headOptions
}

// fit trains a head on some rows of a corpus.
func fit(ctx context.Context, c *corpus, rows []int32, o headOptions) (*head, error) {
	h := &head{classes: len(c.classes), idf: c.inverseFrequencies(rows), mean: c.denseMean(rows), share: o.dense}
	x := h.matrix(c, rows)
	h.weights = make([]float32, (len(h.idf)+c.dim)*h.classes)
	h.bias = make([]float32, h.classes)
	h.near = newNearest(c, rows, x, len(h.idf))
	h.indexLabels(c, rows)
	h.addCentroids(c, rows, x)
	d := &drill{corpus: c, rows: rows, matrix: x, options: o}
	err := spread(ctx, h.classes, o.workers, func() func(class int) {
		m := &machine{weights: make([]float32, len(h.idf)+c.dim+1)}
		return func(class int) { h.trainClass(m, d, class) }
	})
	return h, err
}

// addCentroids averages the dense parts of each class.
func (h *head) addCentroids(c *corpus, rows []int32, x *sparse) {
	h.centroids = make([]float32, h.classes*c.dim)
	for i, r := range rows {
		if c.examples[r].not {
			continue
		}
		sum := h.centroids[int(c.examples[r].label)*c.dim:][:c.dim]
		dense := x.value[int(x.start[i+1])-c.dim : x.start[i+1]]
		for d, v := range dense {
			sum[d] += v
		}
	}
	for k := range h.classes {
		unitLength(h.centroids[k*c.dim:][:c.dim])
	}
}

// indexLabels notes where the rows of each label stand. Examples are in the
// order of their labels, and rows in the order of examples.
func (h *head) indexLabels(c *corpus, rows []int32) {
	h.first = make([]int32, h.classes+1)
	for _, r := range rows {
		label := c.examples[r].label
		h.labels = append(h.labels, label)
		h.first[label+1]++
	}
	for k := range h.classes {
		h.first[k+1] += h.first[k]
	}
}

// trainClass trains one class against the rest.
func (h *head) trainClass(m *machine, d *drill, class int) {
	c, rows, o := d.corpus, d.rows, d.options
	var use []int32 // positions in rows
	positives := 0
	for i, r := range rows {
		ex := &c.examples[r]
		mine := ex.label == int32(class) //nolint:gosec // at most maxIntents
		if ex.not && !mine {
			continue
		}
		if mine && !ex.not {
			positives++
		}
		use = append(use, int32(i))
	}
	if positives == 0 {
		h.bias[class] = -1
		return
	}
	ratio := float64(len(use)-positives) / float64(positives)
	m.train(d.matrix, use, func(i int32) bool {
		ex := &c.examples[rows[i]]
		return !ex.not && ex.label == int32(class) //nolint:gosec // at most maxIntents
	}, svmOptions{
		cost: o.cost * math.Pow(max(ratio, 1), o.balance), other: o.cost, tolerance: o.tolerance, epochs: o.epochs,
		seed: uint64(class) + 1, //nolint:gosec // at most maxIntents
	})
	last := len(m.weights) - 1
	for f, w := range m.weights[:last] {
		h.weights[f*h.classes+class] = w
	}
	h.bias[class] = m.weights[last]
}

// inverseFrequencies weighs the features by how few of the rows hold them.
func (c *corpus) inverseFrequencies(rows []int32) []float32 {
	df := make([]int32, c.vocab.n)
	for _, r := range rows {
		for _, id := range c.examples[r].ids {
			df[id]++
		}
	}
	idf := make([]float32, len(df))
	for i, d := range df {
		if d > 0 {
			idf[i] = float32(math.Log(float64(1+len(rows))/float64(1+d))) + 1
		}
	}
	return idf
}

// matrix weighs the rows and brings them to length one.
func (h *head) matrix(c *corpus, rows []int32) *sparse {
	x := &sparse{start: make([]int32, 1, len(rows)+1), square: make([]float32, len(rows))}
	for i, r := range rows {
		ex := &c.examples[r]
		x.index = append(x.index, ex.ids...)
		begin := len(x.value)
		for k, id := range ex.ids {
			x.value = append(x.value, ex.counts[k]*h.idf[id])
		}
		unitLength(x.value[begin:])
		begin = len(x.value)
		x.value = append(x.value, ex.dense...)
		center(x.value[begin:], h.mean, h.share)
		for d := range ex.dense {
			x.index = append(x.index, int32(len(h.idf)+d)) //nolint:gosec // bounded as below
		}
		x.start = append(x.start, int32(len(x.index))) //nolint:gosec // maxQuestions × maxTokens × 4
		x.square[i] = 2 + h.share*h.share
	}
	return x
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

// vectorize fills the ids and values of s from example counts, leaving out
// features that training has not seen, and gives the share of those.
func (h *head) vectorize(s *scratch, ex *example) (unseen float32) {
	ids, counts := ex.ids, ex.counts
	s.ids, s.values = s.ids[:0], s.values[:0]
	for i, id := range ids {
		if w := h.idf[id]; w > 0 {
			s.ids = append(s.ids, id)
			s.values = append(s.values, counts[i]*w)
		}
	}
	seen := len(s.ids)
	unitLength(s.values)
	h.appendDense(s, ex.dense)
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
	mean := make([]float32, c.dim)
	n := 0
	for _, r := range rows {
		v := append([]float32(nil), c.examples[r].dense...)
		unitLength(v)
		n++
		for d, x := range v {
			mean[d] += x
		}
	}
	for d := range mean {
		mean[d] /= float32(max(n, 1))
	}
	return mean
}

// score fills the margins of s.
func (h *head) score(s *scratch) {
	s.margins = append(s.margins[:0], h.bias...)
	out := s.margins
	for i, id := range s.ids {
		v := s.values[i]
		w := h.weights[int(id)*h.classes:][:len(out)]
		for k := range out {
			out[k] += v * w[k]
		}
	}
}
