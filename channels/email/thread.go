package email

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/colloquyhq/colloquy/conversation"
)

// A visitor of this channel is an address in a thread, as a thread of Slack is one:
// what is answered together is one conversation, and a new mail begins another.
// Nothing leads into a conversation but its own thread and the sender's own
// address, so somebody else who answers, with or without being asked, gets a
// conversation of their own.

// thread names what belongs together.
type thread [threadSize]byte

const (
	threadSize = 8
	nobody     = "unknown" // stands for the address of who gave none
)

// String gives the thread as it stands in a peer's name.
func (t thread) String() string { return hex.EncodeToString(t[:]) }

func (t thread) isZero() bool { return t == thread{} }

// threadOf derives a thread, always the same from the same parts.
func threadOf(parts ...string) thread {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return thread(sum[:threadSize])
}

func peerOf(address string, t thread) string { return address + "/" + t.String() }

// addressOf gives the address and the thread of a peer's name.
func addressOf(peer string) (string, thread) {
	var t thread
	address, name, _ := cutLast(peer, '/')
	if b, err := hex.DecodeString(name); err == nil && len(b) == threadSize {
		t = thread(b)
	}
	return address, t
}

// place is where a mail belongs.
type place struct {
	thread thread
	of     conversation.ConversationID // whose mail it answers; zero = nobody's that is known
	others bool                        // that is somebody else's conversation
}

// find says where a mail belongs: it looks up what it answers, then what it refers
// to from the newest to the oldest, then the tag of the address that it went to,
// and else begins a thread, or goes on with one that has had no answer yet.
//
// A sender who is not who the mail says gets into a thread only by a name that was
// sent to the real one.
func (r *reading) find(ctx context.Context, m *message) (place, error) {
	marks := &r.box.marks
	for _, id := range m.ancestors() {
		if conv, _, ok := marks.message(id); ok {
			if at, err := r.within(ctx, m, conv); err != nil || !at.thread.isZero() {
				return at, err
			}
		}
		if t, ok := r.cursor.knows(id); ok && m.verified != verifiedNo {
			return place{thread: t}, nil
		}
	}
	for _, to := range m.recipients {
		if conv, ok := marks.tagged(tagOf(to, r.box)); ok {
			if at, err := r.within(ctx, m, conv); err != nil || !at.thread.isZero() {
				return at, err
			}
		}
	}
	if root := m.root(); root != "" && m.verified != verifiedNo {
		return place{thread: threadOf("root", root)}, nil
	}
	return place{thread: threadOf("root", m.name())}, nil
}

// within gives the thread of a conversation; none when it is not there any more.
func (r *reading) within(ctx context.Context, m *message, id conversation.ConversationID) (place, error) {
	state, err := r.driver.load(ctx, id)
	if err != nil {
		return place{}, err
	}
	address, t := addressOf(state.Peer)
	if state.Inbox != r.Account || state.Channel != conversation.ChannelEmail || t.isZero() {
		return place{}, nil
	}
	return place{thread: t, of: id, others: address != m.from}, nil
}

// tagOf gives the tag of one of the account's own addresses.
func tagOf(address string, box *mailbox) string {
	local, domain, _ := cutLast(strings.ToLower(address), '@')
	base, tag, _ := strings.Cut(local, "+")
	if base != strings.ToLower(box.local) || domain != strings.ToLower(box.domain) {
		return ""
	}
	return tag
}
