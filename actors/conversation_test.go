package actors

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/colloquyhq/colloquy/cluster"
	"github.com/colloquyhq/colloquy/conversation"
)

// delivery is a message under way.
type delivery struct {
	receipt conversation.Receipt
	err     error
	over    bool
	ended   chan struct{}
}

// send delivers without waiting; look at the result after synctest.Wait.
func (r *rig) send(in conversation.Inbound) *delivery {
	d := &delivery{ended: make(chan struct{})}
	r.running.Go(func() {
		defer close(d.ended)
		d.receipt, d.err = r.engine.Deliver(context.Background(), in)
		d.over = true
	})
	return d
}

// kinds gives the kinds of a conversation's entries.
func (r *rig) kinds(id conversation.ConversationID) []string {
	var out []string
	for _, e := range r.journal.log(r.tb, id) {
		out = append(out, e.Event.Kind())
	}
	return out
}

// visitorTexts gives the stored visitor messages in order.
func (r *rig) visitorTexts(id conversation.ConversationID) []string {
	var out []string
	for _, m := range events[conversation.MessageAccepted](r.tb, r.journal, id) {
		out = append(out, string(m.Text))
	}
	return out
}

func TestOneTurnIsOneAppend(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.script.means("when?", "hours")
		first := r.say("when?")
		said(t, first, "We open at nine.")
		if n := r.journal.count(); n != 1 {
			t.Errorf("%d appends for the first turn, want 1", n)
		}
		second := r.say("when?")
		if n := r.journal.count(); n != 2 {
			t.Errorf("%d appends for two turns, want 2", n)
		}
		if first.Seq != 2 || second.Conversation != first.Conversation || second.Replies[0].InReplyTo != second.Seq {
			t.Errorf("receipts %+v and %+v: want seq 2, one conversation, a reply to the message", first, second)
		}
		want := "conversation.started message.accepted turn.completed message.composed message.accepted turn.completed message.composed"
		if got := strings.Join(r.kinds(first.Conversation), " "); got != want {
			t.Errorf("log = %s, want %s", got, want)
		}
		if p := second.Replies[0].Bot; p.Intent != "hours" || p.Model != "m1" || p.Behavior != "builtin" {
			t.Errorf("provenance = %+v", p)
		}
	})
}

func TestReceiptComesWithoutReplyWhenNobodyWaits(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.script.means("when?", "hours")
		got := r.deliver(anna("when?"))
		if got.Seq != 2 || got.At.IsZero() || got.Version != 4 || got.Status != conversation.StatusPending {
			t.Errorf("receipt = %+v, want seq 2 at version 4, pending", got)
		}
	})
}

func TestSlowClassifierTakesTheLongRoad(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		release := r.script.blocks("when?", "hours")
		acked := r.deliver(anna("when?")) // returns though nothing is classified
		if n := r.journal.count(); n != 1 || !slices.Equal(r.kinds(acked.Conversation), []string{"conversation.started", "message.accepted"}) {
			t.Fatalf("at the receipt: %d appends, %v; want the message alone", n, r.kinds(acked.Conversation))
		}
		close(release)
		synctest.Wait()
		replies := events[conversation.ReplyComposed](t, r.journal, acked.Conversation)
		if len(replies) != 1 || replies[0].InReplyTo != acked.Seq {
			t.Errorf("replies = %+v, want one to %d", replies, acked.Seq)
		}
	})
}

func TestSlowClassifierWithWaitCarriesTheReply(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		release := r.script.blocks("when?", "hours")
		d := r.send(with(anna("when?"), "1", time.Second))
		time.AfterFunc(100*time.Millisecond, func() { close(release) })
		began := time.Now()
		synctest.Wait()
		select {
		case <-d.ended:
			t.Fatal("answered before the reply was there")
		default:
		}
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		if !d.over || d.err != nil {
			t.Fatalf("after %s: %+v", time.Since(began), d)
		}
		said(t, d.receipt, "We open at nine.")
		if r := events[conversation.ReplyComposed](t, r.journal, d.receipt.Conversation); !r[0].Inline {
			t.Error("the reply rides on the response, yet it is not inline")
		}
	})
}

