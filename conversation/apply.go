package conversation

import (
	"maps"
	"slices"
	"time"
)

// Apply folds one entry into the state. It is the one fold: the live
// conversation, recovery, import and replay all go through it. Entries come in
// order of Seq; Apply never fails, whatever they hold.
func (s *State) Apply(e Entry) {
	s.Version = e.Seq
	s.LastActivity = e.At
	switch ev := e.Event.(type) {
	case ConversationStarted:
		s.applyStarted(ev, e.At)
	case MessageAccepted:
		s.applyAccepted(ev, e)
	case ReplyComposed:
		s.applyComposed(ev, e)
	case AgentReplied:
		s.applyReplied(ev, e)
	case NoteAdded:
		s.remember(Message{Seq: e.Seq, At: e.At, From: PartyAgent, Agent: ev.Agent, Text: ev.Text, Note: true})
		s.rememberRef(ev.Ref.of(ev.Agent), e.Seq)
	case TurnCompleted:
		s.applyTurn(ev)
	case HandoverRequested:
		s.applyHandover(ev, e.At)
	case AgentAssigned:
		s.Assignee, s.Handler = ev.Agent, HandlerAgent
		s.Queue, s.QueuedAt = QueueAssigned, time.Time{}
	case AgentUnassigned:
		s.Assignee, s.Handler = "", HandlerNone
		s.Queue, s.QueuedAt = QueueQueued, e.At
	case StatusChanged:
		s.applyStatus(ev, e.At)
	case MessagesRead:
		s.applyRead(ev)
	case MessagesDelivered:
		s.Delivered = max(s.Delivered, ev.UpTo)
	case TagsChanged:
		s.applyTags(ev)
	case PriorityChanged:
		s.Priority = ev.To
	case MessageSent:
		s.applySent(e, ev)
	case TimerStarted:
		s.startTimer(ev.Timer)
	case TimerEnded:
		s.dropTimer(ev.ID)
	case MoodChanged:
		s.applyMood(ev)
	case AnswerJudged:
		s.applyJudged(ev)
	case AttachmentChanged:
		s.applyAttachment(ev)
	case AnomalyFound:
		s.applyAnomaly(ev, e.At)
	case ConversationErased:
		s.applyErased(ev, e)
	}
}

func (s *State) applyHandover(ev HandoverRequested, at time.Time) {
	s.Handover = &Handover{Reason: ev.Reason, Intent: ev.Intent, Confidence: ev.Confidence, Summary: ev.Summary, At: at}
	s.Dialogue = Dialogue{Lang: s.Dialogue.Lang, Intent: s.Dialogue.Intent, Slots: s.Dialogue.Slots, Denied: s.Dialogue.Denied}
	if s.WaitingSince.IsZero() {
		s.WaitingSince = at // whatever the bot said on the way, the visitor waits for a human now
	}
}

func (s *State) applyStarted(ev ConversationStarted, at time.Time) {
	s.Inbox, s.Channel, s.Contact, s.Peer, s.Previous = ev.Inbox, ev.Channel, ev.Contact, ev.Peer, ev.Previous
	s.Status, s.Handler, s.Queue, s.Priority, s.CreatedAt = ev.Status, ev.Handler, QueueNone, PriorityNone, at
	if ev.Status == StatusOpen {
		s.Queue, s.QueuedAt = QueueQueued, at
	}
}

func (s *State) applyAccepted(ev MessageAccepted, e Entry) {
	s.Mood, _, _ = s.hear(ev, e.At)
	s.LastVisitor, s.VisitorAt, s.Outgoing = e.Seq, e.At, 0
	if s.WaitingSince.IsZero() {
		s.WaitingSince = e.At
	}
	s.remember(Message{Seq: e.Seq, At: e.At, From: PartyVisitor, Text: ev.Text, Metadata: ev.Metadata, Attachments: ev.Attachments})
	s.await(e.Seq, ev.Attachments)
	s.rememberRef(ev.Ref, e.Seq)
	// A visitor who writes has seen what was there.
	s.ReadVisitor = e.Seq
}

func (s *State) applyComposed(ev ReplyComposed, e Entry) {
	bot := ev.Bot
	s.remember(Message{
		Seq: e.Seq, At: e.At, From: PartyBot, Text: ev.Text, InReplyTo: ev.InReplyTo,
		Buttons: ev.Buttons, Bot: &bot, Delivery: s.firstDelivery(ev.Inline),
	})
	if s.firstDelivery(ev.Inline) == DeliveryPending {
		s.Unsent = append(s.Unsent, e.Seq)
		s.Outgoing++
	}
	s.answered()
}

func (s *State) applyReplied(ev AgentReplied, e Entry) {
	delivery := s.firstDelivery(false)
	s.remember(Message{
		Seq: e.Seq, At: e.At, From: PartyAgent, Agent: ev.Agent, Text: ev.Text, InReplyTo: s.LastVisitor, Delivery: delivery,
		Attachments: ev.Attachments,
	})
	if delivery == DeliveryPending {
		s.Unsent = append(s.Unsent, e.Seq)
		s.Outgoing += messagesOf(ev.Text, ev.Attachments)
	}
	s.rememberRef(ev.Ref.of(ev.Agent), e.Seq)
	s.ReadAgent = max(s.ReadAgent, s.LastVisitor)
	// An agent's answer ends the turn too: the bot must not answer the same
	// message again when it gets the conversation back.
	s.LastTurn = max(s.LastTurn, s.LastVisitor)
	s.answered()
}

