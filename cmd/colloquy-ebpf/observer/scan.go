package observer

import (
	"fmt"
	"time"

	"github.com/colloquyhq/colloquy/cmd/colloquy-ebpf/kernel"
)

// scan looks at the turns that are open, and keeps the books. That a turn does not
// end is no event, so it has to be looked for.
func (o *Observer) scan(now uint64) {
	open, stuck := 0, 0
	limit := uint64(o.o.Limits.Stuck) //nolint:gosec // not negative
	var old []opened
	err := o.eyes.Turns(func(k kernel.Key, t kernel.Turn) {
		if open++; limit > 0 && now > t.Began && now-t.Began >= limit {
			old = append(old, opened{k, t})
		}
	})
	if err != nil {
		o.o.Log.Warn("open turns not read", "err", err)
	}
	for _, t := range old {
		if o.gone(t.PID, t.Began) {
			o.eyes.Forget(t.Key)
			open--
			continue
		}
		stuck++
		age := time.Duration(now - t.Began) //nolint:gosec // small
		f := about(Stuck, t.Key, now)
		f.Seconds, f.Says = age.Seconds(), fmt.Sprintf("a turn has been open for %v", age.Round(time.Millisecond))
		o.find(f, t.Key, now)
	}
	o.metrics.open.Set(float64(open))
	o.metrics.stuck.Set(float64(stuck))
	o.keepBooks()
}

type opened struct {
	kernel.Key
	kernel.Turn
}

// keepBooks adds what the kernel has counted since the last time.
func (o *Observer) keepBooks() {
	c, err := o.eyes.Counts()
	if err != nil {
		o.o.Log.Warn("counts not read", "err", err)
		return
	}
	o.metrics.add(o.counted, c)
	o.counted = c
}
