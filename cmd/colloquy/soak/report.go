package soak

import (
	"fmt"
	"io"
	"math"
	"sync"
	"sync/atomic"
)

// Report is what a soak comes to.
type Report struct {
	Seconds   float64 `json:"seconds"`
	Visitors  int     `json:"visitors"`
	Visits    int64   `json:"visits"`
	Messages  int64   `json:"messages"` // acknowledged
	Replies   int64   `json:"replies"`
	Breaks    int64   `json:"breaks"` // connections that visitors dropped and resumed
	Lost      int64   `json:"lost"`   // 0 in a good run
	FirstLoss string  `json:"first_loss,omitempty"`
	Growth    []Trend `json:"growth"`
	Good      bool    `json:"good"`
	CPUs      int     `json:"cpus"`
	Version   string  `json:"version"`

	Samples []Sample `json:"samples"`
}

// Trend is how a figure moved in the last two thirds of the run.
type Trend struct {
	Name    string  `json:"name"`
	Mean    float64 `json:"mean"`
	Grew    float64 `json:"grew"`    // over those two thirds, by the line through all of them
	Allowed float64 `json:"allowed"` // what noise may come to
}

// Flat reports whether the figure did not grow.
func (t Trend) Flat() bool { return t.Grew <= t.Allowed }

// What counts as noise: so much of the mean, or so much at all.
const (
	noiseShare      = 0.05
	noiseBytes      = 12 << 20
	noiseGoroutines = 20
	noiseFiles      = 16
)

// judge looks at the last two thirds, because a node fills its caches first.
func judge(samples []Sample) *Report {
	late := samples[len(samples)/3:]
	trend := func(name string, noise float64, of func(Sample) float64) Trend {
		mean, grew := slope(late, of)
		return Trend{Name: name, Mean: mean, Grew: grew, Allowed: math.Max(noise, noiseShare*mean)}
	}
	return &Report{Samples: samples, Growth: []Trend{
		trend("resident bytes", noiseBytes, func(s Sample) float64 { return float64(s.RSS) }),
		trend("live heap bytes", noiseBytes, func(s Sample) float64 { return float64(s.Heap) }),
		trend("goroutines", noiseGoroutines, func(s Sample) float64 { return float64(s.Goroutines) }),
		trend("open files", noiseFiles, func(s Sample) float64 { return float64(s.Files) }),
	}}
}

// slope fits a line by least squares and gives the mean, and how much the line
// rises from the first sample to the last.
func slope(samples []Sample, of func(Sample) float64) (mean, rise float64) {
	n := float64(len(samples))
	if n < 2 {
		return 0, 0
	}
	var at float64
	for _, s := range samples {
		at += s.Seconds / n
		mean += of(s) / n
	}
	var both, square float64
	for _, s := range samples {
		both += (s.Seconds - at) * (of(s) - mean)
		square += (s.Seconds - at) * (s.Seconds - at)
	}
	if square == 0 {
		return mean, 0
	}
	return mean, both / square * (samples[len(samples)-1].Seconds - samples[0].Seconds)
}

// Print writes the report for a person.
func (r *Report) Print(w io.Writer) error {
	_, err := fmt.Fprintf(w, "%.0f s, %d visitors at a time: %d visits, %d messages, %d replies, %d connections dropped and resumed, %d lost\n",
		r.Seconds, r.Visitors, r.Visits, r.Messages, r.Replies, r.Breaks, r.Lost)
	if r.FirstLoss != "" {
		_, err = fmt.Fprintln(w, "first loss:", r.FirstLoss)
	}
	for _, t := range r.Growth {
		word := "flat"
		if !t.Flat() {
			word = "GROWS"
		}
		_, err = fmt.Fprintf(w, "%-16s mean %12.0f  change over the last two thirds %+11.0f of %10.0f allowed  %s\n", t.Name, t.Mean, t.Grew, t.Allowed, word)
	}
	return err
}

// tally is the books of all visitors.
type tally struct {
	visits, messages, replies, breaks, lost atomic.Int64

	mu struct {
		sync.Mutex
		first string
	}
}

// lose counts something that must not happen.
func (t *tally) lose(format string, args ...any) {
	t.lost.Add(1)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.mu.first == "" {
		t.mu.first = fmt.Sprintf(format, args...)
	}
}

// report fills in the books and gives the verdict.
func (t *tally) report(r *Report) {
	r.Visits, r.Messages, r.Replies, r.Breaks, r.Lost = t.visits.Load(), t.messages.Load(), t.replies.Load(), t.breaks.Load(), t.lost.Load()
	t.mu.Lock()
	r.FirstLoss = t.mu.first
	t.mu.Unlock()
	r.Good = r.Lost == 0 && r.Messages > 0
	for _, g := range r.Growth {
		r.Good = r.Good && g.Flat()
	}
}
