package intent

import "math"

// A feature weighs the more, the fewer questions have it, and the more they agree
// about the class. What a feature of few questions says about that is taken for what
// most features say, in part.
const (
	agreementPower = 0.15
	agreementUsual = 0.3 // of two questions with a feature, how often they are of one class
	agreementPairs = 5   // so many pairs count as usual beside those that there are
	mostAlike      = 12  // features of so few questions and pairs are weighed once for all
)

// inverseFrequencies gives the weights of the features, from some rows in their order.
// The weight of what no row has is zero.
//
// Source: Lan, Tan, Su, Lu: Supervised and traditional term weighting methods for
// automatic text categorization, PAMI 2009, for the idea; the measure is ours.
func (c *corpus) inverseFrequencies(rows []int32) []float32 {
	found := c.occurrences(rows)
	var known [mostAlike + 1][mostAlike + 1]float32 // most features are of few questions
	out := make([]float32, len(found))
	for i := range found {
		f := &found[i]
		switch {
		case f.held == 0:
		case f.held <= mostAlike && f.agreed <= mostAlike:
			w := &known[f.held][f.agreed]
			if *w == 0 {
				*w = weight(f.held, f.agreed, len(rows))
			}
			out[i] = *w
		default:
			out[i] = weight(f.held, f.agreed, len(rows))
		}
	}
	return out
}

// weight gives what a feature of n rows weighs, of all rows, if so many pairs of the n
// agree.
func weight(n int32, agreed int64, rows int) float32 {
	pairs := float64(n) * float64(n-1)
	agreement := math.Pow((float64(agreed)+agreementPairs*agreementUsual)/(pairs+agreementPairs), agreementPower)
	return float32((math.Log(float64(1+rows)/float64(1+n)) + 1) * agreement)
}

// occurrence is where a feature is found.
type occurrence struct {
	held   int32 // rows that have it
	class  int32 // of the row before that has it, and one
	same   int32 // how many rows of that class have it
	agreed int64 // pairs of rows that are of one class
}

// occurrences counts the rows that have a feature, and the pairs of them that are of
// one class. Examples are in the order of their labels, and rows in the order of
// examples. Counterexamples agree with nothing.
func (c *corpus) occurrences(rows []int32) []occurrence {
	out := make([]occurrence, c.vocab.n)
	for _, r := range rows {
		ex := &c.examples[r]
		for _, id := range c.features[r].ids {
			f := &out[id]
			f.held++
			if ex.not {
				continue
			}
			if f.class != ex.label+1 {
				f.class, f.same = ex.label+1, 0
			}
			f.agreed += 2 * int64(f.same)
			f.same++
		}
	}
	return out
}
