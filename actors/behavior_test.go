package actors

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/colloquyhq/colloquy/conversation"
)

// bind is an option that binds one behavior to the inbox "shop".
func bind(turn BehaviorFunc) func(*Options) {
	return func(o *Options) { o.Bindings = []Binding{{Name: "mine", Inbox: "shop", Behavior: turn}} }
}

func TestMostSpecificBindingWins(t *testing.T) {
	named := func(name, inbox, intent string) Binding {
		return Binding{Name: name, Inbox: conversation.InboxID(inbox), Intent: intent, Behavior: BehaviorFunc(
			func(_ context.Context, b *Turn) (conversation.Outcome, error) { return b.Reply(name), nil })}
	}
	both, intent, inbox, all := named("both", "shop", "hours"), named("intent", "", "hours"), named("inbox", "shop", ""), named("all", "", "")
	elsewhere := []Binding{named("x", "desk", "hours"), named("y", "", "refund"), named("z", "desk", "")}
	tests := []struct {
		name     string
		bindings []Binding
		text     string
		want     string
	}{
		{"all four", []Binding{all, inbox, intent, both}, "when?", "both"},
		{"no both", []Binding{all, inbox, intent}, "when?", "intent"},
		{"no intent", []Binding{all, inbox}, "when?", "inbox"},
		{"all", []Binding{all}, "when?", "all"},
		{"elsewhere", elsewhere, "when?", "We open at nine."},
		{"none", nil, "when?", "We open at nine."},
		{"not understood, all four", []Binding{all, inbox, intent, both}, "hm", "inbox"},
		{"not understood, intents", []Binding{intent, both}, "hm", "Sorry, what?"},
		{"not sure enough", []Binding{intent, both}, "maybe", "Did you mean:"},
		{"asked for a human", []Binding{named("x", "", conversation.IntentTalkToHuman)}, "human!", "I am calling a colleague."},
		{"asked for a human, inbox", []Binding{inbox}, "human!", "inbox"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				r := newRig(t, func(o *Options) { o.Bindings = tt.bindings })
				r.script.means("when?", "hours")
				r.script.on("maybe", scene{pred: conversation.Prediction{Candidates: []conversation.Candidate{{Intent: "hours", Confidence: 0.6}}}})
				r.script.means("human!", conversation.IntentTalkToHuman)
				said(t, r.say(tt.text), tt.want)
			})
		})
	}
}

func TestBehaviorGetsItsTurn(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var got *Turn
		r := newRig(t, bind(func(_ context.Context, b *Turn) (conversation.Outcome, error) {
			got = b
			out := b.Reply("one", "two")
			out.Tags, out.Priority = []string{"vip"}, conversation.PriorityHigh
			return out, nil
		}))
		r.directory.change("shop", func(i *conversation.Inbox) { i.Vars = map[string]string{"opens": "ten"} })
		r.script.means("refund 77", "refund", "order", "77")
		answer := r.say("refund 77")
		said(t, answer, "one", "two")
		switch {
		case got.Inbox.ID != "shop" || got.Text != "refund 77" || got.Seq != answer.Seq || got.Timer != "" || got.Now.IsZero():
			t.Errorf("turn = %+v", got)
		case got.Prediction.Best().Intent != "refund" || got.Choice.Action != conversation.ActionAnswer || got.Lang != "en":
			t.Errorf("prediction %+v, choice %+v, lang %q", got.Prediction, got.Choice, got.Lang)
		case got.Slots["order"] != "77" || got.Playbook == nil || got.Playbook.Title != "Refunds" || got.Phrase(phraseFallback) != "Sorry, what?":
			t.Errorf("slots %v, playbook %+v, phrase %q", got.Slots, got.Playbook, got.Phrase(phraseFallback))
		case got.Conversation.ID != answer.Conversation || got.Conversation.LastVisitor != answer.Seq:
			t.Errorf("conversation = %+v", got.Conversation)
		}
		s := r.journal.state(t, answer.Conversation)
		if s.Dialogue.Slots["order"] != "77" || s.Dialogue.Intent != "refund" || s.Priority != conversation.PriorityHigh || s.Tags[0] != "vip" {
			t.Errorf("state after the turn: %+v %s %v", s.Dialogue, s.Priority, s.Tags)
		}
		if b := answer.Replies[0].Bot.Behavior; b != "mine" {
			t.Errorf("provenance = %q", b)
		}
		if (&Turn{}).Phrase("x") != "" {
			t.Error("a turn without packs has phrases")
		}
	})
}

