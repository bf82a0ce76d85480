package conversation

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

// AnomalyKind says in what a conversation is unlike the others.
type AnomalyKind string

// The kinds.
const (
	AnomalySlow   AnomalyKind = "slow"   // turns take longer than the channel's usually do
	AnomalyCostly AnomalyKind = "costly" // turns take more processor time
	AnomalyAnger  AnomalyKind = "anger"  // the visitor is angry, and more surely than [Mood] says
	AnomalyFlood  AnomalyKind = "flood"  // messages come much faster
	AnomalyStuck  AnomalyKind = "stuck"  // a visitor waits longer than the inbox means to let anybody wait
	AnomalyLoop   AnomalyKind = "loop"   // the bot seems to talk to another program
)

// AnomalyKinds lists the kinds.
func AnomalyKinds() []AnomalyKind {
	return []AnomalyKind{AnomalySlow, AnomalyCostly, AnomalyAnger, AnomalyFlood, AnomalyStuck, AnomalyLoop}
}

// AnomalyRest is how long a conversation's anomaly of a kind is not told again.
// One that is stuck is told once for each time that its visitor waits.
const AnomalyRest = 10 * time.Minute

// AnomalySeen is when an anomaly of a kind was told last.
type AnomalySeen struct {
	Kind AnomalyKind `json:"kind"`
	At   time.Time   `json:"at"`
}

// AnomalyPolicy says what an inbox makes of an anomaly.
type AnomalyPolicy string

// The policies, from the least to the most.
const (
	AnomalyIgnore   AnomalyPolicy = "ignore"   // nothing is told or counted
	AnomalyTell     AnomalyPolicy = "tell"     // agents see it
	AnomalyRaise    AnomalyPolicy = "raise"    // the same, and the priority is raised
	AnomalyHandover AnomalyPolicy = "handover" // the same, and a conversation that the bot has goes to humans
)

// Known reports whether p is one of the policies or empty.
func (p AnomalyPolicy) Known() bool {
	switch p {
	case "", AnomalyIgnore, AnomalyTell, AnomalyRaise, AnomalyHandover:
		return true
	}
	return false
}

// AnomalyRules are an inbox's policies, one a kind; empty = tell. How the bot
// speaks to the angry is in [Policy] itself.
type AnomalyRules struct {
	Slow   AnomalyPolicy `json:"slow,omitempty"`
	Costly AnomalyPolicy `json:"costly,omitempty"`
	Anger  AnomalyPolicy `json:"anger,omitempty"`
	Flood  AnomalyPolicy `json:"flood,omitempty"`
	Stuck  AnomalyPolicy `json:"stuck,omitempty"`
	Loop   AnomalyPolicy `json:"loop,omitempty"`

	Priority     Priority `json:"priority,omitempty"`              // of raise and handover; empty = high
	AnswerWithin int      `json:"answer_within_seconds,omitempty"` // the inbox's objective; zero = 600
}

// The bounds of an inbox's objective.
const (
	defaultAnswerWithin = 10 * time.Minute
	maxAnswerWithin     = 7 * 24 * time.Hour
)

// Validate says what is wrong with the rules. Errors: class invalid.
func (r *AnomalyRules) Validate() error {
	for _, p := range []AnomalyPolicy{r.Slow, r.Costly, r.Anger, r.Flood, r.Stuck, r.Loop} {
		if !p.Known() {
			return Refuse(CodeInvalid, "an anomaly's policy is ignore, tell, raise or handover")
		}
	}
	if r.Priority.Rank() < 0 {
		return Refuse(CodeBadPriority, "the priority of anomalies is none, low, medium, high or urgent")
	}
	if r.AnswerWithin < 0 || r.AnswerWithin > int(maxAnswerWithin.Seconds()) {
		return Refusef(CodeInvalid, "answer_within_seconds is 0 to %.0f", maxAnswerWithin.Seconds())
	}
	return nil
}

// Objective is how long a visitor waits for an answer before the conversation
// counts as stuck.
func (r *AnomalyRules) Objective() time.Duration {
	if r.AnswerWithin <= 0 {
		return defaultAnswerWithin
	}
	return time.Duration(r.AnswerWithin) * time.Second
}

// Policy gives the policy for a kind.
func (r *AnomalyRules) Policy(k AnomalyKind) AnomalyPolicy {
	var p AnomalyPolicy
	switch k {
	case AnomalySlow:
		p = r.Slow
	case AnomalyCostly:
		p = r.Costly
	case AnomalyFlood:
		p = r.Flood
	case AnomalyStuck:
		p = r.Stuck
	case AnomalyLoop:
		p = r.Loop
	case AnomalyAnger:
		p = r.Anger
	}
	return cmp.Or(p, AnomalyTell)
}

// Report gives the command that tells of an anomaly as the rules will have it;
// nil when they ignore it.
func (r *AnomalyRules) Report(found AnomalyFound) Command {
	c := ReportAnomaly{Found: found}
	switch r.Policy(found.Anomaly) {
	case AnomalyIgnore:
		return nil
	case AnomalyRaise:
		c.Raise = cmp.Or(r.Priority, PriorityHigh)
	case AnomalyHandover:
		c.Raise, c.Handover = cmp.Or(r.Priority, PriorityHigh), true
	case AnomalyTell:
	}
	return c
}

