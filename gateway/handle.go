package gateway

import (
	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway/wire"
)

// handle reads one frame and acts on it, or leaves that to the crew when it may
// take time; the frames behind it wait then, and nothing more is read.
func (c *conn) handle(data []byte) {
	frame, err := wire.Decode(data)
	if err != nil {
		c.gw.metrics.frameIn("invalid")
		c.onBadFrame(err)
		return
	}
	c.gw.metrics.frameIn(frame.Type())
	if c.mayBlock(frame) {
		c.hold(frame)
		return
	}
	c.act(frame)
}

// mayBlock reports whether acting on a frame may read the journal or ask other
// nodes. Frames about what a connection follows do not: it has been allowed to
// see that.
func (c *conn) mayBlock(frame wire.ClientFrame) bool {
	who := c.who.Load()
	if who == nil {
		_, hello := frame.(*wire.Hello)
		return hello
	}
	var about conversation.ConversationID
	switch f := frame.(type) {
	case *wire.Hello, *wire.Ping, *wire.SetPresence, *wire.Unsubscribe:
		return false
	case *wire.Assign:
		return true
	case *wire.Subscribe:
		return f.Inbox == ""
	case *wire.Send:
		if len(f.Attachments) > 0 {
			return true
		}
		about = f.Conversation
	case *wire.Note:
		about = f.Conversation
	case *wire.Read:
		about = f.Conversation
	case *wire.Delivered:
		about = f.Conversation
	case *wire.Claim:
		about = f.Conversation
	case *wire.Resolve:
		about = f.Conversation
	case *wire.Reopen:
		about = f.Conversation
	case *wire.Snooze:
		about = f.Conversation
	case *wire.Handover:
		about = f.Conversation
	case *wire.Typing:
		about = f.Conversation
	}
	if who.agent == nil {
		return !about.IsZero() && about != c.current()
	}
	return !about.IsZero() && c.following(about) == nil
}

// act does what a frame asks for.
func (c *conn) act(frame wire.ClientFrame) {
	who := c.who.Load()
	switch hello, isHello := frame.(*wire.Hello); {
	case who == nil && isHello:
		c.onHello(hello)
	case who == nil:
		c.close(wire.CloseBadRequest)
	case isHello:
		c.refuse("", conversation.Refuse(conversation.CodeBadFrame, "hello was said already"))
	case who.agent != nil:
		c.onAgentFrame(who.agent, frame)
	default:
		c.onVisitorFrame(&who.visitorID, frame)
	}
}

func (c *conn) onBadFrame(err error) {
	if c.who.Load() == nil {
		c.close(wire.CloseBadRequest)
		return
	}
	c.refuse(frameRef(err), err)
}

// refuse answers a frame with an error.
func (c *conn) refuse(ref string, err error) {
	c.send(&wire.Error{Ref: ref, Problem: c.gw.problem(err, c.session())})
}

// begin counts a command that will be answered later; false when too many are.
func (c *conn) begin(ref string) bool {
	if int(c.inFlight.Add(1)) <= c.gw.limits.InFlight {
		return true
	}
	c.inFlight.Add(-1)
	c.refuse(ref, conversation.Refusef(conversation.CodeOverloaded, "%d commands of this connection wait for their answer", c.gw.limits.InFlight))
	return false
}

func (c *conn) end() { c.inFlight.Add(-1) }
