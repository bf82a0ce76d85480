package gateway

import (
	"context"
	"errors"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway/wire"
)

// onAgentFrame acts on a frame of an agent. Every command names a
// conversation, and the agent must be allowed to see it.
func (c *conn) onAgentFrame(id *agentID, frame wire.ClientFrame) {
	me := id.agent.ID
	switch f := frame.(type) {
	case *wire.Send:
		c.onAgentReply(me, f)
	case *wire.Note:
		c.agentMessage(f.Reference(), f.Conversation, checkText(f.Text), conversation.AddNote{Agent: me, Ref: f.ClientID, Text: f.Text})
	case *wire.Read:
		c.agentCommand(f.Ref, f.Conversation, conversation.MarkRead{By: conversation.PartyAgent, Agent: me, UpTo: f.Seq})
	case *wire.Claim:
		c.agentCommand(f.Ref, f.Conversation, conversation.Claim{Agent: me})
	case *wire.Assign:
		c.onAssign(me, f)
	case *wire.Resolve:
		c.agentCommand(f.Ref, f.Conversation, conversation.Resolve{By: me, Reason: f.Reason})
	case *wire.Reopen:
		c.agentCommand(f.Ref, f.Conversation, conversation.Reopen{By: me})
	case *wire.Snooze:
		c.agentCommand(f.Ref, f.Conversation, conversation.Snooze{By: me, Until: f.Until})
	case *wire.Handover:
		c.agentCommand(f.Ref, f.Conversation, conversation.RequestHandover{Reason: conversation.HandoverByAgent, Detail: f.Detail, By: me})
	case *wire.Typing:
		c.onAgentTyping(me, f)
	case *wire.Subscribe:
		c.onSubscribe(id, f)
	case *wire.Unsubscribe:
		c.onUnsubscribe(f)
	case *wire.SetPresence:
		c.onPresence(id, f)
	case *wire.Ping:
		c.send(&wire.Pong{Ref: f.Ref})
	case *wire.Hello, *wire.Delivered:
		c.refuse(frame.Reference(), conversation.Refuse(conversation.CodeForbidden, frame.Type()+" is for visitors"))
	}
}

func (c *conn) onAgentReply(me conversation.AgentID, f *wire.Send) {
	reply := conversation.ReplyAsAgent{Agent: me, Ref: f.ClientID, Text: f.Text}
	if len(f.Attachments) > 0 {
		ctx, cancel := context.WithTimeout(c.gw.background(), c.gw.limits.RequestTimeout)
		defer cancel()
		var err error
		if reply.Attachments, err = c.gw.agentFiles(ctx, me, f.Conversation, f.Attachments); err != nil {
			c.refuse(f.Reference(), err)
			return
		}
	}
	c.agentMessage(f.Reference(), f.Conversation, checkSaid(f.Text, len(f.Attachments)), reply)
}

func (c *conn) agentMessage(ref string, id conversation.ConversationID, err error, cmd conversation.Command) {
	if err == nil {
		err = c.visible(id)
	}
	if err != nil {
		c.refuse(ref, err)
		return
	}
	if !c.begin(ref) {
		return
	}
	began := time.Now()
	c.gw.opts.Conversations.DoAsync(id, cmd, func(r conversation.Receipt, err error) {
		r.Conversation = id
		c.acknowledge(conversation.Ref(ref), began, r, err)
	})
}

func (c *conn) agentCommand(ref string, id conversation.ConversationID, cmd conversation.Command) {
	if err := c.visible(id); err != nil {
		c.refuse(ref, err)
		return
	}
	c.command(ref, id, cmd)
}

func (c *conn) onAssign(me conversation.AgentID, f *wire.Assign) {
	ctx, cancel := context.WithTimeout(c.gw.background(), c.gw.limits.RequestTimeout)
	defer cancel()
	head, err := c.headOf(ctx, f.Conversation)
	if err == nil {
		err = c.gw.checkAssignee(f.To, head.Inbox)
	}
	if err != nil {
		c.refuse(f.Ref, err)
		return
	}
	c.command(f.Ref, f.Conversation, conversation.Assign{To: f.To, By: me})
}

