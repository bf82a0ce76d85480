package gateway

import (
	"fmt"
	"testing"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway/loop"
	"github.com/colloquyhq/colloquy/telemetry/cpu"
)

// TestSocketsAreCharged shows that what a visitor's socket does is charged to the
// conversation that it is in, and that others pay nothing for it.
func TestSocketsAreCharged(t *testing.T) {
	t.Parallel()
	inModes(t, func(t *testing.T, mode func(*Options)) {
		meters := cpu.NewMeters(cpu.Options{})
		h := start(t, mode, func(o *Options) { o.Meters = meters })
		busy, idle := h.visitor(conversation.ContactID{1}, hello), h.visitor(conversation.ContactID{2}, hello)
		ids := make([]string, 2)
		for i := range ids {
			c := busy
			if i == 1 {
				c = idle
			}
			c.expect("welcome")
			c.say(`{"t":"message.send","client_id":"m1","text":"hello"}`)
			ids[i] = c.expect("ack").str("conversation_id")
		}
		before := meters.Of(ids[1]).Spent()
		const pings = 2000
		for i := range pings {
			busy.say(fmt.Sprintf(`{"t":"ping","ref":"p%d"}`, i))
			busy.expect("pong")
		}
		if spent := meters.Of(ids[0]).Spent(); spent == 0 {
			t.Errorf("%d frames cost the conversation nothing", pings)
		} else if other := meters.Of(ids[1]).Spent() - before; other > spent/10 {
			t.Errorf("a silent conversation paid %v beside one that paid %v", other, spent)
		}
	})
}

// TestLedgerSharesByWork checks how the cost of one turn is divided.
func TestLedgerSharesByWork(t *testing.T) {
	t.Parallel()
	meters := cpu.NewMeters(cpu.Options{})
	h := start(t, func(o *Options) { o.Meters = meters })
	l, ok := h.gw.newLedger(0).(*ledger)
	if !ok {
		t.Fatal("no ledger")
	}
	var work []loop.Work
	ids := []conversation.ConversationID{{1}, {2}}
	for i, id := range ids {
		c := newConn(h.gw, visitorSide)
		c.setCurrent(id)
		for range 1 + 2*i { // the second works three times as much
			work = append(work, loop.Work{Handler: c, Bytes: 100})
		}
	}
	agent := newConn(h.gw, agentSide)
	work = append(work, loop.Work{Handler: agent, Bytes: 100})
	burned := 0
	for range 50 {
		if !l.Begin() {
			t.Fatal("an exact ledger measures every turn")
		}
		burned += burn()
		l.End(work)
	}
	one, three := meters.Of(ids[0].String()).Spent(), meters.Of(ids[1].String()).Spent()
	if burned == 0 || one == 0 || three < 2*one || three > 4*one {
		t.Errorf("three times the work costs %v beside %v", three, one)
	}
	l.End(work) // without a beginning
	if again := meters.Of(ids[0].String()).Spent(); again != one {
		t.Errorf("a turn that was not begun cost %v", again-one)
	}
}

// burn uses the processor for a while.
func burn() (sum int) {
	for i := range 200_000 {
		sum += i ^ sum<<1
	}
	return sum
}

// BenchmarkLedger is what measuring a turn costs, by connections in it.
func BenchmarkLedger(b *testing.B) {
	for _, n := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("connections=%d", n), func(b *testing.B) {
			c := offline(b)
			c.gw.opts.Meters = cpu.NewMeters(cpu.Options{})
			l := c.gw.newLedger(0)
			work := make([]loop.Work, n)
			for i := range work {
				talker := newConn(c.gw, visitorSide)
				talker.setCurrent(conversation.ConversationID{byte(i + 1)})
				work[i] = loop.Work{Handler: talker, Bytes: 200}
			}
			b.ReportAllocs()
			for b.Loop() {
				l.Begin()
				l.End(work)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/connection")
		})
	}
}
