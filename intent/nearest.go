package intent

import (
	"math"
	"slices"
)

// nearest finds the training question most like an utterance by the cosine of
// their weighted n-grams. It is evidence for the calibrator and for agents,
// never the decision.
type nearest struct {
	start   []int32  // per row of weights
	entries []uint32 // the questions that have a feature: see entry
	apart   []int32  // counterexamples: nothing is like them
	rows    int
}

// An entry is a row and a value between 0 and 1 in whole steps. Rows beyond what it
// can say, far more than a bundle may have, are like nothing.
const (
	entryRowBits = 17
	entryRows    = 1 << entryRowBits
	entrySteps   = 1<<(32-entryRowBits) - 1
)

func entry(row int, value float32) uint32 {
	return uint32(value*entrySteps+0.5)<<entryRowBits | uint32(row) //nolint:gosec // both are bounded
}

// commonShare is the share of questions above which a feature is left out:
// it says little and its list is long.
const commonShare = 0.01

// newNearest indexes the rows of a matrix that has so many features, none of which
// only one row has. Of counterexamples it keeps nothing.
func newNearest(x *sparse, features int, counter func(row int) bool) *nearest {
	n := &nearest{start: make([]int32, features+1), rows: len(x.start) - 1}
	count := make([]int32, features)
	for _, f := range x.index {
		count[f]++
	}
	limit := max(int32(float64(n.rows)*commonShare), 20)
	for f, k := range count {
		if k > limit {
			k, count[f] = 0, -1
		}
		n.start[f+1] = n.start[f] + k
	}
	n.entries = make([]uint32, n.start[features])
	fill := slices.Clone(n.start)
	for row := range min(n.rows, entryRows) {
		if counter(row) {
			n.apart = append(n.apart, int32(row))
			continue
		}
		index, value, _ := x.row(int32(row))
		for k, f := range index {
			if count[f] >= 0 {
				n.entries[fill[f]] = entry(row, value[k])
				fill[f]++
			}
		}
	}
	return n
}

// compare fills the similarities of s with every row, and gives the most similar one:
// the first of several, or row -1 if none is similar at all. Similarities only grow
// while they are added up, so that the highest one is seen on the way.
func (n *nearest) compare(s *scratch) (best likeness) {
	if cap(s.similar) < n.rows {
		s.similar = make([]float32, n.rows)
	}
	s.similar = s.similar[:n.rows]
	clear(s.similar)
	best.row = -1
	for i, f := range s.rows {
		if int(f)+1 >= len(n.start) {
			break // the dense part
		}
		v := s.weighed[i] / entrySteps
		for _, e := range n.entries[n.start[f]:n.start[f+1]] {
			row := int(e % entryRows)
			sum := s.similar[row] + v*float32(int32(e>>entryRowBits))
			s.similar[row] = sum
			if sum >= best.value {
				best.see(row, sum)
			}
		}
	}
	for _, only := range s.singles {
		if _, found := slices.BinarySearch(n.apart, only.at); !found {
			s.similar[only.at] += only.value
			best.see(int(only.at), s.similar[only.at])
		}
	}
	return best
}

// likeness is a row and how similar it is.
type likeness struct {
	row   int
	value float32
}

func (l *likeness) see(row int, value float32) {
	if value > l.value || value == l.value && row < l.row {
		l.row, l.value = row, value
	}
}

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
