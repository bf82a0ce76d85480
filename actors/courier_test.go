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

	"github.com/colloquyhq/colloquy/conversation"
)

// hook gives contact n a conversation on the webhook channel, with eve.
func (r *rig) hook(n byte) conversation.ConversationID {
	r.tb.Helper()
	in := anna("hello")
	in.Inbox, in.Channel, in.Contact[0], in.Peer = "desk", conversation.ChannelWebhook, n, fmt.Sprint("peer", n)
	id := r.deliver(in).Conversation
	r.do(id, conversation.Claim{Agent: "eve"})
	return id
}

// write sends an agent's messages.
func (r *rig) write(id conversation.ConversationID, texts ...string) {
	r.tb.Helper()
	for _, text := range texts {
		r.do(id, conversation.ReplyAsAgent{Agent: "eve", Text: conversation.Text(text)})
	}
}

func (r *rig) unsentRows() int {
	rows, _ := r.journal.unsent("", 1<<20)
	return len(rows)
}

// settle lets fake time pass until nothing moves.
func settle(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestCourierKeepsTheOrder(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.run()
		id := r.hook(1)
		failed := false
		r.post.by(func(out conversation.Outbound, attempt int) Attempt {
			if out.Text == "two" && attempt < 3 {
				failed = true
				return Attempt{Result: conversation.DeliveryPending, RetryAt: time.Now().Add(time.Minute)}
			}
			return Attempt{Result: conversation.DeliverySent, ProviderID: "p-" + string(out.Text)}
		})
		began := time.Now()
		r.write(id, "one", "two", "three")
		settle(time.Second)
		other := r.hook(2)
		r.write(other, "else") // not held up by the other conversation
		settle(10 * time.Minute)
		if got, want := r.post.tries(), []string{"one#1", "two#1", "else#1", "two#2", "two#3", "three#1"}; !slices.Equal(got, want) || !failed {
			t.Errorf("sends = %v, want %v", got, want)
		}
		for i, at := range []time.Duration{0, 0, time.Second, time.Minute, 2 * time.Minute, 2 * time.Minute} {
			if d := r.post.sent[i].at.Sub(began); d < at || d > at+time.Second {
				t.Errorf("send %d after %s, want %s", i, d, at)
			}
		}
		sent := events[conversation.MessageSent](t, r.journal, id)
		if len(sent) != 3 || sent[1].ProviderID != "p-two" || sent[1].Result != conversation.DeliverySent || r.unsentRows() != 0 {
			t.Errorf("recorded %+v, %d rows left", sent, r.unsentRows())
		}
		if o := r.post.sent[0].out; o.Peer != "peer1" || o.From != conversation.PartyAgent || o.Channel != conversation.ChannelWebhook {
			t.Errorf("outbound = %+v", o)
		}
		if r.metric("colloquy_deliveries_total", "sent") != 4 || r.metric("colloquy_deliveries_total", "retry") != 2 || r.metric("colloquy_outbox_rows") != 0 {
			t.Errorf("counted sent %v, retry %v, rows %v", r.metric("colloquy_deliveries_total", "sent"), r.metric("colloquy_deliveries_total", "retry"), r.metric("colloquy_outbox_rows"))
		}
	})
}

func TestBotRepliesGoOutUnlessTheyRodeOnTheResponse(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.run()
		r.script.means("when?", "hours")
		in := anna("when?")
		in.Channel = conversation.ChannelWebhook
		r.deliver(with(in, "1", time.Minute))
		settle(time.Second)
		if got := r.post.tries(); len(got) != 0 {
			t.Errorf("sent %v, which rode on the response", got)
		}
		r.deliver(with(in, "2", 0))
		settle(time.Second)
		if got := r.post.tries(); !slices.Equal(got, []string{"We open at nine.#1"}) {
			t.Errorf("sent %v, want the reply", got)
		}
	})
}

func TestFinalFailureIsRecorded(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.run()
		id := r.hook(1)
		results := map[conversation.Text]conversation.Delivery{
			"gone": conversation.DeliveryFailed, "hm": conversation.DeliveryUncertain, "odd": "lost in space",
		}
		r.post.by(func(out conversation.Outbound, _ int) Attempt {
			if out.Text == "panic" {
				panic("a driver's private matter")
			}
			return Attempt{Result: results[out.Text], Detail: "forbidden:403"}
		})
		r.write(id, "gone", "hm", "odd", "panic")
		settle(time.Minute)
		var got []conversation.Delivery
		for _, s := range events[conversation.MessageSent](t, r.journal, id) {
			got = append(got, s.Result)
		}
		want := []conversation.Delivery{
			conversation.DeliveryFailed, conversation.DeliveryUncertain, conversation.DeliveryUncertain, conversation.DeliveryUncertain,
		}
		if !slices.Equal(got, want) || r.unsentRows() != 0 {
			t.Errorf("recorded %v with %d rows left, want %v and none", got, r.unsentRows(), want)
		}
		if n := len(r.post.tries()); n != 4 {
			t.Errorf("%d sends, want 4", n)
		}
	})
}

