package intent

import "context"

// rowStride is how many rows of the matrix one goroutine weighs at a time.
const rowStride = 128

// weighing fills in the matrix of a training.
type weighing struct {
	*training
	numbers []int32 // per feature of the head: how many rows have it, then its number in the matrix, or -alone
	singles []int32 // per row, how many singles the rows before have
}

// alone is how many rows have a feature that the matrix does without.
const alone = 1

// fillMatrix weighs the rows and brings them to length one.
func (t *training) fillMatrix(ctx context.Context) error {
	w := &weighing{training: t, numbers: make([]int32, len(t.head.idf)), singles: make([]int32, 1, len(t.rows)+1)}
	w.count()
	w.place()
	return spread(ctx, (len(t.rows)+rowStride-1)/rowStride, t.options.workers, func() func(int) {
		var values []float32
		return func(i int) {
			for row := i * rowStride; row < min(len(t.rows), (i+1)*rowStride); row++ {
				values = w.weigh(row, values[:0])
			}
		}
	})
}

// count tells the features that several rows have from those of one, and numbers them:
// those of most rows come first, so that what is needed often lies near to each other.
func (w *weighing) count() {
	for _, r := range w.rows {
		for _, f := range w.corpus.features[r].ids {
			w.numbers[f]++
		}
	}
	rows, dim := len(w.rows), w.corpus.dim
	next, entries := make([]int32, max(rows, alone)+1), 0 // per number of rows, how many features have so many, then the number of the first of them
	for _, n := range w.numbers {
		next[n]++
	}
	singles, shared := next[alone], int32(0)
	for n := rows; n > alone; n-- {
		next[n], shared, entries = shared, shared+next[n], entries+n*int(next[n])
	}
	w.own, w.training.singles = make([]int32, shared), make([]single, singles)
	for f, n := range w.numbers {
		if n > alone {
			w.own[next[n]] = int32(f)
			w.numbers[f] = next[n]
			next[n]++
		} else {
			w.numbers[f] = -n
		}
	}
	w.matrix = &sparse{
		start: make([]int32, 1, rows+1), index: take(&w.memory.index, entries)[:0], value: take(&w.memory.values, entries),
		dim: dim, dense: take(&w.memory.dense, rows*dim), square: make([]float32, rows), lone: make([]float32, rows),
	}
}

// place fills in which features each row has.
func (w *weighing) place() {
	x, singles := w.matrix, int32(0)
	for _, r := range w.rows {
		for _, f := range w.corpus.features[r].ids {
			if n := w.numbers[f]; n >= 0 {
				x.index = append(x.index, n)
			} else {
				singles++
			}
		}
		x.start = append(x.start, int32(len(x.index))) //nolint:gosec // maxQuestions × maxTokens × 4
		w.singles = append(w.singles, singles)
	}
}

// weigh fills in the values of a row. It lends the memory for all of them, and returns it.
func (w *weighing) weigh(row int, values []float32) []float32 {
	f, x := &w.corpus.features[w.rows[row]], w.matrix
	for k, id := range f.ids {
		values = append(values, f.counts[k]*w.head.idf[id])
	}
	unitLength(values)
	shared, singles := x.value[x.start[row]:x.start[row+1]], w.training.singles[w.singles[row]:w.singles[row+1]]
	for k, id := range f.ids {
		v := values[k]
		if w.numbers[id] >= 0 {
			shared[0], shared = v, shared[1:]
			continue
		}
		singles[0], singles = single{id, weighed{int32(row), v}}, singles[1:] //nolint:gosec // bounded by maxQuestions
		x.lone[row] += v * v
	}
	dense := x.dense[row*x.dim:][:x.dim]
	copy(dense, f.dense)
	center(dense, w.head.mean, w.head.share)
	x.square[row] = 2 + w.head.share*w.head.share
	return values
}
