package actors

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/colloquyhq/colloquy/conversation"
)

// waits puts a conversation of contact n into the queue of "desk".
func (r *rig) waits(n byte, priority conversation.Priority) conversation.ConversationID {
	r.tb.Helper()
	in := anna("help")
	in.Inbox, in.Contact[0] = "desk", n
	id := r.deliver(in).Conversation
	if priority != "" {
		r.do(id, conversation.ChangePriority{To: priority})
	}
	return id
}

func (r *rig) presence(agent conversation.AgentID, p conversation.Presence, capacity int) {
	r.engine.SetPresence(conversation.PresenceChange{Agent: agent, Presence: p, Inboxes: []conversation.InboxID{"desk"}, Capacity: capacity})
}

func (r *rig) queue() *QueueView {
	r.tb.Helper()
	v, err := r.engine.Queue(context.Background(), "desk")
	if err != nil {
		r.tb.Fatal(err)
	}
	return v
}

// order gives who waits, first served first.
func (v *QueueView) order() []conversation.ConversationID {
	var out []conversation.ConversationID
	for _, w := range v.Waiting {
		out = append(out, w.ID)
	}
	return out
}

func (v *QueueView) load(agent conversation.AgentID) int {
	for _, s := range v.Seats {
		if s.Agent == agent {
			return s.Load
		}
	}
	return 0
}

func newDesk(t *testing.T, options func(*Options)) *rig {
	t.Helper()
	r := newRig(t, options)
	r.directory.change("desk", func(i *conversation.Inbox) { i.AutoAssign = true })
	return r
}

func TestQueueOrdersByPriorityThenWait(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		var ids []conversation.ConversationID
		for i, p := range []conversation.Priority{"", conversation.PriorityHigh, "", conversation.PriorityUrgent, conversation.PriorityHigh} {
			ids = append(ids, r.waits(byte(i+1), p))
			time.Sleep(time.Second)
		}
		want := []conversation.ConversationID{ids[3], ids[1], ids[4], ids[0], ids[2]}
		if got := r.queue().order(); !slices.Equal(got, want) {
			t.Errorf("order = %v, want %v", got, want)
		}
		r.do(ids[3], conversation.Claim{Agent: "eve"})
		r.do(ids[0], conversation.Resolve{By: "eve"})
		v := r.queue()
		if got := v.order(); !slices.Equal(got, []conversation.ConversationID{ids[1], ids[4], ids[2]}) || v.load("eve") != 1 {
			t.Errorf("after claim and resolve: %v, load %d", got, v.load("eve"))
		}
		if n := r.metric("colloquy_queue_waiting", "desk"); n != 3 {
			t.Errorf("waiting = %v, want 3", n)
		}
		r.restart()
		after := r.queue()
		if fmt.Sprint(after.Waiting) != fmt.Sprint(v.Waiting) || after.load("eve") != 1 {
			t.Errorf("rebuilt books %+v, want %+v", after, v)
		}
	})
}

func TestLeastBusyAgentGetsTheWork(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newDesk(t, nil)
		r.presence("adam", conversation.PresenceOnline, 4)
		r.presence("eve", conversation.PresenceOnline, 2)
		r.presence("paul", conversation.PresenceAway, 9)
		for i := range 8 {
			r.waits(byte(i+1), "")
			synctest.Wait()
		}
		v := r.queue()
		if v.load("adam") != 4 || v.load("eve") != 2 || v.load("paul") != 0 || len(v.Waiting) != 2 {
			t.Errorf("loads %d, %d, %d with %d waiting; want 4, 2, 0 and 2", v.load("adam"), v.load("eve"), v.load("paul"), len(v.Waiting))
		}
		r.presence("paul", conversation.PresenceOnline, 9)
		synctest.Wait()
		if v := r.queue(); v.load("paul") != 2 || len(v.Waiting) != 0 {
			t.Errorf("paul has %d, %d wait; want 2 and none", v.load("paul"), len(v.Waiting))
		}
		if n := r.metric("colloquy_queue_agents_online", "desk"); n != 3 {
			t.Errorf("agents online = %v, want 3", n)
		}
	})
}

func TestPlaceThatBecomesFreeIsGiven(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newDesk(t, nil)
		r.presence("eve", conversation.PresenceOnline, 1)
		first, second := r.waits(1, ""), r.waits(2, "")
		synctest.Wait()
		if a := r.journal.state(t, first).Assignee; a != "eve" {
			t.Fatalf("the first has %q, want eve", a)
		}
		r.do(first, conversation.Resolve{By: "eve"})
		synctest.Wait()
		if a := r.journal.state(t, second).Assignee; a != "eve" {
			t.Errorf("the second has %q, want eve", a)
		}
	})
}

