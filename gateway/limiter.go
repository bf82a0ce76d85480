package gateway

import (
	"net/netip"
	"sync"
	"time"

	"github.com/colloquyhq/colloquy/gateway/loop"
)

// bucket is a token bucket. The zero bucket is empty for ever.
//
// Concurrency: none.
type bucket struct {
	rate, burst float64
	tokens      float64
	at          time.Time
}

func newBucket(perSecond, burst float64, now time.Time) bucket {
	return bucket{rate: perSecond, burst: burst, tokens: burst, at: now}
}

// take spends one token, if there is one.
func (b *bucket) take(now time.Time) bool {
	if d := now.Sub(b.at); d > 0 {
		b.tokens = min(b.burst, b.tokens+d.Seconds()*b.rate)
		b.at = now
	}
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// bucket32 is a bucket in eight bytes, with three seconds' worth at once. The
// rate is the same for many and not kept.
//
// Concurrency: none.
type bucket32 struct {
	tokens float32
	at     loop.Time
}

const bucketSeconds = 3

func newBucket32(perSecond float64, now loop.Time) bucket32 {
	return bucket32{tokens: float32(bucketSeconds * perSecond), at: now}
}

// take spends one token, if there is one.
func (b *bucket32) take(now loop.Time, perSecond float64) bool {
	if d := now.Sub(b.at); d > 0 {
		b.tokens = float32(min(bucketSeconds*perSecond, float64(b.tokens)+d.Seconds()*perSecond))
		b.at = now
	}
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// wait says how long until the next token.
func (b *bucket) wait() time.Duration {
	if b.tokens >= 1 || b.rate <= 0 {
		return 0
	}
	return time.Duration((1 - b.tokens) / b.rate * float64(time.Second))
}

// maxBuckets bounds a limiter's memory. When it is full the full buckets go;
// if none is, everything does, which errs on the generous side.
const maxBuckets = 1 << 16

// limiter holds a bucket per key.
//
// Concurrency: safe for all; the lock is a leaf.
type limiter[K comparable] struct {
	rate, burst float64

	mu struct {
		sync.Mutex
		buckets map[K]*bucket
	}
}

func newLimiter[K comparable](perSecond, burst float64) *limiter[K] {
	l := &limiter[K]{rate: perSecond, burst: burst}
	l.mu.buckets = make(map[K]*bucket)
	return l
}

// take spends a token of key. When there is none it says how long to wait.
func (l *limiter[K]) take(key K, now time.Time) (time.Duration, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.mu.buckets[key]
	if b == nil {
		if len(l.mu.buckets) >= maxBuckets {
			l.shrink(now)
		}
		nb := newBucket(l.rate, l.burst, now)
		b = &nb
		l.mu.buckets[key] = b
	}
	if b.take(now) {
		return 0, true
	}
	return b.wait(), false
}

// sweep forgets the keys whose bucket is full again.
func (l *limiter[K]) sweep(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shrinkFull(now)
}

func (l *limiter[K]) shrink(now time.Time) {
	l.shrinkFull(now)
	if len(l.mu.buckets) >= maxBuckets {
		clear(l.mu.buckets)
	}
}

func (l *limiter[K]) shrinkFull(now time.Time) {
	for k, b := range l.mu.buckets {
		if b.tokens+now.Sub(b.at).Seconds()*b.rate >= b.burst {
			delete(l.mu.buckets, k)
		}
	}
}

// prefixOf is what limits per address count by: the address, or the /64 of an
// IPv6 one, which is what one customer gets.
func prefixOf(a netip.Addr) netip.Prefix {
	a = a.Unmap()
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, err := a.WithZone("").Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// counter counts what is open per key and refuses above a limit.
//
// Concurrency: safe for all; the lock is a leaf.
type counter[K comparable] struct {
	mu struct {
		sync.Mutex
		open map[K]*tallyOf[K]
	}
}

// tallyOf is a key of a counter with its number. Who has entered keeps it to
// leave by, which takes less room than the key.
type tallyOf[K comparable] struct {
	key K
	n   int // guarded by the counter
}

// tally is the count of an address.
type tally = tallyOf[netip.Prefix]

func newCounter[K comparable]() *counter[K] {
	c := &counter[K]{}
	c.mu.open = make(map[K]*tallyOf[K])
	return c
}

// enter counts one more; nil when there are limit already.
func (c *counter[K]) enter(key K, limit int) *tallyOf[K] {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.mu.open[key]
	if t == nil {
		t = &tallyOf[K]{key: key}
	}
	if t.n >= limit {
		return nil
	}
	t.n++
	c.mu.open[key] = t
	return t
}

func (c *counter[K]) leave(t *tallyOf[K]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.n--; t.n <= 0 {
		delete(c.mu.open, t.key)
	}
}
