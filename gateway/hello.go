package gateway

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway/wire"
)

// agentShare is how many times the connections of a visitor an agent may have.
const agentShare = 4

// onHello makes the connection somebody's.
func (c *conn) onHello(f *wire.Hello) {
	if f.V != wire.Version {
		c.close(wire.CloseBadRequest)
		return
	}
	who, code := c.authenticate(f.Token)
	if code == 0 {
		code = c.bind(who)
	}
	if code != 0 {
		c.close(code)
		return
	}
	c.opening = nil
	ctx, cancel := context.WithTimeout(c.gw.background(), c.gw.limits.RequestTimeout)
	defer cancel()
	welcome := &wire.Welcome{
		Session: c.session(), Epoch: c.gw.opts.Epoch,
		HeartbeatMS: c.gw.limits.Heartbeat.Milliseconds(), MaxFrame: c.maxFrame(),
	}
	if who.agent == nil {
		c.welcomeVisitor(ctx, &who.visitorID, welcome, f.Resume)
		return
	}
	c.welcomeAgent(who.agent, welcome)
	if f.Resume != nil {
		c.resume(f.Resume, func(id conversation.ConversationID, cursor conversation.Seq) bool {
			return c.resumeWatch(ctx, id, cursor)
		})
	}
}

// authenticate finds out who speaks: the token in hello, else what came with
// the upgrade.
func (c *conn) authenticate(token string) (*identity, wire.CloseCode) {
	now := time.Now()
	who := c.opening.claimed
	var err error
	switch {
	case token == "" && who == nil:
		return nil, wire.CloseInvalidToken
	case token == "":
	case c.side == visitorSide:
		who, err = c.gw.identifyVisitor(token, now)
	default:
		who, err = c.gw.identifyAgent(token, now)
	}
	if err != nil {
		if conversation.CodeOf(err) == conversation.CodeTokenExpired {
			return nil, wire.CloseExpired
		}
		return nil, wire.CloseInvalidToken
	}
	if who.agent == nil && c.opening.origin != "" && !c.originFits(who.inbox) {
		return nil, wire.CloseForbidden
	}
	return who, 0
}

func (c *conn) originFits(inbox conversation.InboxID) bool {
	in, err := c.gw.opts.Inboxes.Inbox(inbox)
	return err == nil && allowsOrigin(&in, c.opening.origin, c.opening.sameOri)
}

// bind makes the connection its owner's, and counts it.
func (c *conn) bind(who *identity) wire.CloseCode {
	limit := c.gw.limits.ConnectionsPerIdentity
	if who.agent == nil {
		if !c.gw.hub.count(c, who, limit) {
			return wire.CloseConnectionLimit
		}
		return 0
	}
	if !c.gw.agents.enter(who.agent.agent.ID, c, limit*agentShare) {
		return wire.CloseConnectionLimit
	}
	c.who.Store(who)
	return 0
}

// unbind undoes bind and presence.
func (g *Gateway) unbind(c *conn) {
	if who := c.who.Load(); who != nil && who.agent != nil {
		g.agents.leave(who.agent.agent.ID, c)
		g.presences.depart(who.agent.agent.ID, time.Now())
	}
}

// welcomeVisitor says hello and makes the connection reachable.
//
// The follows are made before that, each waiting behind its cursor, or behind
// the version that welcome tells: whatever is committed from then on comes
// through the connection, once and in order.
func (c *conn) welcomeVisitor(ctx context.Context, v *visitorID, w *wire.Welcome, r *wire.Resume) {
	w.Contact = v.contact
	head, known := c.currentHead(ctx, v)
	if known {
		c.setCurrent(head.ID)
		w.Conversation = wire.VisitorHead(head, c.gw.agentName)
	}
	c.send(w)
	heads, err := c.resumable(ctx, r)
	if err != nil {
		c.close(wire.CloseStale) // it comes back, with its cursors
		return
	}
	var current *follow
	if known {
		current, _ = c.followOwnAfter(head.ID, head.Version)
	}
	c.gw.hub.enter(v, c)
	if r != nil {
		c.resume(r, func(id conversation.ConversationID, _ conversation.Seq) bool {
			if _, ok := heads[id]; !ok {
				return c.notAvailable(id)
			}
			return c.caughtUp(ctx, c.followOwn(id))
		})
	}
	if _, resumed := heads[head.ID]; current != nil && !resumed {
		current.catchUp(ctx, c.gw.limits.Missed)
	}
	if !known {
		c.findBegun(ctx, v)
	}
}

