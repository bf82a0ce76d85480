package conversation

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Decision is what a command comes to.
type Decision struct {
	Events    []Event // in order; empty when nothing changes
	Duplicate Seq     // the ref was stored before, under this seq; Events is empty then
}

// Decide turns a command into events, or refuses it. It changes nothing.
//
// now must not be before the last entry; callers pass a clock that does not go
// back within a conversation. Errors: *[Error] with the codes named at each
// command's rule; a refusal for the status is [CodeInvalidTransition] with the
// legal transitions in Allowed.
func Decide(s *State, c Command, now time.Time) (Decision, error) {
	if a, ok := c.(AcceptMessage); ok {
		return decideAccept(s, a, now)
	}
	if !s.Started() || s.Gone {
		return Decision{}, Refuse(CodeNotFound, "no such conversation")
	}
	switch c := c.(type) { //nolint:gochecksumtype // AcceptMessage is above
	case CompleteTurn:
		return decideTurn(s, c, now)
	case ReplyAsAgent:
		return decideReply(s, c, now)
	case AddNote:
		return decideNote(s, c)
	case RequestHandover:
		return decideHandover(s, c)
	case Claim:
		return decideClaim(s, c)
	case Assign:
		return decideAssign(s, c)
	case Unassign:
		return decideUnassign(s, c)
	case ReturnToBot, Snooze, Wake, Resolve, Reopen, Close:
		return decideStatus(s, c, now)
	case MarkRead:
		return decideRead(s, c)
	case MarkDelivered:
		return decideDelivered(s, c)
	case ChangeTags:
		return decideTags(s, c)
	case ChangePriority:
		return decidePriority(s, c)
	case RecordDelivery:
		return decideDelivery(s, c)
	case SendAgain:
		return decideSendAgain(s, c)
	case FireTimer:
		return decideTimer(s, c, now)
	case JudgeAnswer:
		return decideJudge(s, c)
	case RecordAttachment:
		return decideAttachment(s, c)
	case ReportAnomaly:
		return decideAnomaly(s, c, now)
	}
	return Decision{}, Refuse(CodeInternal, fmt.Sprintf("command %T has no rule", c))
}

func events(e ...Event) (Decision, error) { return Decision{Events: e}, nil }

func nothing() (Decision, error) { return Decision{}, nil }

// decideAccept takes a visitor's message. A repeated ref gives the old seq,
// whatever the status: the sender only wants to know that it is stored.
func decideAccept(s *State, c AcceptMessage, now time.Time) (Decision, error) {
	if c.Known != 0 {
		return Decision{Duplicate: c.Known}, nil
	}
	if seq := s.FindRef(c.Ref); seq != 0 {
		return Decision{Duplicate: seq}, nil
	}
	if err := checkMessage(c.Ref, c.Text, c.Metadata, c.Attachments); err != nil {
		return Decision{}, err
	}
	message := MessageAccepted{
		Ref: c.Ref, Text: c.Text, Metadata: maps.Clone(c.Metadata), Attachments: s.admitted(c.Attachments), Tone: c.Tone.stored(),
	}
	d, err := decideMessage(s, c, message, now)
	if err == nil {
		d.Events = append(d.Events, moodEvents(s, c, message, now)...)
	}
	return d, err
}

// moodEvents gives what a message changes about the visitor's mood: it is told,
// and an angry visitor comes before others of the same age.
func moodEvents(s *State, c AcceptMessage, message MessageAccepted, now time.Time) []Event {
	change := s.turn(message, now)
	if change == nil {
		return nil
	}
	out := []Event{*change}
	if change.To == TemperAngry && c.Raise.Rank() > s.Priority.Rank() {
		out = append(out, PriorityChanged{From: cmp.Or(s.Priority, PriorityNone), To: c.Raise})
	}
	return out
}

