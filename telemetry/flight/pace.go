package flight

import (
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

// paces know how long the turns of each channel take of late.
//
// bound: one pace a channel, by its label; the channels beyond maxPaces share one.
type paces struct {
	by [maxPaces]pace
}

const (
	maxPaces = 64
	// The limit is not known before enough turns have been seen, and follows what
	// changes by forgetting half now and then.
	paceLearned = 512
	paceRenewed = 128  // turns between two looks for the limit
	paceHalved  = 8192 // turns in the books at most
	pacePercent = 99
	paceFine    = 8 // steps to the double: the limit is up to an eighth above the percentile
	paceBuckets = 64 * paceFine
)

type pace struct {
	limit atomic.Int64 // ns; the 99th percentile; 0 = not known yet

	mu struct {
		sync.Mutex
		counts [paceBuckets]uint32
		seen   uint32
		fresh  uint32 // since the last look
	}
}

// slow reports whether a turn took longer than 99 of 100 of its channel, and
// learns from it.
func (p *paces) slow(channel uint16, took time.Duration) bool {
	return p.by[min(channel, maxPaces-1)].slow(int64(took))
}

func (p *pace) slow(ns int64) bool {
	limit := p.limit.Load()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.counts[paceBucket(ns)]++
	p.mu.seen++
	if p.mu.fresh++; p.mu.fresh >= paceRenewed && p.mu.seen >= paceLearned {
		p.renew()
	}
	return limit > 0 && ns > limit
}

// renew looks for the limit. The lock is held.
func (p *pace) renew() {
	p.mu.fresh = 0
	above := p.mu.seen / 100 * (100 - pacePercent)
	top := paceBuckets - 1
	for seen := uint32(0); top > 0; top-- {
		if seen += p.mu.counts[top]; seen > above {
			break
		}
	}
	p.limit.Store(paceEdge(top))
	if p.mu.seen < paceHalved {
		return
	}
	p.mu.seen = 0
	for i := range p.mu.counts {
		p.mu.counts[i] /= 2
		p.mu.seen += p.mu.counts[i]
	}
}

// paceBucket gives the step of the logarithmic scale that a time falls on: its
// highest bit, and the three below that.
func paceBucket(ns int64) int {
	v := uint64(max(ns, paceFine))
	top := bits.Len64(v) - 1
	return top*paceFine + int(v>>(top-3)&(paceFine-1))
}

// paceEdge is the longest time on a step.
func paceEdge(bucket int) int64 {
	top, part := bucket/paceFine, bucket%paceFine
	if top < 3 {
		return paceFine
	}
	return int64(paceFine+part+1)<<(top-3) - 1
}

// allowance is a token bucket: what goes wrong usually goes wrong many times.
type allowance struct {
	rate float64 // a second, and the size of the bucket

	mu struct {
		sync.Mutex
		left float64
		at   time.Time
	}
}

func (a *allowance) start(perSecond int) {
	a.rate = float64(perSecond)
	a.mu.left = a.rate
}

func (a *allowance) take(at time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.mu.at.IsZero() {
		a.mu.left = min(a.mu.left+max(at.Sub(a.mu.at).Seconds(), 0)*a.rate, a.rate)
	}
	a.mu.at = at
	if a.mu.left < 1 {
		return false
	}
	a.mu.left--
	return true
}
