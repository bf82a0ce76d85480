package actors

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/colloquyhq/colloquy/cluster"
	"github.com/colloquyhq/colloquy/conversation"
)

// Visitors write through all nodes while nodes are drained, brought back and
// killed: every acknowledged message is stored once, in order.
func TestNothingIsLostOrDoubledWhileConversationsMove(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		n := newNodes(t, 4, nil)
		const visitors, messages = 12, 15
		var writers sync.WaitGroup
		ids := make([]conversation.ConversationID, visitors)
		living := n.ids
		for v := range visitors {
			writers.Go(func() {
				for m := range messages {
					in := visitor(byte(v+1), fmt.Sprintf("%d", m), fmt.Sprintf("r%d", m))
					for i := 0; ; i++ {
						x := n.all[living[(v+m+i)%3]] // the fourth dies
						got, err := x.engine.Deliver(context.Background(), in)
						if err == nil {
							ids[v] = got.Conversation
							break
						}
						if !conversation.CodeOf(err).Row().Retry || i > 100 {
							t.Errorf("message %d of %d = %v", m, v, err)
							return
						}
						time.Sleep(attemptPause)
					}
					time.Sleep(time.Duration(v+1) * time.Millisecond)
				}
			})
		}
		settle(20 * time.Millisecond)
		n.drain(living[0])
		settle(30 * time.Millisecond)
		n.kill(living[3])
		settle(30 * time.Millisecond)
		n.undrain(living[0])
		settle(30 * time.Millisecond)
		n.drain(living[1])
		writers.Wait()
		for v := range visitors {
			var got []string
			for _, m := range events[conversation.MessageAccepted](t, n.journal, ids[v]) {
				got = append(got, string(m.Text))
			}
			if len(got) != messages {
				t.Errorf("visitor %d has %d messages, want %d: %v", v, len(got), messages, got)
				continue
			}
			for m := range messages {
				if got[m] != fmt.Sprint(m) {
					t.Errorf("visitor %d: %v, want them in order", v, got)
					break
				}
			}
		}
	})
}

// The answer gets lost on its way, and the sender gave no id: the second attempt
// must be recognized, and nobody shown an id that the sender never gave.
func TestMessageWithoutIDIsStoredOnceAcrossNodes(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		n := newNodes(t, 3, nil)
		id := n.send(visitor(1, "hello", "")).Conversation
		owner, other := n.ownerOf(conversationID(id))
		n.loseAnswer.Store(1)
		if _, err := other.engine.Deliver(context.Background(), visitor(1, "again", "")); err != nil {
			t.Fatal(err)
		}
		got := events[conversation.MessageAccepted](t, n.journal, id)
		if len(got) != 2 || !got[1].Ref.IsOwn() || got[1].Ref.Shown() != "" {
			t.Errorf("stored %+v, want both once, with ids that are not shown", got)
		}
		n.do(owner, id, conversation.Claim{Agent: "eve"})
		n.loseAnswer.Store(1)
		n.do(other, id, conversation.ReplyAsAgent{Agent: "eve", Text: "yes"})
		if got := events[conversation.AgentReplied](t, n.journal, id); len(got) != 1 {
			t.Errorf("the agent's reply is stored %d times, want once", len(got))
		}
		_, err := other.engine.Deliver(context.Background(), visitor(1, "forged", string(conversation.NewRef())))
		if conversation.CodeOf(err) != conversation.CodeBadRef {
			t.Errorf("an id that only we may give = %v, want bad_ref", err)
		}
	})
}

