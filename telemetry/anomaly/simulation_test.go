package anomaly

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// The simulation: sessions of 20 turns, one in ten of which changes at its tenth
// turn. The others are normal, and whatever is found in them is a false alarm. All
// of them make up what is usual, as they would on a node.
const (
	simSessions = 10_000
	simTurns    = 20
	simFrom     = 10
	simOddEvery = 10
)

// scenario is what a simulated channel is like, and how its odd sessions change.
type scenario struct {
	name string
	kind conversation.AnomalyKind
	// turn plays the i-th turn of a session; odd when the session has changed.
	turn func(w *simulated, odd bool) []conversation.AnomalyFound

	falseAlarms float64 // at most, per 1,000 normal sessions
	found       float64 // at least, of the odd ones
	delay       float64 // at most, in turns, on average
}

// simulated is one session under way.
type simulated struct {
	d  *Detector
	r  *rand.Rand
	s  Session
	at time.Time
}

// slower gives turns of 120 ms of which some, by the share of spikes, take twenty
// times as long, and odd ones times as long.
func slower(times int, spikes float64) func(*simulated, bool) []conversation.AnomalyFound {
	return func(w *simulated, odd bool) []conversation.AnomalyFound {
		took := someTook(w.r)
		if w.r.Float64() < spikes {
			took *= 20
		}
		if odd {
			took *= time.Duration(times)
		}
		return w.d.Turn(&w.s, web, took, 0)
	}
}

// costlier is the same for processor time, of which turns take 2 ms.
func costlier(times int) func(*simulated, bool) []conversation.AnomalyFound {
	return func(w *simulated, odd bool) []conversation.AnomalyFound {
		cost := someCost(w.r)
		if odd {
			cost *= time.Duration(times)
		}
		return w.d.Turn(&w.s, web, 120*time.Millisecond, cost)
	}
}

// flooding writes gap apart once it is odd.
func flooding(gap time.Duration) func(*simulated, bool) []conversation.AnomalyFound {
	return func(w *simulated, odd bool) []conversation.AnomalyFound {
		wait := someGap(w.r)
		if odd {
			wait = lognormal(w.r, gap, 0.3)
		}
		w.at = w.at.Add(wait)
		return w.d.Message(&w.s, web, w.at, w.r.Uint32())
	}
}

// looping says one of few things once it is odd. Normal visitors repeat
// themselves one time in twenty.
func looping(things int) func(*simulated, bool) []conversation.AnomalyFound {
	newest := map[*simulated]uint32{}
	return func(w *simulated, odd bool) []conversation.AnomalyFound {
		w.at = w.at.Add(someGap(w.r))
		gist := w.r.Uint32() | 1<<31
		if w.r.IntN(20) == 0 {
			gist = newest[w]
		}
		if odd {
			gist = 1 + uint32(w.r.IntN(things))
		}
		newest[w] = gist
		return w.d.Message(&w.s, web, w.at, gist)
	}
}

func scenarios() []scenario {
	slow, costly := conversation.AnomalySlow, conversation.AnomalyCostly
	return []scenario{
		{"turns ×3", slow, slower(3, 0), 1, 0.9, 7},
		{"turns ×5", slow, slower(5, 0), 1, 0.99, 5},
		{"turns ×3, 3 % spikes of ×20", slow, slower(3, 0.03), 8, 0.85, 7},
		{"turns ×5, 3 % spikes of ×20", slow, slower(5, 0.03), 8, 0.98, 5},
		{"processor time ×3", costly, costlier(3), 1, 0.8, 7},
		{"processor time ×5", costly, costlier(5), 1, 0.99, 5},
		{"a message every 200 ms", conversation.AnomalyFlood, flooding(200 * time.Millisecond), 1, 0.99, 8},
		{"a message every second", conversation.AnomalyFlood, flooding(time.Second), 1, 0.8, 10},
		{"always the same", conversation.AnomalyLoop, looping(1), 4, 0.99, 4},
		{"one of two texts", conversation.AnomalyLoop, looping(2), 4, 0.9, 7},
	}
}

// outcome is what a simulation came to.
type outcome struct {
	normal, odd, alarms, found int
	delays                     []int // turns from the change to the finding, the turn itself is 1
}

func (o *outcome) falseAlarms() float64 { return 1000 * float64(o.alarms) / float64(o.normal) }
func (o *outcome) rate() float64        { return float64(o.found) / float64(o.odd) }

func (o *outcome) delay() float64 {
	sum := 0
	for _, d := range o.delays {
		sum += d
	}
	return float64(sum) / float64(max(len(o.delays), 1))
}

func (sc *scenario) play(seed uint64) outcome {
	var out outcome
	w := &simulated{d: New(Options{}), r: rand.New(rand.NewPCG(seed, 1))}
	warm(w.d, w.r)
	for n := range simSessions {
		odd := n%simOddEvery == 0
		at := sc.session(w, odd)
		switch {
		case !odd:
			out.normal++
			if at > 0 {
				out.alarms++
			}
		case at > 0 && at <= simFrom:
			out.alarms++ // before anything had changed
			out.normal++
		default:
			out.odd++
			if at > 0 {
				out.found++
				out.delays = append(out.delays, at-simFrom)
			}
		}
	}
	return out
}

// session plays one session and gives the turn in which something was found, or
// 0.
func (sc *scenario) session(w *simulated, odd bool) int {
	w.s, w.at = Session{}, time.Unix(1_700_000_000, 0)
	for i := range simTurns {
		found := sc.turn(w, odd && i >= simFrom)
		if slices.ContainsFunc(found, func(f conversation.AnomalyFound) bool { return f.Anomaly == sc.kind }) {
			return i + 1
		}
	}
	return 0
}

// TestSimulation holds the detectors to bounds; with -v it prints the table of
// docs/anomalies.md.
func TestSimulation(t *testing.T) {
	t.Parallel()
	t.Log("| what changes | kind | false alarms in 1,000 sessions | found | after turns |")
	for _, sc := range scenarios() {
		o := sc.play(2026)
		t.Logf("| %s | `%s` | %.1f | %.1f %% | %.1f |", sc.name, sc.kind, o.falseAlarms(), 100*o.rate(), o.delay())
		if o.falseAlarms() > sc.falseAlarms || o.rate() < sc.found || o.delay() > sc.delay {
			t.Errorf("%s: want at most %.0f false alarms, at least %.0f %% found, after at most %.0f turns", sc.name, sc.falseAlarms, 100*sc.found, sc.delay)
		}
		if again := sc.play(2026); fmt.Sprint(again) != fmt.Sprint(o) {
			t.Errorf("%s: the same seed gives another outcome", sc.name)
		}
	}
}
