package observer

import "github.com/colloquyhq/colloquy/cmd/colloquy-ebpf/kernel"

// maxRecent bounds each half of what is remembered.
const maxRecent = 16384

// recent remembers what was told lately, so that it is not told again at once. It
// has two halves, and forgets the older one when the newer one is full or old.
type recent struct {
	every uint64 // ns; how long something is not told again

	since       uint64
	newer, over map[matter]uint64 // when it was told
}

// matter is something that may be told.
type matter struct {
	kind Kind
	key  kernel.Key
}

// first reports whether something may be told now, and takes it as told then.
func (r *recent) first(kind Kind, k kernel.Key, now uint64) bool {
	if r.newer == nil || len(r.newer) >= maxRecent || now-r.since > r.every {
		r.over, r.newer, r.since = r.newer, make(map[matter]uint64), now
	}
	m := matter{kind, k}
	at, known := r.newer[m]
	if !known {
		at, known = r.over[m]
	}
	if known && now-at < r.every {
		return false
	}
	r.newer[m] = now
	return true
}

// maxBursts bounds the conversations whose failures are counted.
const maxBursts = 16384

// bursts count what happens within a window.
type bursts struct {
	window uint64 // ns
	counts map[kernel.Key]burst
}

type burst struct {
	began uint64
	n     uint32
}

// count adds one and gives how many there are in the window.
func (b *bursts) count(k kernel.Key, at uint64) uint32 {
	if b.counts == nil || len(b.counts) >= maxBursts {
		b.counts = make(map[kernel.Key]burst) // so many failures are a burst of the process in any case
	}
	one := b.counts[k]
	if one.n == 0 || at-one.began > b.window {
		one = burst{began: at}
	}
	one.n++
	b.counts[k] = one
	return one.n
}
