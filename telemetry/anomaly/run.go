package anomaly

import "math"

// Rule says when values are too high for too long: a cumulative sum of what they
// are above the usual by more than Slack has passed Limit. A single value counts
// for Clip at most, without which outliers that every population has would be
// most of what is found.
//
// Units: spreads of the population, see [Level].
// Source: Page, Continuous Inspection Schemes, Biometrika 41 (1954).
type Rule struct {
	Slack, Limit, Clip float64
}

// Run is the sum of one signal of one conversation.
type Run struct {
	sum  float32
	logs float32 // of the values since the sum was zero
	n    int32
}

// Add takes a value that lies z spreads above the usual and whose logarithm is
// log. It reports whether that makes too much; the sum begins anew then, and the
// caller has read [Run.Mean] and [Run.Len] before.
func (r *Run) Add(rule Rule, z, log float64) bool {
	r.sum += float32(max(min(z, rule.Clip), -rule.Clip) - rule.Slack)
	if r.sum <= 0 {
		*r = Run{}
		return false
	}
	r.n++
	r.logs += float32(log)
	return float64(r.sum) > rule.Limit
}

// Mean gives the mean of the logarithms since the run began.
func (r *Run) Mean() float64 {
	if r.n == 0 {
		return math.Inf(-1)
	}
	return float64(r.logs) / float64(r.n)
}

// Len is the number of values since the run began.
func (r *Run) Len() int { return int(r.n) }