func TestQueueIsBackAfterTheLossOfItsNode(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		n := newNodes(t, 3, nil)
		n.directory.change("desk", func(i *conversation.Inbox) { i.AutoAssign = true })
		dying, living := n.ownerOf(queueID("desk"))
		living.presence("eve", conversation.PresenceOnline, time.Time{})
		dying.presence("adam", conversation.PresenceOnline, time.Time{})
		settle(time.Second)
		for i := range 6 {
			in := visitor(byte(i+1), "help", fmt.Sprint(i))
			in.Inbox = "desk"
			n.send(in)
		}
		settle(time.Second)
		v := n.queue(living)
		if v.load("eve") != 2 || v.load("adam") != 2 || len(v.Waiting) != 2 {
			t.Fatalf("before: eve %d, adam %d, %d wait; want 2, 2, 2", v.load("eve"), v.load("adam"), len(v.Waiting))
		}
		// Somebody's place becomes free while nobody keeps the books.
		dying.dead.Store(true)
		var free conversation.ConversationID
		for id := range n.journal.rows {
			if n.journal.state(t, id).Assignee == "eve" {
				free = id
			}
		}
		go func() { _, _ = living.engine.Do(context.Background(), free, conversation.Resolve{By: "eve"}) }()
		settle(100 * time.Millisecond)
		n.kill(dying.id)
		settle(2 * time.Second)
		v = n.queue(living)
		if v.load("eve") != 2 || len(v.Waiting) != 1 {
			t.Errorf("2 s after: eve has %d and %d wait; want 2 and 1", v.load("eve"), len(v.Waiting))
		}
		if p := v.presence("eve"); p != conversation.PresenceOnline {
			t.Errorf("eve is %q, want online: her node lives", p)
		}
		// adam was only on the dead node, and does not come back.
		settle(3 * time.Minute)
		if v = n.queue(living); v.load("adam") != 0 || len(v.Waiting) != 3 {
			t.Errorf("adam has %d and %d wait; want none and 3", v.load("adam"), len(v.Waiting))
		}
	})
}

// The queue's node lives, and the node of an agent dies.
func TestAgentOfADeadNodeIsMissedAfterTheGrace(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		n := newNodes(t, 3, nil)
		owner, other := n.ownerOf(queueID("desk"))
		other.presence("adam", conversation.PresenceOnline, time.Time{})
		other.presence("eve", conversation.PresenceOnline, time.Time{})
		settle(time.Second)
		n.kill(other.id)
		settle(10 * time.Second)
		owner.presence("eve", conversation.PresenceOnline, time.Time{}) // her browser has come back
		if v := n.queue(owner); v.presence("adam") != conversation.PresenceOnline {
			t.Errorf("adam is %q within the grace, want online", v.presence("adam"))
		}
		settle(10 * time.Second)
		v := n.queue(owner)
		if v.presence("adam") != conversation.PresenceOffline || v.presence("eve") != conversation.PresenceOnline {
			t.Errorf("adam is %q and eve %q, want offline and online", v.presence("adam"), v.presence("eve"))
		}
	})
}

func TestPresenceIsCountedPerNode(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		n := newNodes(t, 3, nil)
		a, b := n.all[n.ids[0]], n.all[n.ids[1]]
		now := time.Now()
		want := func(p conversation.Presence) {
			t.Helper()
			settle(time.Second)
			if got := n.queue(a).presence("eve"); got != p {
				t.Errorf("eve is %q, want %q", got, p)
			}
		}
		a.presence("eve", conversation.PresenceOnline, time.Time{})
		b.presence("eve", conversation.PresenceOnline, time.Time{})
		want(conversation.PresenceOnline)
		a.presence("eve", conversation.PresenceAway, now) // chosen, so it counts more than being there
		want(conversation.PresenceAway)
		b.presence("eve", conversation.PresenceOnline, now.Add(time.Second))
		want(conversation.PresenceOnline)
		b.presence("eve", conversation.PresenceOffline, time.Time{})
		want(conversation.PresenceAway)
		a.presence("eve", conversation.PresenceOffline, time.Time{})
		want(conversation.PresenceOffline)
	})
}

// outward starts a webhook conversation of contact c with eve.
func (n *nodes) outward(c byte) conversation.ConversationID {
	n.tb.Helper()
	in := visitor(c, "hello", fmt.Sprint("first", c))
	in.Inbox, in.Channel, in.Peer = "desk", conversation.ChannelWebhook, "peer"
	id := n.send(in).Conversation
	n.do(n.all[n.ids[0]], id, conversation.Claim{Agent: "eve"})
	return id
}

