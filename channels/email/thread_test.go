package email

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

var errNoDial = errors.New("nothing is dialed here")

func noDial(context.Context, string, string) (net.Conn, error) { return nil, errNoDial }

// answeredTo gives a driver's look at a mailbox, in which Ann has a conversation,
// and the Message-ID of an answer to her.
func answeredTo(t *testing.T, change map[string]string) (r *reading, conv conversation.ConversationID, peer, answer string) {
	t.Helper()
	conv = conversation.ConversationID{1, 2, 3}
	all := known{}
	r = newReading(t, all, change)
	peer = r.one(t, mailOf("ann@example.org", "q1@example.org", "Hello")).Peer
	all[conv] = &conversation.State{ID: conv, Inbox: inbox, Channel: conversation.ChannelEmail, Peer: peer}
	return r, conv, peer, "<" + r.box.marks.messageID(conv, 4, "example.com") + ">"
}

func TestRepliesFindTheirThread(t *testing.T) {
	r, conv, peer, answer := answeredTo(t, nil)
	tagged := "Delivered-To: shop+" + r.box.marks.tag(conv) + "@example.com"
	for name, headers := range map[string][]string{
		"by In-Reply-To":              {"In-Reply-To: " + answer},
		"by a lower-cased Message-ID": {"In-Reply-To: " + strings.ToLower(answer)},
		"by References":               {"References: <other@example.net> " + answer, "In-Reply-To: <lost@example.org>"},
		"by the tag of the address":   {tagged},
		"by the visitor's own mail":   {"In-Reply-To: <q1@example.org>"},
		"by the root of the thread":   {"References: <q1@example.org> <lost@example.org>", "In-Reply-To: <lost@example.org>"},
	} {
		t.Run(name, func(t *testing.T) {
			e := r.one(t, mailOf("Ann <ANN@example.org>", name[:5]+"@example.org", "More", headers...))
			if e.Peer != peer || e.Metadata[metaOthers] != "" {
				t.Errorf("peer %q, metadata %v, want %q", e.Peer, e.Metadata, peer)
			}
		})
	}
	if e := r.one(t, mailOf("ann@example.org", "q9@example.org", "About something else")); e.Peer == peer {
		t.Error("a new mail of the same subject went on with the old thread")
	}
}

// A mail of our own thread, whose newest mail it answers, that was not known to
// the journal: the visitor wrote again before anybody answered.
func TestFollowUpsWithoutReferencesStayTogether(t *testing.T) {
	r := newReading(t, nil, nil)
	first := r.one(t, mailOf("ann@example.org", "a@example.org", "Hello"))
	second := r.one(t, mailOf("ann@example.org", "b@example.org", "And", "In-Reply-To: <a@example.org>"))
	third := r.one(t, mailOf("ann@example.org", "c@example.org", "And", "In-Reply-To: <b@example.org>"))
	if first.Peer != second.Peer || second.Peer != third.Peer {
		t.Errorf("peers %q, %q, %q, want one", first.Peer, second.Peer, third.Peer)
	}
	r.cursor = parseCursor(r.cursor.encode()) // as the next look has it
	if fourth := r.one(t, mailOf("ann@example.org", "d@example.org", "And", "In-Reply-To: <c@example.org>")); fourth.Peer != first.Peer {
		t.Errorf("peer %q after the cursor was stored, want %q", fourth.Peer, first.Peer)
	}
}

