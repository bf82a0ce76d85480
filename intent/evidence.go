package intent

import "math"

// evidence is what the calibrator knows about one prediction.
type evidence [evidenceSize]float64

const (
	evMargin     = iota // of the best class
	evGap               // to the second
	evSoftmax           // share of the best among all
	evEntropy           // of the shares
	evNearest           // cosine with the nearest question
	evOwn               // cosine with the nearest question of the best class
	evAgree             // the nearest question belongs to the best class
	evUnseen            // share of n-grams that training has not seen
	evLength            // logarithm of the length
	evShort             // one or two units
	evBackground        // highest margin of a background class
	evCentroid          // cosine of the meaning with the mean one of the best class
	evLead              // by how much that is above every other class
	evSquare            // margin squared, so that confidence can bend
	evGapSquare         // gap squared
	evConstant
	evidenceSize
)

// sharpness scales margins before they become shares.
const sharpness = 4

// ranking is the outcome of scoring, before calibration.
type ranking struct {
	best, second int32 // among the classes that may be offered; -1 = none
	nearest      int   // row of the head's nearest question, or -1
	background   bool  // a background class is above all others
	evidence     evidence
}

// rank scores the vector in s and gathers the evidence.
func (h *head) rank(s *scratch, background []bool, unseen float32, units int) ranking {
	h.score(s)
	like := h.near.compare(s)
	r := ranking{best: -1, second: -1, nearest: -1}
	outside := float32(-2)
	for k, m := range s.margins {
		if background[k] {
			outside = max(outside, m)
			continue
		}
		switch {
		case r.best < 0 || m > s.margins[r.best]:
			r.best, r.second = int32(k), r.best
		case r.second < 0 || m > s.margins[r.second]:
			r.second = int32(k)
		}
	}
	if r.best < 0 {
		return r
	}
	top := s.margins[r.best]
	r.background = outside > top
	gap := float32(1)
	if r.second >= 0 {
		gap = top - s.margins[r.second]
	}
	entropy := s.shares(max(top, outside))
	r.nearest = like.row
	same := h.likeClass(s, int(r.best))
	e := &r.evidence
	e[evMargin], e[evGap] = float64(top), float64(gap)
	e[evSoftmax], e[evEntropy] = float64(s.softmax[r.best]), entropy
	e[evNearest], e[evOwn] = float64(like.value), float64(same)
	if like.row >= 0 && h.labels[like.row] == r.best {
		e[evAgree] = 1
	}
	e[evUnseen], e[evLength] = float64(unseen), math.Log(float64(units+1))
	if units <= 2 {
		e[evShort] = 1
	}
	e[evBackground] = float64(outside - top)
	own, other := h.centroid(s, r.best)
	e[evCentroid], e[evLead] = float64(own), float64(own-other)
	e[evSquare], e[evGapSquare] = e[evMargin]*e[evMargin], e[evGap]*e[evGap]
	e[evConstant] = 1
	return r
}

// likeClass gives the cosine of what was compared last with the nearest question of
// a class.
func (h *head) likeClass(s *scratch, class int) float32 {
	return highest(s.similar[h.first[class]:h.first[class+1]])
}

// alike gives the cosine of the mean meanings of two classes.
func (h *head) alike(a, b int) float32 {
	sum := float32(0)
	for d := range h.mean {
		sum += h.centroids.at(d, a) * h.centroids.at(d, b)
	}
	return sum
}

// centroid compares the dense part of s with the mean of each class: the
// cosine with one class, and the highest with any other.
func (h *head) centroid(s *scratch, class int32) (own, other float32) {
	s.cosines = append(s.cosines[:0], make([]float32, h.classes)...)
	for d := len(s.dims); d < len(h.mean); d++ {
		s.dims = append(s.dims, int32(d)) //nolint:gosec // the lexicon's dimension
	}
	h.centroids.add(s.cosines, s.dims[:len(h.mean)], s.values[len(s.values)-len(h.mean):], &s.adder)
	for k, v := range s.cosines {
		if int32(k) == class {
			own = v
			continue
		}
		other = max(other, v)
	}
	return own, other
}

// shares turns margins into shares and gives their entropy.
func (s *scratch) shares(top float32) float64 {
	s.softmax = s.softmax[:0]
	sum := float32(0)
	for _, m := range s.margins {
		p := float32(0)
		// Far below the best a share is nothing; the exponential is dear.
		if d := (m - top) * sharpness; d > -12 {
			p = float32(math.Exp(float64(d)))
		}
		s.softmax = append(s.softmax, p)
		sum += p
	}
	entropy := 0.0
	for i, p := range s.softmax {
		p /= sum
		s.softmax[i] = p
		if p > 1e-5 {
			entropy -= float64(p) * math.Log(float64(p))
		}
	}
	return entropy
}
