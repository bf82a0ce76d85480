package actors

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/colloquyhq/colloquy/cluster"
	"github.com/colloquyhq/colloquy/conversation"
)

// faultOnce lets the next append fail, one time.
func (m *memory) faultOnce(verdict outcome, err error) {
	var spent atomic.Bool
	m.failWith(func(op string, _ *conversation.Append) (outcome, error) {
		if op != "append" || spent.Swap(true) {
			return asUsual, nil
		}
		return verdict, err
	})
}

// An append that fails must not be acknowledged, and the next message must work
// on what is really stored.
func TestAppendFailures(t *testing.T) {
	tests := []struct {
		name    string
		verdict outcome
		err     error
		stored  bool
	}{
		{"unavailable", notStored, errDown, false},
		{"unknown, did not happen", notStored, errMaybe, false},
		{"unknown, did happen", storedAnyway, errMaybe, true},
		{"something else", notStored, errors.New("disk on fire"), false},
	}
	for _, tt := range tests {
		for _, started := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, started %t", tt.name, started), func(t *testing.T) {
				inBubble(t, func(t *testing.T) {
					r := newRig(t, nil)
					r.script.means("when?", "hours")
					if started {
						r.say("hello")
					}
					r.journal.faultOnce(tt.verdict, tt.err)
					in := with(anna("when?"), "r1", time.Minute)
					_, err := r.engine.Deliver(context.Background(), in)
					if conversation.CodeOf(err) != conversation.CodeUnknownOutcome {
						t.Fatalf("Deliver = %v, want outcome_unknown", err)
					}
					again := r.deliver(in)
					said(t, again, "We open at nine.")
					if again.Duplicate != tt.stored {
						t.Errorf("duplicate = %t, want %t", again.Duplicate, tt.stored)
					}
					texts := r.visitorTexts(again.Conversation)
					if n := len(texts); texts[n-1] != "when?" || slices.Index(texts, "when?") != n-1 {
						t.Errorf("stored %q, want the message once", texts)
					}
					if n := r.metric("colloquy_append_failures_total"); n != 1 {
						t.Errorf("failures counted = %v, want 1", n)
					}
				})
			})
		}
	}
}

func TestConflictAndFencingReload(t *testing.T) {
	for name, disturb := range map[string]func(r *rig, id conversation.ConversationID){
		// Another node had the conversation for a moment.
		"fenced": func(r *rig, id conversation.ConversationID) {
			_, _ = r.journal.Claim(context.Background(), id)
		},
		"fenced and moved on": func(r *rig, id conversation.ConversationID) {
			epoch, _ := r.journal.Claim(context.Background(), id)
			r.foreignNote(id, epoch)
		},
		"conflict": func(r *rig, id conversation.ConversationID) {
			r.foreignNote(id, r.journal.rows[id].epoch)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				r := newRig(t, nil)
				r.script.means("when?", "hours")
				id := r.say("hello").Conversation
				disturb(r, id)
				in := with(anna("when?"), "r1", time.Minute)
				// It is certain that nothing was stored, so nobody has to send it again.
				first := r.deliver(in)
				said(t, first, "We open at nine.")
				again := r.deliver(in)
				said(t, again, "We open at nine.")
				if first.Duplicate || !again.Duplicate || again.Seq != first.Seq {
					t.Errorf("receipts %+v and %+v, want the first one's message and its repeat", first, again)
				}
				class, _, _ := strings.Cut(name, " ")
				if n := r.metric("colloquy_append_failures_total", class); n != 1 {
					t.Errorf("failures counted as %s = %v, want 1", class, n)
				}
			})
		})
	}
}

// foreignNote stores an entry behind the grain's back.
func (r *rig) foreignNote(id conversation.ConversationID, epoch uint64) {
	r.tb.Helper()
	s := r.journal.state(r.tb, id)
	e := conversation.Entry{Seq: s.Version + 1, At: s.LastActivity, Event: conversation.NoteAdded{Agent: "eve", Text: "seen"}}
	expect := s.Version
	s.Apply(e)
	err := r.journal.append(&conversation.Append{ID: id, Expect: expect, Epoch: epoch, Entries: []conversation.Entry{e}, Head: s.Head()})
	if err != nil {
		r.tb.Fatal(err)
	}
}