// decideAnomaly tells of an anomaly, unless that was done a moment ago or is
// over.
func decideAnomaly(s *State, c ReportAnomaly, now time.Time) (Decision, error) {
	f := c.Found
	if !slices.Contains(AnomalyKinds(), f.Anomaly) {
		return Decision{}, Refuse(CodeInvalid, "the anomaly is of no known kind")
	}
	if c.Raise.Rank() < 0 {
		return Decision{}, Refuse(CodeBadPriority, "the priority is none, low, medium, high or urgent")
	}
	if s.Status == StatusClosed || !s.MayTell(f.Anomaly, now) {
		return nothing()
	}
	out := []Event{f}
	if s.Status == StatusResolved {
		return events(out...)
	}
	if c.Raise.Rank() > s.Priority.Rank() {
		out = append(out, PriorityChanged{From: cmp.Or(s.Priority, PriorityNone), To: c.Raise})
	}
	if c.Handover && s.Status == StatusPending {
		out = append(out, handover(s, HandoverRequested{
			Reason: HandoverAnomaly, Intent: s.Dialogue.Intent, Summary: f.Explanation(),
		})...)
	}
	return events(out...)
}

// MayTell reports whether an anomaly of a kind is news now.
func (s *State) MayTell(k AnomalyKind, now time.Time) bool {
	last := s.anomalyAt(k)
	if k == AnomalyStuck {
		return !s.WaitingSince.IsZero() && s.Status != StatusSnoozed && last.Before(s.WaitingSince)
	}
	return last.IsZero() || now.Sub(last) >= AnomalyRest
}

func (s *State) anomalyAt(k AnomalyKind) time.Time { return anomalyIn(s.Anomalies, k) }

func anomalyIn(seen []AnomalySeen, k AnomalyKind) time.Time {
	for _, a := range seen {
		if a.Kind == k {
			return a.At
		}
	}
	return time.Time{}
}

func (s *State) applyAnomaly(ev AnomalyFound, at time.Time) {
	// A copy: heads that were given out share the list.
	seen := slices.Clone(s.Anomalies)
	if i := slices.IndexFunc(seen, func(a AnomalySeen) bool { return a.Kind == ev.Anomaly }); i >= 0 {
		seen[i].At = at
	} else if len(seen) < len(AnomalyKinds()) {
		seen = append(seen, AnomalySeen{Kind: ev.Anomaly, At: at})
	}
	s.Anomalies = seen
}

// Overdue reports whether a visitor has waited since before an objective began,
// and nobody has been told of it. Whoever put a conversation aside knows.
func (h *Head) Overdue(objective time.Duration, now time.Time) bool {
	return !h.WaitingSince.IsZero() && (h.Status == StatusPending || h.Status == StatusOpen) && now.Sub(h.WaitingSince) > objective
}

// StuckTold reports whether the log says already that the visitor waits too long.
func (h *Head) StuckTold() bool {
	told := anomalyIn(h.Anomalies, AnomalyStuck)
	return !told.IsZero() && !told.Before(h.WaitingSince)
}

// Explanation says in words and figures what was found.
func (a AnomalyFound) Explanation() string {
	switch a.Anomaly {
	case AnomalySlow:
		return fmt.Sprintf("turns take %s the channel's usual %s %s", a.times(), span(a.Usual), since(a.Count, "turn"))
	case AnomalyCostly:
		return fmt.Sprintf("turns take %s the channel's usual processor time of %s %s", a.times(), span(a.Usual), since(a.Count, "turn"))
	case AnomalyFlood:
		return fmt.Sprintf("messages come every %s, usual in the channel is every %s, %s", span(a.Measured), span(a.Usual), since(a.Count, "message"))
	case AnomalyStuck:
		return fmt.Sprintf("the visitor has waited %s for an answer, the inbox's objective is %s", span(a.Measured), span(a.Usual))
	case AnomalyLoop:
		if a.Same > 0 {
			return fmt.Sprintf("%d of the last %d messages are the same", a.Same, a.Count)
		}
		return fmt.Sprintf("%d turns of the bot in a row without a human", a.Count)
	case AnomalyAnger:
		if a.Same > 0 {
			return fmt.Sprintf("%d of the last %d messages are angry, up to %.2f, usual in the channel is %.2f", a.Same, a.Count, a.Score, a.UsualScore)
		}
		return fmt.Sprintf("anger rose to %.2f in %d messages, usual in the channel is %.2f", a.Score, a.Count, a.UsualScore)
	}
	return "unlike other conversations"
}

// times gives how many times the usual was measured.
func (a AnomalyFound) times() string {
	if a.Usual <= 0 {
		return "many times"
	}
	ratio := float64(a.Measured) / float64(a.Usual)
	if ratio >= 100 {
		return fmt.Sprintf("%.0f×", ratio)
	}
	return fmt.Sprintf("%.1f×", ratio)
}

func since(n int, what string) string {
	if n == 1 {
		return "since 1 " + what
	}
	return fmt.Sprintf("since %d %ss", n, what)
}

// span prints a duration with two or three digits that count.
func span(d time.Duration) string {
	unit := time.Duration(1)
	if d > 0 {
		unit = time.Duration(math.Pow10(max(0, int(math.Log10(float64(d)))-2)))
	}
	if d >= time.Minute {
		unit = time.Second
	}
	return d.Round(unit).String()
}
