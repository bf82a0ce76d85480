package conversation

import (
	"bytes"
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"strings"
	"time"
)

// idEncoding is Crockford's alphabet in lower case: no padding, no letters
// that are easily misread, and the order of the text is the order of the bytes.
var idEncoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding) //nolint:gochecknoglobals // immutable table

const (
	conversationPrefix = "cnv_"
	contactPrefix      = "ctc_"
	messagePrefix      = "msg_"
	encodedID          = 26 // characters of 16 bytes
	encodedMessageID   = 39 // characters of 24 bytes
)

// Seq numbers the events of one conversation, starting at 1 without gaps.
// Zero means "before the first event".
type Seq uint64

// ConversationID names a conversation. The zero value means "none".
type ConversationID [16]byte

// ContactID names the person on the other side. The zero value means "none".
type ContactID [16]byte

// InboxID names a configured entrance: lower-case letters, digits and dashes,
// 1 to 40 characters.
type InboxID string

// AgentID names a human agent; same alphabet as [InboxID].
type AgentID string

// Ref is the sender's own id of a message, used to recognize a repeated
// delivery. It is opaque, 1 to [MaxRefBytes] bytes; empty means "none".
type Ref string

// String returns the id with its prefix, such as cnv_0h2v….
func (c ConversationID) String() string {
	var b [len(conversationPrefix) + encodedID]byte
	return string(idEncoding.AppendEncode(append(b[:0], conversationPrefix...), c[:]))
}

// AppendText implements [encoding.TextAppender]; the zero value adds nothing.
func (c ConversationID) AppendText(b []byte) ([]byte, error) {
	if c.IsZero() {
		return b, nil
	}
	return idEncoding.AppendEncode(append(b, conversationPrefix...), c[:]), nil
}

// IsZero reports whether no conversation is named.
func (c ConversationID) IsZero() bool { return c == ConversationID{} }

// MarshalText implements [encoding.TextMarshaler]; the zero value gives "".
func (c ConversationID) MarshalText() ([]byte, error) { return marshalID(conversationPrefix, c) }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (c *ConversationID) UnmarshalText(text []byte) error {
	return unmarshalID((*[16]byte)(c), conversationPrefix, text)
}

// ParseConversationID reads the form that String writes.
// Errors: class [ErrInvalid].
func ParseConversationID(s string) (ConversationID, error) {
	var c ConversationID
	if s == "" {
		return c, Refuse(CodeBadID, "a conversation id is cnv_ and 26 characters")
	}
	return c, c.UnmarshalText([]byte(s))
}

// String returns the id with its prefix, such as ctc_0h2v….
func (c ContactID) String() string { return contactPrefix + idEncoding.EncodeToString(c[:]) }

// IsZero reports whether nobody is named.
func (c ContactID) IsZero() bool { return c == ContactID{} }

// MarshalText implements [encoding.TextMarshaler]; the zero value gives "".
func (c ContactID) MarshalText() ([]byte, error) { return marshalID(contactPrefix, c) }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (c *ContactID) UnmarshalText(text []byte) error {
	return unmarshalID((*[16]byte)(c), contactPrefix, text)
}

// ParseContactID reads the form that String writes.
// Errors: class [ErrInvalid].
func ParseContactID(s string) (ContactID, error) {
	var c ContactID
	if s == "" {
		return c, Refuse(CodeBadID, "a contact id is ctc_ and 26 characters")
	}
	return c, c.UnmarshalText([]byte(s))
}

// NewContactID makes an id from the time and 10 random bytes, so that ids sort
// by age and cannot be guessed.
func NewContactID(now time.Time) ContactID {
	var c ContactID
	_, _ = rand.Read(c[:]) // crypto/rand.Read never fails since Go 1.24
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(now.UnixMilli()))
	copy(c[:6], ms[2:])
	return c
}

func marshalID(prefix string, id [16]byte) ([]byte, error) {
	if id == ([16]byte{}) {
		return []byte{}, nil
	}
	b := make([]byte, len(prefix)+encodedID)
	copy(b, prefix)
	idEncoding.Encode(b[len(prefix):], id[:])
	return b, nil
}

func unmarshalID(dst *[16]byte, prefix string, text []byte) error {
	*dst = [16]byte{}
	if len(text) == 0 {
		return nil
	}
	if len(text) != len(prefix)+encodedID || string(text[:len(prefix)]) != prefix {
		return Refuse(CodeBadID, "an id of this kind is "+prefix+" and 26 characters")
	}
	if !decodeID(dst[:], text[len(prefix):]) {
		*dst = [16]byte{}
		return Refuse(CodeBadID, "an id holds only the digits and letters 0-9 a-z without i l o u")
	}
	return nil
}

// decodeID reads the one spelling that an id has. The decoder of the standard
// library also takes line breaks, which it skips, and set spare bits at the end.
func decodeID(dst, text []byte) bool {
	if n, err := idEncoding.Decode(dst, text); err != nil || n != len(dst) {
		return false
	}
	var again [encodedMessageID]byte
	idEncoding.Encode(again[:len(text)], dst)
	return bytes.Equal(again[:len(text)], text)
}

// MessageID names one message: its conversation and its [Seq] there. It is
// derived, never stored, so a repeated delivery gets the same id again.
func MessageID(c ConversationID, seq Seq) string {
	var b [24]byte
	copy(b[:16], c[:])
	binary.BigEndian.PutUint64(b[16:], uint64(seq))
	var out [len(messagePrefix) + encodedMessageID]byte
	return string(idEncoding.AppendEncode(append(out[:0], messagePrefix...), b[:]))
}

// ParseMessageID reads what [MessageID] wrote.
// Errors: class [ErrInvalid].
func ParseMessageID(s string) (ConversationID, Seq, error) {
	var b [24]byte
	rest, ok := strings.CutPrefix(s, messagePrefix)
	if !ok || len(rest) != encodedMessageID {
		return ConversationID{}, 0, Refuse(CodeBadID, "a message id is msg_ and 39 characters")
	}
	if !decodeID(b[:], []byte(rest)) {
		return ConversationID{}, 0, Refuse(CodeBadID, "an id holds only the digits and letters 0-9 a-z without i l o u")
	}
	return ConversationID(b[:16]), Seq(binary.BigEndian.Uint64(b[16:])), nil
}

// ParseInboxID checks an inbox id. Errors: class [ErrInvalid].
func ParseInboxID(s string) (InboxID, error) {
	if !isSlug(s) {
		return "", Refuse(CodeBadID, "an inbox id is 1 to 40 lower-case letters, digits and dashes")
	}
	return InboxID(s), nil
}

// ParseAgentID checks an agent id. Errors: class [ErrInvalid].
func ParseAgentID(s string) (AgentID, error) {
	if !isSlug(s) {
		return "", Refuse(CodeBadID, "an agent id is 1 to 40 lower-case letters, digits and dashes")
	}
	return AgentID(s), nil
}

// isSlug keeps ids free of separators, so that they may stand in storage keys
// and addresses as they are.
func isSlug(s string) bool {
	if s == "" || len(s) > 40 || s[0] == '-' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}
