package anomaly

import (
	"math"
	"sync"
)

// The layout of a [Usual]: buckets of the natural logarithm of seconds, from a
// microsecond to a day and a half. A bucket is a tenth wide, values in it differ
// by 10 %.
const (
	bucketWidth = 0.1
	lowest      = -13.8 // ln of 1 µs
	buckets     = 256
)

const (
	// enough is how many values have to be known before anything is judged.
	enough = 200
	// memory is the weight of values that is kept: at twice that much everything
	// counts half, so that what is usual may change.
	memory = 2048
	// every is after how many values what is usual is worked out anew.
	every = 32
	// narrow is the least spread: where all take the same time to a few percent,
	// a little more than usual is still nothing to tell of.
	narrow = 0.25
	// normal makes the median of deviations comparable with a standard deviation.
	normal = 1.4826
)

// Usual learns what is usual in a population of times: median and spread of
// their logarithms, in bounded memory. Both are medians, so that a tenth of odd
// values does not move them much.
//
// Concurrency: all methods may run together.
type Usual struct {
	mu struct {
		sync.Mutex
		counts [buckets]float32
		total  float32
		fresh  int // values since level was worked out
		seen   int // up to enough
		level  Level
	}
}

// Level is what is usual, in logarithms of seconds.
type Level struct {
	Median, Spread float64
}

// Observe takes a time into account, with a weight of up to 1, and gives what was
// usual before; false while too little is known.
func (u *Usual) Observe(log float64, weight float32) (Level, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	before, known := u.mu.level, u.mu.seen >= enough
	u.mu.counts[bucketOf(log)] += weight
	u.mu.total += weight
	u.mu.fresh++
	u.mu.seen = min(u.mu.seen+1, enough)
	if u.mu.total >= 2*memory {
		u.fade()
	}
	if u.mu.fresh >= every || !known && u.mu.seen == enough {
		u.mu.level, u.mu.fresh = u.work(), 0
	}
	return before, known
}

func bucketOf(log float64) int {
	return min(max(int((log-lowest)/bucketWidth), 0), buckets-1)
}

// middle gives the logarithm in the middle of a bucket.
func middle(bucket int) float64 { return lowest + (float64(bucket)+0.5)*bucketWidth }

func (u *Usual) fade() {
	u.mu.total = 0
	for i := range u.mu.counts {
		u.mu.counts[i] /= 2
		u.mu.total += u.mu.counts[i]
	}
}

// work finds the median, and the median of the distances to it.
func (u *Usual) work() Level {
	half := float64(u.mu.total) / 2
	at, below := 0, 0.0
	for ; at < buckets-1 && below+float64(u.mu.counts[at]) < half; at++ {
		below += float64(u.mu.counts[at])
	}
	median := lowest + bucketWidth*float64(at)
	if n := float64(u.mu.counts[at]); n > 0 {
		median += bucketWidth * (half - below) / n // as if the values were even within the bucket
	}
	return Level{Median: median, Spread: max(normal*u.deviation(median, half), narrow)}
}

// deviation goes outwards from the median, nearest bucket first, until half of
// the values lie behind.
func (u *Usual) deviation(median, half float64) float64 {
	up := bucketOf(median)
	down := up - 1
	for have := 0.0; ; {
		rise, fall := math.Inf(1), math.Inf(1)
		if up < buckets {
			rise = math.Abs(middle(up) - median)
		}
		if down >= 0 {
			fall = math.Abs(median - middle(down))
		}
		if math.IsInf(min(rise, fall), 1) {
			return 0
		}
		if rise <= fall {
			have += float64(u.mu.counts[up])
			up++
		} else {
			have += float64(u.mu.counts[down])
			down--
		}
		if have >= half {
			return min(rise, fall)
		}
	}
}