func TestWaitEndsWithoutTheReply(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, func(o *Options) { o.TurnTimeout = 10 * time.Second })
		release := r.script.blocks("when?", "hours")
		began := time.Now()
		in := with(anna("when?"), "1", 50*time.Millisecond)
		in.Channel = conversation.ChannelWebhook
		got := r.deliver(in)
		if d := time.Since(began); d < 50*time.Millisecond || d > 80*time.Millisecond || len(got.Replies) != 0 {
			t.Errorf("answered after %s with %d replies, want the wait and none", d, len(got.Replies))
		}
		close(release)
		synctest.Wait()
		replies := events[conversation.ReplyComposed](t, r.journal, got.Conversation)
		if len(replies) != 1 || replies[0].Inline {
			t.Errorf("replies = %+v, want one that is sent by the outbox", replies)
		}
	})
}

func TestFailingClassifierEndsAtAHuman(t *testing.T) {
	for name, sc := range map[string]scene{
		"error": {err: errors.New("no model")}, "panic": {panics: true}, "deadline": {hangs: true},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				r := newRig(t, nil)
				r.script.on("when?", sc)
				got := r.say("when?")
				said(t, got, "Something broke, a human comes.")
				handed := events[conversation.HandoverRequested](t, r.journal, got.Conversation)
				if len(handed) != 1 || handed[0].Reason != conversation.HandoverBotFailed {
					t.Errorf("handovers = %+v, want bot_failed", handed)
				}
				if s := r.journal.state(t, got.Conversation); s.Status != conversation.StatusOpen || s.Queue != conversation.QueueQueued {
					t.Errorf("state %s, %s; want open and queued", s.Status, s.Queue)
				}
				r.script.means("again?", "hours")
				other := anna("again?")
				other.Contact[0] = 9
				said(t, r.deliver(with(other, "", time.Minute)), "We open at nine.") // the scoring actors live on
			})
		})
	}
}

func TestFullScoringQueueEndsAtAHuman(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, func(o *Options) { o.ScoringQueue = 1; o.TurnTimeout = time.Hour })
		release := r.script.blocks("slow", "hours")
		defer close(release)
		for i := range 64 { // one each for the scoring actors, then one that waits
			in := anna("slow")
			in.Contact[0] = byte(100 + i)
			r.send(in)
		}
		synctest.Wait()
		got := r.say("when?")
		said(t, got, "Something broke, a human comes.")
		if r.metric("colloquy_intent_queue_full_total") == 0 {
			t.Error("no refusal was counted")
		}
	})
}

func TestManyDeliveriesOfOneRefAreOneMessage(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		release := r.script.blocks("when?", "hours")
		in := with(anna("when?"), "r1", time.Minute)
		var all []*delivery
		for range 50 {
			all = append(all, r.send(in))
		}
		synctest.Wait()
		close(release)
		time.Sleep(time.Second)
		synctest.Wait()
		fresh := 0
		for i, d := range all {
			if !d.over || d.err != nil || d.receipt.Seq != 2 || len(d.receipt.Replies) != 1 || d.receipt.Replies[0].Seq != 4 {
				t.Fatalf("delivery %d: %+v, want seq 2 with the reply at 4", i, d)
			}
			if !d.receipt.Duplicate {
				fresh++
			}
		}
		if fresh != 1 {
			t.Errorf("%d receipts say that they are the first, want 1", fresh)
		}
		if got := r.visitorTexts(all[0].receipt.Conversation); len(got) != 1 {
			t.Errorf("stored %q, want one message", got)
		}
		if n := r.metric("colloquy_messages_duplicate_total"); n != 49 {
			t.Errorf("duplicates counted = %v, want 49", n)
		}
	})
}

