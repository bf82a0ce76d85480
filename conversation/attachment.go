package conversation

import (
	"crypto/rand"
	"encoding/binary"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Limits of what rides on a message.
const (
	MaxAttachments    = 10  // of one message
	MaxFileNameBytes  = 120 // of a cleaned name
	maxMediaTypeBytes = 100
	maxReasonBytes    = 40
	maxAwaited        = 64 // attachments of a conversation that are still fetched
)

const attachmentPrefix = "att_"

// AttachmentID names a file that was handed in. The zero value means "none".
type AttachmentID [16]byte

// NewAttachmentID makes an id from the time and 10 random bytes: ids sort by
// age and cannot be guessed.
func NewAttachmentID(now time.Time) AttachmentID {
	var a AttachmentID
	_, _ = rand.Read(a[:]) // crypto/rand.Read never fails since Go 1.24
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(now.UnixMilli()))
	copy(a[:6], ms[2:])
	return a
}

// String returns the id with its prefix, such as att_0h2v….
func (a AttachmentID) String() string { return attachmentPrefix + idEncoding.EncodeToString(a[:]) }

// IsZero reports whether nothing is named.
func (a AttachmentID) IsZero() bool { return a == AttachmentID{} }

// MarshalText implements [encoding.TextMarshaler]; the zero value gives "".
func (a AttachmentID) MarshalText() ([]byte, error) { return marshalID(attachmentPrefix, a) }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (a *AttachmentID) UnmarshalText(text []byte) error {
	return unmarshalID((*[16]byte)(a), attachmentPrefix, text)
}

// ParseAttachmentID reads the form that String writes.
// Errors: class [ErrInvalid].
func ParseAttachmentID(s string) (AttachmentID, error) {
	var a AttachmentID
	if s == "" {
		return a, Refuse(CodeBadID, "an attachment id is att_ and 26 characters")
	}
	return a, a.UnmarshalText([]byte(s))
}

// AttachmentState says whether the bytes of an attachment are there.
type AttachmentState string

// The states.
const (
	AttachmentStored      AttachmentState = "stored"
	AttachmentPending     AttachmentState = "pending"     // the provider has it, and it is being fetched
	AttachmentUnavailable AttachmentState = "unavailable" // it will not come; Reason says why
)

// Attachment is a file that rides on a message. The event holds what is said
// about it; the bytes lie in the journal under Blob.
//
// Who hands one in takes it as the store of attachments gave it: name, type and
// size are what the bytes showed, never what a sender claims.
type Attachment struct {
	ID     AttachmentID    `json:"id"`
	Name   string          `json:"name"`           // as [CleanFileName] leaves it
	Type   string          `json:"type,omitempty"` // media type without parameters; empty = not known yet
	Size   int64           `json:"size,omitempty"` // bytes; zero = not known yet
	Blob   string          `json:"blob,omitempty"` // SHA-256 of the bytes in hex; empty = not stored
	State  AttachmentState `json:"state"`
	Reason string          `json:"reason,omitempty"` // of unavailable: a short code, such as too_large
}

// Image reports whether browsers show the attachment as a picture.
func (a *Attachment) Image() bool {
	switch a.Type {
	case "image/png", "image/jpeg", "image/gif", "image/webp":
		return true
	}
	return false
}

// checkAttachments refuses what could not be stored or found again.
func checkAttachments(all []Attachment) error {
	if len(all) > MaxAttachments {
		return Refusef(CodeBadAttachment, "%d attachments, the limit is %d", len(all), MaxAttachments)
	}
	for i := range all {
		if err := all[i].check(); err != nil {
			return err
		}
		if slices.ContainsFunc(all[:i], func(o Attachment) bool { return o.ID == all[i].ID }) {
			return Refuse(CodeBadAttachment, "an attachment is named twice")
		}
	}
	return nil
}

func (a *Attachment) check() error {
	switch {
	case a.ID.IsZero():
		return Refuse(CodeBadAttachment, "an attachment has no id")
	case a.Name == "" || a.Name != CleanFileName(a.Name):
		return Refuse(CodeBadAttachment, "the name of an attachment is not clean")
	case len(a.Type) > maxMediaTypeBytes || strings.ContainsFunc(a.Type, notPrintable):
		return Refuse(CodeBadAttachment, "the media type of an attachment is not one")
	case a.Size < 0:
		return Refuse(CodeBadAttachment, "an attachment has a negative size")
	case len(a.Reason) > maxReasonBytes || strings.ContainsFunc(a.Reason, notPrintable):
		return Refusef(CodeBadAttachment, "a reason is a code of at most %d bytes", maxReasonBytes)
	}
	switch a.State {
	case AttachmentStored:
		if !isBlob(a.Blob) {
			return Refuse(CodeBadAttachment, "a stored attachment names its bytes by their SHA-256")
		}
	case AttachmentPending, AttachmentUnavailable:
		if a.Blob != "" {
			return Refuse(CodeBadAttachment, "an attachment that is not stored names bytes")
		}
	default:
		return Refuse(CodeBadAttachment, "an attachment is stored, pending or unavailable")
	}
	return nil
}