// firstDelivery is the delivery state that a new outbound message starts in.
// The apply stream is the web's transport, so there a durable message is sent.
func (s *State) firstDelivery(inline bool) Delivery { //nolint:revive // a fact about the message, not a mode
	if inline || s.Channel == ChannelWeb {
		return DeliverySent
	}
	return DeliveryPending
}

// answered ends the visitor's waiting; a handover later in the same turn
// starts it again.
func (s *State) answered() { s.WaitingSince = time.Time{} }

func (s *State) applyTurn(ev TurnCompleted) {
	s.LastTurn = max(s.LastTurn, ev.Turn)
	d := &s.Dialogue
	if ev.Lang != "" {
		d.Lang = ev.Lang
	}
	d.turn(&ev)
	s.Mood.Softened = s.Mood.Softened || ev.Softened
	d.learn(ev.Slots)
	if ev.Forget {
		d.Ask, d.Asked, d.Slots, d.Pending = "", 0, nil, nil
	}
}

// learn merges slots over the known ones. At the limit new names are left out,
// the last in the alphabet first: every fold has to leave out the same ones.
func (d *Dialogue) learn(slots map[string]string) {
	if len(slots) == 0 {
		return
	}
	if d.Slots == nil {
		d.Slots = make(map[string]string, len(slots))
	}
	if len(d.Slots)+len(slots) <= MaxSlots {
		maps.Copy(d.Slots, slots)
		return
	}
	for _, k := range slices.Sorted(maps.Keys(slots)) {
		if _, known := d.Slots[k]; known || len(d.Slots) < MaxSlots {
			d.Slots[k] = slots[k]
		}
	}
}

func (s *State) applyStatus(ev StatusChanged, at time.Time) {
	s.Status = ev.To
	s.SnoozedUntil = ev.SnoozedUntil
	switch ev.To {
	case StatusPending:
		s.Handler, s.Assignee, s.Queue, s.QueuedAt = HandlerBot, "", QueueNone, time.Time{}
		s.Dialogue.Abstains, s.Dialogue.Ask, s.Dialogue.Asked = 0, "", 0
		s.Dialogue.Answered, s.Dialogue.Offered, s.Dialogue.Pending = "", nil, nil
	case StatusOpen:
		if s.Assignee == "" {
			s.Handler, s.Queue, s.QueuedAt = HandlerNone, QueueQueued, at
		} else {
			s.Handler, s.Queue, s.QueuedAt = HandlerAgent, QueueAssigned, time.Time{}
		}
	case StatusSnoozed:
		s.Queue, s.QueuedAt = QueueNone, time.Time{}
	case StatusResolved, StatusClosed:
		s.Handler, s.Assignee, s.Queue, s.QueuedAt = HandlerNone, "", QueueNone, time.Time{}
		s.WaitingSince, s.Mood = time.Time{}, Mood{} // what comes back may be about something else
		if ev.To == StatusResolved {
			s.ResolvedAt = at
		}
	}
}

func (s *State) applyRead(ev MessagesRead) {
	switch ev.By {
	case PartyVisitor:
		s.ReadVisitor = max(s.ReadVisitor, ev.UpTo)
		s.Delivered = max(s.Delivered, ev.UpTo)
	case PartyAgent:
		s.ReadAgent = max(s.ReadAgent, ev.UpTo)
	case PartyBot:
	}
}

func (s *State) applyTags(ev TagsChanged) {
	tags := slices.DeleteFunc(slices.Clone(s.Tags), func(t string) bool { return slices.Contains(ev.Removed, t) })
	tags = append(tags, ev.Added...)
	slices.Sort(tags)
	s.Tags = slices.Compact(tags)
}

func (s *State) startTimer(t Timer) {
	s.dropTimer(t.ID)
	s.Timers = append(s.Timers, t)
}

func (s *State) dropTimer(id string) {
	s.Timers = slices.DeleteFunc(s.Timers, func(t Timer) bool { return t.ID == id })
}

// remember keeps the newest messages. The slice is shifted in place once it is
// twice the bound, so that a message costs no copy in the common case.
func (s *State) remember(m Message) {
	if len(s.Recent) >= 2*recentMessages {
		n := copy(s.Recent, s.Recent[len(s.Recent)-recentMessages+1:])
		clear(s.Recent[n:])
		s.Recent = s.Recent[:n]
	}
	s.Recent = append(s.Recent, m)
}

func (s *State) rememberRef(r Ref, seq Seq) {
	if r == "" {
		return
	}
	if len(s.Refs) >= 2*recentRefs {
		n := copy(s.Refs, s.Refs[len(s.Refs)-recentRefs+1:])
		clear(s.Refs[n:])
		s.Refs = s.Refs[:n]
	}
	s.Refs = append(s.Refs, RefRow{Ref: r, Seq: seq})
}
