package appends

import (
	"math"
	"time"
)

// The buckets of a histogram: each is a twentieth wider than the one before, from
// ten microseconds on to about half a minute.
const (
	firstBucket = 10 * time.Microsecond
	bucketRatio = 1.05
	buckets     = 308
)

// histogram counts durations; histograms of several processes add up.
type histogram [buckets]uint64

func (h *histogram) add(d time.Duration) {
	i := 0
	if d > firstBucket {
		i = int(math.Log(float64(d)/float64(firstBucket)) / math.Log(bucketRatio))
	}
	h[min(i, buckets-1)]++
}

func (h *histogram) merge(other *histogram) {
	for i, n := range other {
		h[i] += n
	}
}

// quantile gives the upper bound of the bucket in which the q-quantile is.
func (h *histogram) quantile(q float64) time.Duration {
	var total, below uint64
	for _, n := range h {
		total += n
	}
	for i, n := range h {
		if below += n; total > 0 && float64(below) >= q*float64(total) {
			return time.Duration(float64(firstBucket) * math.Pow(bucketRatio, float64(i+1)))
		}
	}
	return 0
}
