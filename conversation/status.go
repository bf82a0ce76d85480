package conversation

import (
	"fmt"
	"strings"
)

// Status is where a conversation stands.
type Status string

// The five statuses.
const (
	StatusPending  Status = "pending"  // the bot has it
	StatusOpen     Status = "open"     // humans have it
	StatusSnoozed  Status = "snoozed"  // put aside until a time or the next message
	StatusResolved Status = "resolved" // done; comes back on a message within the reopen window
	StatusClosed   Status = "closed"   // done for good; a new message opens a successor
)

// Statuses lists all of them.
func Statuses() []Status {
	return []Status{StatusPending, StatusOpen, StatusSnoozed, StatusResolved, StatusClosed}
}

// Handler says which side answers.
type Handler string

// The handlers.
const (
	HandlerBot   Handler = "bot"
	HandlerAgent Handler = "agent"
	HandlerNone  Handler = "none" // waiting in the queue, or over
)

// Trigger is what makes a status change.
type Trigger string

// The triggers of the transition table.
const (
	TriggerMessage    Trigger = "message"    // the visitor wrote
	TriggerHandover   Trigger = "handover"   // bot to humans
	TriggerTakeOver   Trigger = "take_over"  // an agent claims, is assigned, or writes
	TriggerUnassign   Trigger = "unassign"   // back to the queue
	TriggerTransfer   Trigger = "transfer"   // to another agent
	TriggerReturnBot  Trigger = "return_bot" // humans to bot
	TriggerSnooze     Trigger = "snooze"     // put aside
	TriggerWake       Trigger = "wake"       // timer or by hand
	TriggerResolve    Trigger = "resolve"    // done
	TriggerReopen     Trigger = "reopen"     // by hand
	TriggerClose      Trigger = "close"      // archive
	TriggerInactivity Trigger = "inactivity" // the visitor went quiet
)

// transitions is the whole table: from → trigger → the statuses it may lead to.
// Where two are possible, inbox settings or the presence of an assignee decide.
var transitions = map[Status]map[Trigger][]Status{ //nolint:gochecknoglobals // immutable table
	StatusPending: {
		TriggerMessage: {StatusPending}, TriggerHandover: {StatusOpen}, TriggerTakeOver: {StatusOpen},
		TriggerResolve: {StatusResolved}, TriggerInactivity: {StatusResolved},
	},
	StatusOpen: {
		TriggerMessage: {StatusOpen}, TriggerTakeOver: {StatusOpen}, TriggerUnassign: {StatusOpen}, TriggerTransfer: {StatusOpen},
		TriggerReturnBot: {StatusPending}, TriggerSnooze: {StatusSnoozed}, TriggerResolve: {StatusResolved},
	},
	StatusSnoozed: {
		TriggerMessage: {StatusOpen}, TriggerWake: {StatusOpen}, TriggerTakeOver: {StatusOpen}, TriggerTransfer: {StatusOpen},
		TriggerUnassign: {StatusOpen}, TriggerResolve: {StatusResolved},
	},
	StatusResolved: {
		TriggerMessage: {StatusOpen, StatusPending, StatusResolved}, TriggerReopen: {StatusOpen}, TriggerTakeOver: {StatusOpen},
		TriggerClose: {StatusClosed},
	},
	StatusClosed: {},
}

// triggerOrder keeps messages and documents stable.
func triggerOrder() []Trigger {
	return []Trigger{
		TriggerMessage, TriggerHandover, TriggerTakeOver, TriggerUnassign, TriggerTransfer, TriggerReturnBot,
		TriggerSnooze, TriggerWake, TriggerResolve, TriggerReopen, TriggerClose, TriggerInactivity,
	}
}

// Transitions lists the triggers that are legal in s, each as "trigger → status".
func (s Status) Transitions() []string {
	var out []string
	for _, t := range triggerOrder() {
		if to, ok := transitions[s][t]; ok {
			names := make([]string, len(to))
			for i, st := range to {
				names[i] = string(st)
			}
			out = append(out, fmt.Sprintf("%s → %s", t, strings.Join(names, "|")))
		}
	}
	return out
}

// guard refuses a trigger that the table does not list.
func (s Status) guard(t Trigger) error {
	if _, ok := transitions[s][t]; ok {
		return nil
	}
	code := CodeInvalidTransition
	if s == StatusClosed {
		code = CodeConversationClosed
	}
	return &Error{
		Code: code, Detail: fmt.Sprintf("%s is not possible in status %s", t, s), Allowed: s.Transitions(),
	}
}

// Priority orders waiting conversations.
type Priority string

// The priorities, lowest first.
const (
	PriorityNone   Priority = "none"
	PriorityLow    Priority = "low"
	PriorityMedium Priority = "medium"
	PriorityHigh   Priority = "high"
	PriorityUrgent Priority = "urgent"
)

// Rank gives 0 for none to 4 for urgent, and -1 for what is not a priority.
func (p Priority) Rank() int {
	switch p {
	case "", PriorityNone:
		return 0
	case PriorityLow:
		return 1
	case PriorityMedium:
		return 2
	case PriorityHigh:
		return 3
	case PriorityUrgent:
		return 4
	}
	return -1
}
