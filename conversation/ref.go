package conversation

import (
	"crypto/rand"
	"strings"
)

// ownRef begins the ids that this system gives to messages which came without
// one. No sender can write it: it is a control character.
const ownRef = "\x01"

// NewRef makes an id for a message that came without one and may have to be
// sent to its conversation more than once. It is never shown, see [Ref.Shown].
func NewRef() Ref {
	var b [16]byte
	_, _ = rand.Read(b[:]) // crypto/rand.Read never fails since Go 1.24
	return Ref(ownRef + idEncoding.EncodeToString(b[:]))
}

// IsOwn reports whether r was made by [NewRef] and not by a sender.
func (r Ref) IsOwn() bool { return strings.HasPrefix(string(r), ownRef) }

// Shown gives the sender's own id: nothing when the sender gave none.
func (r Ref) Shown() Ref {
	if r.IsOwn() {
		return ""
	}
	return r
}

// CheckSent refuses an id that no sender may give. Errors: class [ErrInvalid].
func (r Ref) CheckSent() error {
	if r.IsOwn() {
		return Refuse(CodeBadRef, "the id holds a control character")
	}
	return nil
}

// checkStored refuses what cannot be stored as a message's id.
func (r Ref) checkStored() error {
	if rest, own := strings.CutPrefix(string(r), ownRef); own {
		return Ref(rest).check()
	}
	return r.check()
}
