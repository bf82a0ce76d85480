package conversation

import (
	"errors"
	"testing"
	"time"
)

func TestAnomaliesAreExplained(t *testing.T) {
	t.Parallel()
	ms := time.Millisecond
	for want, found := range map[string]AnomalyFound{
		"turns take 4.1× the channel's usual 120ms since 3 turns": {
			Anomaly: AnomalySlow, Measured: 492 * ms, Usual: 120 * ms, Count: 3,
		},
		"turns take 249× the channel's usual processor time of 1.23ms since 1 turn": {
			Anomaly: AnomalyCostly, Measured: 307500 * time.Microsecond, Usual: 1_234_567, Count: 1,
		},
		"messages come every 312ms, usual in the channel is every 21.5s, since 9 messages": {
			Anomaly: AnomalyFlood, Measured: 312_345_678, Usual: 21_543 * ms, Count: 9,
		},
		"the visitor has waited 11m2s for an answer, the inbox's objective is 10m0s": {
			Anomaly: AnomalyStuck, Measured: 662_345 * ms, Usual: 10 * time.Minute,
		},
		"4 of the last 6 messages are the same":        {Anomaly: AnomalyLoop, Count: 6, Same: 4},
		"51 turns of the bot in a row without a human": {Anomaly: AnomalyLoop, Count: 51},
		"turns take many times the channel's usual 0s since 2 turns": {
			Anomaly: AnomalySlow, Measured: ms, Count: 2,
		},
		"2 of the last 3 messages are angry, up to 0.93, usual in the channel is 0.03": {
			Anomaly: AnomalyAnger, Score: 0.93, UsualScore: 0.03, Count: 3, Same: 2,
		},
		"anger rose to 0.99 in 1 messages, usual in the channel is 0.00": {Anomaly: AnomalyAnger, Score: 0.99, Count: 1},
		"unlike other conversations":                                     {Anomaly: "of a newer version"},
	} {
		if got := found.Explanation(); got != want {
			t.Errorf("%+v:\n%s\nwant\n%s", found, got, want)
		}
	}
}

func TestAnomalyRules(t *testing.T) {
	t.Parallel()
	slow := AnomalyFound{Anomaly: AnomalySlow}
	for name, tc := range map[string]struct {
		rules AnomalyRules
		want  Command
	}{
		"told by default":      {AnomalyRules{}, ReportAnomaly{Found: slow}},
		"ignored":              {AnomalyRules{Slow: AnomalyIgnore}, nil},
		"of another kind":      {AnomalyRules{Flood: AnomalyIgnore}, ReportAnomaly{Found: slow}},
		"raised":               {AnomalyRules{Slow: AnomalyRaise}, ReportAnomaly{Found: slow, Raise: PriorityHigh}},
		"handed over":          {AnomalyRules{Slow: AnomalyHandover}, ReportAnomaly{Found: slow, Raise: PriorityHigh, Handover: true}},
		"raised to a priority": {AnomalyRules{Slow: AnomalyRaise, Priority: PriorityUrgent}, ReportAnomaly{Found: slow, Raise: PriorityUrgent}},
	} {
		if got := tc.rules.Report(slow); got != tc.want {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
		}
	}
	for name, rules := range map[string]AnomalyRules{
		"policy": {Costly: "explode"}, "priority": {Priority: "soon"}, "negative": {AnswerWithin: -1}, "too long": {AnswerWithin: 604_801},
	} {
		if err := rules.Validate(); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: Validate() = %v, want class invalid", name, err)
		}
	}
	all := AnomalyRules{
		Slow: AnomalyTell, Anger: AnomalyRaise, Costly: AnomalyIgnore, Flood: AnomalyRaise, Stuck: AnomalyHandover, Loop: AnomalyTell, AnswerWithin: 30,
	}
	if err := all.Validate(); err != nil || all.Objective() != 30*time.Second {
		t.Errorf("Validate() = %v, Objective() = %v", err, all.Objective())
	}
	if (&AnomalyRules{}).Objective() != 10*time.Minute {
		t.Error("the objective without a setting is not ten minutes")
	}
}

// TestHeadsTellWhoWaitsTooLong: what a sweep goes by.
func TestHeadsTellWhoWaitsTooLong(t *testing.T) {
	t.Parallel()
	now := testDay()
	waits := Head{Status: StatusOpen, WaitingSince: now.Add(-time.Minute)}
	for name, tc := range map[string]struct {
		change  func(*Head)
		overdue bool
		told    bool
	}{
		"waits":            {func(*Head) {}, true, false},
		"with the bot":     {func(h *Head) { h.Status = StatusPending }, true, false},
		"put aside":        {func(h *Head) { h.Status = StatusSnoozed }, false, false},
		"answered":         {func(h *Head) { h.WaitingSince = time.Time{} }, false, false},
		"a moment ago":     {func(h *Head) { h.WaitingSince = now.Add(-time.Second) }, false, false},
		"told":             {func(h *Head) { h.Anomalies = []AnomalySeen{{AnomalyStuck, now}} }, true, true},
		"told of an older": {func(h *Head) { h.Anomalies = []AnomalySeen{{AnomalyStuck, now.Add(-time.Hour)}} }, true, false},
		"slow":             {func(h *Head) { h.Anomalies = []AnomalySeen{{AnomalySlow, now}} }, true, false},
	} {
		h := waits
		tc.change(&h)
		if got := h.Overdue(30*time.Second, now); got != tc.overdue {
			t.Errorf("%s: Overdue = %v", name, got)
		}
		if got := h.StuckTold(); got != tc.told {
			t.Errorf("%s: StuckTold = %v", name, got)
		}
	}
}