// visible refuses conversations that the agent may not see. Those that the
// connection follows have been checked already.
func (c *conn) visible(id conversation.ConversationID) error {
	if id.IsZero() {
		return conversation.Refuse(conversation.CodeBadFrame, "conversation_id is missing")
	}
	if c.following(id) != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(c.gw.background(), c.gw.limits.RequestTimeout)
	defer cancel()
	_, err := c.headOf(ctx, id)
	return err
}

func (c *conn) following(id conversation.ConversationID) *follow {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.followed(id)
}

// onAgentTyping passes typing on, in conversations that the connection
// follows: who types has them open.
func (c *conn) onAgentTyping(me conversation.AgentID, f *wire.Typing) {
	fl := c.following(f.Conversation)
	if fl == nil || !c.mayType(f) {
		return
	}
	c.tell(TypingChange{
		Conversation: f.Conversation, Inbox: fl.with.Inbox, Contact: fl.with.Contact, From: conversation.PartyAgent, Agent: me, On: f.On,
	})
}

func (c *conn) onSubscribe(id *agentID, f *wire.Subscribe) {
	if f.Inbox != "" {
		c.subscribeInbox(id, f)
		return
	}
	ctx, cancel := context.WithTimeout(c.gw.background(), c.gw.limits.RequestTimeout)
	defer cancel()
	w, err := c.watch(ctx, f.Conversation, f.After)
	switch {
	case err != nil && f.After != nil && errors.Is(err, conversation.ErrUnavailable):
		c.close(wire.CloseStale) // it comes back, with its cursors
		return
	case err != nil:
		c.refuse(f.Ref, err)
		return
	}
	if f.After != nil {
		c.continueBehind(ctx, w, *f.After)
	}
	if f.Ref != "" {
		c.send(&wire.Done{Ref: f.Ref, Conversation: f.Conversation, Version: w.head.Version, Status: w.head.Status})
	}
}

func (c *conn) subscribeInbox(id *agentID, f *wire.Subscribe) {
	_, err := c.gw.opts.Inboxes.Inbox(f.Inbox)
	if err != nil || !id.agent.MaySee(f.Inbox) {
		c.refuse(f.Ref, conversation.Refuse(conversation.CodeNotFound, "there is no such inbox"))
		return
	}
	c.mu.Lock()
	if c.mu.desk == nil {
		c.mu.desk = &desk{inboxes: make(map[conversation.InboxID]struct{})}
	}
	full := len(c.mu.desk.inboxes) >= c.gw.limits.Subscriptions
	if !full {
		c.mu.desk.inboxes[f.Inbox] = struct{}{}
	}
	c.mu.Unlock()
	if full {
		c.refuse(f.Ref, conversation.Refusef(conversation.CodeOverloaded, "a connection follows at most %d inboxes", c.gw.limits.Subscriptions))
		return
	}
	c.gw.hub.inboxes.add(f.Inbox, c)
	if f.Ref != "" {
		c.send(&wire.Done{Ref: f.Ref})
	}
}

func (c *conn) onUnsubscribe(f *wire.Unsubscribe) {
	if f.Inbox != "" {
		c.mu.Lock()
		if c.mu.desk != nil {
			delete(c.mu.desk.inboxes, f.Inbox)
		}
		c.mu.Unlock()
		c.gw.hub.inboxes.remove(f.Inbox, c)
	} else if fl := c.following(f.Conversation); fl != nil {
		c.mu.Lock()
		c.dropFollow(fl)
		c.mu.Unlock()
		fl.stop()
		c.gw.hub.watcherShard(fl.id).remove(fl.id, fl)
	}
	if f.Ref != "" {
		c.send(&wire.Done{Ref: f.Ref, Conversation: f.Conversation})
	}
}

func (c *conn) onPresence(id *agentID, f *wire.SetPresence) {
	if now, changed := c.gw.presences.set(id.agent.ID, f.State, time.Now()); changed {
		c.gw.tellPresence(now)
	}
	if f.Ref != "" {
		c.send(&wire.Done{Ref: f.Ref})
	}
}