// decideMessage takes a message that is new.
func decideMessage(s *State, c AcceptMessage, message MessageAccepted, now time.Time) (Decision, error) {
	if !s.Started() {
		return decideStart(c, message)
	}
	if err := s.Status.guard(TriggerMessage); err != nil {
		return Decision{}, err
	}
	switch s.Status {
	case StatusPending, StatusOpen:
		return events(message)
	case StatusSnoozed:
		return events(message, StatusChanged{From: StatusSnoozed, To: StatusOpen, Trigger: TriggerMessage})
	case StatusResolved:
		return decideComeBack(s, c, message, now)
	case StatusClosed:
	}
	return Decision{}, s.Status.guard(TriggerMessage)
}

func decideStart(c AcceptMessage, message MessageAccepted) (Decision, error) {
	o := c.Origin
	if o.Inbox == "" || o.Contact.IsZero() || !o.Channel.Known() {
		return Decision{}, Refuse(CodeInvalid, "a conversation starts from an inbox, a contact and a known channel")
	}
	if !storable(string(o.Inbox), o.Peer) {
		return Decision{}, Refuse(CodeInvalid, "the inbox or the provider's name of the visitor is not valid UTF-8")
	}
	started := ConversationStarted{
		Inbox: o.Inbox, Channel: o.Channel, Contact: o.Contact, Peer: o.Peer, Previous: o.Previous,
		Status: StatusPending, Handler: HandlerBot,
	}
	if o.Bot {
		return events(started, message)
	}
	started.Status, started.Handler = StatusOpen, HandlerNone
	return events(started, message, HandoverRequested{Reason: HandoverNoBot})
}

// decideComeBack reopens a resolved conversation within the window, and closes
// it for good after that: the caller then opens the successor.
func decideComeBack(s *State, c AcceptMessage, message MessageAccepted, now time.Time) (Decision, error) {
	window := c.Origin.ReopenWindow
	if window <= 0 {
		window = DefaultReopenWindow
	}
	if now.Sub(s.ResolvedAt) > window {
		return Decision{}, &Error{
			Code: CodeConversationClosed, Detail: "the reopen window is over", Allowed: s.Status.Transitions(),
		}
	}
	if c.Origin.Bot && !c.Origin.ReopenToHuman {
		return events(message, StatusChanged{From: StatusResolved, To: StatusPending, Trigger: TriggerMessage})
	}
	return events(message,
		StatusChanged{From: StatusResolved, To: StatusOpen, Trigger: TriggerMessage},
		HandoverRequested{Reason: HandoverReopened})
}

func checkMessage(r Ref, t Text, metadata map[string]string, files []Attachment) error {
	if err := r.checkStored(); err != nil {
		return err
	}
	if err := checkAttachments(files); err != nil {
		return err
	}
	if t != "" || len(files) == 0 {
		if err := t.check(); err != nil {
			return err
		}
	}
	return CheckMetadata(metadata)
}

func decideReply(s *State, c ReplyAsAgent, now time.Time) (Decision, error) {
	if seq := s.FindRef(c.Ref.of(c.Agent)); seq != 0 {
		return Decision{Duplicate: seq}, nil
	}
	if err := checkMessage(c.Ref, c.Text, nil, c.Attachments); err != nil {
		return Decision{}, err
	}
	for i := range c.Attachments {
		if c.Attachments[i].State != AttachmentStored {
			return Decision{}, Refuse(CodeBadAttachment, "an agent sends what is stored")
		}
	}
	if c.Agent == "" {
		return Decision{}, Refuse(CodeForbidden, "a reply needs an agent")
	}
	if s.Assignee != "" && s.Assignee != c.Agent {
		return Decision{}, Refusef(CodeNotAssignee, "%s has this conversation", s.Assignee)
	}
	if err := s.Status.guard(TriggerTakeOver); err != nil {
		return Decision{}, err
	}
	if err := s.checkWindow(now, c.Text, c.Attachments); err != nil {
		return Decision{}, err
	}
	out := takeOver(s, c.Agent, c.Agent, true)
	return events(append(out, AgentReplied(c))...)
}

// takeOver gives the events that put a conversation into an agent's hands,
// none if it is there already.
func takeOver(s *State, agent, by AgentID, claimed bool) []Event {
	var out []Event
	if s.Assignee != agent {
		out = append(out, AgentAssigned{Agent: agent, Before: s.Assignee, By: by, Claimed: claimed})
	}
	if s.Status != StatusOpen {
		out = append(out, StatusChanged{From: s.Status, To: StatusOpen, Trigger: TriggerTakeOver, By: by})
	}
	return out
}