func TestRecordIsRepeatedNotTheSend(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.run()
		id := r.hook(1)
		fails := 3
		r.journal.failWith(func(op string, a *conversation.Append) (outcome, error) {
			if op != "append" || fails == 0 {
				return asUsual, nil
			}
			if _, ok := a.Entries[0].Event.(conversation.MessageSent); !ok {
				return asUsual, nil
			}
			fails--
			return notStored, errDown
		})
		r.write(id, "one", "two")
		settle(time.Minute)
		if got := r.post.tries(); !slices.Equal(got, []string{"one#1", "two#1"}) {
			t.Errorf("sends = %v, want each once", got)
		}
		if n := len(events[conversation.MessageSent](t, r.journal, id)); n != 2 || fails != 0 || r.unsentRows() != 0 {
			t.Errorf("%d records after %d more failures, %d rows left", n, fails, r.unsentRows())
		}
	})
}

func TestRetryWithoutATimeIsNotAFlood(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.run()
		id := r.hook(1)
		var tries atomic.Int32
		r.post.by(func(conversation.Outbound, int) Attempt {
			if tries.Add(1) > 100 {
				return Attempt{Result: conversation.DeliveryFailed}
			}
			return Attempt{Result: conversation.DeliveryPending}
		})
		r.write(id, "one")
		settle(10 * time.Second)
		if n := tries.Load(); n < 2 || n > 15 {
			t.Errorf("%d tries in ten seconds, want a few", n)
		}
	})
}

// accountThatIsStopped sends nothing until it is let go, and then at the second
// attempt.
type accountThatIsStopped struct {
	mu struct {
		sync.Mutex
		goesOn   bool
		attempts []int
		firsts   []time.Time
	}
}

// Send implements [Sender].
func (a *accountThatIsStopped) Send(_ context.Context, _ conversation.Outbound, attempt int, first time.Time) Attempt {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.mu.goesOn {
		return Attempt{Result: conversation.DeliveryPending, RetryAt: time.Now().Add(5 * time.Second), Held: true}
	}
	a.mu.attempts, a.mu.firsts = append(a.mu.attempts, attempt), append(a.mu.firsts, first)
	if len(a.mu.attempts) < 2 {
		return Attempt{Result: conversation.DeliveryPending, RetryAt: time.Now().Add(time.Second)}
	}
	return Attempt{Result: conversation.DeliverySent}
}

// A message of an account that an admin has stopped waits as long as it takes,
// and has all its attempts then.
func TestHeldMessagesUseUpNoAttempts(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		account := &accountThatIsStopped{}
		r := newRig(t, func(o *Options) { o.Sender = account })
		r.run()
		began := time.Now()
		r.write(r.hook(1), "one")
		settle(72 * time.Hour)
		if r.unsentRows() != 1 {
			t.Fatalf("%d rows while the account is stopped", r.unsentRows())
		}
		account.mu.Lock()
		account.mu.goesOn = true
		account.mu.Unlock()
		settle(time.Minute)
		account.mu.Lock()
		defer account.mu.Unlock()
		if !slices.Equal(account.mu.attempts, []int{1, 2}) || r.unsentRows() != 0 {
			t.Errorf("attempts %v, %d rows left", account.mu.attempts, r.unsentRows())
		}
		for _, at := range account.mu.firsts {
			if at.Sub(began) < 72*time.Hour {
				t.Errorf("the first attempt counts from %v, when the account was stopped", at.Sub(began))
			}
		}
	})
}

// A message that had to wait for its turn is tried for the first time after that,
// but its time has begun.
func TestWaitingForATurnIsNoAttempt(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.run()
		asked := 0
		r.post.by(func(conversation.Outbound, int) Attempt {
			if asked++; asked <= 5 {
				return Attempt{Result: conversation.DeliveryPending, RetryAt: time.Now().Add(time.Second), Idle: true}
			}
			return Attempt{Result: conversation.DeliverySent}
		})
		r.write(r.hook(1), "one")
		settle(time.Minute)
		if got, want := r.post.tries(), []string{"one#1", "one#1", "one#1", "one#1", "one#1", "one#1"}; !slices.Equal(got, want) {
			t.Errorf("attempts %v, want %v", got, want)
		}
		if n := r.metric("colloquy_deliveries_total", "retry"); n != 0 {
			t.Errorf("%v retries are counted", n)
		}
	})
}

func TestRestartResendsWhatIsNotSettled(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		id, other := r.hook(1), r.hook(2)
		r.run()
		r.write(id, "one")
		settle(time.Second)
		r.post.by(func(out conversation.Outbound, _ int) Attempt {
			if out.Conversation == id {
				return Attempt{Result: conversation.DeliveryPending, RetryAt: time.Now().Add(time.Hour)}
			}
			return Attempt{Result: conversation.DeliverySent}
		})
		r.write(id, "two", "three")
		r.write(other, "four")
		settle(time.Second)
		r.restart()
		r.post.by(nil)
		r.post.sent = nil
		r.write(id, "five") // committed before the courier has read the rows of before
		r.run()
		settle(time.Minute)
		if got, want := r.post.tries(), []string{"two#1", "three#1", "five#1"}; !slices.Equal(got, want) {
			t.Errorf("sends after the restart = %v, want %v", got, want)
		}
		if r.unsentRows() != 0 {
			t.Errorf("%d rows left", r.unsentRows())
		}
	})
}

