package conversation

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"
)

// decideTurn takes what the bot made of a visitor's message. A turn is stale,
// and refused, when humans have taken over or when it was completed before.
// Replies to a message that is no longer the newest are dropped with it: the
// newest message has a turn of its own.
func decideTurn(s *State, c CompleteTurn, now time.Time) (Decision, error) {
	switch {
	case s.Status != StatusPending || s.Handler != HandlerBot:
		return Decision{}, Refuse(CodeStaleTurn, "the bot no longer has the conversation")
	case c.Turn != s.LastVisitor && c.Turn != 0:
		return Decision{}, Refuse(CodeStaleTurn, "the visitor has written again")
	case c.Turn != 0 && c.Turn <= s.LastTurn:
		return Decision{}, Refuse(CodeStaleTurn, "the turn is complete")
	}
	o := c.Outcome
	if err := checkOutcome(s, o, now); err != nil {
		return Decision{}, err
	}
	best := c.Prediction.Best()
	best.Confidence = unit(best.Confidence)
	done := TurnCompleted{
		Turn: c.Turn, Intent: o.Intent, Behavior: c.Behavior, Ask: o.Ask,
		Slots: maps.Clone(o.Slots), Forget: o.Forget, Abstained: o.Abstain, Offered: slices.Clone(o.Offer), Denied: o.Denied,
		Softened: o.Softened,
	}
	if c.Prediction != nil {
		done.Lang, done.Model = c.Prediction.Lang, c.Prediction.Model
		done.Confidence = best.Confidence
	}
	out := []Event{done}
	for _, r := range o.Replies {
		out = append(out, ReplyComposed{
			InReplyTo: c.Turn, Text: r.Text, Buttons: slices.Clone(r.Buttons), Inline: c.Inline,
			Bot: Provenance{Intent: o.Intent, Confidence: done.Confidence, Raw: c.Prediction.raw(), Model: done.Model, Behavior: c.Behavior},
		})
	}
	out = append(out, turnTail(s, o, best)...)
	return Decision{Events: out}, nil
}

// unit keeps a confidence, which any engine may have made, within 0 to 1: what
// is not a number could not be stored.
func unit(c float32) float32 {
	if math.IsNaN(float64(c)) {
		return 0
	}
	return min(max(c, 0), 1)
}

// turnTail gives what a turn changes besides the replies. A turn that resolves
// starts no timer: there is nobody left to remind.
func turnTail(s *State, o Outcome, best Candidate) []Event {
	var out []Event
	if o.Priority.Rank() > s.Priority.Rank() {
		out = append(out, PriorityChanged{From: s.Priority, To: o.Priority})
	}
	if tags := newTags(s, o.Tags); len(tags) > 0 {
		out = append(out, TagsChanged{Added: tags})
	}
	if !o.Resolve || o.Handover != "" {
		for _, t := range o.Timers {
			out = append(out, TimerStarted{Timer{ID: t.ID, Due: t.Due.UTC().Truncate(time.Millisecond)}})
		}
	}
	switch {
	case o.Handover != "":
		out = append(out, handover(s, HandoverRequested{
			Reason: o.Handover, Intent: cmp.Or(o.Intent, best.Intent), Confidence: best.Confidence, Summary: o.Summary,
		})...)
	case o.Resolve:
		out = append(out, StatusChanged{From: s.Status, To: StatusResolved, Trigger: TriggerResolve, Reason: "bot"})
		for _, t := range s.Timers {
			out = append(out, TimerEnded{ID: t.ID})
		}
	}
	return out
}