// resumable finds the conversations whose cursors can be served, and begins to
// follow them. Errors: class unavailable when this node has not caught up with
// what the visitor has seen.
func (c *conn) resumable(ctx context.Context, r *wire.Resume) (map[conversation.ConversationID]conversation.Head, error) {
	heads := make(map[conversation.ConversationID]conversation.Head)
	if r == nil || !c.sameEpoch(r) {
		return heads, nil
	}
	doubts := 0
	for id, cursor := range r.Cursors {
		if len(heads) >= maxVisitorFollows/2 {
			break
		}
		h, err := c.headOf(ctx, id)
		if (err != nil || cursor > h.Version) && doubts < maxVisitorFollows/2 {
			doubts++
			h, err = c.headAt(ctx, id, cursor)
		}
		if errors.Is(err, conversation.ErrUnavailable) {
			return nil, err
		}
		if err == nil && cursor <= h.Version {
			heads[id] = h
			_, _ = c.followOwnAfter(id, cursor)
		}
	}
	return heads, nil
}

// currentHead looks up the conversation that a visitor is in.
func (c *conn) currentHead(ctx context.Context, v *visitorID) (conversation.Head, bool) {
	id, err := c.gw.opts.Contacts.Current(ctx, v.key())
	if err != nil || id.IsZero() {
		return conversation.Head{}, false
	}
	head, err := c.gw.present(ctx, id)
	return head, err == nil
}

// findBegun looks again for a conversation, which may have begun after the
// first look and before the registration.
func (c *conn) findBegun(ctx context.Context, v *visitorID) {
	head, ok := c.currentHead(ctx, v)
	if !ok {
		return
	}
	c.setCurrent(head.ID)
	if f, mine := c.followOwnAfter(head.ID, 0); mine {
		f.catchUp(ctx, c.gw.limits.Missed)
	}
}

func (c *conn) welcomeAgent(id *agentID, w *wire.Welcome) {
	a := id.agent
	w.Agent = profileOf(a)
	c.send(w)
	if now, changed := c.gw.presences.arrive(a); changed {
		c.gw.tellPresence(now)
	}
}

func profileOf(a conversation.Agent) *wire.Profile {
	return &wire.Profile{ID: a.ID, Name: a.Name, Email: a.Email, Role: a.Role, Inboxes: a.Inboxes, Capacity: a.Capacity}
}

func (c *conn) sameEpoch(r *wire.Resume) bool { return r.Epoch == "" || r.Epoch == c.gw.opts.Epoch }

// resume serves the cursors of an earlier connection, one after the other.
func (c *conn) resume(r *wire.Resume, one func(conversation.ConversationID, conversation.Seq) bool) {
	if !c.sameEpoch(r) {
		c.gw.metrics.resumes.WithLabelValues(string(wire.ResetEpochChanged)).Inc()
		c.send(&wire.Reset{Reason: wire.ResetEpochChanged})
		c.send(&wire.Resumed{})
		return
	}
	complete := true
	ids := slices.SortedFunc(maps.Keys(r.Cursors), func(a, b conversation.ConversationID) int {
		return slices.Compare(a[:], b[:])
	})
	for _, id := range ids {
		complete = one(id, r.Cursors[id]) && complete
	}
	c.send(&wire.Resumed{Complete: complete})
}

// resumeWatch makes an agent's connection follow a conversation from a cursor.
// What the agent may not see does not exist for them.
func (c *conn) resumeWatch(ctx context.Context, id conversation.ConversationID, cursor conversation.Seq) bool {
	w, err := c.watch(ctx, id, &cursor)
	switch {
	case errors.Is(err, conversation.ErrUnavailable):
		c.close(wire.CloseStale) // it comes back, with its cursors
		return false
	case err != nil:
		return c.notAvailable(id)
	}
	return c.continueBehind(ctx, w, cursor)
}