func TestATurnIsTheBehaviorsOwnCopy(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		vandal := func(_ context.Context, b *Turn) (conversation.Outcome, error) {
			c := b.Conversation
			c.Status, c.Assignee, c.LastTurn = conversation.StatusClosed, "mallory", 99
			for i := range c.Recent {
				c.Recent[i].Text = "vandalized"
				for k := range c.Recent[i].Metadata {
					c.Recent[i].Metadata[k] = "vandalized"
				}
				if c.Recent[i].Bot != nil {
					c.Recent[i].Bot.Intent = "vandalized"
				}
				for k := range c.Recent[i].Buttons {
					c.Recent[i].Buttons[k].Label = "vandalized"
				}
			}
			if c.Handover != nil {
				c.Handover.Summary = "vandalized"
			}
			for k := range c.Dialogue.Slots {
				c.Dialogue.Slots[k] = "vandalized"
			}
			b.Inbox.Vars["opens"] = "vandalized"
			b.Inbox.Packs[0] = "vandalized"
			b.Prediction.Model = "vandalized"
			b.Prediction.Candidates[0].Intent = "vandalized"
			out := b.Reply("done")
			out.Replies[0].Buttons = []conversation.Button{{Label: "ok", Text: "ok"}}
			return out, nil
		}
		r := newRig(t, bind(vandal))
		r.directory.change("shop", func(i *conversation.Inbox) {
			i.Vars, i.Packs = map[string]string{"opens": "ten"}, []string{"base"}
		})
		r.script.means("refund 77", "refund", "order", "77")
		in := with(anna("refund 77"), "", time.Minute)
		in.Metadata = map[string]string{"page": "/start"}
		id := r.deliver(in).Conversation
		r.do(id, conversation.RequestHandover{Reason: conversation.HandoverByAgent, Detail: "look", By: "eve"})
		r.do(id, conversation.ReturnToBot{By: "eve"})
		r.deliver(in)
		r.engine.Gate().Passivate(conversationID(id)) // stores a snapshot of what is in memory
		synctest.Wait()
		kept, err := r.journal.Load(context.Background(), id)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(r.journal.state(t, id), kept, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("the state in memory is not the fold of the log (-log +memory):\n%s", diff)
		}
		done := events[conversation.TurnCompleted](t, r.journal, id)
		if done[0].Model != "m1" || done[1].Model != "m1" {
			t.Errorf("turns = %+v, want the classifier's model", done)
		}
		inbox, _ := r.directory.Inbox("shop")
		if inbox.Vars["opens"] != "ten" || inbox.Packs[0] != "base" {
			t.Errorf("inbox = %+v, changed by a behavior", inbox)
		}
	})
}

func TestBehaviorAsksForASlot(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var seen []string
		r := newRig(t, func(o *Options) {
			o.Bindings = []Binding{{Name: "size", Intent: "shoes", Behavior: BehaviorFunc(func(_ context.Context, b *Turn) (conversation.Outcome, error) {
				seen = append(seen, string(b.Choice.Action)+" "+b.Slots["size"])
				if b.Slots["size"] == "" {
					return b.Ask("size", "Which size?"), nil
				}
				out := b.Reply("Size " + b.Slots["size"] + " it is.")
				out.Forget = true
				return out, nil
			})}}
		})
		r.script.means("shoes", "shoes")
		said(t, r.say("shoes"), "Which size?")
		said(t, r.say("rather large"), "Size rather large it is.")
		if fmt.Sprint(seen) != "[answer  continue rather large]" {
			t.Errorf("turns = %q", seen)
		}
		said(t, r.say("rather large"), "Sorry, what?") // the matter is settled
	})
}