// An assignment that is not confirmed yet must not hide a free place for ever.
func TestPlaceIsNotCountedTwice(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newDesk(t, nil)
		r.presence("eve", conversation.PresenceOnline, 2)
		// The second arrives when the first's assignment has been made and the
		// queue has not heard of its success.
		var second conversation.ConversationID
		sent := false
		r.journal.see(func(op string, id conversation.ConversationID, a *conversation.Append) {
			if op != "append" || sent {
				return
			}
			if _, ok := a.Entries[0].Event.(conversation.AgentAssigned); ok {
				sent = true
				_ = r.engine.gate.Tell(queueID("desk"), &standing{head: conversation.Head{ID: id, Inbox: "desk", Assignee: "eve", Queue: conversation.QueueAssigned, Version: a.Head.Version}}, nil)
				second = conversation.ConversationID{42}
				_ = r.engine.gate.Tell(queueID("desk"), &standing{head: conversation.Head{ID: second, Inbox: "desk", Queue: conversation.QueueQueued, QueuedAt: time.Now(), Version: 1}}, nil)
				waitIdle := make(chan struct{})
				time.AfterFunc(time.Millisecond, func() { close(waitIdle) })
				<-waitIdle
			}
		})
		r.waits(1, "")
		synctest.Wait()
		time.Sleep(time.Second)
		synctest.Wait()
		if v := r.queue(); len(v.Waiting) != 0 {
			t.Errorf("%d wait, want none: the second has been offered (and does not exist)", len(v.Waiting))
		}
	})
}

func TestAgentIsNotOfferedWhatWasTakenAway(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newDesk(t, nil)
		r.presence("adam", conversation.PresenceOnline, 8)
		id := r.waits(1, "")
		synctest.Wait()
		r.presence("eve", conversation.PresenceOnline, 8)
		for i := range 3 { // eve is busier
			r.do(r.waits(byte(i+2), ""), conversation.Assign{To: "eve", By: "eve"})
		}
		synctest.Wait()
		r.do(id, conversation.Unassign{By: "adam"})
		synctest.Wait()
		if a := r.journal.state(t, id).Assignee; a != "eve" {
			t.Errorf("given back by adam, now with %q; want eve", a)
		}
	})
}

func TestAgentWhoLeavesGivesUpTheWork(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newDesk(t, func(o *Options) { o.AgentGrace = time.Minute })
		r.presence("eve", conversation.PresenceOnline, 8)
		first, second := r.waits(1, ""), r.waits(2, "")
		synctest.Wait()
		r.presence("eve", conversation.PresenceOffline, 8)
		time.Sleep(50 * time.Second)
		r.presence("eve", conversation.PresenceOnline, 8) // back in time
		time.Sleep(time.Minute)
		synctest.Wait()
		if v := r.queue(); v.load("eve") != 2 {
			t.Fatalf("eve has %d, want 2: she came back in time", v.load("eve"))
		}
		r.presence("eve", conversation.PresenceOffline, 8)
		time.Sleep(61 * time.Second)
		synctest.Wait()
		v := r.queue()
		if v.load("eve") != 0 || !slices.Equal(v.order(), []conversation.ConversationID{first, second}) && !slices.Equal(v.order(), []conversation.ConversationID{second, first}) {
			t.Errorf("after the grace eve has %d and %v wait; want none and both", v.load("eve"), v.order())
		}
		if un := events[conversation.AgentUnassigned](t, r.journal, first); len(un) != 1 || un[0].Reason != "agent_offline" {
			t.Errorf("unassigned = %+v", un)
		}
		r.presence("adam", conversation.PresenceOnline, 8)
		synctest.Wait()
		if v := r.queue(); v.load("adam") != 2 {
			t.Errorf("adam has %d, want 2", v.load("adam"))
		}
	})
}

// An assignment crosses the agent's leaving.
func TestAgentWhoLeavesWhileBeingAssigned(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newDesk(t, func(o *Options) { o.AgentGrace = time.Minute })
		r.presence("eve", conversation.PresenceOnline, 8)
		block := make(chan struct{})
		r.journal.see(func(op string, _ conversation.ConversationID, a *conversation.Append) {
			if op != "append" {
				return
			}
			if _, ok := a.Entries[0].Event.(conversation.AgentAssigned); ok {
				<-block
			}
		})
		id := r.waits(1, "")
		synctest.Wait()
		r.presence("eve", conversation.PresenceOffline, 8)
		synctest.Wait()
		close(block)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if s := r.journal.state(t, id); s.Assignee != "" || s.Queue != conversation.QueueQueued {
			t.Errorf("the conversation is with %q (%s), want back in the queue", s.Assignee, s.Queue)
		}
	})
}