func decideNote(s *State, c AddNote) (Decision, error) {
	if seq := s.FindRef(c.Ref.of(c.Agent)); seq != 0 {
		return Decision{Duplicate: seq}, nil
	}
	if err := checkMessage(c.Ref, c.Text, nil, nil); err != nil {
		return Decision{}, err
	}
	if s.Status == StatusClosed {
		return Decision{}, s.Status.guard(TriggerMessage)
	}
	return events(NoteAdded(c))
}

func decideHandover(s *State, c RequestHandover) (Decision, error) {
	if s.Status == StatusOpen || s.Status == StatusSnoozed {
		return nothing() // humans have it already
	}
	if err := s.Status.guard(TriggerHandover); err != nil {
		return Decision{}, err
	}
	return events(handover(s, HandoverRequested{Reason: c.Reason, Summary: c.Detail, By: c.By})...)
}

func handover(s *State, h HandoverRequested) []Event {
	return []Event{h, StatusChanged{From: s.Status, To: StatusOpen, Trigger: TriggerHandover, By: h.By, Reason: string(h.Reason)}}
}

func decideClaim(s *State, c Claim) (Decision, error) {
	switch {
	case c.Agent == "":
		return Decision{}, Refuse(CodeForbidden, "a claim needs an agent")
	case s.Assignee == c.Agent && s.Status == StatusOpen:
		return nothing()
	case s.Assignee != "" && s.Assignee != c.Agent:
		return Decision{}, Refusef(CodeAlreadyClaimed, "%s has this conversation", s.Assignee)
	}
	if err := s.Status.guard(TriggerTakeOver); err != nil {
		return Decision{}, err
	}
	return events(takeOver(s, c.Agent, c.Agent, true)...)
}

func decideAssign(s *State, c Assign) (Decision, error) {
	if c.To == "" {
		return Decision{}, Refuse(CodeInvalid, "an assignment needs an agent; use unassign to free a conversation")
	}
	if s.Assignee == c.To && s.Status == StatusOpen {
		return nothing()
	}
	if c.By == "" && s.Assignee != "" {
		// The queue decided on what it knew; somebody was quicker.
		return Decision{}, Refusef(CodeAlreadyClaimed, "%s has this conversation", s.Assignee)
	}
	trigger := TriggerTakeOver
	if s.Assignee != "" {
		trigger = TriggerTransfer
	}
	if err := s.Status.guard(trigger); err != nil {
		return Decision{}, err
	}
	if c.By == "" && s.Queue != QueueQueued {
		return Decision{}, Refuse(CodeConflict, "the conversation no longer waits")
	}
	return events(takeOver(s, c.To, c.By, false)...)
}

func decideUnassign(s *State, c Unassign) (Decision, error) {
	if err := s.Status.guard(TriggerUnassign); err != nil {
		return Decision{}, err
	}
	if s.Assignee == "" {
		return nothing()
	}
	out := []Event{AgentUnassigned{Agent: s.Assignee, By: c.By, Reason: c.Reason}}
	if s.Status == StatusSnoozed {
		out = append(out, StatusChanged{From: StatusSnoozed, To: StatusOpen, Trigger: TriggerUnassign, By: c.By})
	}
	return events(out...)
}

// maxSnooze bounds a snooze; beyond it the conversation should be resolved.
const maxSnooze = 366 * 24 * time.Hour