func TestCourierHandsOverWithoutSendingTwice(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		n := newNodes(t, 3, nil)
		settle(5 * time.Second)
		id := n.outward(1)
		owner, other := n.ownerOf(conversationID(id))
		n.post.by(func(conversation.Outbound, int) Attempt {
			time.Sleep(2 * time.Second) // the provider is slow
			return Attempt{Result: conversation.DeliverySent, ProviderID: "p"}
		})
		n.do(other, id, conversation.ReplyAsAgent{Agent: "eve", Text: "one"})
		n.do(other, id, conversation.ReplyAsAgent{Agent: "eve", Text: "two"})
		settle(100 * time.Millisecond)
		n.drain(owner.id)
		settle(30 * time.Second)
		if got := fmt.Sprint(n.post.tries()); got != "[one#1 two#1]" {
			t.Errorf("sent %v, want both once", got)
		}
		if rows, _ := n.journal.unsent("", 100); len(rows) != 0 {
			t.Errorf("%d rows left in the outbox", len(rows))
		}
		if sent := events[conversation.MessageSent](t, n.journal, id); len(sent) != 2 {
			t.Errorf("recorded %+v, want two", sent)
		}
		for _, x := range n.all {
			x.engine.courier.mu.Lock()
			if x.engine.courier.mu.rows != 0 {
				t.Errorf("%s still holds %d rows", x.id, x.engine.courier.mu.rows)
			}
			x.engine.courier.mu.Unlock()
		}
	})
}

func TestCourierTakesOverAtOnceFromTheDead(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		n := newNodes(t, 3, nil)
		settle(5 * time.Second)
		id := n.outward(1)
		owner, other := n.ownerOf(conversationID(id))
		n.post.by(func(conversation.Outbound, int) Attempt {
			return Attempt{Result: conversation.DeliveryPending, RetryAt: time.Now().Add(time.Hour)}
		})
		n.do(other, id, conversation.ReplyAsAgent{Agent: "eve", Text: "one"})
		settle(100 * time.Millisecond)
		n.post.by(nil)
		n.kill(owner.id)
		settle(time.Second)
		if got := fmt.Sprint(n.post.tries()); got != "[one#1 one#1]" {
			t.Errorf("sent %v, want the new owner's attempt within a second", got)
		}
		if rows, _ := n.journal.unsent("", 100); len(rows) != 0 {
			t.Errorf("%d rows left in the outbox", len(rows))
		}
	})
}

func TestOpenTurnIsTakenUpByTheNextOwner(t *testing.T) {
	for name, leave := range map[string]func(n *nodes, id cluster.NodeID){"killed": (*nodes).kill, "drained": (*nodes).drain} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				var runs atomic.Int32
				n := newNodes(t, 3, func(o *Options) {
					o.Bindings = []Binding{{Name: "slow", Inbox: "shop", Behavior: BehaviorFunc(func(ctx context.Context, turn *Turn) (conversation.Outcome, error) {
						if runs.Add(1) == 1 {
							<-ctx.Done()
							return conversation.Outcome{}, ctx.Err()
						}
						return turn.Reply("here I am"), nil
					})}}
				})
				id := n.send(visitor(1, "hello", "1")).Conversation
				owner, _ := n.ownerOf(conversationID(id))
				settle(100 * time.Millisecond)
				if got := events[conversation.ReplyComposed](t, n.journal, id); len(got) != 0 {
					t.Fatalf("replied %+v, want an open turn", got)
				}
				leave(n, owner.id)
				settle(2 * time.Second)
				if got := events[conversation.ReplyComposed](t, n.journal, id); len(got) != 1 || got[0].Text != "here I am" {
					t.Errorf("replied %+v, want one reply of the next owner", got)
				}
			})
		})
	}
}

func TestAnswersAreReadableWhereTheyWereAskedFor(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		n := newNodes(t, 3, nil)
		id := n.send(visitor(1, "hello", "1")).Conversation
		_, other := n.ownerOf(conversationID(id))
		settle(time.Second)
		other.fallBehind()
		time.AfterFunc(time.Second, other.catchUp)
		began := time.Now()
		if _, err := other.engine.Deliver(context.Background(), visitor(1, "again", "2")); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(began); d < time.Second || d > time.Second+100*time.Millisecond {
			t.Errorf("answered after %s, want when the node has caught up", d)
		}
		other.fallBehind()
		began = time.Now()
		if _, err := other.engine.Do(context.Background(), id, conversation.RequestHandover{Reason: conversation.HandoverByAgent}); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(began); d < readWait || d > readWait+100*time.Millisecond {
			t.Errorf("answered after %s, want the bound", d)
		}
		if n := other.engine.applied.count.Load(); n != 0 {
			t.Errorf("%d waits are left", n)
		}
	})
}

