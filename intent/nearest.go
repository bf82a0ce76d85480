package intent

import (
	"math"
	"slices"
)

// nearest finds the training question most like an utterance by the cosine of
// their weighted n-grams. It is evidence for the calibrator and for agents,
// never the decision.
type nearest struct {
	start []int32 // per feature
	row   []int32
	value []float32
	rows  int
}

// commonShare is the share of questions above which a feature is left out:
// it says little and its list is long.
const commonShare = 0.02

func newNearest(c *corpus, rows []int32, x *sparse, features int) *nearest {
	n := &nearest{start: make([]int32, features+1), rows: len(rows)}
	count := make([]int32, features)
	for _, f := range x.index {
		if int(f) < features {
			count[f]++
		}
	}
	limit := max(int32(float64(len(rows))*commonShare), 20)
	for f, k := range count {
		if k > limit {
			k, count[f] = 0, -1
		}
		n.start[f+1] = n.start[f] + k
	}
	n.row = make([]int32, n.start[features])
	n.value = make([]float32, n.start[features])
	fill := append([]int32(nil), n.start...)
	for i := range rows {
		if c.examples[rows[i]].not {
			continue
		}
		for k := x.start[i]; k < x.start[i+1]; k++ {
			f := x.index[k]
			if int(f) >= features || count[f] < 0 {
				continue
			}
			n.row[fill[f]], n.value[fill[f]] = int32(i), x.value[k]
			fill[f]++
		}
	}
	return n
}

// compare fills the similarities of s with every row.
func (n *nearest) compare(s *scratch) {
	if cap(s.similar) < n.rows {
		s.similar = make([]float32, n.rows)
	}
	s.similar = s.similar[:n.rows]
	clear(s.similar)
	for i, id := range s.ids {
		if int(id)+1 >= len(n.start) {
			break // the dense part
		}
		v := s.values[i]
		from, to := n.start[id], n.start[id+1]
		value := n.value[from:to]
		for k, r := range n.row[from:to] {
			s.similar[r] += v * value[k]
		}
	}
}

// best finds the most similar row overall, the first of several, and the highest
// similarity among the rows from one to before another, which are those of one
// label.
func (n *nearest) best(s *scratch, from, to int32) (row int, overall, same float32) {
	row = -1
	at := 0
	for i := 0; i < len(s.similar); i += similarBlock {
		if top := highest(s.similar[i:min(i+similarBlock, len(s.similar))]); top > overall {
			overall, at = top, i
		}
	}
	if overall > 0 {
		row = at + slices.Index(s.similar[at:], overall)
	}
	return row, overall, highest(s.similar[from:to])
}

// similarBlock is how many similarities are looked at before the best is.
const similarBlock = 256

// highest gives the largest of some similarities, or zero. They are not negative,
// so that their bits are in their order, and integers need no branches.
func highest(v []float32) float32 {
	var a, b, c, d uint32
	for ; len(v) >= 4; v = v[4:] {
		a = max(a, math.Float32bits(v[0]))
		b = max(b, math.Float32bits(v[1]))
		c = max(c, math.Float32bits(v[2]))
		d = max(d, math.Float32bits(v[3]))
	}
	for _, x := range v {
		a = max(a, math.Float32bits(x))
	}
	return math.Float32frombits(max(a, b, c, d))
}
