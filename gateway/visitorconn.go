package gateway

import (
	"context"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway/loop"
	"github.com/colloquyhq/colloquy/gateway/wire"
	"github.com/colloquyhq/colloquy/telemetry/probe"
)

// typingEvery is how often typing is passed on; more says nothing new.
const typingEvery = 500 * time.Millisecond

// onVisitorFrame acts on a frame of a visitor. Who they are comes from their
// token, never from the frame.
func (c *conn) onVisitorFrame(v *visitorID, frame wire.ClientFrame) {
	switch f := frame.(type) {
	case *wire.Send:
		c.onVisitorMessage(v, f)
	case *wire.Read:
		c.visitorCommand(f.Ref, f.Conversation, conversation.MarkRead{By: conversation.PartyVisitor, UpTo: f.Seq})
	case *wire.Delivered:
		c.visitorCommand(f.Ref, f.Conversation, conversation.MarkDelivered{UpTo: f.Seq})
	case *wire.Handover:
		c.visitorCommand(f.Ref, f.Conversation, conversation.RequestHandover{Reason: conversation.HandoverAsked, Detail: f.Detail})
	case *wire.Typing:
		c.onVisitorTyping(v, f)
	case *wire.Ping:
		c.send(&wire.Pong{Ref: f.Ref})
	case *wire.Hello, *wire.Note, *wire.Claim, *wire.Assign, *wire.Resolve, *wire.Reopen, *wire.Snooze,
		*wire.Subscribe, *wire.Unsubscribe, *wire.SetPresence:
		c.refuse(frame.Reference(), conversation.Refuse(conversation.CodeForbidden, frame.Type()+" is for agents"))
	}
}

// onVisitorMessage hands a message in. The ack is sent by the callback, which
// runs when the message is durable.
func (c *conn) onVisitorMessage(v *visitorID, f *wire.Send) {
	if !f.Conversation.IsZero() && !c.owns(f.Conversation) {
		c.refuse(f.Reference(), errNoConversation())
		return
	}
	files, err := c.visitorFiles(v, f)
	if err != nil {
		c.refuse(f.Reference(), err)
		return
	}
	if !c.begin(f.Reference()) {
		return
	}
	began := time.Now()
	in := conversation.Inbound{
		Inbox: v.inbox, Channel: conversation.ChannelWeb, Contact: v.contact, Ref: f.ClientID, Text: f.Text,
		Attachments: files,
	}
	c.gw.opts.Conversations.DeliverAsync(in, func(r conversation.Receipt, err error) {
		if err == nil {
			c.setCurrent(r.Conversation)
		}
		c.acknowledge(f.ClientID, began, r, err)
	})
}

// visitorFiles checks what a message says, and finds its files.
func (c *conn) visitorFiles(v *visitorID, f *wire.Send) ([]conversation.Attachment, error) {
	if err := checkSaid(f.Text, len(f.Attachments)); err != nil || len(f.Attachments) == 0 {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(c.gw.background(), c.gw.limits.RequestTimeout)
	defer cancel()
	return c.gw.visitorFiles(ctx, v, f.Attachments)
}

// acknowledge answers a message. It runs on a goroutine of the callee and
// does not block.
func (c *conn) acknowledge(ref conversation.Ref, began time.Time, r conversation.Receipt, err error) {
	defer c.end()
	if err != nil {
		c.refuse(string(ref), err)
		return
	}
	c.gw.metrics.ackTime.Observe(time.Since(began).Seconds())
	c.send(ackOf(ref, r))
}

func ackOf(ref conversation.Ref, r conversation.Receipt) *wire.Ack {
	return &wire.Ack{
		ClientID: ref, Conversation: r.Conversation, MessageID: conversation.MessageID(r.Conversation, r.Seq),
		Seq: r.Seq, At: r.At, Durable: true, Duplicate: r.Duplicate,
	}
}

// visitorCommand hands in a command for a conversation of the visitor's; the
// zero id means the one they are in.
func (c *conn) visitorCommand(ref string, id conversation.ConversationID, cmd conversation.Command) {
	if id.IsZero() {
		id = c.current()
	}
	if id.IsZero() || !c.owns(id) {
		c.refuse(ref, errNoConversation())
		return
	}
	c.command(ref, id, cmd)
}

// command hands a command in and answers when it is done.
func (c *conn) command(ref string, id conversation.ConversationID, cmd conversation.Command) {
	if !c.begin(ref) {
		return
	}
	c.gw.opts.Conversations.DoAsync(id, cmd, func(r conversation.Receipt, err error) {
		defer c.end()
		switch {
		case err != nil:
			c.refuse(ref, err)
		case ref != "":
			status := r.Status
			if c.side == visitorSide {
				status = wire.VisitorStatus(status)
			}
			c.send(&wire.Done{Ref: ref, Conversation: id, Version: r.Version, Status: status})
		}
	})
}

func (c *conn) onVisitorTyping(v *visitorID, f *wire.Typing) {
	id := f.Conversation
	if id.IsZero() {
		id = c.current()
	}
	if id.IsZero() || !c.mayType(f) || !c.owns(id) {
		return
	}
	t := TypingChange{Conversation: id, Inbox: v.inbox, Contact: v.contact, From: conversation.PartyVisitor, On: f.On}
	c.tell(t)
}

func (c *conn) tell(t TypingChange) { c.gw.tell(t, c) }

// tell shows typing to this node's connections but the one that it comes from,
// and to the other nodes.
func (g *Gateway) tell(t TypingChange, from *conn) {
	g.hub.typing(t, from)
	if g.opts.Relay != nil {
		g.relay(relayTyping, encodeTyping(t))
	}
}

// mayType thins typing out; that it stopped passes once.
func (c *conn) mayType(f *wire.Typing) bool {
	now := max(c.gw.group.Now(), 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.On && c.typed != 0 && now.Sub(c.typed) < typingEvery || !f.On && c.typed == 0 {
		return false
	}
	if f.On {
		c.typed = now
	} else {
		c.typed = 0
	}
	return true
}

func (c *conn) current() conversation.ConversationID {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.current
}

func (c *conn) setCurrent(id conversation.ConversationID) {
	c.mu.Lock()
	c.mu.current = id
	c.mu.Unlock()
	// Also when it is the same one: who looks on may have come since.
	if probe.ConnJoinWatched() {
		if cookie := loop.Cookie(c.link); cookie != 0 {
			probe.ConnJoin(id, cookie)
		}
	}
}

// owns reports whether a conversation is the visitor's. Most frames are about
// the current one, which is known to be.
func (c *conn) owns(id conversation.ConversationID) bool {
	if id == c.current() {
		return true
	}
	ctx, cancel := context.WithTimeout(c.gw.background(), c.gw.limits.RequestTimeout)
	defer cancel()
	_, err := c.headOf(ctx, id)
	return err == nil
}
