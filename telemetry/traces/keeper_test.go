package traces

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/telemetry/flight"
)

// bench is a keeper with its recorder, on fake time.
type bench struct {
	*Keeper

	recorder *flight.Recorder
	reg      *prometheus.Registry
	exported []*Trace
	cancel   context.CancelFunc
	ended    sync.WaitGroup
}

func newBench(t *testing.T, options func(*Options)) *bench {
	t.Helper()
	b := &bench{recorder: flight.New(flight.Options{Spans: 256, PerSecond: 1000}), reg: prometheus.NewRegistry()}
	o := Options{
		Recorder: b.recorder, Dir: t.TempDir(), Node: "here", Logger: slog.New(slog.DiscardHandler), Registerer: b.reg,
		Export: func(tr *Trace) { b.exported = append(b.exported, tr) },
	}
	if options != nil {
		options(&o)
	}
	var err error
	if b.Keeper, err = NewKeeper(o); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	b.cancel = cancel
	b.ended.Go(func() { _ = b.Run(ctx) })
	t.Cleanup(b.stop)
	return b
}

func (b *bench) stop() {
	b.cancel()
	b.ended.Wait()
}

// turn records a turn that failed, and gives its place for what comes later.
func (b *bench) turn(from string) conversation.Trace {
	now := time.Now()
	s := b.recorder.Start(flight.Turn, conversation.Trace{}, now)
	at := s.At()
	b.recorder.Judge(&s, now.Add(time.Millisecond), flight.Facts{Conversation: conversation.ConversationID{7}, Channel: conversation.ChannelWeb}, flight.Verdict{
		Inbox: "shop", Failed: true, From: from,
	})
	return at
}

func (b *bench) later(at conversation.Trace) {
	s := b.recorder.Start(flight.ChannelSend, at, time.Now())
	b.recorder.End(&s, time.Now(), flight.Facts{})
}

func (b *bench) count(t *testing.T, name, reason string) float64 {
	t.Helper()
	families, err := b.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && (reason == "" || m.GetLabel()[0].GetValue() == reason) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return 0
}

func TestWhatComesAfterTheTurnIsInItsTrace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		at := b.turn("")
		time.Sleep(time.Second)
		b.later(at)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		got, err := b.Get(at.ID)
		if err != nil || got.Spans != 2 || got.All[0].Name != "turn" || got.All[1].Name != "channel.send" || got.All[1].Node != "here" {
			t.Fatalf("the trace is %+v, %v; want the turn and the send", got, err)
		}
		if !got.Failed || got.Reason != flight.ReasonError || got.Inbox != "shop" || len(b.List(Query{Failed: true})) != 1 {
			t.Errorf("its summary is %+v", got.Summary)
		}
		if len(b.exported) != 1 || b.exported[0].ID != at.ID {
			t.Errorf("exported are %v", b.exported)
		}
		// The provider gives up an hour later.
		time.Sleep(time.Hour)
		b.later(at)
		b.recorder.Keep(flight.Want{Trace: at.ID, Began: time.Now(), Reason: flight.ReasonError, Failed: true}, time.Now())
		time.Sleep(3 * time.Second)
		synctest.Wait()
		grown, err := b.Get(at.ID)
		if err != nil || grown.Spans != 3 || !grown.Began.Equal(got.Began) || len(b.List(Query{})) != 1 {
			t.Errorf("after a late failure the trace is %+v, %v", grown, err)
		}
		if n := b.count(t, "colloquy_traces_kept_total", "error"); n != 2 {
			t.Errorf("kept = %v, want 2", n)
		}
	})
}

func TestSpansAreFetchedBeforeTheyAreEvicted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		at := b.turn("")
		time.Sleep(gatherEvery + time.Millisecond)
		synctest.Wait()
		for range 300 { // a turn of the ring
			b.later(conversation.Trace{ID: conversation.TraceID{5}})
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if got, err := b.Get(at.ID); err != nil || got.Spans != 1 {
			t.Errorf("the trace is %+v, %v", got, err)
		}
	})
}

func TestOtherNodesAreAsked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		asked := map[string]int{}
		b := newBench(t, func(o *Options) {
			o.Ask = func(ctx context.Context, node string, of []conversation.TraceID) ([]flight.Record, error) {
				mu.Lock()
				asked[node]++
				mu.Unlock()
				if node == "silent" {
					<-ctx.Done()
					return nil, ctx.Err()
				}
				var out []flight.Record
				for _, id := range of {
					out = append(out, flight.Record{Trace: id, Span: conversation.SpanID{9}, Name: "gateway.in", Node: node, Start: time.Now()})
				}
				// What nobody has asked for is not taken.
				return append(out, flight.Record{Trace: conversation.TraceID{66}, Span: conversation.SpanID{8}, Node: node}), nil
			}
		})
		first, second := b.turn("there"), b.turn("silent")
		time.Sleep(5 * time.Second)
		synctest.Wait()
		got, err := b.Get(first.ID)
		if err != nil || !slices.Equal(slices.Sorted(slices.Values(got.Nodes)), []string{"here", "there"}) {
			t.Errorf("the trace is %+v, %v; want spans of both nodes", got, err)
		}
		if got, err := b.Get(second.ID); err != nil || got.Spans != 1 {
			t.Errorf("the trace of a silent node is %+v, %v; want what there is", got, err)
		}
		if asked["there"] != 2 || b.count(t, "colloquy_traces_dropped_total", "node") == 0 {
			t.Errorf("asked %v times, want twice, and silence counted", asked)
		}
	})
}

func TestWhatIsPendingIsStoredAtTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		at := b.turn("")
		b.stop()
		if got, err := b.Get(at.ID); err != nil || got.Spans != 1 {
			t.Errorf("the trace is %+v, %v", got, err)
		}
	})
}

func TestPendingIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		for range maxPending + 50 {
			b.turn("")
			synctest.Wait()
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if n := b.count(t, "colloquy_traces_dropped_total", "busy"); n != 50 {
			t.Errorf("dropped = %v, want 50", n)
		}
	})
}

// What was kept of an erased conversation goes, and what was to be kept is not.
func TestTracesOfAnErasedConversationGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		b.turn("")
		time.Sleep(2 * settle)
		synctest.Wait()
		if n := len(b.List(Query{})); n != 1 {
			t.Fatalf("%d traces are kept, want 1", n)
		}
		b.turn("")
		time.Sleep(2 * gatherEvery)
		b.Forget(conversation.ConversationID{7})
		time.Sleep(2 * settle)
		synctest.Wait()
		if left := b.List(Query{}); len(left) != 0 {
			t.Errorf("%+v is left", left)
		}
	})
}

func TestMetricsOfTracesAreClean(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		if problems, err := testutil.GatherAndLint(b.reg); err != nil || len(problems) > 0 {
			t.Errorf("lint: %v %v", problems, err)
		}
	})
}