func TestFailureRefusesEverybodyBehind(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, func(o *Options) { o.Budget = time.Hour })
		release := r.script.blocks("slow", "hours")
		var all []*delivery
		for i := range 5 {
			all = append(all, r.send(with(anna("slow"), fmt.Sprint(i), time.Minute)))
		}
		repeat := r.send(with(anna("slow"), "0", time.Minute))
		synctest.Wait()
		r.journal.faultOnce(notStored, errDown)
		close(release)
		synctest.Wait()
		for i, d := range append(all, repeat) {
			if !d.over || !errors.Is(d.err, conversation.ErrUnknown) {
				t.Errorf("delivery %d = %+v, want refused", i, d)
			}
		}
		if r.journal.count() != 0 {
			t.Error("something is stored")
		}
		for i := range 5 {
			r.deliver(with(anna("slow"), fmt.Sprint(i), 0))
		}
	})
}

// The message is durable and acknowledged, the reply is not: the bot must not
// stay silent for ever.
func TestReplyThatCouldNotBeStoredIsMadeAgain(t *testing.T) {
	for name, err := range map[string]error{"unavailable": errDown, "unknown": errMaybe} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				r := newRig(t, nil)
				release := r.script.blocks("when?", "hours")
				got := r.deliver(anna("when?"))
				r.journal.failWith(func(string, *conversation.Append) (outcome, error) { return notStored, err })
				close(release)
				time.Sleep(5 * time.Second)
				synctest.Wait()
				r.journal.failWith(nil)
				time.Sleep(10 * time.Second)
				synctest.Wait()
				replies := events[conversation.ReplyComposed](t, r.journal, got.Conversation)
				if len(replies) != 1 || replies[0].InReplyTo != got.Seq {
					t.Errorf("replies = %+v, want one to %d", replies, got.Seq)
				}
			})
		})
	}
}

func TestIndexFailureRefuses(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		id := r.say("hello").Conversation
		for _, op := range []string{"current", "claim", "load", "find"} {
			r.do(id, conversation.AddNote{Agent: "eve", Text: "n"})
			if op == "find" { // asked only in a successor
				r.do(id, conversation.Resolve{By: "eve"})
				r.do(id, conversation.Close{By: "eve"})
			}
			r.restart() // nothing is remembered
			r.journal.failWith(func(at string, _ *conversation.Append) (outcome, error) {
				if at == op {
					return notStored, errDown
				}
				return asUsual, nil
			})
			in := with(anna("more"), "r-"+op, 0)
			if op == "current" {
				in.Contact[0] = 77 // the shard knows the conversation of the other
			}
			if _, err := r.engine.Deliver(context.Background(), in); !errors.Is(err, conversation.ErrUnavailable) {
				t.Errorf("%s down: %v, want class unavailable", op, err)
			}
			r.journal.failWith(nil)
			if got := r.deliver(in); got.Duplicate {
				t.Errorf("%s down: stored though refused", op)
			}
		}
	})
}

func TestSnapshots(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, func(o *Options) { o.SnapshotEvery = 8 })
		var id conversation.ConversationID
		snapshots := 0
		r.journal.see(func(op string, _ conversation.ConversationID, a *conversation.Append) {
			if op == "append" && a.State != nil {
				snapshots++
			}
		})
		r.script.means("when?", "hours")
		for range 9 {
			r.say("when?")
		}
		id = r.say("hello").Conversation
		version := int(r.journal.state(t, id).Version)
		if want := version / 8; snapshots < want/2 || snapshots > want {
			t.Errorf("%d snapshots in %d entries, want one every 8", snapshots, version)
		}
		r.engine.Gate().Passivate(conversationID(id))
		synctest.Wait()
		if r.journal.saves != 1 {
			t.Errorf("%d snapshots at passivation, want 1", r.journal.saves)
		}
		if s := r.journal.rows[id].snapshot; s == nil {
			t.Fatal("no snapshot")
		}
		r.do(id, conversation.MarkRead{By: conversation.PartyAgent, Agent: "eve", UpTo: 1}) // loads, changes little
		r.engine.Gate().Passivate(conversationID(id))
		synctest.Wait()
		if got := r.say("hello"); got.Conversation != id {
			t.Errorf("after passivation: %+v", got)
		}
	})
}

