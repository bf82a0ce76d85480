package loop

import "time"

// wheelTicks is how far ahead the wheel can see. What is due later is looked at
// by then, and put off again.
const wheelTicks = 64

// wheel says whose time has come. Every connection has a slot, and at most one
// valid entry; entries that were overtaken by an earlier one are passed over.
//
// Concurrency: none.
type wheel struct {
	every time.Duration
	due   []uint32 // by slot: the tick; zero = none
	ring  [wheelTicks][]int32
	spare []int32
	at    uint32 // the tick that was handled last
}

func newWheel(every time.Duration) *wheel { return &wheel{every: every, at: 1} }

// tickOf gives the tick that a time since the start belongs to.
func (w *wheel) tickOf(since time.Duration) uint32 {
	return uint32(since/w.every) + 1 //nolint:gosec // 136 years of seconds
}

// grow makes room for a slot.
func (w *wheel) grow(slot int32) {
	for int(slot) >= len(w.due) {
		w.due = append(w.due, 0)
	}
	w.due[slot] = 0
}

// arm sees to it that a slot is due in a while, or earlier.
func (w *wheel) arm(slot int32, in time.Duration) {
	ahead := min(max((in+w.every-1)/w.every, 1), wheelTicks-1)
	tick := w.at + uint32(ahead)
	if old := w.due[slot]; old != 0 && old <= tick {
		return
	}
	w.due[slot] = tick
	w.ring[tick%wheelTicks] = append(w.ring[tick%wheelTicks], slot)
}

// advance calls do for every slot that is due by now. do may arm.
func (w *wheel) advance(now uint32, do func(slot int32)) {
	for w.at < now {
		if now-w.at > wheelTicks {
			w.at = now - wheelTicks // asleep for long: every place once
		}
		w.at++
		place := w.at % wheelTicks
		list := w.ring[place]
		w.ring[place], w.spare = w.spare[:0], nil
		for _, slot := range list {
			if tick := w.due[slot]; tick != 0 && tick <= w.at {
				w.due[slot] = 0
				do(slot)
			}
		}
		w.spare = list[:0]
	}
}
