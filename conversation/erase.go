package conversation

import (
	"strconv"
	"strings"
	"time"
)

// ErasureReason says why a conversation was erased.
type ErasureReason string

// The reasons.
const (
	ErasedContact   ErasureReason = "contact"   // an admin erased everything of the contact
	ErasedRetention ErasureReason = "retention" // its inbox keeps conversations for so long and no longer
)

// ConversationErased is the only event that is left of a conversation: what was
// said, and by whom, is gone. It keeps the place of the conversation, so that its
// id is never used again, its contact's next message starts another one, and
// everybody who has seen it learns that it is gone. Its seq is the next one, and
// nothing stands before it.
//
// It holds ids, and none of them says who somebody is.
type ConversationErased struct {
	Inbox    InboxID        `json:"inbox"`
	Channel  ChannelKind    `json:"channel"`
	Contact  ContactID      `json:"contact"`
	Previous ConversationID `json:"previous,omitzero"`
	Reason   ErasureReason  `json:"reason"`
	By       AgentID        `json:"by,omitempty"` // empty = nobody; it was its time
}

// Erased makes the event that erases the conversation.
func (s *State) Erased(reason ErasureReason, by AgentID) ConversationErased {
	return ConversationErased{Inbox: s.Inbox, Channel: s.Channel, Contact: s.Contact, Previous: s.Previous, Reason: reason, By: by}
}

// applyErased forgets everything but the place.
func (s *State) applyErased(ev ConversationErased, e Entry) {
	*s = State{
		ID: s.ID, Inbox: ev.Inbox, Channel: ev.Channel, Contact: ev.Contact, Previous: ev.Previous, Version: e.Seq,
		Status: StatusClosed, Handler: HandlerNone, Queue: QueueNone, Priority: PriorityNone,
		CreatedAt: e.At, LastActivity: e.At, Gone: true,
	}
}

// Hold says that something must not be erased, by nobody and by no rule, for as
// long as it stands: of a contact everything, or a single conversation.
type Hold struct {
	By     AgentID   `json:"by"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason,omitempty"` // for people to read
}

// MaxHoldReason bounds the words that a hold carries, in bytes.
const MaxHoldReason = 500

// Retention says how long an inbox keeps conversations that are done. The zero
// value keeps them for ever.
type Retention struct {
	ResolvedAfter Span `json:"resolved_after,omitempty"` // since the last activity of a resolved or closed conversation; zero = for ever
}

// Span is a stretch of time that people write down: in JSON days ("180d") where
// it is whole ones, else as in "36h30m". Nanoseconds are read as well.
type Span time.Duration

const spanDay = Span(24 * time.Hour)

// String implements fmt.Stringer.
func (s Span) String() string {
	if s != 0 && s%spanDay == 0 {
		return strconv.FormatInt(int64(s/spanDay), 10) + "d"
	}
	return time.Duration(s).String()
}

// MarshalText implements [encoding.TextMarshaler].
func (s Span) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalJSON implements [encoding/json.Unmarshaler]. Errors: class [ErrInvalid].
func (s *Span) UnmarshalJSON(b []byte) error {
	if nanos, err := strconv.ParseInt(string(b), 10, 64); err == nil {
		*s = Span(nanos)
		return nil
	}
	text, err := strconv.Unquote(string(b))
	if err != nil {
		return Refuse(CodeInvalid, "a stretch of time is text such as \"180d\" or \"36h\"")
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseInt(days, 10, 32)
		if err != nil || n > int64(MaxRetention/spanDay) || n < 0 {
			return Refuse(CodeInvalid, "a number of days is whole, such as \"180d\", and at most 100 years")
		}
		*s = Span(n) * spanDay
		return nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return Refuse(CodeInvalid, "a stretch of time is text such as \"180d\" or \"36h\"")
	}
	*s = Span(d)
	return nil
}

// Limits of [Retention.ResolvedAfter].
const (
	MinRetention = spanDay
	MaxRetention = 100 * 365 * spanDay
)

// Validate refuses what is no time that an inbox can keep conversations for. The
// shortest is a day, but never below the time in which a resolved one can come
// back.
func (r Retention) Validate(reopen time.Duration) error {
	if r.ResolvedAfter == 0 {
		return nil
	}
	if reopen <= 0 {
		reopen = DefaultReopenWindow
	}
	if least := max(MinRetention, Span(reopen)); r.ResolvedAfter < least || r.ResolvedAfter > MaxRetention {
		return Refusef(CodeInvalid, "retention.resolved_after is %v to %v, because a resolved conversation may come back until then, or 0 for ever", least, MaxRetention)
	}
	return nil
}