// Grains are put to rest all the time while visitors write: every acknowledged
// message is stored once, in order. What is refused is sent again.
func TestPassivationUnderLoadLosesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *Options) { o.RequestTimeout = time.Minute })
	const visitors, each = 8, 60
	var conversations [visitors]conversation.ConversationID
	var writers, passivating sync.WaitGroup
	for v := range visitors {
		writers.Go(func() {
			for n := range each {
				if grain := conversationID(conversations[v]); n%3 == 1 {
					passivating.Go(func() { r.engine.Gate().Passivate(grain) }) // while the message is under way
				}
				in := with(anna(fmt.Sprint(n)), fmt.Sprint(n), 0)
				in.Contact[0] = byte(v + 1)
				for {
					got, err := r.engine.Deliver(context.Background(), in)
					if err == nil {
						conversations[v] = got.Conversation
						break
					}
					if c := conversation.CodeOf(err); !c.Row().Retry {
						t.Errorf("visitor %d, message %d: %v", v, n, err)
						return
					}
				}
			}
		})
	}
	writers.Wait()
	passivating.Wait()
	for v := range visitors {
		got := r.visitorTexts(conversations[v])
		if len(got) != each {
			t.Fatalf("visitor %d: %d messages stored, want %d", v, len(got), each)
		}
		for n, text := range got {
			if text != fmt.Sprint(n) {
				t.Fatalf("visitor %d: %q at place %d", v, text, n)
			}
		}
	}
	if n := r.metric("colloquy_grain_passivations_total", KindConversation); n < 5 {
		t.Errorf("only %v passivations, the test shows nothing", n)
	}
}

func TestIdleGrainsArePassivated(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, func(o *Options) { o.Idle = time.Minute })
		r.run()
		r.script.means("when?", "hours")
		for range 3 {
			r.say("when?")
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if n := r.engine.Gate().Active(KindConversation); n != 0 {
			t.Errorf("%d grains active after the idle time, want 0", n)
		}
	})
}

// Results that a grain sends to itself must not open its mailbox wider than its
// bound.
func TestMailboxBoundHoldsAfterManyTurns(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.script.means("when?", "hours")
		id := r.say("when?").Conversation
		for range 400 {
			r.say("when?")
		}
		block := make(chan struct{})
		r.journal.see(func(op string, _ conversation.ConversationID, _ *conversation.Append) {
			if op == "append" {
				<-block
			}
		})
		var refused atomic.Int32
		for range 400 {
			r.engine.DoAsync(id, conversation.AddNote{Agent: "eve", Text: "n"}, func(_ conversation.Receipt, err error) {
				if errors.Is(err, conversation.ErrOverloaded) {
					refused.Add(1)
				}
			})
		}
		synctest.Wait()
		if n := refused.Load(); n != 400-256 {
			t.Errorf("%d of 400 commands refused, want %d: the mailbox holds 256", n, 400-256)
		}
		r.journal.see(nil)
		close(block)
		synctest.Wait()
	})
}

// The process ends between storing a message and replying to it.
func TestRecoveryAnswersOpenTurns(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		release := r.script.blocks("when?", "hours")
		var ids []conversation.ConversationID
		for i := range 5 {
			in := anna("when?")
			in.Contact[0] = byte(i + 1)
			ids = append(ids, r.deliver(in).Conversation)
		}
		done := r.sayAs("hello", 77)
		r.stopWhile(release)
		r.journal.pageSize = 2
		r.script.means("when?", "hours")
		r.start()
		r.run()
		synctest.Wait()
		for _, id := range ids {
			if n := len(events[conversation.ReplyComposed](t, r.journal, id)); n != 1 {
				t.Errorf("%d replies after the restart, want 1", n)
			}
		}
		if n := len(events[conversation.ReplyComposed](t, r.journal, done)); n != 1 {
			t.Errorf("an answered conversation has %d replies, want 1", n)
		}
	})
}

