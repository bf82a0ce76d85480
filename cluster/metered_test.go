package cluster

import (
	"crypto/sha256"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/colloquyhq/colloquy/telemetry/cpu"
)

// worker does as much work as it is told.
type worker struct{ done *sync.WaitGroup }

type toil struct{ rounds int }

func (w *worker) Receive(ctx actor.Context) {
	m, ok := ctx.Message().(toil)
	if !ok {
		return
	}
	var block [200]byte
	for range m.rounds {
		sum := sha256.Sum256(block[:])
		copy(block[:], sum[:])
	}
	if w.done != nil {
		w.done.Done()
	}
	if ctx.Sender() != nil {
		ctx.Respond(m.rounds)
	}
}

func newWorkGate(tb testing.TB, meters *cpu.Meters, done *sync.WaitGroup, mailbox int) *Gate {
	tb.Helper()
	kind := Kind{Name: "worker", New: func(string) actor.Actor { return &worker{done} }, Mailbox: mailbox}
	if meters != nil {
		kind.Meter = meters.Of
	}
	log := slog.New(slog.DiscardHandler)
	g, err := NewGate(Options{
		System: NewSystem(log), View: SingleNode("a"), Kinds: []Kind{kind}, Logger: log, Registerer: prometheus.NewRegistry(), Dispatcher: &Workers{},
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = g.Drain(tb.Context()) })
	return g
}

// TestGrainsAreCharged has two grains of which one works a hundred times as much.
func TestGrainsAreCharged(t *testing.T) {
	t.Parallel()
	meters := cpu.NewMeters(cpu.Options{})
	g := newWorkGate(t, meters, nil, 0)
	ask := func(id string, rounds int) {
		t.Helper()
		if _, err := g.Request(t.Context(), GrainID{Kind: "worker", ID: id}, toil{rounds}); err != nil {
			t.Fatal(err)
		}
	}
	// What the runtime does on the light one's thread now and then weighs less the
	// longer both work.
	var light, heavy time.Duration
	for rounds := 0; rounds < 50 && (light <= 0 || heavy < 10*light); rounds++ {
		for range 20 {
			ask("light", 100)
			ask("heavy", 10_000)
		}
		// The answer leaves before the run of the mailbox ends; the next message comes after it.
		ask("light", 0)
		ask("heavy", 0)
		light, heavy = meters.Of("light").Spent(), meters.Of("heavy").Spent()
	}
	if light <= 0 || heavy < 10*light {
		t.Errorf("the light one is charged %v, the heavy one %v", light, heavy)
	}
	before := meters.Of("heavy").Spent()
	g.Passivate(GrainID{Kind: "worker", ID: "heavy"})
	ask("heavy", 10_000)
	ask("heavy", 0)
	if after := meters.Of("heavy").Spent(); after <= before {
		t.Errorf("after a rest %v are charged, before it %v", after, before)
	}
}

// BenchmarkMetered is a node under load: messages wait in the mailboxes, so that a
// run takes several.
func BenchmarkMetered(b *testing.B) {
	for _, accounting := range []cpu.Accounting{"", cpu.Off, cpu.Sampled, cpu.Exact} {
		name := string(accounting)
		var meters *cpu.Meters
		if accounting == "" {
			name = "none"
		} else {
			meters = cpu.NewMeters(cpu.Options{Accounting: accounting})
		}
		b.Run(name, func(b *testing.B) {
			const grains, waiting = 200, 20_000
			var done sync.WaitGroup
			g := newWorkGate(b, meters, &done, waiting)
			ids := make([]GrainID, grains)
			for i := range ids {
				ids[i] = GrainID{Kind: "worker", ID: fmt.Sprint(i)}
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := 0; i < b.N; i += waiting {
				n := min(waiting, b.N-i)
				done.Add(n)
				for k := range n {
					for g.Tell(ids[k%grains], toil{4}, nil) != nil {
						<-time.After(100 * time.Microsecond)
					}
				}
				done.Wait()
			}
		})
	}
}