// A message that the closed predecessor took comes again to the successor, whose
// node did not know of it when it looked.
func TestSuccessorFindsItsPredecessorsMessages(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var hidden atomic.Bool
		n := newNodes(t, 3, func(o *Options) { o.Index = lateIndex{o.Index, &hidden} })
		first := n.send(visitor(1, "hello", "1"))
		n.do(n.all[n.ids[0]], first.Conversation, conversation.Resolve{By: "eve"})
		n.do(n.all[n.ids[0]], first.Conversation, conversation.Close{By: "eve"})
		next := n.send(visitor(1, "hello again", "2"))
		if next.Conversation == first.Conversation {
			t.Fatal("no successor")
		}
		hidden.Store(true)
		got := n.send(visitor(1, "hello", "1"))
		if !got.Duplicate || got.Conversation != first.Conversation || got.Seq != first.Seq {
			t.Errorf("receipt %+v, want the first one's %+v", got, first)
		}
		if got := events[conversation.MessageAccepted](t, n.journal, next.Conversation); len(got) != 1 {
			t.Errorf("the successor has %+v, want its own message only", got)
		}
	})
}

// lateIndex does not find what it is asked for the first time.
type lateIndex struct {
	Index

	hidden *atomic.Bool
}

// FindRef implements [Index].
func (l lateIndex) FindRef(ctx context.Context, key conversation.ContactKey, ref conversation.Ref) (conversation.ConversationID, conversation.Seq, error) {
	if l.hidden.CompareAndSwap(true, false) {
		return conversation.ConversationID{}, 0, nil
	}
	return l.Index.FindRef(ctx, key, ref)
}

func TestDueTimersAreLookedForPastThoseOfOthers(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var listed atomic.Pointer[[]conversation.ConversationID]
		listed.Store(&[]conversation.ConversationID{})
		n := newNodes(t, 2, func(o *Options) { o.Lists = dueRows{o.Lists, &listed} })
		x := n.all[n.ids[0]]
		var rows []conversation.ConversationID
		for i := range 3 * dueBatch {
			id := conversation.ConversationID{byte(i), byte(i >> 8), 1}
			if !x.engine.has(id) {
				rows = append(rows, id)
			}
		}
		foreign := len(rows)
		for i := 0; len(rows) == foreign; i++ {
			if id := (conversation.ConversationID{byte(i), 2}); x.engine.has(id) {
				rows = append(rows, id)
			}
		}
		if foreign <= dueBatch {
			t.Fatalf("%d rows of the other node, want more than a batch", foreign)
		}
		listed.Store(&rows)
		got, err := x.engine.due(context.Background(), time.Now())
		if err != nil || len(got) != 1 || got[0] != rows[foreign] {
			t.Errorf("due = %v, %v; want the one of this node", got, err)
		}
	})
}

type dueRows struct {
	Lists

	rows *atomic.Pointer[[]conversation.ConversationID]
}

// Due implements [Lists].
func (d dueRows) Due(_ context.Context, _ time.Time, limit int) ([]conversation.ConversationID, error) {
	rows := *d.rows.Load()
	return slices.Clone(rows[:min(limit, len(rows))]), nil
}

func TestQueueReadsAgainWhatItMissed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		n := newNodes(t, 3, nil)
		owner, other := n.ownerOf(queueID("desk"))
		n.queue(other)
		n.journal.mu.Lock()
		n.journal.watch = nil // the stream is cut
		n.journal.mu.Unlock()
		in := visitor(1, "help", "1")
		in.Inbox = "desk"
		got, err := owner.engine.Deliver(context.Background(), in)
		if err != nil && !errors.Is(err, conversation.ErrUnknown) {
			t.Fatal(err)
		}
		synctest.Wait()
		if v := n.queue(other); len(v.Waiting) != 0 {
			t.Fatalf("the books know of a commit that went by: %+v", v)
		}
		owner.engine.CommitsLost()
		synctest.Wait()
		if v := n.queue(other); len(v.Waiting) != 1 || v.Waiting[0].ID != got.Conversation {
			t.Errorf("waiting = %+v, want the conversation", v.Waiting)
		}
	})
}
