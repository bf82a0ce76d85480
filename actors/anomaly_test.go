package actors

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/telemetry/anomaly"
	"github.com/colloquyhq/colloquy/telemetry/cpu"
	"github.com/colloquyhq/colloquy/telemetry/flight"
)

// slowed is a bot that takes as long for a turn as the message says.
func slowed(o *Options) {
	bind(func(_ context.Context, b *Turn) (conversation.Outcome, error) {
		if d, err := time.ParseDuration(string(b.Text)); err == nil {
			time.Sleep(d)
		}
		return b.Reply("done"), nil
	})(o)
}

// visitor gives the n-th visitor's message, and waits for the reply.
func (r *rig) visitor(n byte, text string) conversation.Receipt {
	r.tb.Helper()
	in := with(anna(text), "", time.Minute)
	in.Contact = conversation.ContactID{1, n, 15: n}
	return r.deliver(in)
}

// learn teaches the node what is usual: turns of 120 ms, messages half a minute
// apart.
func (r *rig) learn() {
	r.tb.Helper()
	for n := range byte(25) {
		for i := range 9 {
			time.Sleep(30 * time.Second)
			r.visitor(100+n, fmt.Sprint(110+i, "ms"))
		}
	}
}

// told gives what a conversation's log tells of anomalies, in words.
func (r *rig) told(id conversation.ConversationID) string {
	r.tb.Helper()
	synctest.Wait()
	var out []string
	for _, ev := range events[conversation.AnomalyFound](r.tb, r.journal, id) {
		out = append(out, string(ev.Anomaly)+": "+ev.Explanation())
	}
	return strings.Join(out, "\n")
}

func (r *rig) wantTold(id conversation.ConversationID, want string) {
	r.tb.Helper()
	if got := r.told(id); got != want {
		r.tb.Errorf("told\n%s\nwant\n%s", got, want)
	}
}

func (r *rig) wantMetric(want float64, name string, labels ...string) {
	r.tb.Helper()
	synctest.Wait()
	if got := r.metric(name, labels...); got != want {
		r.tb.Errorf("%s%q = %v, want %v", name, labels, got, want)
	}
}

// TestSlowTurnsAreTold once in ten minutes, with their figures, in the log, in
// the metrics and by a watch.
func TestSlowTurnsAreTold(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		meters := cpu.NewMeters(cpu.Options{})
		options, recorder := recorded(func(o *Options) { slowed(o); o.Meters = meters })
		r := newRig(t, options)
		r.run()
		r.learn()
		r.wantMetric(0, "colloquy_anomalies_total")
		var id conversation.ConversationID
		for i := range 9 {
			id = r.visitor(1, fmt.Sprint(590+i, "ms")).Conversation
			time.Sleep(time.Minute)
		}
		r.wantTold(id, "slow: turns take 5.1× the channel's usual 116ms since 3 turns")
		r.wantMetric(1, "colloquy_anomalies_total", "slow", "web")
		r.wantMetric(1, "colloquy_conversations_anomalous", "slow")
		if s, ok := meters.Find(id.String()); !ok || !s.Watched {
			t.Errorf("the conversation is not watched: %+v", s)
		}
		var kept []flight.Reason
		for len((*recorder).Wants()) > 0 {
			kept = append(kept, (<-(*recorder).Wants()).Reason)
		}
		want := append([]flight.Reason{flight.ReasonAnomaly}, slices.Repeat([]flight.Reason{flight.ReasonWatched}, 3)...)
		if len(kept) < len(want) || !slices.Equal(kept[:len(want)], want) {
			t.Errorf("traces are kept for %v, want %v", kept, want)
		}
		time.Sleep(20 * time.Minute)
		r.wantMetric(0, "colloquy_conversations_anomalous", "slow")
		s := r.journal.state(t, id)
		if s.Priority != conversation.PriorityNone || s.Status != conversation.StatusPending {
			t.Errorf("priority %s, status %s: telling changes neither", s.Priority, s.Status)
		}
	})
}

func TestAnomaliesFollowThePolicies(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, slowed)
		r.learn()
		rules := func(p conversation.AnomalyPolicy) {
			r.directory.change("shop", func(i *conversation.Inbox) { i.Policy.Anomalies.Slow = p })
		}
		slow := func(n byte) *conversation.State {
			var id conversation.ConversationID
			for range 3 {
				id = r.visitor(n, "2s").Conversation
			}
			synctest.Wait()
			return r.journal.state(t, id)
		}
		rules(conversation.AnomalyIgnore)
		if s := slow(1); len(s.Anomalies) != 0 {
			t.Errorf("ignored, but told: %+v", s.Anomalies)
		}
		rules(conversation.AnomalyRaise)
		if s := slow(2); s.Priority != conversation.PriorityHigh || s.Status != conversation.StatusPending {
			t.Errorf("raise: priority %s, status %s", s.Priority, s.Status)
		}
		rules(conversation.AnomalyHandover)
		s := slow(3)
		if s.Handover == nil || s.Handover.Reason != conversation.HandoverAnomaly || !strings.Contains(s.Handover.Summary, "17.2×") ||
			s.Queue != conversation.QueueQueued || s.Priority != conversation.PriorityHigh {
			t.Errorf("handover %+v, queue %s, priority %s", s.Handover, s.Queue, s.Priority)
		}
		r.wantMetric(1, "colloquy_handovers_total", "anomaly")
	})
}