// continueBehind sends what follows a cursor. A cursor from the future is of
// another log, or forged.
func (c *conn) continueBehind(ctx context.Context, w watched, cursor conversation.Seq) bool {
	switch {
	case !w.behind: // the connection is there already
		return true
	case cursor > w.head.Version:
		return w.follow.reset(wire.ResetNotAvailable)
	}
	return c.caughtUp(ctx, w.follow)
}

func (c *conn) notAvailable(id conversation.ConversationID) bool {
	c.gw.metrics.resumes.WithLabelValues(string(wire.ResetNotAvailable)).Inc()
	c.send(&wire.Reset{Reason: wire.ResetNotAvailable, Conversation: id})
	return false
}

func (c *conn) caughtUp(ctx context.Context, f *follow) bool {
	if !f.catchUp(ctx, c.gw.limits.Missed) {
		return false
	}
	c.gw.metrics.resumes.WithLabelValues(resumeComplete).Inc()
	return true
}

// watched is a follow with what was known when it was registered.
type watched struct {
	follow *follow
	head   conversation.Head // not older than what the stream will bring
	behind bool              // it waits behind a cursor for catchUp, which is the caller's duty
}

// watch registers an agent's connection for a conversation, behind a cursor if
// there is one.
func (c *conn) watch(ctx context.Context, id conversation.ConversationID, after *conversation.Seq) (watched, error) {
	var least conversation.Seq
	if after != nil {
		least = *after
	}
	head, err := c.headAt(ctx, id, least)
	if err != nil {
		return watched{}, err
	}
	f, err := c.remembered(id, head)
	if err != nil {
		return watched{}, err
	}
	w := watched{follow: f}
	if after != nil {
		w.behind = f.startAfter(*after)
	} else {
		f.startLive(head.Version)
	}
	c.gw.hub.watcherShard(id).add(id, f)
	if w.head, err = c.gw.present(ctx, id); err != nil {
		f.giveUp()
	}
	return w, err
}

func (c *conn) remembered(id conversation.ConversationID, head conversation.Head) (*follow, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.followed(id); f != nil {
		return f, nil
	}
	n := 0
	for f := c.mu.follows; f != nil; f = f.next {
		n++
	}
	if n >= c.gw.limits.Subscriptions {
		return nil, conversation.Refusef(conversation.CodeOverloaded, "a connection follows at most %d conversations", c.gw.limits.Subscriptions)
	}
	f := &follow{conn: c, id: id, with: &conversation.ContactKey{Inbox: head.Inbox, Contact: head.Contact}}
	f.next, c.mu.follows = c.mu.follows, f
	return f, nil
}

// headOf gives the summary of a conversation that the connection's owner may
// see. Unknown and foreign ones are the same error. An agent may know of a
// conversation before this node does; a visitor's are looked for by headAt.
func (c *conn) headOf(ctx context.Context, id conversation.ConversationID) (conversation.Head, error) {
	if c.side == agentSide {
		return c.headAt(ctx, id, 0)
	}
	head, err := c.gw.present(ctx, id)
	return c.allowed(head, err)
}

// headAt is headOf for somebody who has seen a version of the conversation.
func (c *conn) headAt(ctx context.Context, id conversation.ConversationID, seen conversation.Seq) (conversation.Head, error) {
	head, err := c.gw.head(ctx, id, seen)
	return c.allowed(head, err)
}

func (c *conn) allowed(head conversation.Head, err error) (conversation.Head, error) {
	if err != nil {
		return conversation.Head{}, err
	}
	who := c.who.Load()
	if who.agent == nil {
		if head.Inbox != who.inbox || head.Contact != who.contact {
			return conversation.Head{}, errNoConversation()
		}
		return head, nil
	}
	if !who.agent.agent.MaySee(head.Inbox) {
		return conversation.Head{}, errNoConversation()
	}
	return head, nil
}

func errNoConversation() error {
	return conversation.Refuse(conversation.CodeNotFound, "there is no such conversation")
}