func TestARefIsRecognizedLater(t *testing.T) {
	for name, meanwhile := range map[string]func(t *testing.T, r *rig, id conversation.ConversationID){
		"at once": func(*testing.T, *rig, conversation.ConversationID) {},
		"after passivation": func(t *testing.T, r *rig, id conversation.ConversationID) {
			r.engine.Gate().Passivate(conversationID(id))
			synctest.Wait()
			if n := r.engine.Gate().Active(KindConversation); n != 0 {
				t.Errorf("%d grains active, want 0", n)
			}
		},
		"after a restart": func(_ *testing.T, r *rig, _ conversation.ConversationID) { r.restart() },
		"after 600 other messages": func(_ *testing.T, r *rig, _ conversation.ConversationID) {
			for i := range 600 {
				r.deliver(with(anna("more"), fmt.Sprint("m", i), 0))
			}
		},
		"after its conversation closed": func(_ *testing.T, r *rig, id conversation.ConversationID) {
			r.do(id, conversation.Resolve{By: "eve"})
			r.do(id, conversation.Close{By: "eve"})
		},
		"in the successor": func(t *testing.T, r *rig, id conversation.ConversationID) {
			r.do(id, conversation.Resolve{By: "eve"})
			r.do(id, conversation.Close{By: "eve"})
			next := r.say("hello again")
			if next.Conversation == id || events[conversation.ConversationStarted](t, r.journal, next.Conversation)[0].Previous != id {
				t.Errorf("the next message went to %s, want a successor of %s", next.Conversation, id)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				r := newRig(t, nil)
				r.script.means("when?", "hours")
				in := with(anna("when?"), "r1", time.Minute)
				first := r.deliver(in)
				meanwhile(t, r, first.Conversation)
				appends := r.journal.count()
				for range 2 {
					again := r.deliver(in)
					if !again.Duplicate || again.Seq != first.Seq || again.Conversation != first.Conversation {
						t.Errorf("receipt = %+v, want a duplicate of %s/%d", again, first.Conversation, first.Seq)
					}
					said(t, again, "We open at nine.")
					if m := again.Replies; len(m) == 1 && (m[0].Seq != first.Replies[0].Seq || m[0].Delivery != first.Replies[0].Delivery) {
						t.Errorf("reply = %+v, want %+v", m[0], first.Replies[0])
					}
				}
				if n := r.journal.count(); n != appends {
					t.Errorf("%d appends by repeated deliveries", n-appends)
				}
			})
		})
	}
}

func TestTheSameRefOfAnotherContactIsAnotherMessage(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		a := r.deliver(with(anna("hi"), "1", 0))
		other := with(anna("hi"), "1", 0)
		other.Contact[0] = 9
		if b := r.deliver(other); b.Duplicate || b.Conversation == a.Conversation {
			t.Errorf("second contact's receipt = %+v, want a conversation of its own", b)
		}
	})
}

func TestOrderIsKeptBackToBack(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		var want []string
		results := make([]*delivery, 60)
		for i := range results {
			text := fmt.Sprintf("message %d", i)
			want = append(want, text)
			d := &delivery{}
			results[i] = d
			r.engine.DeliverAsync(with(anna(text), text, 0), func(got conversation.Receipt, err error) {
				d.receipt, d.err, d.over = got, err, true
			})
		}
		synctest.Wait()
		time.Sleep(time.Second)
		synctest.Wait()
		for i, d := range results {
			if !d.over || d.err != nil {
				t.Fatalf("message %d: %+v", i, d)
			}
			if i > 0 && d.receipt.Seq <= results[i-1].receipt.Seq {
				t.Errorf("message %d has seq %d after %d", i, d.receipt.Seq, results[i-1].receipt.Seq)
			}
		}
		if got := r.visitorTexts(results[0].receipt.Conversation); !slices.Equal(got, want) {
			t.Errorf("stored order %q", got)
		}
	})
}

func TestBacklogIsBounded(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, func(o *Options) { o.Budget = time.Second })
		release := r.script.blocks("slow", "hours")
		first := r.send(anna("slow"))
		synctest.Wait()
		var rest []*delivery
		for i := range heldMessages + 5 {
			rest = append(rest, r.send(with(anna("more"), fmt.Sprint(i), 0)))
		}
		synctest.Wait()
		refused := 0
		for _, d := range rest {
			if errors.Is(d.err, conversation.ErrOverloaded) {
				refused++
			}
		}
		if refused != 5 {
			t.Errorf("%d messages refused as overloaded, want 5", refused)
		}
		close(release)
		synctest.Wait()
		if first.err != nil || len(r.visitorTexts(first.receipt.Conversation)) != heldMessages+1 {
			t.Errorf("first: %v; stored %d, want %d", first.err, len(r.visitorTexts(first.receipt.Conversation)), heldMessages+1)
		}
	})
}

func TestAgentClaimsWhileAMessageIsClassified(t *testing.T) {
	for name, budget := range map[string]time.Duration{"not stored yet": time.Minute, "stored": time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				r := newRig(t, func(o *Options) { o.Budget = budget; o.TurnTimeout = time.Hour })
				id := r.say("hello").Conversation
				before := len(events[conversation.ReplyComposed](t, r.journal, id))
				release := r.script.blocks("when?", "hours")
				d := r.send(with(anna("when?"), "r", time.Minute))
				time.Sleep(10 * time.Millisecond)
				r.do(id, conversation.Claim{Agent: "eve"})
				close(release)
				synctest.Wait()
				if !d.over || d.err != nil || len(d.receipt.Replies) != 0 {
					t.Fatalf("delivery = %+v, want a receipt without reply", d)
				}
				if n := len(events[conversation.ReplyComposed](t, r.journal, id)); n != before {
					t.Errorf("the bot spoke %d times after the claim", n-before)
				}
				if got := r.visitorTexts(id); got[len(got)-1] != "when?" {
					t.Errorf("stored %q, want the message at the end", got)
				}
			})
		})
	}
}