// sayAs is say for another contact.
func (r *rig) sayAs(text string, contact byte) conversation.ConversationID {
	r.tb.Helper()
	in := with(anna(text), "", time.Minute)
	in.Contact[0] = contact
	return r.deliver(in).Conversation
}

// stopWhile stops the engine while a classifier is busy until then.
func (r *rig) stopWhile(release chan struct{}) {
	time.AfterFunc(time.Second, func() { close(release) })
	r.stop()
	time.Sleep(2 * time.Second)
	synctest.Wait()
}

func TestOldOpenTurnsAreLeftToAgents(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		release := r.script.blocks("when?", "hours")
		id := r.deliver(anna("when?")).Conversation
		r.stopWhile(release)
		time.Sleep(recoverSince + time.Hour)
		r.start()
		r.run()
		synctest.Wait()
		if n := len(events[conversation.ReplyComposed](t, r.journal, id)); n != 0 {
			t.Errorf("%d replies to a question of three days ago, want none", n)
		}
	})
}

func TestStopLeavesOpenTurnsForTheNextStart(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		started := make(chan struct{}, 2)
		hang := true
		r := newRig(t, func(o *Options) {
			o.Bindings = []Binding{{Name: "slow", Inbox: "shop", Behavior: BehaviorFunc(func(ctx context.Context, b *Turn) (conversation.Outcome, error) {
				started <- struct{}{}
				if hang {
					<-ctx.Done()
					return conversation.Outcome{}, ctx.Err()
				}
				return b.Reply("done"), nil
			})}}
		})
		d := r.send(with(anna("work"), "1", time.Minute))
		synctest.Wait()
		r.stop()
		if !d.over || d.err != nil {
			t.Errorf("the waiting sender got %+v, want its receipt: the message is stored", d)
		}
		if s := r.journal.state(t, d.receipt.Conversation); s.Status != conversation.StatusPending {
			t.Errorf("stopping made it %s, want pending", s.Status)
		}
		hang = false
		r.start()
		r.run()
		synctest.Wait()
		if n := len(events[conversation.ReplyComposed](t, r.journal, d.receipt.Conversation)); n != 1 {
			t.Errorf("%d replies after the restart, want 1", n)
		}
	})
}

func TestStopDrains(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, func(o *Options) { o.Budget = time.Hour; o.TurnTimeout = 2 * time.Hour })
		release := r.script.blocks("slow", "hours")
		for i := range 20 {
			r.sayAs("hello", byte(i+1))
		}
		held := r.send(anna("slow")) // there may be only one scoring actor
		synctest.Wait()
		time.AfterFunc(time.Second, func() { close(release) })
		r.stop()
		if !errors.Is(held.err, conversation.ErrUnavailable) {
			t.Errorf("a message that was being classified: %v, want class unavailable", held.err)
		}
		if n := r.engine.Gate().Active(KindConversation); n != 0 {
			t.Errorf("%d grains active after Stop", n)
		}
		if r.journal.saves != 20 {
			t.Errorf("%d snapshots at the end, want 20", r.journal.saves)
		}
		if _, err := r.engine.Deliver(context.Background(), anna("late")); !errors.Is(err, conversation.ErrUnavailable) {
			t.Errorf("Deliver after Stop = %v, want class unavailable", err)
		}
		if _, err := r.engine.Do(context.Background(), conversation.ConversationID{1}, conversation.Wake{}); !errors.Is(err, conversation.ErrUnavailable) {
			t.Errorf("Do after Stop = %v, want class unavailable", err)
		}
	})
}