func TestAssignmentIsTriedAgain(t *testing.T) {
	for name, err := range map[string]error{
		"unavailable": errDown, "unknown": errMaybe, "moved on": conversation.Refuse(conversation.CodeVersionMismatch, "other version"),
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				r := newDesk(t, nil)
				id := r.waits(1, "")
				fails := 2
				r.journal.failWith(func(op string, _ *conversation.Append) (outcome, error) {
					if op == "append" && fails > 0 {
						fails--
						return notStored, err
					}
					return asUsual, nil
				})
				r.presence("eve", conversation.PresenceOnline, 8)
				time.Sleep(time.Minute)
				synctest.Wait()
				if a := r.journal.state(t, id).Assignee; a != "eve" || fails != 0 {
					t.Errorf("after the journal came back the conversation has %q, want eve", a)
				}
				if v := r.queue(); v.load("eve") != 1 || len(v.Waiting) != 0 {
					t.Errorf("eve has %d and %d wait, want 1 and none", v.load("eve"), len(v.Waiting))
				}
			})
		})
	}
}

// What the journal could not confirm but did store has to reach the queue too.
func TestQueueHearsOfUnconfirmedChanges(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		id := r.say("hello").Conversation
		r.queue()
		r.journal.faultOnce(storedAnyway, errMaybe)
		if _, err := r.engine.Do(context.Background(), id, conversation.RequestHandover{Reason: conversation.HandoverByAgent, By: "eve"}); err == nil {
			t.Fatal("the append was confirmed")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		shop, err := r.engine.Queue(context.Background(), "shop")
		if err != nil || !slices.Equal(shop.order(), []conversation.ConversationID{id}) {
			t.Errorf("queue = %+v, %v; want the conversation in it", shop, err)
		}
		r.journal.faultOnce(storedAnyway, errMaybe)
		_, _ = r.engine.Do(context.Background(), id, conversation.Claim{Agent: "eve"})
		time.Sleep(time.Minute)
		synctest.Wait()
		shop, err = r.engine.Queue(context.Background(), "shop")
		if err != nil || len(shop.Waiting) != 0 || shop.load("eve") != 1 {
			t.Errorf("queue = %+v, %v; want eve to have it", shop, err)
		}
	})
}

func TestQueueIsRebuiltAfterAReadThatFailedHalfway(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		for i := range 6 {
			id := r.waits(byte(i+1), "")
			if i%2 == 0 {
				r.do(id, conversation.Claim{Agent: "eve"})
			}
		}
		r.restart()
		r.journal.pageSize = 2
		pages := 0
		r.journal.failWith(func(op string, _ *conversation.Append) (outcome, error) {
			if strings.HasPrefix(op, "heads") {
				if pages++; pages%2 == 0 && pages < 5 {
					return notStored, errDown
				}
			}
			return asUsual, nil
		})
		r.presence("eve", conversation.PresenceOnline, 5)
		for range 2 {
			if _, err := r.engine.Queue(context.Background(), "desk"); err != nil && !errors.Is(err, conversation.ErrUnavailable) {
				t.Errorf("Queue = %v", err)
			}
		}
		v := r.queue()
		if v.load("eve") != 3 || len(v.Waiting) != 3 {
			t.Errorf("eve has %d and %d wait, want 3 and 3", v.load("eve"), len(v.Waiting))
		}
		if s := v.Seats[0]; s.Presence != conversation.PresenceOnline || s.Capacity != 5 {
			t.Errorf("seat = %+v: what was told meanwhile is lost", s)
		}
	})
}

func TestPresenceReachesAllInboxes(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.engine.SetPresence(conversation.PresenceChange{Agent: "eve", Presence: conversation.PresenceOnline})
		for _, inbox := range []conversation.InboxID{"desk", "shop"} {
			v, err := r.engine.Queue(context.Background(), inbox)
			if err != nil || len(v.Seats) != 1 || v.Seats[0].Presence != conversation.PresenceOnline || v.Seats[0].Capacity != conversation.DefaultCapacity {
				t.Errorf("%s: %+v, %v", inbox, v, err)
			}
		}
	})
}