func TestVisitorWritesAgainWhileABehaviorRuns(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		calls := make(chan conversation.Text, 4)
		r := newRig(t, func(o *Options) {
			o.Bindings = []Binding{{Name: "slow", Inbox: "shop", Behavior: BehaviorFunc(func(ctx context.Context, b *Turn) (conversation.Outcome, error) {
				calls <- b.Text
				if b.Text == "one" {
					<-ctx.Done()
				}
				return b.Reply("about " + string(b.Text)), nil
			})}}
		})
		first := r.send(with(anna("one"), "1", time.Minute))
		synctest.Wait()
		second := r.say("two")
		said(t, second, "about two")
		synctest.Wait()
		if !first.over || first.err != nil || len(first.receipt.Replies) != 0 {
			t.Errorf("first delivery = %+v, want a receipt without reply", first)
		}
		if replies := events[conversation.ReplyComposed](t, r.journal, second.Conversation); len(replies) != 1 {
			t.Errorf("replies = %+v, want only the second", replies)
		}
		if n := r.metric("colloquy_turns_stale_total"); n != 1 {
			t.Errorf("stale results counted = %v, want 1", n)
		}
		if n := r.metric("colloquy_behavior_runs_total", "timeout"); n != 0 {
			t.Errorf("a run that was called off counts as timeout (%v)", n)
		}
		if len(calls) != 2 {
			t.Errorf("%d runs, want 2", len(calls))
		}
	})
}

func TestTwoAgentsClaimAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		id := r.say("hello").Conversation
		errs := make([]error, 2)
		for i, agent := range []conversation.AgentID{"adam", "eve"} {
			r.running.Go(func() {
				_, errs[i] = r.engine.Do(context.Background(), id, conversation.Claim{Agent: agent})
			})
		}
		synctest.Wait()
		winner := r.journal.state(t, id).Assignee
		loser := errs[0]
		if winner == "adam" {
			loser = errs[1]
		}
		if (errs[0] == nil) == (errs[1] == nil) || conversation.CodeOf(loser) != conversation.CodeAlreadyClaimed || !strings.Contains(loser.Error(), string(winner)) {
			t.Errorf("claims = %v; want one refused as already_claimed by %s", errs, winner)
		}
	})
}

func TestCommandsToNobodyAreRefused(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		for name, id := range map[string]conversation.ConversationID{"unknown": {9}, "zero": {}} {
			if _, err := r.engine.Do(context.Background(), id, conversation.Claim{Agent: "eve"}); !errors.Is(err, conversation.ErrNotFound) {
				t.Errorf("%s: %v, want class not found", name, err)
			}
		}
		if _, err := r.engine.Request(context.Background(), cluster.GrainID{Kind: KindConversation, ID: "no id"}, &do{cmd: conversation.Claim{Agent: "eve"}}); !errors.Is(err, conversation.ErrNotFound) {
			t.Errorf("a name that is no id: %v, want class not found", err)
		}
		if n := len(r.journal.rows); n != 0 {
			t.Errorf("%d rows in the journal by asking, want none", n)
		}
		synctest.Wait()
		// The one whose name is no id goes with the idle ones.
		if n := r.engine.Gate().Active(KindConversation); n > 1 {
			t.Errorf("%d grains in memory by asking, want none", n)
		}
	})
}