func TestBehaviorAsksForAPackSlot(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, bind(func(_ context.Context, b *Turn) (conversation.Outcome, error) {
			if b.Slots["order"] == "" {
				return b.Ask("order", "Number?"), nil
			}
			return b.Reply("Order " + b.Slots["order"]), nil
		}))
		said(t, r.say("hello"), "Number?")
		said(t, r.say("no idea"), "Number?")
		said(t, r.say("it is 4711 I think"), "Order 4711")
	})
}

func TestBehaviorHandsOver(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, bind(func(_ context.Context, b *Turn) (conversation.Outcome, error) {
			return b.Handover("A human comes.", "wants a bicycle"), nil
		}))
		got := r.say("hello")
		said(t, got, "A human comes.")
		s := r.journal.state(t, got.Conversation)
		if s.Status != conversation.StatusOpen || s.Handover.Reason != conversation.HandoverBehavior || s.Handover.Summary != "wants a bicycle" {
			t.Errorf("state %s %+v", s.Status, s.Handover)
		}
		if n := r.metric("colloquy_handovers_total", "behavior"); n != 1 {
			t.Errorf("handovers counted = %v", n)
		}
	})
}

func TestHandoverReasonsAreNoLabels(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, bind(func(_ context.Context, b *Turn) (conversation.Outcome, error) {
			return conversation.Outcome{Handover: conversation.HandoverReason("because of " + b.Text)}, nil
		}))
		r.say("my private matter")
		if n := r.metric("colloquy_handovers_total", "because of my private matter"); n != 0 {
			t.Error("what a behavior wrote is a label")
		}
		if n := r.metric("colloquy_handovers_total", "behavior"); n != 1 {
			t.Errorf("counted under behavior: %v, want 1", n)
		}
	})
}

func TestBehaviorFailures(t *testing.T) {
	long := make([]conversation.Reply, conversation.MaxRepliesATurn+1)
	for i := range long {
		long[i].Text = "x"
	}
	outcome := func(o conversation.Outcome) BehaviorFunc {
		return func(context.Context, *Turn) (conversation.Outcome, error) { return o, nil }
	}
	slots := map[string]string{}
	for i := range conversation.MaxSlots + 1 {
		slots[fmt.Sprint("slot", i)] = "v"
	}
	tests := []struct {
		name  string
		turn  BehaviorFunc
		count string
	}{
		{"error", func(context.Context, *Turn) (conversation.Outcome, error) {
			return conversation.Outcome{}, errors.New("no")
		}, "error"},
		{"panic", func(context.Context, *Turn) (conversation.Outcome, error) { panic("private") }, "panic"},
		{"deadline", func(ctx context.Context, _ *Turn) (conversation.Outcome, error) {
			<-ctx.Done()
			return conversation.Outcome{}, ctx.Err()
		}, "timeout"},
		{"deadline ignored", func(_ context.Context, b *Turn) (conversation.Outcome, error) {
			time.Sleep(15 * time.Second)
			return b.Reply("too late"), nil
		}, "timeout"},
		{"nine replies", outcome(conversation.Outcome{Replies: long}), "ok"},
		{"empty text", outcome(conversation.Outcome{Replies: []conversation.Reply{{Text: " "}}}), "ok"},
		{"timer in the past", outcome(conversation.Outcome{Timers: []conversation.Timer{{ID: "x", Due: time.Unix(0, 0)}}}), "ok"},
		{"timer without id", func(_ context.Context, b *Turn) (conversation.Outcome, error) {
			return conversation.Outcome{Timers: []conversation.Timer{{Due: b.Now.Add(time.Hour)}}}, nil
		}, "ok"},
		{"too many slots", outcome(conversation.Outcome{Slots: slots}), "ok"},
		{"bad priority", outcome(conversation.Outcome{Priority: "yesterday"}), "ok"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				r := newRig(t, bind(tt.turn))
				began := time.Now()
				got := r.say("hello")
				said(t, got, "Something broke, a human comes.")
				s := r.journal.state(t, got.Conversation)
				if s.Status != conversation.StatusOpen || s.Handover.Reason != conversation.HandoverBotFailed || s.LastTurn != got.Seq {
					t.Errorf("state %s %+v, last turn %d", s.Status, s.Handover, s.LastTurn)
				}
				if d := time.Since(began); d > 11*time.Second {
					t.Errorf("the turn ended after %s", d)
				}
				if n := r.metric("colloquy_behavior_runs_total", tt.count); n != 1 {
					t.Errorf("runs counted as %s = %v, want 1", tt.count, n)
				}
				time.Sleep(10 * time.Second) // a late result changes nothing
				synctest.Wait()
				if n := len(events[conversation.ReplyComposed](t, r.journal, got.Conversation)); n != 1 {
					t.Errorf("%d replies in the end, want 1", n)
				}
			})
		})
	}
}

