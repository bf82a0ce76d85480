package email

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"time"
)

const (
	firstLook   = 7 * 24 * time.Hour // below the 8 days for which repeated mails are recognized
	renumbered  = 24 * time.Hour     // before the newest mail known, when all have got new numbers
	maxKnown    = 256
	digestSize  = 8
	knownSize   = digestSize + threadSize
	cursorBytes = 16 << 10
)

// cursor is how far a folder was read. It is stored behind the mails that it
// stands for, so whatever it does not tell of comes again.
type cursor struct {
	Validity uint32    `json:"validity"`         // UIDVALIDITY that the numbers belong to
	Last     uint32    `json:"last"`             // newest UID that was dealt with
	Newest   time.Time `json:"newest,omitzero"`  // when the newest of them came
	Until    uint32    `json:"until,omitempty"`  // up to here only what Since and Unread let through
	Since    time.Time `json:"since,omitzero"`   // as Until
	Unread   bool      `json:"unread,omitempty"` // as Until
	Known    []byte    `json:"known,omitempty"`  // newest mails, oldest first: digest of the Message-ID, thread
}

// parseCursor reads a stored cursor; what cannot be read begins anew.
func parseCursor(b []byte) cursor {
	var c cursor
	if len(b) > cursorBytes || json.Unmarshal(b, &c) != nil || len(c.Known)%knownSize != 0 {
		return cursor{}
	}
	return c
}

func (c *cursor) encode() []byte {
	b, err := json.Marshal(c)
	if err != nil {
		return nil // a struct of numbers and bytes
	}
	return b
}

// meet takes the folder as it is now. When its numbers mean something else than
// before, the mails since the newest known one are looked at again: those that are
// known are left out. A folder that was never read gives what nobody has read in
// the last days.
func (c *cursor) meet(validity, next uint32, now time.Time) {
	switch {
	case c.Validity == validity:
		return
	case c.Validity == 0 || c.Newest.IsZero():
		c.Since, c.Unread = now.Add(-firstLook), true
	default:
		c.Since, c.Unread = c.Newest.Add(-renumbered), false
	}
	c.Validity, c.Last, c.Until = validity, 0, next-1
}

// passed notes that a mail was dealt with.
func (c *cursor) passed(s size) {
	c.Last = max(c.Last, s.uid)
	if s.at.After(c.Newest) {
		c.Newest = s.at
	}
}

// knows gives the thread of a mail that was taken lately.
func (c *cursor) knows(messageID string) (thread, bool) {
	want := digest(messageID)
	for i := len(c.Known) - knownSize; i >= 0 && messageID != ""; i -= knownSize {
		if bytes.Equal(c.Known[i:i+digestSize], want) {
			return thread(c.Known[i+digestSize : i+knownSize]), true
		}
	}
	return thread{}, false
}

// learn remembers the thread of a mail.
func (c *cursor) learn(messageID string, t thread) {
	if _, ok := c.knows(messageID); ok || messageID == "" {
		return
	}
	c.Known = append(append(c.Known, digest(messageID)...), t[:]...)
	if over := len(c.Known) - maxKnown*knownSize; over > 0 {
		c.Known = bytes.Clone(c.Known[over:])
	}
}

func digest(messageID string) []byte {
	sum := sha256.Sum256([]byte(messageID))
	return sum[:digestSize]
}
