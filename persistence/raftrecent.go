package persistence

import (
	"sort"
	"sync"

	"github.com/hashicorp/raft"
)

// recentLogs keeps the newest raft entries in memory: a leader sends each to
// every follower, and a follower applies what it has just stored. The bytes of
// an entry are shared, nobody changes them.
type recentLogs struct {
	mu struct {
		sync.Mutex
		ring   []*raft.Log // the entry at index lies at index modulo the length
		lo, hi uint64      // what is there: from lo, before hi
		bytes  int
	}
}

const (
	recentEntries = 1024
	recentBytes   = 16 << 20
)

func newRecentLogs() *recentLogs {
	c := new(recentLogs)
	c.mu.ring = make([]*raft.Log, recentEntries)
	return c
}

func (c *recentLogs) get(index uint64, out *raft.Log) bool {
	if c == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if index < c.mu.lo || index >= c.mu.hi {
		return false
	}
	*out = *c.mu.ring[index%recentEntries]
	return true
}

func (c *recentLogs) add(logs []*raft.Log) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range logs {
		if l.Index != c.mu.hi {
			c.forget(c.mu.hi)
			c.mu.lo, c.mu.hi = l.Index, l.Index
		}
		entry := *l
		c.mu.ring[l.Index%recentEntries] = &entry
		c.mu.hi++
		c.mu.bytes += logSize(l)
		oldest := c.mu.lo
		for c.mu.hi-oldest >= recentEntries || c.mu.bytes > recentBytes && oldest < c.mu.hi {
			c.forget(oldest + 1)
			oldest = c.mu.lo
		}
	}
}

// forget drops the entries before an index; the lock is held.
func (c *recentLogs) forget(before uint64) {
	for ; c.mu.lo < before; c.mu.lo++ {
		slot := &c.mu.ring[c.mu.lo%recentEntries]
		c.mu.bytes -= logSize(*slot)
		*slot = nil
	}
}

// drop forgets what was deleted from the log. A gap is more than is needed to
// think about, so everything goes that does not come before it.
func (c *recentLogs) drop(from, to uint64) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case to < c.mu.lo || from >= c.mu.hi:
	case from <= c.mu.lo:
		c.forget(min(to+1, c.mu.hi))
	default:
		for ; c.mu.hi > from; c.mu.hi-- {
			slot := &c.mu.ring[(c.mu.hi-1)%recentEntries]
			c.mu.bytes -= logSize(*slot)
			*slot = nil
		}
	}
}

// logSizes knows about how many bytes of log lie after an entry, by samples. It
// knows nothing of what was written before this process began, or came within a
// state.
type logSizes struct {
	mu struct {
		sync.Mutex
		first   uint64 // the entry before those that are known
		last    uint64
		total   int64
		samples []sizeSample
	}
}

// sizeSample says how many bytes had been written when the log ended at index.
type sizeSample struct {
	index uint64
	total int64
}

const (
	sampleBytes = 64 << 10
	maxSamples  = 4096
)

// start says where the log ends before anything is added.
func (z *logSizes) start(last uint64) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.mu.first, z.mu.last = last, last
}

// add takes entries from first to last.
func (z *logSizes) add(first, last uint64, size int64) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if first != z.mu.last+1 {
		z.mu.first, z.mu.total, z.mu.samples = first-1, 0, nil
	}
	z.mu.last = last
	z.mu.total += size
	if n := len(z.mu.samples); n > 0 && z.mu.total-z.mu.samples[n-1].total < sampleBytes {
		return
	}
	if len(z.mu.samples) >= maxSamples {
		z.mu.samples = append(z.mu.samples[:0], z.mu.samples[maxSamples/2:]...)
	}
	z.mu.samples = append(z.mu.samples, sizeSample{index: last, total: z.mu.total})
}

// cut forgets what was said of the entries from an index on.
func (z *logSizes) cut(from uint64) {
	z.mu.Lock()
	defer z.mu.Unlock()
	n := sort.Search(len(z.mu.samples), func(i int) bool { return z.mu.samples[i].index >= from })
	z.mu.samples = z.mu.samples[:n]
	z.mu.last = min(z.mu.last, from-1)
	if n > 0 {
		z.mu.total = z.mu.samples[n-1].total
	}
}

// after gives about how many bytes lie after an entry. Where known is false
// there are more, and nobody knows how many.
func (z *logSizes) after(index uint64) (bytes int64, known bool) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if index >= z.mu.last {
		return 0, true
	}
	n := sort.Search(len(z.mu.samples), func(i int) bool { return z.mu.samples[i].index > index })
	if n == 0 {
		return z.mu.total, index >= z.mu.first
	}
	return z.mu.total - z.mu.samples[n-1].total, true
}

// within gives how many of the newest entries have so many bytes together.
func (z *logSizes) within(bytes int64) uint64 {
	z.mu.Lock()
	defer z.mu.Unlock()
	n := sort.Search(len(z.mu.samples), func(i int) bool { return z.mu.total-z.mu.samples[i].total <= bytes })
	if n == len(z.mu.samples) {
		return 0
	}
	return z.mu.last - z.mu.samples[n].index
}