func notPrintable(r rune) bool { return r <= ' ' || r >= 0x7f }

// isBlob reports whether s is a SHA-256 in lower-case hex.
func isBlob(s string) bool {
	if len(s) != 64 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// unnamedFile stands for a file whose name holds nothing that can stay.
const unnamedFile = "file"

// CleanFileName makes a name that is safe to show, to save and to put into a
// header from what a sender calls a file: the last part of a path, one line,
// without characters that cannot be seen or that turn the text around, of at
// most [MaxFileNameBytes] with its ending kept. It gives "file" when nothing
// remains; a clean name stays as it is.
func CleanFileName(name string) string {
	if i := strings.LastIndexAny(name, `/\`); i >= 0 {
		name = name[i+1:]
	}
	name = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r == utf8.RuneError || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Co, r):
			return -1
		case strings.ContainsRune(`<>:"|?*`, r):
			return '_'
		}
		return r
	}, name)
	// Names of dots are places, and Windows drops dots and spaces at the end.
	name = strings.Trim(name, " .")
	if name = strings.Trim(shortened(name), " ."); name == "" {
		return unnamedFile
	}
	if reserved(name) {
		return "_" + name
	}
	return name
}

// shortened cuts a name before its ending.
func shortened(name string) string {
	const room = MaxFileNameBytes - 1 // for the mark before a reserved name
	if len(name) <= room {
		return name
	}
	ending := ""
	if i := strings.LastIndexByte(name, '.'); i > 0 && len(name)-i <= 16 {
		name, ending = name[:i], name[i:]
	}
	return string(cut(Text(name), room-len(ending))) + ending
}

// reserved reports whether Windows takes a name for a device.
func reserved(name string) bool {
	base, _, _ := strings.Cut(strings.ToLower(name), ".")
	switch base {
	case "con", "prn", "aux", "nul":
		return true
	}
	return len(base) == 4 && (strings.HasPrefix(base, "com") || strings.HasPrefix(base, "lpt")) && base[3] >= '1' && base[3] <= '9'
}

// Plain gives a message as one text: what was written, and below it the names
// of its files in brackets.
func (m *Message) Plain() Text {
	if len(m.Attachments) == 0 {
		return m.Text
	}
	var b strings.Builder
	b.WriteString(string(m.Text))
	for i := range m.Attachments {
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
		b.WriteString("[" + m.Attachments[i].Name + "]")
	}
	return Text(b.String())
}

// Awaited is an attachment that is still being fetched.
type Awaited struct {
	Message Seq          `json:"message"`
	ID      AttachmentID `json:"id"`
}

// decideAttachment takes what became of an attachment that was pending.
// Repeating it changes nothing.
func decideAttachment(s *State, c RecordAttachment) (Decision, error) {
	if err := c.Attachment.check(); err != nil {
		return Decision{}, err
	}
	if c.Attachment.State == AttachmentPending {
		return Decision{}, Refuse(CodeInvalid, "pending is not an outcome")
	}
	if !slices.Contains(s.Awaited, Awaited{Message: c.Message, ID: c.Attachment.ID}) {
		return nothing()
	}
	if s.Status == StatusClosed {
		return Decision{}, s.Status.guard(TriggerMessage)
	}
	return events(AttachmentChanged(c))
}

// admitted gives the attachments that a message is stored with. A conversation
// does not wait for any number of files.
func (s *State) admitted(all []Attachment) []Attachment {
	out := slices.Clone(all)
	room := maxAwaited - len(s.Awaited)
	for i := range out {
		if out[i].State != AttachmentPending {
			continue
		}
		if room--; room < 0 {
			out[i].State, out[i].Reason = AttachmentUnavailable, "too_many"
		}
	}
	return out
}

// await remembers which attachments of a message are still to come.
func (s *State) await(message Seq, all []Attachment) {
	for i := range all {
		if all[i].State == AttachmentPending && len(s.Awaited) < maxAwaited {
			s.Awaited = append(s.Awaited, Awaited{Message: message, ID: all[i].ID})
		}
	}
}

// applyAttachment puts an attachment in the place of the pending one.
func (s *State) applyAttachment(ev AttachmentChanged) {
	s.Awaited = slices.DeleteFunc(s.Awaited, func(w Awaited) bool {
		return w == Awaited{Message: ev.Message, ID: ev.Attachment.ID}
	})
	for i := range s.Recent {
		if s.Recent[i].Seq != ev.Message {
			continue
		}
		// A copy: what the state has shown to others does not change.
		all := slices.Clone(s.Recent[i].Attachments)
		for k := range all {
			if all[k].ID == ev.Attachment.ID {
				all[k] = ev.Attachment
			}
		}
		s.Recent[i].Attachments = all
	}
}
