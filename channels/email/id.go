package email

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"strconv"
	"strings"

	"github.com/colloquyhq/colloquy/conversation"
)

// marks makes and knows the names that this system gives to its own mails. Who
// does not have the key can neither make one nor guess one, so a mail that
// carries one comes from somebody who got a mail of that conversation.
type marks struct {
	key   []byte
	inbox conversation.InboxID
}

const (
	conversationPrefix = "cnv_" // of a conversation's id; left out in addresses
	macBytes           = 8
)

// macEncoding survives servers that write everything in lower case.
var macEncoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding) //nolint:gochecknoglobals // immutable table

func (m *marks) mac(purpose, what string) string {
	h := hmac.New(sha256.New, m.key)
	for _, s := range []string{purpose, string(m.inbox), what} {
		h.Write([]byte(s))
		h.Write([]byte{0})
	}
	return macEncoding.EncodeToString(h.Sum(nil)[:macBytes])
}

// messageID names one message of a conversation, without angle brackets. It is
// the same at every attempt to send it, so that a receiver can tell a repetition.
func (m *marks) messageID(id conversation.ConversationID, seq conversation.Seq, domain string) string {
	name := short(id) + "." + strconv.FormatUint(uint64(seq), 10)
	return "c" + name + "." + m.mac("message", name) + "@" + domain
}

// message gives what a name of [marks.messageID] stands for; false for all others.
func (m *marks) message(id string) (conversation.ConversationID, conversation.Seq, bool) {
	local, _, _ := strings.Cut(strings.ToLower(id), "@")
	name, mac, ok := cutLast(strings.TrimPrefix(local, "c"), '.')
	if !ok || !strings.HasPrefix(local, "c") || !hmac.Equal([]byte(mac), []byte(m.mac("message", name))) {
		return conversation.ConversationID{}, 0, false
	}
	of, number, _ := strings.Cut(name, ".")
	seq, err := strconv.ParseUint(number, 10, 64)
	at, err2 := conversation.ParseConversationID(conversationPrefix + of)
	return at, conversation.Seq(seq), err == nil && err2 == nil
}

// tag is what stands behind the plus of an address that leads to a conversation.
func (m *marks) tag(id conversation.ConversationID) string {
	return "c" + short(id) + "." + m.mac("tag", short(id))
}

// tagged gives the conversation that a tag leads to; false for all others.
func (m *marks) tagged(tag string) (conversation.ConversationID, bool) {
	of, mac, ok := cutLast(strings.TrimPrefix(strings.ToLower(tag), "c"), '.')
	if !ok || !hmac.Equal([]byte(mac), []byte(m.mac("tag", of))) {
		return conversation.ConversationID{}, false
	}
	id, err := conversation.ParseConversationID(conversationPrefix + of)
	return id, err == nil
}

func short(id conversation.ConversationID) string {
	return strings.TrimPrefix(id.String(), conversationPrefix)
}

func cutLast(s string, sep byte) (before, after string, ok bool) {
	if i := strings.LastIndexByte(s, sep); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}