// Nobody gets into somebody else's conversation: not by answering a mail of it,
// and not under the other's name without one.
func TestThreadsAreNotShared(t *testing.T) {
	r, conv, peer, answer := answeredTo(t, map[string]string{settingAuthServ: "mx.example.com"})
	failed := "Authentication-Results: mx.example.com; dmarc=fail header.from=example.org"
	tests := []struct {
		name, from string
		headers    []string
		joins      bool
		others     string
	}{
		{name: "another sender", from: "eve@example.net", headers: []string{"In-Reply-To: " + answer}, others: conv.String()},
		{name: "another sender by the root", from: "eve@example.net", headers: []string{"References: <q1@example.org>"}},
		{name: "a forged sender who saw a mail of the visitor", from: "ann@example.org", headers: []string{"In-Reply-To: <q1@example.org>", failed}},
		{name: "a forged sender with an id that is made up", from: "ann@example.org", headers: []string{"In-Reply-To: <c" + short(conv) + ".4.0000000000000@example.com>", failed}},
		{name: "a sender who is not verified but has our mail", from: "ann@example.org", headers: []string{"In-Reply-To: " + answer, failed}, joins: true},
		{name: "results of somebody else's server", from: "ann@example.org", headers: []string{
			"In-Reply-To: <q1@example.org>", "Authentication-Results: mx.example.net; dmarc=fail header.from=example.org",
		}, joins: true},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := r.one(t, mailOf(tt.from, string(rune('a'+i))+"@case.example", "Tell me more", tt.headers...))
			if joins := e.Peer == peer; joins != tt.joins || e.Metadata[metaOthers] != tt.others {
				t.Errorf("peer %q, metadata %v, want joins = %v, others = %q", e.Peer, e.Metadata, tt.joins, tt.others)
			}
			if address, _ := addressOf(e.Peer); address != tt.from {
				t.Errorf("answers go to %q, want %q", address, tt.from)
			}
		})
	}
}

func TestOwnMailsAreLeftOut(t *testing.T) {
	r, _, _, answer := answeredTo(t, nil)
	events, err := r.translate(t.Context(), []byte(mailOf("shop@example.com", strings.Trim(answer, "<>"), "Hello")), size{uid: 9})
	if err != nil || len(events) != 0 {
		t.Errorf("a copy of a mail of ours gave %v and %v, want nothing", events, err)
	}
}

// While the journal cannot be read, a reply waits; it does not begin a thread.
func TestThreadsWaitForTheStore(t *testing.T) {
	r, _, _, answer := answeredTo(t, nil)
	r.driver.o.Load = func(context.Context, conversation.ConversationID) (*conversation.State, error) {
		return nil, conversation.Refuse(conversation.CodeUnavailable, "not now")
	}
	events, err := r.translate(t.Context(), []byte(mailOf("ann@example.org", "x@example.org", "More", "In-Reply-To: "+answer)), size{uid: 9})
	if channels.ClassOf(err) != channels.Retry || len(events) != 0 {
		t.Errorf("translate gave %v and %v, want nothing and an error of class retry", events, err)
	}
}

func TestMarksAreOfOneInbox(t *testing.T) {
	key := []byte("0123456789abcdef0123456789abcdef")
	ours, theirs := marks{key, "shop"}, marks{key, "other"}
	id := conversation.ConversationID{9}
	name := ours.messageID(id, 77, "example.com")
	if got, seq, ok := ours.message(name); !ok || got != id || seq != 77 {
		t.Errorf("message(%q) = %v, %v, %v", name, got, seq, ok)
	}
	if _, _, ok := theirs.message(name); ok {
		t.Error("another inbox knows the Message-ID")
	}
	if got, ok := ours.tagged(ours.tag(id)); !ok || got != id {
		t.Errorf("tagged(tag) = %v, %v", got, ok)
	}
	if _, ok := theirs.tagged(ours.tag(id)); ok {
		t.Error("another inbox knows the tag")
	}
	if _, ok := ours.tagged(strings.TrimPrefix(strings.Split(name, "@")[0], "")); ok {
		t.Error("a Message-ID passes for a tag")
	}
	for i := range len(name) - len("@example.com") {
		changed := name[:i] + string(rune(name[i]^1)) + name[i+1:]
		if _, _, ok := ours.message(changed); ok {
			t.Errorf("message(%q) passes with byte %d changed", changed, i)
		}
	}
}
