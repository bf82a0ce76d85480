package load

import (
	"math/bits"
	"time"
)

// A histogram has 32 buckets for each power of two, so a value is known to
// about three percent, from a microsecond to more than an hour.
const (
	bucketBits = 5
	perPower   = 1 << bucketBits
	powers     = 28
)

// Histogram counts durations without allocating. The zero value is empty.
type Histogram struct {
	counts [powers * perPower]uint64
	total  uint64
	max    time.Duration
}

// Add counts d; below zero counts as zero.
func (h *Histogram) Add(d time.Duration) {
	h.counts[bucketOf(d)]++
	h.total++
	h.max = max(h.max, d)
}

// Max is the longest duration.
func (h *Histogram) Max() time.Duration { return h.max }

// Quantile gives the upper bound of the bucket in which the q-quantile is; zero
// when nothing was counted.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.total == 0 {
		return 0
	}
	var below uint64
	for i, n := range h.counts {
		if below += n; float64(below) >= q*float64(h.total) && i < len(h.counts)-1 {
			return min(upperBound(i), h.max)
		}
	}
	return h.max
}

// bucketOf is the index for a number of microseconds: itself below perPower,
// above that its leading bits.
func bucketOf(d time.Duration) int {
	us := uint64(max(d, 0) / time.Microsecond)
	if us < perPower {
		return int(us)
	}
	shift := bits.Len64(us) - bucketBits - 1
	i := (shift+1)*perPower + int(us>>shift) - perPower //nolint:gosec // six bits are left
	return min(i, powers*perPower-1)
}

func upperBound(i int) time.Duration {
	if i < perPower {
		return time.Duration(i+1) * time.Microsecond
	}
	shift := i/perPower - 1
	return time.Duration(i%perPower+perPower+1) << shift * time.Microsecond
}
