package anomaly

import (
	"math"
	"sync"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// The rules, see docs/anomalies.md for what they find and how often they err.
//
//nolint:gochecknoglobals // constants that Go has no constants for
var (
	turnRule  = Rule{Slack: 0.75, Limit: 6, Clip: 3}
	floodRule = Rule{Slack: 0.75, Limit: 8, Clip: 2}
)

const (
	// echoes of the newest remembered messages that have the same text make a loop.
	echoes     = 4
	remembered = 6
	// ripple is the time between messages from which on nothing is a flood: people
	// write several short ones in a row.
	ripple = 2 * time.Second
	// pause ends a row of turns that no human had a part in.
	pause = 30 * time.Minute
	// full is how many values of a conversation count in full for what is usual;
	// later ones count less and less, so that one long flood does not make floods
	// usual.
	full = 64
	// maxChannels bounds the books of the channels.
	maxChannels = 64
)

// Options say from when on something is worth telling. Zero means the default.
type Options struct {
	SlowFrom   time.Duration // a turn that is quicker is never slow; default 50 ms
	CostlyFrom time.Duration // a turn that takes less processor time is never costly; default 5 ms
	Unattended int           // the bot's turns in a row without a human that make a loop; default 50
}

// Detector finds what is unlike the others of its channel.
//
// Concurrency: all methods may run together, each [Session] with one owner.
type Detector struct {
	options Options
	mu      struct {
		sync.RWMutex
		channels map[string]*population
	}
}

// population is what is usual in a channel.
type population struct {
	took, cost, gap, score Usual // the last of anger, 0 to 1
}

// Session is what is remembered of one conversation. The zero value is ready.
type Session struct {
	slow, costly, flood Run
	turns, messages     int32
	alone               int32     // the bot's turns since a human had a part
	last                time.Time // of the visitor's newest message
	newest              [remembered]uint32
	heard               int32 // messages since newest was empty
	temper              temper
}

// New makes a detector that knows nothing yet.
func New(o Options) *Detector {
	if o.SlowFrom <= 0 {
		o.SlowFrom = 50 * time.Millisecond
	}
	if o.CostlyFrom <= 0 {
		o.CostlyFrom = 5 * time.Millisecond
	}
	if o.Unattended <= 0 {
		o.Unattended = 50
	}
	d := &Detector{options: o}
	d.mu.channels = map[string]*population{}
	return d
}

// Turn takes the end of a turn of the bot: how long it took, and its processor
// time, zero when that is not measured.
func (d *Detector) Turn(s *Session, channel string, took, cost time.Duration) []conversation.AnomalyFound {
	var found []conversation.AnomalyFound
	p := d.of(channel)
	s.turns++
	if f, ok := high(&p.took, s, &s.slow, took, d.options.SlowFrom); ok {
		f.Anomaly = conversation.AnomalySlow
		found = append(found, f)
	}
	if cost > 0 {
		if f, ok := high(&p.cost, s, &s.costly, cost, d.options.CostlyFrom); ok {
			f.Anomaly = conversation.AnomalyCostly
			found = append(found, f)
		}
	}
	if s.alone++; int(s.alone) > d.options.Unattended {
		found = append(found, conversation.AnomalyFound{Anomaly: conversation.AnomalyLoop, Count: int(s.alone)})
		s.alone = 0
	}
	return found
}

// high looks whether times have become too long. One below from counts as usual,
// whatever is usual.
func high(u *Usual, s *Session, r *Run, took, from time.Duration) (conversation.AnomalyFound, bool) {
	log := logOf(took)
	level, known := u.Observe(log, weight(s.turns))
	if !known {
		return conversation.AnomalyFound{}, false
	}
	z := (log - level.Median) / level.Spread
	if took < from {
		z = min(z, 0)
	}
	if !r.Add(turnRule, z, log) {
		return conversation.AnomalyFound{}, false
	}
	return finding(r, level), true
}

// Message takes a message of the visitor. text is a mark of what it says, the
// same for the same words, or zero when it is too short to tell anything.
func (d *Detector) Message(s *Session, channel string, at time.Time, text uint32) []conversation.AnomalyFound {
	var found []conversation.AnomalyFound
	if same, of := s.echo(text); same >= echoes {
		found = append(found, conversation.AnomalyFound{Anomaly: conversation.AnomalyLoop, Count: of, Same: same})
		s.newest, s.heard = [remembered]uint32{}, 0
	}
	if f, ok := d.fast(s, channel, at); ok {
		found = append(found, f)
	}
	return found
}

// fast looks whether messages come too fast.
func (d *Detector) fast(s *Session, channel string, at time.Time) (conversation.AnomalyFound, bool) {
	last := s.last
	s.last = at
	gap := at.Sub(last)
	if last.IsZero() || gap > pause {
		s.flood, s.alone = Run{}, 0
		return conversation.AnomalyFound{}, false
	}
	log := logOf(max(gap, time.Millisecond))
	s.messages++
	level, known := d.of(channel).gap.Observe(log, weight(s.messages))
	if !known {
		return conversation.AnomalyFound{}, false
	}
	z := (level.Median - log) / level.Spread
	if gap >= ripple {
		z = min(z, 0)
	}
	if !s.flood.Add(floodRule, z, log) {
		return conversation.AnomalyFound{}, false
	}
	f := finding(&s.flood, level)
	f.Anomaly = conversation.AnomalyFlood
	return f, true
}

// echo counts how many of the newest messages have the same text as this one.
func (s *Session) echo(text uint32) (same, of int) {
	s.newest[s.heard%remembered] = text
	s.heard++
	if text == 0 {
		return 0, 0
	}
	for _, t := range s.newest {
		if t == text {
			same++
		}
	}
	return same, min(int(s.heard), remembered)
}

// weight is what the n-th value of a conversation counts for what is usual.
func weight(n int32) float32 {
	if n <= full {
		return 1
	}
	return full / float32(n)
}

// Attended says that a human had a part in the conversation.
func (s *Session) Attended() { s.alone = 0 }

// finding reads a run that has become too much, and begins it anew.
func finding(r *Run, level Level) conversation.AnomalyFound {
	f := conversation.AnomalyFound{Measured: timeOf(r.Mean()), Usual: timeOf(level.Median), Count: r.Len()}
	*r = Run{}
	return f
}

func logOf(d time.Duration) float64 { return math.Log(max(d, time.Microsecond).Seconds()) }

func timeOf(log float64) time.Duration {
	return time.Duration(math.Exp(log) * float64(time.Second)).Round(time.Microsecond)
}

// of gives the books of a channel. Channels beyond the bound share one.
func (d *Detector) of(channel string) *population {
	d.mu.RLock()
	p := d.mu.channels[channel]
	d.mu.RUnlock()
	if p != nil {
		return p
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.mu.channels) >= maxChannels {
		channel = ""
	}
	if p = d.mu.channels[channel]; p == nil {
		p = &population{}
		d.mu.channels[channel] = p
	}
	return p
}