// A grain that is being put to rest holds messages for its successor: stopping
// at that moment must end.
func TestStopEndsWithASuccessorWaiting(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		id := r.say("hello").Conversation
		block := make(chan struct{})
		r.journal.see(func(op string, _ conversation.ConversationID, _ *conversation.Append) {
			if op == "append" {
				<-block
			}
		})
		r.send(anna("one"))
		synctest.Wait()
		r.engine.Gate().Passivate(conversationID(id))
		late := r.send(anna("two"))
		synctest.Wait()
		time.AfterFunc(100*time.Millisecond, func() { r.journal.see(nil); close(block) })
		r.stop()
		if !late.over {
			t.Error("the sender of the late message was not answered")
		}
	})
}

func TestMessageThatPanicsIsSetAside(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		id := r.say("hello").Conversation
		r.journal.see(func(op string, _ conversation.ConversationID, a *conversation.Append) {
			if op != "append" {
				return
			}
			for _, e := range a.Entries {
				if n, ok := e.Event.(conversation.NoteAdded); ok && n.Text == "poison" {
					panic("a journal's private matter")
				}
			}
		})
		_, err := r.engine.Do(context.Background(), id, conversation.AddNote{Agent: "eve", Text: "poison"})
		if conversation.CodeOf(err) != conversation.CodeInternal {
			t.Errorf("poison = %v, want internal", err)
		}
		r.do(id, conversation.AddNote{Agent: "eve", Text: "fine"})
		if n := r.metric("colloquy_actor_parked_messages_total"); n != 1 {
			t.Errorf("parked = %v, want 1", n)
		}
	})
}

// A panic in one message's handling must not leave the senders of others
// waiting, nor give them each other's results.
func TestPanicTellsWhoeverWaits(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, func(o *Options) {
			o.Budget = time.Hour
			o.TurnTimeout = 2 * time.Hour
			o.RequestTimeout = 3 * time.Hour
		})
		r.script.means("when?", "hours")
		id := r.say("hello").Conversation
		release := r.script.blocks("slow", "human")
		held := r.send(with(anna("slow"), "1", time.Minute))
		synctest.Wait()
		var poison atomic.Bool
		poison.Store(true)
		r.journal.see(func(op string, _ conversation.ConversationID, _ *conversation.Append) {
			if op == "append" && poison.Load() {
				panic("twice")
			}
		})
		if _, err := r.engine.Do(context.Background(), id, conversation.AddNote{Agent: "eve", Text: "n"}); !errors.Is(err, conversation.ErrInternal) {
			t.Errorf("note = %v, want class internal", err)
		}
		poison.Store(false)
		synctest.Wait()
		if !held.over || !errors.Is(held.err, conversation.ErrUnknown) {
			t.Errorf("the message that was held = %+v, want outcome unknown at once", held)
		}
		again := r.send(with(anna("when?"), "2", time.Minute))
		synctest.Wait()
		close(release) // the old message's result reaches the new instance
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if again.err != nil {
			t.Fatal(again.err)
		}
		said(t, again.receipt, "We open at nine.")
	})
}

// Once a shard's function panics, the others' requests go on.
func TestPanickingCallbackIsIsolated(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, func(o *Options) { o.Budget = time.Second })
		release := r.script.blocks("slow", "hours")
		d := r.send(with(anna("slow"), "1", time.Minute))
		synctest.Wait()
		called := false
		r.engine.DoAsync(conversation.ConversationID{9, 15: 7}, conversation.Wake{}, func(conversation.Receipt, error) {
			called = true
			panic("a socket's private matter") // on the shard that has the other request
		})
		synctest.Wait()
		close(release)
		time.Sleep(time.Second)
		synctest.Wait()
		if !called || !d.over || d.err != nil {
			t.Errorf("called %t, the other request %+v; want its receipt", called, d)
		}
		if n := r.metric("colloquy_requests_inflight"); n != 0 {
			t.Errorf("%v requests in flight, want 0", n)
		}
	})
}