func TestStopRecordsWhatIsBeingSent(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.run()
		id := r.hook(1)
		release := make(chan struct{})
		r.post.by(func(conversation.Outbound, int) Attempt {
			<-release
			return Attempt{Result: conversation.DeliverySent}
		})
		r.write(id, "one", "two")
		synctest.Wait()
		time.AfterFunc(time.Second, func() { close(release) })
		r.stop()
		if n := len(events[conversation.MessageSent](t, r.journal, id)); n != 1 || r.unsentRows() != 1 {
			t.Errorf("%d recorded and %d rows left, want the one that was under way, and the other", n, r.unsentRows())
		}
		r.post.by(nil)
		r.start()
		r.run()
		settle(time.Minute)
		if got := r.post.tries(); !slices.Equal(got, []string{"one#1", "two#1"}) {
			t.Errorf("sends = %v, want each once", got)
		}
	})
}

func TestOutboxMemoryIsBounded(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, func(o *Options) { o.OutboxRows, o.Sends = 4, 2 })
		r.journal.pageSize = 3
		r.run()
		a, b := r.hook(1), r.hook(2)
		release := make(chan struct{})
		var most atomic.Int32
		r.post.by(func(conversation.Outbound, int) Attempt {
			<-release
			r.engine.courier.mu.Lock()
			most.Store(max(most.Load(), int32(r.engine.courier.mu.rows)))
			r.engine.courier.mu.Unlock()
			return Attempt{Result: conversation.DeliverySent}
		})
		var want []string
		for i := range 12 {
			r.write(a, fmt.Sprint("a", i))
			r.write(b, fmt.Sprint("b", i))
			want = append(want, fmt.Sprintf("a%d#1", i), fmt.Sprintf("b%d#1", i))
		}
		synctest.Wait()
		close(release)
		settle(5 * time.Minute)
		got := r.post.tries()
		for _, name := range []string{"a", "b"} {
			var mine []string
			for _, s := range got {
				if s[:1] == name {
					mine = append(mine, s)
				}
			}
			for i, s := range mine {
				if s != fmt.Sprintf("%s%d#1", name, i) {
					t.Fatalf("order of %s: %v", name, mine)
				}
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) || r.unsentRows() != 0 {
			t.Errorf("sent %v, %d rows left; want each once", got, r.unsentRows())
		}
		if n := most.Load(); n > 4 {
			t.Errorf("%d rows in memory, the limit is 4", n)
		}
	})
}

// A row that was read from the journal may have been sent since, and one that
// is offered by the apply stream may have been read and sent before.
func TestLateRowsAreNotSentTwice(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.run()
		id := r.hook(1)
		r.journal.mu.Lock()
		r.journal.watch = nil // the apply stream is behind
		r.journal.mu.Unlock()
		r.write(id, "one")
		r.engine.CommitsLost() // the journal is read
		settle(time.Minute)
		rows := r.journal.appends[len(r.journal.appends)-2].Outbox
		if len(rows) != 1 || len(r.post.tries()) != 1 {
			t.Fatalf("rows %+v, sends %v", rows, r.post.tries())
		}
		r.engine.Committed(&conversation.Commit{ID: id, Outbox: rows})
		settle(time.Minute)
		if got := r.post.tries(); !slices.Equal(got, []string{"one#1"}) {
			t.Errorf("sends = %v, want one", got)
		}
	})
}

// While the outbox is being read, rows of it are sent and recorded, and new
// ones come in.
func TestReadingTheOutboxWhileItChanges(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		id := r.hook(1)
		r.write(id, "one", "two", "three")
		reading := make(chan struct{})
		release := make(chan struct{})
		var once atomic.Bool
		r.journal.see(func(op string, _ conversation.ConversationID, _ *conversation.Append) {
			if op == "unsent" && !once.Swap(true) {
				close(reading)
				<-release
			}
		})
		r.run()
		<-reading // rows one to three have been read and not been handed over
		r.write(id, "four")
		settle(time.Minute)
		close(release)
		settle(time.Minute)
		r.write(id, "five")
		settle(time.Minute)
		if got, want := r.post.tries(), []string{"one#1", "two#1", "three#1", "four#1", "five#1"}; !slices.Equal(got, want) {
			t.Errorf("sends = %v, want %v", got, want)
		}
	})
}

func TestOutboxThatCannotBeReadIsReadAgain(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		id := r.hook(1)
		r.write(id, "one")
		r.restart()
		r.journal.failWith(func(op string, _ *conversation.Append) (outcome, error) {
			if op == "unsent" {
				return notStored, errors.New("not now")
			}
			return asUsual, nil
		})
		r.run()
		settle(time.Second)
		r.write(id, "two")
		settle(time.Second)
		r.journal.failWith(nil)
		settle(2 * time.Minute)
		if got, want := r.post.tries(), []string{"one#1", "two#1"}; !slices.Equal(got, want) {
			t.Errorf("sends = %v, want %v", got, want)
		}
	})
}