// checkOutcome keeps a behavior, which anybody may write, inside the bounds.
func checkOutcome(s *State, o Outcome, now time.Time) error {
	if err := checkReplies(o.Replies); err != nil {
		return err
	}
	if len(o.Offer) > MaxButtons {
		return Refusef(CodeInvalid, "%d intents are offered, the limit is %d", len(o.Offer), MaxButtons)
	}
	if !storable(append([]string{o.Intent, o.Ask, o.Summary, string(o.Handover), o.Denied}, o.Offer...)...) {
		return Refuse(CodeBadText, "the outcome's intent, slot, reason or summary is not valid UTF-8")
	}
	if len(o.Slots) > MaxSlots {
		return Refusef(CodeInvalid, "%d slots, the limit is %d", len(o.Slots), MaxSlots)
	}
	for k, v := range o.Slots {
		if k == "" || len(k) > MaxTagBytes || len(v) > MaxSlotBytes {
			return Refusef(CodeInvalid, "a slot has a name of 1 to %d bytes and a value of at most %d", MaxTagBytes, MaxSlotBytes)
		}
		if !storable(k, v) {
			return Refuse(CodeBadText, "a slot is not valid UTF-8")
		}
	}
	if o.Priority.Rank() < 0 {
		return Refuse(CodeBadPriority, "the priority is none, low, medium, high or urgent")
	}
	for _, t := range o.Tags {
		if err := checkTag(t); err != nil {
			return err
		}
	}
	if len(o.Tags) > MaxTags || len(s.Tags)+len(newTags(s, o.Tags)) > MaxTags {
		return Refusef(CodeBadTag, "over %d tags", MaxTags)
	}
	return checkTimers(s, o.Timers, now)
}

func checkReplies(replies []Reply) error {
	if len(replies) > MaxRepliesATurn {
		return Refusef(CodeInvalid, "%d replies, the limit is %d", len(replies), MaxRepliesATurn)
	}
	for _, r := range replies {
		if err := r.Text.check(); err != nil {
			return err
		}
		if len(r.Buttons) > MaxButtons {
			return Refusef(CodeInvalid, "%d buttons, the limit is %d", len(r.Buttons), MaxButtons)
		}
		for _, b := range r.Buttons {
			if !storable(b.Label, b.Text) {
				return Refuse(CodeBadText, "a button is not valid UTF-8")
			}
		}
	}
	return nil
}

// newTags gives those of tags that the conversation does not have, each once.
func newTags(s *State, tags []string) []string {
	var out []string
	for _, t := range tags {
		if !slices.Contains(s.Tags, t) && !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	return out
}

// checkTimers counts names: a timer that replaces one takes no further place.
func checkTimers(s *State, timers []Timer, now time.Time) error {
	total := len(s.Timers)
	for i, t := range timers {
		same := func(o Timer) bool { return o.ID == t.ID }
		if !slices.ContainsFunc(s.Timers, same) && !slices.ContainsFunc(timers[:min(i, MaxTimers)], same) {
			total++
		}
		if i >= MaxTimers || total > MaxTimers {
			return Refusef(CodeInvalid, "over %d timers", MaxTimers)
		}
		if t.ID == "" || len(t.ID) > MaxTagBytes || !storable(t.ID) {
			return Refusef(CodeInvalid, "a timer's id has 1 to %d bytes", MaxTagBytes)
		}
		if !t.Due.After(now) || t.Due.Sub(now) > maxSnooze {
			return Refuse(CodeBadTime, "a timer is due in the future, at most a year from now")
		}
	}
	return nil
}

// decideTimer ends a timer that is due. The empty id stands for the snooze.
func decideTimer(s *State, c FireTimer, now time.Time) (Decision, error) {
	if c.ID == "" {
		if s.Status != StatusSnoozed || s.SnoozedUntil.After(now) {
			return nothing()
		}
		return events(StatusChanged{From: StatusSnoozed, To: StatusOpen, Trigger: TriggerWake, Reason: "timer"})
	}
	i := slices.IndexFunc(s.Timers, func(t Timer) bool { return t.ID == c.ID })
	if i < 0 || s.Timers[i].Due.After(now) {
		return nothing()
	}
	return events(TimerEnded{ID: c.ID, Fired: true})
}