// Random commands, presences and journal failures: in the end the queue's books
// say what the conversations say, and say it again after a restart.
func TestQueueBooksFollowTheConversations(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		auto := rapid.Bool().Draw(rt, "auto")
		steps := rapid.SliceOfN(rapid.Custom(drawDeskStep), 1, 40).Draw(rt, "steps")
		differ := ""
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, func(o *Options) { o.AgentGrace = 30 * time.Second })
			defer r.stop()
			r.directory.change("desk", func(i *conversation.Inbox) { i.AutoAssign = auto })
			r.run()
			w := &deskWorld{rig: r, ids: map[byte]conversation.ConversationID{}}
			for _, s := range steps {
				w.step(s)
			}
			r.journal.failWith(nil)
			settle(5 * time.Minute)
			if differ = w.compare(); differ != "" {
				return
			}
			r.restart()
			if differ = w.compare(); differ != "" {
				differ = "after the restart: " + differ
			}
		})
		if differ != "" {
			rt.Fatal(differ)
		}
	})
}

// deskStep is one thing that happens at the desk.
type deskStep struct {
	What     int
	Contact  byte
	Agent    conversation.AgentID
	Presence conversation.Presence
	Capacity int
	Verdict  outcome
	Seconds  int
}

func drawDeskStep(rt *rapid.T) deskStep {
	return deskStep{
		What: rapid.IntRange(0, 13).Draw(rt, "what"), Contact: rapid.ByteRange(1, 5).Draw(rt, "contact"),
		Agent: rapid.SampledFrom([]conversation.AgentID{"adam", "eve", "paul"}).Draw(rt, "agent"),
		Presence: rapid.SampledFrom([]conversation.Presence{
			conversation.PresenceOnline, conversation.PresenceOnline, conversation.PresenceAway, conversation.PresenceOffline,
		}).Draw(rt, "presence"),
		Capacity: rapid.IntRange(0, 3).Draw(rt, "capacity"), Verdict: rapid.SampledFrom([]outcome{notStored, storedAnyway}).Draw(rt, "verdict"),
		Seconds: rapid.IntRange(0, 40).Draw(rt, "seconds"),
	}
}

type deskWorld struct {
	*rig

	ids map[byte]conversation.ConversationID
}

func (w *deskWorld) step(s deskStep) {
	id, agent := w.ids[s.Contact], s.Agent
	var cmd conversation.Command
	switch s.What {
	case 0, 1, 2:
		in := anna("help")
		in.Inbox, in.Contact[0] = "desk", s.Contact
		if got, err := w.engine.Deliver(context.Background(), in); err == nil {
			w.ids[s.Contact] = got.Conversation
		}
	case 3:
		cmd = conversation.Claim{Agent: agent}
	case 4:
		cmd = conversation.Assign{To: agent, By: agent}
	case 5:
		cmd = conversation.Unassign{By: agent}
	case 6:
		cmd = conversation.Resolve{By: agent}
	case 7:
		cmd = conversation.Snooze{By: agent, Until: time.Now().Add(time.Minute)}
	case 8:
		cmd = conversation.ChangePriority{By: agent, To: conversation.PriorityHigh}
	case 9:
		cmd = conversation.Close{By: agent}
	case 10:
		w.presence(agent, s.Presence, s.Capacity)
	case 11:
		w.journal.faultOnce(s.Verdict, errMaybe)
	case 12:
		w.engine.Gate().Passivate(conversationID(id))
	case 13:
		time.Sleep(time.Duration(s.Seconds) * time.Second)
	}
	if cmd != nil {
		_, _ = w.engine.Do(context.Background(), id, cmd)
	}
}

// compare says how the queue's books differ from the conversations.
func (w *deskWorld) compare() string {
	v, err := w.engine.Queue(context.Background(), "desk")
	if err != nil {
		return err.Error()
	}
	var want []conversation.Waiting
	load := map[conversation.AgentID]int{}
	for id := range w.journal.rows {
		s := w.journal.state(w.tb, id)
		if s.Queue == conversation.QueueQueued {
			want = append(want, conversation.Waiting{ID: id, Priority: s.Priority, Since: s.QueuedAt})
		}
		if s.Assignee != "" {
			load[s.Assignee]++
		}
	}
	byID := func(a, b conversation.Waiting) int { return cmp.Compare(string(a.ID[:]), string(b.ID[:])) }
	got := slices.Clone(v.Waiting)
	for i := range got {
		got[i].Skip = ""
	}
	slices.SortFunc(want, byID)
	slices.SortFunc(got, byID)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		return fmt.Sprintf("waiting %v, the conversations say %v", got, want)
	}
	have := map[conversation.AgentID]int{}
	for _, s := range v.Seats {
		if s.Load != 0 {
			have[s.Agent] = s.Load
		}
	}
	if !maps.Equal(have, load) {
		return fmt.Sprintf("loads %v, the conversations say %v", have, load)
	}
	return ""
}