// More entities than a dialogue can hold must not silence the bot.
func TestTooManyEntities(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		var entities []string
		for i := range 2 * conversation.MaxSlots {
			entities = append(entities, fmt.Sprint("entity", i), "v")
		}
		r.script.means("when?", "hours", entities...)
		said(t, r.say("when?"), "We open at nine.")
	})
}

func TestRunsAreBounded(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		release := make(chan struct{})
		r := newRig(t, func(o *Options) {
			o.BehaviorRuns = 2
			bind(func(context.Context, *Turn) (conversation.Outcome, error) { // heeds nothing
				<-release
				return conversation.Outcome{}, nil
			})(o)
		})
		first, second := r.sayAs("hello", 1), r.sayAs("hello", 2)
		// Both have been given up; what they left behind still runs.
		began := time.Now()
		third := r.sayAs("hello", 3)
		if d := time.Since(began); d > time.Second {
			t.Errorf("the third turn ended after %s, want at once: there is no room for it", d)
		}
		for _, id := range []conversation.ConversationID{first, second, third} {
			if s := r.journal.state(t, id); s.Handover == nil || s.Handover.Reason != conversation.HandoverBotFailed {
				t.Errorf("handover = %+v, want bot_failed", s.Handover)
			}
		}
		close(release)
		synctest.Wait()
	})
}

// reminder is a behavior that asks to be called again.
func reminder(heard *[]string, ids ...string) BehaviorFunc {
	return func(_ context.Context, b *Turn) (conversation.Outcome, error) {
		if b.Timer != "" {
			*heard = append(*heard, b.Timer)
			if b.Seq != 0 || b.Text != "" || b.Prediction == nil {
				return conversation.Outcome{}, errors.New("not what a timer's turn holds")
			}
			return b.Reply("Still there? (" + b.Timer + ")"), nil
		}
		out := b.Reply("Noted.")
		for i, id := range ids {
			out.Timers = append(out.Timers, conversation.Timer{ID: id, Due: b.Now.Add(time.Duration(i+1) * time.Minute)})
		}
		return out, nil
	}
}

func TestTimersComeBackToTheirBehavior(t *testing.T) {
	for name, intent := range map[string]string{"inbox binding": "", "intent binding": "shoes"} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				var heard []string
				r := newRig(t, func(o *Options) {
					o.Bindings = []Binding{{Name: "mine", Intent: intent, Behavior: reminder(&heard, "a", "b")}}
				})
				r.run()
				r.script.means("shoes", "shoes")
				got := r.say("shoes")
				said(t, got, "Noted.")
				time.Sleep(5 * time.Minute)
				synctest.Wait()
				if fmt.Sprint(heard) != "[a b]" {
					t.Errorf("timers heard = %v, want a, b", heard)
				}
				replies := events[conversation.ReplyComposed](t, r.journal, got.Conversation)
				if len(replies) != 3 || replies[2].Text != "Still there? (b)" {
					t.Errorf("replies = %+v", replies)
				}
				if s := r.journal.state(t, got.Conversation); len(s.Timers) != 0 || s.Status != conversation.StatusPending {
					t.Errorf("timers %v left, status %s", s.Timers, s.Status)
				}
			})
		})
	}
}

func TestTimersDueTogetherAllFire(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var heard []string
		r := newRig(t, bind(reminder(&heard, "a", "b", "c")))
		got := r.say("hello") // the clock is not running yet
		time.Sleep(time.Hour)
		r.run()
		time.Sleep(time.Minute)
		synctest.Wait()
		if fmt.Sprint(heard) != "[a b c]" {
			t.Errorf("timers heard = %v, want a, b, c", heard)
		}
		if n := len(events[conversation.ReplyComposed](t, r.journal, got.Conversation)); n != 4 {
			t.Errorf("%d replies, want 4", n)
		}
	})
}

