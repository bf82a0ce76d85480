package cpu

import (
	"context"
	"runtime/pprof"
	"sync/atomic"
	"time"
)

// Meter adds up what one conversation costs on this node.
//
// Concurrency: all methods may run together.
type Meter struct {
	meters  *Meters
	id      string
	labels  context.Context         //nolint:containedctx // the labels of profiles come in a context; made once, as that takes longer than setting them
	running atomic.Pointer[Segment] // of the mailbox's present run, or of its last

	spent   atomic.Int64 // ns
	turns   atomic.Int64
	last    atomic.Int64 // Unix ns of the last turn, or of a survey that found it charged
	channel atomic.Pointer[string]
	watched atomic.Int64 // Unix ns until which it is watched; 0 = it is not

	// touched by the survey only, under its lock

	counted int64       // spent at the last survey
	recent  float64     // ns in about the last minute
	top     time.Time   // until when it is among the top
	shown   atomic.Bool // it is among the top
}

// profileLabel names the label by which a profile can be filtered.
const profileLabel = "conversation"

func newMeter(ms *Meters, id string) *Meter {
	m := &Meter{meters: ms, id: id}
	m.labels = pprof.WithLabels(context.Background(), pprof.Labels(profileLabel, id))
	m.last.Store(time.Now().UnixNano())
	return m
}

// Run runs f, which is a run of the conversation's mailbox, and charges it.
// Samples that a profile takes meanwhile carry the conversation's id.
//
// The next run may begin while this one returns: a mailbox is free as soon as it
// is empty. So each has a segment of its own, and what is called from a message
// finds the one of its run.
func (m *Meter) Run(f func()) {
	s := new(Segment)
	m.running.Store(s)
	m.measure(s, f)
}

// Charged runs f, which is work for the conversation on another goroutine than
// its mailbox's, and charges it. For a nil meter it just runs.
func (m *Meter) Charged(f func()) {
	if m == nil {
		f()
		return
	}
	m.measure(new(Segment), f)
}

func (m *Meter) measure(s *Segment, f func()) {
	pprof.SetGoroutineLabels(m.labels)
	s.Begin(m)
	defer func() {
		s.End()
		pprof.SetGoroutineLabels(context.Background())
	}()
	f()
}

// charge adds a measured time, which stands for as many as the sampling left out.
func (m *Meter) charge(ns int64) {
	ns = max(ns, 0) * int64(m.meters.every)
	m.spent.Add(ns)
	m.meters.total.Add(ns)
}

// Spent gives the processor time that was charged so far. What is being measured
// at the moment is not in it.
func (m *Meter) Spent() time.Duration {
	if m == nil {
		return 0
	}
	return time.Duration(m.spent.Load())
}

// Turn counts a turn of the conversation and says by which channel it came.
func (m *Meter) Turn(channel string) {
	if m == nil {
		return
	}
	m.turns.Add(1)
	m.last.Store(time.Now().UnixNano())
	if c := m.channel.Load(); c == nil || *c != channel {
		m.channel.Store(&channel)
	}
}

// Session is what is known of the cost of one conversation on this node.
type Session struct {
	Conversation string    `json:"conversation"`
	Channel      string    `json:"channel"`
	CPU          float64   `json:"cpu_seconds"`             // since the node began to count it
	Recent       float64   `json:"cpu_last_minute_seconds"` // in about the last minute, as of the last survey
	Turns        int64     `json:"turns"`
	Last         time.Time `json:"last_active"`
	Watched      bool      `json:"watched"`
}

// Session gives what is known of the conversation's cost; false when it has cost
// nothing, or the meter is nil.
func (m *Meter) Session() (Session, bool) {
	if m == nil || m.spent.Load() == 0 {
		return Session{}, false
	}
	m.meters.ranks.mu.Lock()
	defer m.meters.ranks.mu.Unlock()
	s := m.session(time.Now())
	s.Recent = time.Duration(m.recent).Seconds()
	return s, true
}

func (m *Meter) session(now time.Time) Session {
	s := Session{
		Conversation: m.id, CPU: m.Spent().Seconds(), Turns: m.turns.Load(), Last: time.Unix(0, m.last.Load()).UTC(), Watched: m.isWatched(now),
	}
	if c := m.channel.Load(); c != nil {
		s.Channel = *c
	}
	return s
}

// Watched reports whether the conversation is watched; false for nil.
func (m *Meter) Watched(now time.Time) bool { return m != nil && m.isWatched(now) }

func (m *Meter) isWatched(now time.Time) bool { return m.watched.Load() > now.UnixNano() }
