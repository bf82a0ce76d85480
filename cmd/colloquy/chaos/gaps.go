package chaos

import (
	"slices"
	"time"
)

// afterglow is how long after a fault was healed a slow answer still counts as
// its doing.
const afterglow = time.Second

// event is a fault that was injected. Times are on the ledger's clock.
type event struct {
	kind   Kind
	node   int  // which one was hit; zero = all of them
	leader bool // it led the journal
	began  time.Duration
	ended  time.Duration // when every node was ready again
}

// KindFigures is what visitors felt of one kind of fault.
type KindFigures struct {
	Count     int   `json:"count"`
	GapP50MS  int64 `json:"gap_p50_ms"` // longest time from a message to its acknowledgement over all visitors: of half of the faults
	GapP99MS  int64 `json:"gap_p99_ms"`
	GapMaxMS  int64 `json:"gap_max_ms"`
	ReadyP50  int64 `json:"ready_p50_ms"` // until every node was ready again
	ReadyMax  int64 `json:"ready_max_ms"`
	OfLeaders int   `json:"of_leaders"` // how many hit the leader of the journal
}

// causes says for each operation which fault it felt: the one that it was on its
// way during, or shortly behind, for the longest; -1 for none. An operation that
// began in the afterglow of one fault and waited through the next is the doing of
// the next.
func causes(events []event, operations []*operation) []int {
	out := make([]int, len(operations))
	for i, o := range operations {
		out[i] = -1
		var most time.Duration
		for j, e := range events {
			end := e.ended + afterglow
			if j+1 < len(events) { // where the next one begins, its own doing does
				end = min(end, max(e.ended, events[j+1].began))
			}
			if felt := min(o.acked, end) - max(o.due, e.began); felt > most {
				out[i], most = j, felt
			}
		}
	}
	return out
}

// quantileMS gives the q-quantile of sorted durations in milliseconds: the
// smallest value that so many of them do not exceed.
func quantileMS(sorted []time.Duration, q float64) int64 { return int64(quantileFloat(sorted, q)) }

// quantileFloat is quantileMS with fractions of a millisecond.
func quantileFloat(sorted []time.Duration, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(q*float64(len(sorted)) + 0.999999)
	return float64(sorted[min(max(rank, 1), len(sorted))-1].Microseconds()) / 1000
}

// availability is what visitors felt.
type availability struct {
	byKind     map[Kind]*KindFigures
	failover   []time.Duration // gaps of the faults that took a node away, sorted
	longest    time.Duration   // gap of the whole run
	unremarked []time.Duration // answers outside of all faults, sorted
}

// measure looks at the ledger around each fault.
func measure(events []event, operations []*operation) *availability {
	a := &availability{byKind: map[Kind]*KindFigures{}}
	gaps, ready := map[Kind][]time.Duration{}, map[Kind][]time.Duration{}
	longest := a.waits(events, operations)
	for i, e := range events {
		if a.byKind[e.kind] == nil {
			a.byKind[e.kind] = &KindFigures{}
		}
		f := a.byKind[e.kind]
		f.Count++
		if e.leader {
			f.OfLeaders++
		}
		gaps[e.kind], ready[e.kind] = append(gaps[e.kind], longest[i]), append(ready[e.kind], e.ended-e.began)
		if e.kind.downsNode() {
			a.failover = append(a.failover, longest[i])
		}
	}
	for kind, f := range a.byKind {
		slices.Sort(gaps[kind])
		slices.Sort(ready[kind])
		f.GapP50MS, f.GapP99MS, f.GapMaxMS = quantileMS(gaps[kind], 0.5), quantileMS(gaps[kind], 0.99), quantileMS(gaps[kind], 1)
		f.ReadyP50, f.ReadyMax = quantileMS(ready[kind], 0.5), quantileMS(ready[kind], 1)
	}
	slices.Sort(a.failover)
	return a
}

// waits looks at every visitor's message: it gives the longest wait for each
// fault.
func (a *availability) waits(events []event, operations []*operation) []time.Duration {
	longest := make([]time.Duration, len(events))
	cause := causes(events, operations)
	for i, o := range operations {
		if o.author.role != visitorRole || o.acked == 0 {
			continue
		}
		wait := o.acked - o.due
		a.longest = max(a.longest, wait)
		if c := cause[i]; c >= 0 {
			longest[c] = max(longest[c], wait)
		} else {
			a.unremarked = append(a.unremarked, wait)
		}
	}
	slices.Sort(a.unremarked)
	return longest
}