func TestRequestsAreBounded(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, func(o *Options) {
			o.Requests = 2
			o.Budget = time.Hour
			o.TurnTimeout = 2 * time.Hour
			o.RequestTimeout = time.Second
		})
		r.run()
		release := r.script.blocks("slow", "hours")
		a, b := r.send(with(anna("slow"), "1", 0)), r.send(with(anna("slow"), "2", 0))
		synctest.Wait()
		if _, err := r.engine.Deliver(context.Background(), anna("more")); !errors.Is(err, conversation.ErrOverloaded) {
			t.Errorf("third request = %v, want class overloaded", err)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if !errors.Is(a.err, conversation.ErrUnknown) || !errors.Is(b.err, conversation.ErrUnknown) {
			t.Errorf("out of time: %v, %v; want class outcome unknown", a.err, b.err)
		}
		close(release)
		synctest.Wait()
		r.say("hello")
	})
}

func TestCallerWhoGivesUp(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, func(o *Options) { o.Budget = time.Hour; o.TurnTimeout = 2 * time.Hour })
		release := r.script.blocks("slow", "hours")
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if _, err := r.engine.Deliver(ctx, anna("slow")); !errors.Is(err, conversation.ErrUnknown) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Deliver = %v, want outcome unknown by the deadline", err)
		}
		close(release)
		synctest.Wait()
	})
}

func TestNewRefusesBadOptions(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := BehaviorFunc(func(context.Context, *Turn) (conversation.Outcome, error) { return conversation.Outcome{}, nil })
		r := newRig(t, nil)
		for name, edit := range map[string]func(*Options){
			"short key":   func(o *Options) { o.Key = o.Key[:31] },
			"no behavior": func(o *Options) { o.Bindings = []Binding{{Name: "x"}} },
			"no name":     func(o *Options) { o.Bindings = []Binding{{Behavior: b}} },
			"all twice":   func(o *Options) { o.Bindings = []Binding{{Name: "x", Behavior: b}, {Name: "y", Behavior: b}} },
			"inbox twice": func(o *Options) {
				o.Bindings = []Binding{{Name: "x", Inbox: "a", Behavior: b}, {Name: "y", Inbox: "a", Behavior: b}}
			},
			"intent twice": func(o *Options) {
				o.Bindings = []Binding{{Name: "x", Intent: "a", Behavior: b}, {Name: "y", Intent: "a", Behavior: b}}
			},
			"both twice": func(o *Options) {
				o.Bindings = []Binding{{Name: "x", Inbox: "i", Intent: "a", Behavior: b}, {Name: "y", Inbox: "i", Intent: "a", Behavior: b}}
			},
			"kind of this package": func(o *Options) {
				o.Kinds = []cluster.Kind{{Name: KindQueue, New: func(string) actor.Actor { return nil }}}
			},
		} {
			o := r.engine.o
			o.Registerer = prometheus.NewRegistry()
			edit(&o)
			if _, err := New(o); !errors.Is(err, conversation.ErrInvalid) {
				t.Errorf("%s: %v, want class invalid", name, err)
			}
		}
	})
}

func TestWithoutAMajorityNothingIsTakenAndItIsSaidAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var alone atomic.Int64
		r := newRig(t, func(o *Options) { o.Leaderless = func() time.Duration { return time.Duration(alone.Load()) } })
		r.run()
		first := r.say("hello")

		alone.Store(int64(maxLeaderless)) // an election, which is worth waiting for
		r.say("are you there?")

		alone.Store(int64(maxLeaderless) + 1)
		began := time.Now()
		_, err := r.engine.Deliver(t.Context(), anna("and now?"))
		if conversation.CodeOf(err) != conversation.CodeUnavailable {
			t.Errorf("a message without a majority gave %v", err)
		}
		_, err = r.engine.Do(t.Context(), first.Conversation, conversation.Close{})
		if conversation.CodeOf(err) != conversation.CodeUnavailable {
			t.Errorf("a command without a majority gave %v", err)
		}
		if waited := time.Since(began); waited != 0 {
			t.Errorf("the answer took %v", waited)
		}

		alone.Store(0)
		if next := r.say("and now?"); next.Conversation != first.Conversation {
			t.Errorf("after that, another conversation: %v, %v", next, first)
		}
	})
}