func TestInboundIsRefusedWithItsCode(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.directory.change("shop", func(i *conversation.Inbox) { i.Channels = []conversation.ChannelKind{conversation.ChannelWeb} })
		tests := []struct {
			name string
			edit func(*conversation.Inbound)
			want conversation.Code
		}{
			{"no text", func(in *conversation.Inbound) { in.Text = " " }, conversation.CodeEmptyText},
			{"long ref", func(in *conversation.Inbound) { in.Ref = conversation.Ref(strings.Repeat("r", 200)) }, conversation.CodeBadRef},
			{"unknown inbox", func(in *conversation.Inbound) { in.Inbox = "nowhere" }, conversation.CodeNotFound},
			{"channel not served", func(in *conversation.Inbound) { in.Channel = conversation.ChannelEmail }, conversation.CodeUnknownChannel},
			{"no contact", func(in *conversation.Inbound) { in.Contact = conversation.ContactID{} }, conversation.CodeInvalid},
		}
		for _, tt := range tests {
			in := anna("hi")
			tt.edit(&in)
			if _, err := r.engine.Deliver(context.Background(), in); conversation.CodeOf(err) != tt.want {
				t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
			}
		}
		if r.journal.count() != 0 {
			t.Error("something was stored")
		}
	})
}

func TestWithoutABotHumansGetIt(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		in := anna("hello")
		in.Inbox = "desk"
		got := r.deliver(in)
		if s := r.journal.state(t, got.Conversation); s.Status != conversation.StatusOpen || s.Handover.Reason != conversation.HandoverNoBot {
			t.Errorf("state %s, %+v; want open for no_bot", s.Status, s.Handover)
		}
	})
}

func TestAnInboxThatLostItsBotHandsOver(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		id := r.say("hello").Conversation
		r.directory.change("shop", func(i *conversation.Inbox) { i.Packs = nil })
		r.say("anybody?")
		if s := r.journal.state(t, id); s.Status != conversation.StatusOpen || s.Handover.Reason != conversation.HandoverNoBot {
			t.Errorf("state %s, %+v; want open for no_bot", s.Status, s.Handover)
		}
	})
}

func TestResolvedComesBackOrHasASuccessor(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.directory.change("shop", func(i *conversation.Inbox) { i.ReopenWindow = time.Hour })
		r.script.means("when?", "hours")
		id := r.say("hello").Conversation
		r.do(id, conversation.Resolve{By: "eve"})
		time.Sleep(30 * time.Minute)
		back := r.say("when?")
		said(t, back, "We open at nine.")
		if back.Conversation != id || back.Status != conversation.StatusPending {
			t.Errorf("within the window: %+v, want the same conversation with the bot", back)
		}
		r.do(id, conversation.Resolve{By: "eve"})
		time.Sleep(2 * time.Hour)
		next := r.say("when?")
		said(t, next, "We open at nine.")
		synctest.Wait()
		if next.Conversation == id || r.journal.state(t, id).Status != conversation.StatusClosed {
			t.Errorf("after the window: %s in %s, want a successor and the old one closed", next.Conversation, r.journal.state(t, id).Status)
		}
		third := r.say("when?")
		if third.Conversation != next.Conversation {
			t.Errorf("the third message went to %s, want the successor %s", third.Conversation, next.Conversation)
		}
	})
}

func TestManyAtOnceMeetInOneConversation(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		id := r.say("hello").Conversation
		r.do(id, conversation.Resolve{By: "eve"})
		r.do(id, conversation.Close{By: "eve"})
		var all []*delivery
		for i := range 20 {
			all = append(all, r.send(with(anna("again"), fmt.Sprint(i), 0)))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		for _, d := range all {
			if d.err != nil || d.receipt.Conversation != all[0].receipt.Conversation || d.receipt.Conversation == id {
				t.Errorf("%+v, want the one successor %s", d, all[0].receipt.Conversation)
			}
		}
	})
}

// The budget that ends in the same moment as the classifier answers must not
// end the behavior that has begun meanwhile.
func TestBudgetEndsWhileABehaviorRuns(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, func(o *Options) {
			o.Bindings = []Binding{{Name: "slow", Intent: "refund", Behavior: BehaviorFunc(func(_ context.Context, b *Turn) (conversation.Outcome, error) {
				time.Sleep(time.Second)
				return b.Reply("looked up"), nil
			})}}
		})
		r.script.means("refund", "refund")
		got := make(chan conversation.Receipt)
		go func() { got <- r.say("refund") }()
		time.Sleep(500 * time.Millisecond) // the behavior runs
		id, err := r.engine.locate(conversation.ContactKey{Inbox: "shop", Contact: anna("").Contact})
		if err != nil {
			t.Fatal(err)
		}
		// The clock's message that was on its way when the clock was stopped.
		if err := r.engine.gate.Tell(conversationID(id), &budgetOver{attempt: r.engine.attempts.Load()}, nil); err != nil {
			t.Fatal(err)
		}
		said(t, <-got, "looked up")
	})
}