func TestFloodsAreTold(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, slowed)
		r.learn()
		var id conversation.ConversationID
		for range 12 {
			id = r.visitor(1, "1ms").Conversation
			time.Sleep(199 * time.Millisecond)
		}
		r.wantTold(id, "flood: messages come every 200ms, usual in the channel is every 31.5s, since 7 messages")
	})
}

// TestLoopsAreTold when a bot has the conversation: who writes the same to a
// human waits for an answer.
func TestLoopsAreTold(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, func(o *Options) { o.Unusual = anomaly.Options{Unattended: 5} })
		r.directory.change("shop", func(i *conversation.Inbox) { i.Policy.MaxAbstains = 99 })
		var id conversation.ConversationID
		for _, text := range []string{"I am a bot", "what?", "I AM a bot.", "I am a bot!", "i am a bot"} {
			id = r.visitor(1, text).Conversation
		}
		r.wantTold(id, "loop: 4 of the last 5 messages are the same")
		for i := range 6 {
			id = r.visitor(2, fmt.Sprint("number ", i)).Conversation
		}
		r.wantTold(id, "loop: 6 turns of the bot in a row without a human")
		r.directory.change("shop", func(i *conversation.Inbox) { i.Packs = nil })
		for range 8 {
			id = r.visitor(3, "is anybody there?").Conversation
		}
		r.wantTold(id, "")
	})
}

// TestWhoWaitsTooLongIsTold by the grain's own clock, once for each wait.
func TestWhoWaitsTooLongIsTold(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.directory.change("desk", func(i *conversation.Inbox) {
			i.Policy.Anomalies = conversation.AnomalyRules{Stuck: conversation.AnomalyRaise, AnswerWithin: 60, Priority: conversation.PriorityUrgent}
		})
		ask := func() conversation.ConversationID {
			in := anna("hello")
			in.Inbox = "desk"
			return r.deliver(in).Conversation
		}
		id := ask()
		time.Sleep(59 * time.Second)
		r.wantTold(id, "")
		time.Sleep(2 * time.Second)
		const first = "stuck: the visitor has waited 1m0s for an answer, the inbox's objective is 1m0s"
		r.wantTold(id, first)
		r.wantMetric(1, "colloquy_conversations_anomalous", "stuck")
		ask()
		time.Sleep(2 * time.Minute)
		r.wantTold(id, first)
		r.do(id, conversation.ReplyAsAgent{Agent: "a1", Text: "here I am"})
		r.wantMetric(0, "colloquy_conversations_anomalous", "stuck")
		ask()
		time.Sleep(61 * time.Second)
		r.wantTold(id, first+"\n"+first)
		if s := r.journal.state(t, id); s.Priority != conversation.PriorityUrgent {
			t.Errorf("priority %s", s.Priority)
		}
	})
}

// TestTheSweepSeesWhoRests: a grain that is not in memory has no clock.
func TestTheSweepSeesWhoRests(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.run()
		in := anna("hello")
		in.Inbox = "desk"
		id := r.deliver(in).Conversation
		time.Sleep(9 * time.Minute)
		if n := r.engine.gate.Active(KindConversation); n != 0 {
			t.Fatalf("%d conversations are in memory", n)
		}
		r.wantTold(id, "")
		r.wantMetric(0, "colloquy_conversations_anomalous", "stuck")
		time.Sleep(90 * time.Second)
		if got := r.told(id); !strings.HasPrefix(got, "stuck: the visitor has waited 10m") || strings.Contains(got, "\n") {
			t.Errorf("told %q", got)
		}
		time.Sleep(30 * time.Minute)
		if got := r.told(id); strings.Contains(got, "\n") {
			t.Errorf("told again: %q", got)
		}
		r.wantMetric(1, "colloquy_conversations_anomalous", "stuck") // it is still so
		r.wantMetric(1, "colloquy_anomalies_total", "stuck", "web")
		r.do(id, conversation.Resolve{By: "a1"})
		r.wantMetric(0, "colloquy_conversations_anomalous", "stuck")
	})
}

func TestAngerIsAnAnomaly(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newMoodRig(t)
		id := r.say("when!").Conversation
		r.wantTold(id, "") // one message is a mood, and not more yet
		r.say("now!")
		r.wantTold(id, "anger: 2 of the last 3 messages are angry, up to 0.90, usual in the channel is 0.00")
		r.wantMetric(1, "colloquy_anomalies_total", "anger", "web")
		r.wantMetric(1, "colloquy_conversations_anomalous", "anger")
		r.say("when!")
		r.wantMetric(1, "colloquy_anomalies_total", "anger", "web")
		for range 4 {
			r.say("when?")
		}
		r.wantMetric(0, "colloquy_conversations_anomalous", "anger")
	})
}

// TestTooManyAtOnceAreTheNodes: they are counted, and not told to everybody.
func TestTooManyAtOnceAreTheNodes(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, slowed)
		loop := func(n byte) (id conversation.ConversationID) {
			for range 4 {
				id = r.visitor(n, "the same").Conversation
			}
			return id
		}
		told := 0
		for n := range byte(admitted + 7) {
			if r.told(loop(n)) != "" {
				told++
			}
		}
		if told != admitted {
			t.Errorf("%d conversations are told, want %d", told, admitted)
		}
		r.wantMetric(7, "colloquy_anomalies_suppressed_total", "loop")
		time.Sleep(time.Minute)
		r.wantTold(loop(200), "loop: 4 of the last 4 messages are the same")
	})
}
