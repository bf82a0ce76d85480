package conversation

import (
	"maps"
	"slices"
	"time"
)

// Bounds of what a state keeps besides the journal.
const (
	recentMessages = 24 // newest messages and notes, for context, receipts and previews
	recentJudged   = 64 // newest verdicts
	recentRefs     = 64 // newest senders' ids; older ones are looked up in the journal
	contextTurns   = 3  // earlier visitor texts that a classifier gets
	previewBytes   = 160
)

// State is everything that the rules need to know about a conversation. It is
// the fold of its entries and nothing else. The zero State is a conversation
// that has not started.
//
// Concurrency: none; a State belongs to one owner.
type State struct {
	ID       ConversationID `json:"id"`
	Inbox    InboxID        `json:"inbox"`
	Channel  ChannelKind    `json:"channel"`
	Contact  ContactID      `json:"contact"`
	Peer     string         `json:"peer,omitempty"`
	Previous ConversationID `json:"previous,omitzero"`
	Version  Seq            `json:"version"` // seq of the last entry

	Status       Status     `json:"status"`
	Handler      Handler    `json:"handler"`
	Queue        QueueState `json:"queue"`
	QueuedAt     time.Time  `json:"queued_at,omitzero"`
	Assignee     AgentID    `json:"assignee,omitempty"`
	Priority     Priority   `json:"priority"`
	Tags         []string   `json:"tags,omitempty"` // sorted
	SnoozedUntil time.Time  `json:"snoozed_until,omitzero"`
	Handover     *Handover  `json:"handover,omitempty"` // the newest one

	CreatedAt    time.Time `json:"created_at"`
	ResolvedAt   time.Time `json:"resolved_at,omitzero"`
	LastActivity time.Time `json:"last_activity"`
	WaitingSince time.Time `json:"waiting_since,omitzero"` // of the first visitor message that nobody has answered

	VisitorAt   time.Time `json:"visitor_at,omitzero"`    // when the visitor wrote last
	Outgoing    int       `json:"outgoing,omitempty"`     // messages to the provider since then
	LastVisitor Seq       `json:"last_visitor,omitempty"` // newest visitor message
	LastTurn    Seq       `json:"last_turn,omitempty"`    // newest turn that is over, by the bot or by an agent's reply
	ReadVisitor Seq       `json:"read_visitor,omitempty"`
	ReadAgent   Seq       `json:"read_agent,omitempty"`
	Delivered   Seq       `json:"delivered,omitempty"`

	Dialogue Dialogue  `json:"dialogue"`
	Mood     Mood      `json:"mood,omitzero"`
	Timers   []Timer   `json:"timers,omitempty"`
	Recent   []Message `json:"recent,omitempty"`  // oldest first
	Refs     []RefRow  `json:"refs,omitempty"`    // oldest first
	Unsent   []Seq     `json:"unsent,omitempty"`  // outbound messages whose fate is open
	Judged   []Judged  `json:"judged,omitempty"`  // newest verdicts on the bot's messages, oldest first
	Awaited  []Awaited `json:"awaited,omitempty"` // attachments that are still being fetched, oldest first

	Anomalies []AnomalySeen `json:"anomalies,omitempty"` // one a kind; never changed in place

	Gone bool `json:"erased,omitempty"` // it was erased: only its place is left
}

// Dialogue is what the bot remembers between turns.
type Dialogue struct {
	Lang     string            `json:"lang,omitempty"`
	Intent   string            `json:"intent,omitempty"` // the matter being talked about
	Ask      string            `json:"ask,omitempty"`    // the slot that was asked for
	Asked    int               `json:"asked,omitempty"`  // how often in a row
	Slots    map[string]string `json:"slots,omitempty"`
	Abstains int               `json:"abstains,omitempty"` // in a row

	Topics   []Topic  `json:"topics,omitempty"`   // what was talked about, newest last; small talk is none
	Answered string   `json:"answered,omitempty"` // the topic that the newest turn answered; empty = it asked, or did not understand
	Offered  []string `json:"offered,omitempty"`  // intents that the newest turn offered, in the order of their buttons
	Pending  *Pending `json:"pending,omitempty"`  // the question that the visitor left for another topic
	Denied   []string `json:"denied,omitempty"`   // topics whose answers were not what the visitor had asked, newest last
}

// Handover is why and when humans got the conversation.
type Handover struct {
	Reason     HandoverReason `json:"reason"`
	Intent     string         `json:"intent,omitempty"`
	Confidence float32        `json:"confidence,omitempty"`
	Summary    string         `json:"summary,omitempty"`
	At         time.Time      `json:"at"`
}

// Started reports whether the conversation exists.
func (s *State) Started() bool { return s.Version > 0 }

// FindRef gives the seq under which a sender's message id was stored, or 0.
func (s *State) FindRef(r Ref) Seq {
	if r == "" {
		return 0
	}
	for _, v := range slices.Backward(s.Refs) {
		if v.Ref == r {
			return v.Seq
		}
	}
	return 0
}