func decideStatus(s *State, c Command, now time.Time) (Decision, error) {
	var ev StatusChanged
	switch c := c.(type) { //nolint:gochecksumtype // the commands that Decide sends here
	case ReturnToBot:
		ev = StatusChanged{To: StatusPending, Trigger: TriggerReturnBot, By: c.By}
	case Snooze:
		if !c.Until.After(now) || c.Until.Sub(now) > maxSnooze {
			return Decision{}, Refuse(CodeBadTime, "a snooze ends in the future, at most a year from now")
		}
		ev = StatusChanged{To: StatusSnoozed, Trigger: TriggerSnooze, By: c.By, SnoozedUntil: c.Until.UTC().Truncate(time.Millisecond)}
	case Wake:
		ev = StatusChanged{To: StatusOpen, Trigger: TriggerWake, By: c.By}
	case Resolve:
		if s.Status == StatusResolved {
			return nothing()
		}
		ev = StatusChanged{To: StatusResolved, Trigger: TriggerResolve, By: c.By, Reason: c.Reason}
	case Reopen:
		ev = StatusChanged{To: StatusOpen, Trigger: TriggerReopen, By: c.By}
	case Close:
		ev = StatusChanged{To: StatusClosed, Trigger: TriggerClose, By: c.By}
	}
	if err := s.Status.guard(ev.Trigger); err != nil {
		return Decision{}, err
	}
	ev.From = s.Status
	out := []Event{ev}
	if ev.To == StatusResolved || ev.To == StatusClosed {
		for _, t := range s.Timers {
			out = append(out, TimerEnded{ID: t.ID})
		}
	}
	return events(out...)
}

// decideRead moves a mark forward; marks never go back and never past the
// newest message. A mark is an entry itself: marks up to the end of the log
// would never come to rest, each giving its reader something new to mark.
func decideRead(s *State, c MarkRead) (Decision, error) {
	upTo, have := min(c.UpTo, s.newestMessage()), s.ReadVisitor
	switch c.By {
	case PartyVisitor:
	case PartyAgent:
		have = s.ReadAgent
	case PartyBot:
		return Decision{}, Refuse(CodeInvalid, "the bot has no read mark")
	default:
		return Decision{}, Refuse(CodeInvalid, "a read mark belongs to the visitor or to an agent")
	}
	if upTo <= have || s.Status == StatusClosed {
		return nothing()
	}
	return events(MessagesRead{By: c.By, Agent: c.Agent, UpTo: upTo})
}

func decideDelivered(s *State, c MarkDelivered) (Decision, error) {
	if upTo := min(c.UpTo, s.newestMessage()); upTo > s.Delivered && s.Status != StatusClosed {
		return events(MessagesDelivered{UpTo: upTo})
	}
	return nothing()
}

// decideTags keeps what really changes. A tag that is named on both sides is
// removed.
func decideTags(s *State, c ChangeTags) (Decision, error) {
	var ev TagsChanged
	ev.By = c.By
	for _, t := range c.Add {
		if err := checkTag(t); err != nil {
			return Decision{}, err
		}
		if !slices.Contains(s.Tags, t) && !slices.Contains(ev.Added, t) && !slices.Contains(c.Remove, t) {
			ev.Added = append(ev.Added, t)
		}
	}
	for _, t := range c.Remove {
		if slices.Contains(s.Tags, t) && !slices.Contains(ev.Removed, t) {
			ev.Removed = append(ev.Removed, t)
		}
	}
	if n := len(s.Tags) + len(ev.Added) - len(ev.Removed); n > MaxTags {
		return Decision{}, Refusef(CodeBadTag, "%d tags, the limit is %d", n, MaxTags)
	}
	if len(ev.Added)+len(ev.Removed) == 0 {
		return nothing()
	}
	if s.Status == StatusClosed {
		return Decision{}, s.Status.guard(TriggerMessage)
	}
	return events(ev)
}

func checkTag(t string) error {
	if t == "" || len(t) > MaxTagBytes || strings.ContainsAny(t, "\t\r\n") || Text(t).check() != nil {
		return Refusef(CodeBadTag, "a tag has 1 to %d printable bytes", MaxTagBytes)
	}
	return nil
}

func decidePriority(s *State, c ChangePriority) (Decision, error) {
	if c.To.Rank() < 0 || c.To == "" {
		return Decision{}, Refuse(CodeBadPriority, "the priority is none, low, medium, high or urgent")
	}
	if s.Status == StatusClosed {
		return Decision{}, s.Status.guard(TriggerMessage)
	}
	if s.Priority == c.To {
		return nothing()
	}
	return events(PriorityChanged{By: c.By, From: s.Priority, To: c.To})
}