func TestTimersFireAfterARestart(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var heard []string
		r := newRig(t, bind(reminder(&heard, "a")))
		r.say("hello")
		r.restart()
		r.run()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if fmt.Sprint(heard) != "[a]" {
			t.Errorf("timers heard = %v, want a", heard)
		}
	})
}

func TestATimerDoesNotDisturbATurn(t *testing.T) {
	for name, budget := range map[string]time.Duration{"message not stored yet": time.Hour, "message stored": time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				var heard []string
				r := newRig(t, func(o *Options) {
					o.Budget, o.TurnTimeout, o.RequestTimeout = budget, 2*time.Hour, 3*time.Hour
					bind(reminder(&heard, "a"))(o)
				})
				r.run()
				r.say("hello")
				time.Sleep(55 * time.Second)
				release := r.script.blocks("slow", "hours")
				d := r.send(with(anna("slow"), "1", 10*time.Minute))
				time.Sleep(time.Minute) // the timer is due meanwhile
				close(release)
				time.Sleep(10 * time.Second)
				synctest.Wait()
				if !d.over || d.err != nil || len(d.receipt.Replies) != 1 {
					t.Errorf("delivery = %+v, want its reply", d)
				}
				if fmt.Sprint(heard) != "[a]" {
					t.Errorf("timers heard = %v, want a", heard)
				}
			})
		})
	}
}

// A timer that nobody is bound to any more says nothing.
func TestTimerWithoutItsBehaviorIsSilent(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var heard []string
		r := newRig(t, bind(reminder(&heard, "a", "b", "c")))
		got := r.say("hello")
		r.options = nil
		r.restart()
		r.run()
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if n := len(events[conversation.ReplyComposed](t, r.journal, got.Conversation)); n != 1 {
			t.Errorf("%d replies, want 1: there is nothing to say", n)
		}
		if s := r.journal.state(t, got.Conversation); s.Status != conversation.StatusPending || len(s.Timers) != 0 {
			t.Errorf("status %s with timers %v, want pending without", s.Status, s.Timers)
		}
	})
}

func TestTimerOfATakenConversationEndsQuietly(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var heard []string
		r := newRig(t, bind(reminder(&heard, "a")))
		r.run()
		id := r.say("hello").Conversation
		r.do(id, conversation.Claim{Agent: "eve"})
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if s := r.journal.state(t, id); len(heard) != 0 || len(s.Timers) != 0 {
			t.Errorf("heard %v, timers left %v; want none", heard, s.Timers)
		}
	})
}

func TestSnoozeEndsByItself(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.run()
		id := r.say("hello").Conversation
		r.do(id, conversation.Claim{Agent: "eve"})
		r.do(id, conversation.Snooze{By: "eve", Until: time.Now().Add(time.Hour)})
		time.Sleep(59 * time.Minute)
		if s := r.journal.state(t, id); s.Status != conversation.StatusSnoozed {
			t.Errorf("after 59 minutes %s, want snoozed", s.Status)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if s := r.journal.state(t, id); s.Status != conversation.StatusOpen || s.Assignee != "eve" {
			t.Errorf("after the hour %s with %q, want open with eve", s.Status, s.Assignee)
		}
	})
}

func TestJournalFailureInATimersTurn(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var heard []string
		r := newRig(t, bind(reminder(&heard, "a")))
		id := r.say("hello").Conversation
		r.run()
		var appends atomic.Int32
		r.journal.failWith(func(op string, _ *conversation.Append) (outcome, error) {
			if op == "append" && appends.Add(1) == 1 {
				return notStored, errDown
			}
			return asUsual, nil
		})
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if fmt.Sprint(heard) != "[a]" || r.metric("colloquy_actor_restarts_total", KindConversation) != 0 {
			t.Errorf("timers heard = %v after %v restarts, want a after none", heard, r.metric("colloquy_actor_restarts_total", KindConversation))
		}
		if s := r.journal.state(t, id); len(s.Timers) != 0 {
			t.Errorf("timers left %v", s.Timers)
		}
	})
}