// RefsComplete reports whether FindRef knows every ref this conversation ever
// stored and there is no predecessor that may know more.
func (s *State) RefsComplete() bool { return len(s.Refs) < recentRefs && s.Previous.IsZero() }

// RepliesTo gives the bot's replies to a visitor message that are still among
// the recent messages.
func (s *State) RepliesTo(turn Seq) []Message {
	var out []Message
	for i := range s.Recent {
		if m := &s.Recent[i]; m.InReplyTo == turn && m.From == PartyBot {
			out = append(out, *m)
		}
	}
	return out
}

// MessageAt finds a recent message by its seq.
func (s *State) MessageAt(seq Seq) (Message, bool) {
	i := slices.IndexFunc(s.Recent, func(m Message) bool { return m.Seq == seq })
	if i < 0 {
		return Message{}, false
	}
	return s.Recent[i], true
}

// newestMessage gives the seq of the newest message or note.
func (s *State) newestMessage() Seq {
	if len(s.Recent) == 0 {
		return 0
	}
	return s.Recent[len(s.Recent)-1].Seq
}

// Context gives the visitor texts before seq that help to understand it,
// newest last.
func (s *State) Context(seq Seq) []Text {
	var out []Text
	for i := len(s.Recent) - 1; i >= 0 && len(out) < contextTurns; i-- {
		if m := &s.Recent[i]; m.From == PartyVisitor && m.Seq < seq && m.Text != "" {
			out = append(out, m.Text)
		}
	}
	slices.Reverse(out)
	return out
}

// NextDue gives the earliest moment at which a timer or the snooze is due;
// zero when there is none.
func (s *State) NextDue() time.Time {
	var due time.Time
	if s.Status == StatusSnoozed {
		due = s.SnoozedUntil
	}
	for _, t := range s.Timers {
		if due.IsZero() || t.Due.Before(due) {
			due = t.Due
		}
	}
	return due
}

// Head summarizes the state for lists.
func (s *State) Head() Head {
	h := Head{
		ID: s.ID, Inbox: s.Inbox, Channel: s.Channel, Contact: s.Contact, Peer: s.Peer, Status: s.Status,
		Handler: s.Handler, Queue: s.Queue, QueuedAt: s.QueuedAt, Assignee: s.Assignee, Priority: s.Priority,
		Tags: s.Tags, Intent: s.Dialogue.Intent, CreatedAt: s.CreatedAt, LastActivity: s.LastActivity,
		WaitingSince: s.WaitingSince, SnoozedUntil: s.SnoozedUntil, Version: s.Version,
		Erased: s.Gone,
	}
	if s.Mood.Angry() {
		h.Mood = TemperAngry
	}
	h.MoodReasons, h.Anomalies = s.Mood.Reasons, s.Anomalies
	if s.Handover != nil {
		h.Reason = s.Handover.Reason
	}
	for i := len(s.Recent) - 1; i >= 0; i-- {
		if m := &s.Recent[i]; !m.Note {
			h.Preview, h.PreviewFrom = cut(m.Plain(), previewBytes), m.From
			break
		}
	}
	return h
}

// cut shortens t to at most n bytes without splitting a character.
func cut(t Text, n int) Text {
	if len(t) <= n {
		return t
	}
	for n > 0 && t[n]&0xc0 == 0x80 {
		n--
	}
	return t[:n]
}

// Clone copies the state deeply enough that neither copy sees the other change.
func (s *State) Clone() *State {
	c := *s
	c.Tags = slices.Clone(s.Tags)
	c.Mood.Reasons = slices.Clone(s.Mood.Reasons)
	c.Timers = slices.Clone(s.Timers)
	c.Recent = slices.Clone(s.Recent)
	for i := range c.Recent {
		c.Recent[i] = c.Recent[i].clone()
	}
	c.Refs = slices.Clone(s.Refs)
	c.Unsent = slices.Clone(s.Unsent)
	c.Judged = slices.Clone(s.Judged)
	c.Awaited = slices.Clone(s.Awaited)
	c.Anomalies = slices.Clone(s.Anomalies)
	if s.Handover != nil {
		h := *s.Handover
		c.Handover = &h
	}
	c.Dialogue.Topics = slices.Clone(s.Dialogue.Topics)
	c.Dialogue.Offered = slices.Clone(s.Dialogue.Offered)
	c.Dialogue.Denied = slices.Clone(s.Dialogue.Denied)
	if s.Dialogue.Pending != nil {
		p := *s.Dialogue.Pending
		c.Dialogue.Pending = &p
	}
	if s.Dialogue.Slots != nil {
		c.Dialogue.Slots = make(map[string]string, len(s.Dialogue.Slots))
		maps.Copy(c.Dialogue.Slots, s.Dialogue.Slots)
	}
	return &c
}
