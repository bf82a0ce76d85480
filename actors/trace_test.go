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

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/telemetry/cpu"
	"github.com/colloquyhq/colloquy/telemetry/flight"
)

// callers is where the sender of a test's message is in a trace of its own.
func callers() conversation.Trace {
	return conversation.Trace{ID: conversation.TraceID{0xca, 15: 1}, Span: conversation.SpanID{0xfe, 7: 1}}
}

// traced gives an inbound message the caller's trace.
func traced(in conversation.Inbound) conversation.Inbound {
	in.Trace = callers()
	return in
}

// recorded has a rig record, and gives its recorder.
func recorded(more func(*Options)) (func(*Options), **flight.Recorder) {
	var at *flight.Recorder
	return func(o *Options) {
		o.Flights = flight.New(flight.Options{Spans: 1024})
		at = o.Flights
		if more != nil {
			more(o)
		}
	}, &at
}

// tree writes the spans of the caller's trace as name(children), by name.
func tree(tb testing.TB, records []flight.Record) string {
	tb.Helper()
	below := map[conversation.SpanID][]flight.Record{}
	for _, r := range records {
		below[r.Parent] = append(below[r.Parent], r)
	}
	shown := 0
	var draw func(parent conversation.SpanID) string
	draw = func(parent conversation.SpanID) string {
		var out []string
		for _, r := range below[parent] {
			shown++
			s := r.Name
			if r.Failed {
				s += "!"
			}
			if in := draw(r.Span); in != "" {
				s += "(" + in + ")"
			}
			out = append(out, s)
		}
		slices.Sort(out)
		return strings.Join(out, " ")
	}
	drawn := draw(callers().Span)
	if shown != len(records) {
		tb.Errorf("%d of %d spans are below the caller's", shown, len(records))
	}
	return drawn
}

func spansOf(r *flight.Recorder) []flight.Record {
	return r.Find(map[conversation.TraceID]bool{callers().ID: true})
}

func one(tb testing.TB, records []flight.Record, name string) flight.Record {
	tb.Helper()
	i := slices.IndexFunc(records, func(r flight.Record) bool { return r.Name == name })
	if i < 0 {
		tb.Fatalf("no span %s", name)
	}
	return records[i]
}

func TestTurnsAreTraced(t *testing.T) {
	slow := func(_ context.Context, b *Turn) (conversation.Outcome, error) { return b.Reply("here"), nil }
	for _, c := range []struct {
		name    string
		options func(*Options)
		prepare func(*rig)
		want    string
	}{
		{"short road", nil, func(r *rig) { r.script.means("when?", "hours") }, "gateway.in(turn(grain intent policy store.append))"},
		{"long road", nil, func(r *rig) {
			release := r.script.blocks("when?", "hours")
			time.AfterFunc(time.Second, func() { close(release) })
		}, "gateway.in(turn(grain intent policy store.append store.append))"},
		{"behavior", bind(slow), func(*rig) {}, "gateway.in(turn(behavior grain intent " + strings.Repeat("policy ", 2) + "store.append store.append))"},
		{"classifier fails", nil, func(r *rig) { r.script.on("when?", scene{err: errors.New("no model")}) }, "gateway.in(turn!(grain intent! policy store.append))"},
		{"agent has it", nil, func(r *rig) {
			r.do(r.deliver(with(anna("hello"), "", 0)).Conversation, conversation.Claim{Agent: "eve"})
		}, "gateway.in(turn(grain store.append))"},
		{"journal fails", nil, func(r *rig) {
			r.script.means("when?", "hours")
			r.journal.failWith(func(op string, _ *conversation.Append) (outcome, error) {
				if op == "append" {
					return notStored, conversation.Refuse(conversation.CodeUnknownOutcome, "the disk is away")
				}
				return asUsual, nil
			})
		}, "gateway.in!(turn!(grain intent policy store.append!))"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				options, recorder := recorded(c.options)
				r := newRig(t, options)
				c.prepare(r)
				got, _ := r.engine.Deliver(context.Background(), traced(with(anna("when?"), "", time.Minute)))
				settle(time.Second)
				spans := spansOf(*recorder)
				if drawn := tree(t, spans); drawn != c.want {
					t.Errorf("the spans are %s, want %s", drawn, c.want)
				}
				for _, s := range spans {
					if !got.Conversation.IsZero() && s.Conversation != got.Conversation {
						t.Errorf("%s is of conversation %v, want %v", s.Name, s.Conversation, got.Conversation)
					}
				}
				r.journal.failWith(nil)
			})
		})
	}
}

func TestSpansSayWhatTheyCameTo(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		options, recorder := recorded(nil)
		r := newRig(t, options)
		r.script.means("when?", "hours")
		got := r.deliver(traced(with(anna("when?"), "", time.Minute)))
		spans := spansOf(*recorder)
		if s := one(t, spans, "intent"); s.Label != "hours" || s.Value < 969_000 || s.Value > 971_000 {
			t.Errorf("the intent's span says %q %d", s.Label, s.Value)
		}
		if s := one(t, spans, "turn"); s.Label != "answered" || s.Channel != "web" || s.Seq != got.Seq {
			t.Errorf("the turn's span says %+v", s)
		}
		if s := one(t, spans, "store.append"); s.Value < 3 {
			t.Errorf("the append's span says %d entries, want the message with its turn and reply", s.Value)
		}
	})
}

func TestRepeatsEndAsDuplicates(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		options, recorder := recorded(nil)
		r := newRig(t, options)
		release := r.script.blocks("when?", "hours")
		first := r.send(traced(with(anna("when?"), "r1", time.Minute)))
		again := r.send(traced(with(anna("when?"), "r1", time.Minute)))
		synctest.Wait()
		close(release)
		<-first.ended
		<-again.ended
		labels := map[string]int{}
		for _, s := range spansOf(*recorder) {
			if s.Name == "turn" {
				labels[s.Label]++
			}
		}
		if labels["answered"] != 1 || labels["duplicate"] != 1 {
			t.Errorf("turns ended as %v, want one answered and one duplicate", labels)
		}
	})
}

func TestFailedTurnsAreKept(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		options, recorder := recorded(nil)
		r := newRig(t, options)
		r.script.means("fine", "hours")
		r.script.on("bad", scene{err: errors.New("no model")})
		r.deliver(with(anna("fine"), "", time.Minute))
		if n := len((*recorder).Wants()); n != 0 {
			t.Fatalf("%d traces are wanted after a turn without a fault", n)
		}
		got := r.deliver(traced(with(anna("bad"), "", time.Minute)))
		if len((*recorder).Wants()) == 0 {
			t.Fatal("the trace of a turn that failed is not wanted")
		}
		w := <-(*recorder).Wants()
		if w.Reason != flight.ReasonError || !w.Failed || w.Trace != callers().ID || w.Conversation != got.Conversation || w.Inbox != "shop" || w.Channel != conversation.ChannelWeb {
			t.Errorf("wanted is %+v", w)
		}
	})
}

func TestStrangeTurnsAreKept(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		options, recorder := recorded(nil)
		r := newRig(t, options)
		g := newGrain(r.engine, conversation.ConversationID{1, 15: 1}.String())
		g.findStrange() // in no turn
		v := g.arrived(&visit{deliver: &deliver{in: traced(anna("when?")), via: "node-b"}, came: time.Now()})
		g.trail = &v.trail
		for _, found := range []string{"before its end", "after it"} {
			if found == "before its end" {
				g.findStrange()
				g.dismiss(&v.trail, "accepted")
			} else {
				g.findStrange()
			}
			if len((*recorder).Wants()) != 1 {
				t.Fatalf("%s: %d traces are wanted, want one", found, len((*recorder).Wants()))
			}
			if w := <-(*recorder).Wants(); w.Reason != flight.ReasonAnomaly || w.Trace != callers().ID || w.Conversation != g.id || !slices.Equal(w.Nodes, []string{"node-b"}) {
				t.Errorf("%s: wanted is %+v", found, w)
			}
		}
	})
}

func TestWatchedTurnsAreKept(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		meters := cpu.NewMeters(cpu.Options{})
		options, recorder := recorded(func(o *Options) { o.Meters = meters })
		r := newRig(t, options)
		r.script.means("when?", "hours")
		got := r.say("when?")
		if !meters.Watch(got.Conversation.String(), time.Now().Add(time.Hour)) {
			t.Fatal("the conversation cannot be watched")
		}
		r.say("when?")
		if w := <-(*recorder).Wants(); w.Reason != flight.ReasonWatched {
			t.Errorf("a watched turn is kept for %q", w.Reason)
		}
		// The figures point to the turns that are kept, and to no others.
		families, err := r.reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		examples := 0
		for _, f := range families {
			for _, m := range f.GetMetric() {
				for _, b := range m.GetHistogram().GetBucket() {
					if b.GetExemplar() != nil {
						examples++
					}
				}
			}
		}
		if examples != 2 {
			t.Errorf("%d examples, want one each of duration and processor time", examples)
		}
		if problems, err := testutil.GatherAndLint(r.reg); err != nil || len(problems) > 0 {
			t.Errorf("lint: %v %v", problems, err)
		}
	})
}

func TestSendsAreTraced(t *testing.T) {
	for name, c := range map[string]struct {
		result conversation.Delivery
		want   string
		kept   bool
	}{
		"sent":   {conversation.DeliverySent, "gateway.in(turn(channel.send grain intent policy store.append))", false},
		"failed": {conversation.DeliveryFailed, "gateway.in(turn(channel.send! grain intent policy store.append))", true},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				out := &tracedPost{result: c.result}
				options, recorder := recorded(func(o *Options) { o.Sender = out })
				r := newRig(t, options)
				r.run()
				r.script.means("when?", "hours")
				in := anna("when?")
				in.Channel, in.Peer = conversation.ChannelWebhook, "peer"
				r.deliver(traced(with(in, "", 0)))
				settle(time.Minute)
				spans := spansOf(*recorder)
				if drawn := tree(t, spans); drawn != c.want {
					t.Errorf("the spans are %s, want %s", drawn, c.want)
				}
				if s := one(t, spans, "channel.send"); out.at.ID != callers().ID || out.at.Span != s.Span || s.Value != 1 {
					t.Errorf("the sender is at %v in the trace, want the place of %+v", out.at, s)
				}
				if kept := len((*recorder).Wants()) > 0; kept != c.kept {
					t.Errorf("kept: %v, want %v", kept, c.kept)
				}
			})
		})
	}
}

// tracedPost is a sender that remembers where in a trace it was.
type tracedPost struct {
	result conversation.Delivery
	at     conversation.Trace
}

// Merge implements [Sender].
func (*tracedPost) Merge(rows []conversation.Outbound) (conversation.Outbound, int) {
	return rows[0], 1
}

// Send implements [Sender].
func (p *tracedPost) Send(ctx context.Context, _ conversation.Outbound, _ int, _ time.Time) Attempt {
	p.at = conversation.TraceOf(ctx)
	return Attempt{Result: p.result, Detail: "forbidden:403"}
}

func TestBehaviorsAndEnginesCarryTheTrace(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var carried conversation.Trace
		options, recorder := recorded(bind(func(ctx context.Context, b *Turn) (conversation.Outcome, error) {
			carried = conversation.TraceOf(ctx)
			return b.Reply("here"), nil
		}))
		asked := &asking{}
		r := newRig(t, func(o *Options) {
			options(o)
			o.Classifier = asked
		})
		r.deliver(traced(with(anna("when?"), "", time.Minute)))
		spans := spansOf(*recorder)
		if s := one(t, spans, "behavior"); carried.ID != callers().ID || carried.Span != s.Span {
			t.Errorf("the behavior is at %v, want the place of %+v", carried, s)
		}
		if s := one(t, spans, "intent"); asked.at.Span != s.Span {
			t.Errorf("the intent engine is at %v, want the place of %+v", asked.at, s)
		}
	})
}

// asking is an engine that asks somebody else, and remembers from where.
type asking struct{ at conversation.Trace }

// Predict implements [Classifier].
func (a *asking) Predict(context.Context, *conversation.Utterance, *conversation.Prediction) error {
	return errors.New("it only answers later")
}

// PredictAsync implements [AsyncClassifier].
func (a *asking) PredictAsync(ctx context.Context, _ *conversation.Utterance, done func(*conversation.Prediction, error)) {
	a.at = conversation.TraceOf(ctx)
	done(&conversation.Prediction{Lang: "en"}, nil)
}

func TestTraceCrossesNodes(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var recorders []*flight.Recorder
		n := newNodes(t, 2, func(o *Options) {
			o.Flights = flight.New(flight.Options{Spans: 1024})
			recorders = append(recorders, o.Flights)
		})
		n.script.means("when?", "hours")
		n.script.on("bad", scene{err: errors.New("no model")})
		id := n.send(visitor(1, "when?", "r1")).Conversation
		owner, other := n.ownerOf(conversationID(id))
		for _, text := range []string{"when?", "bad"} {
			in := visitor(1, text, "r-"+text)
			in.Wait = time.Minute
			if _, err := other.engine.Deliver(context.Background(), traced(in)); err != nil {
				t.Fatal(err)
			}
		}
		here, there := spansOf(other.engine.o.Flights), spansOf(owner.engine.o.Flights)
		want := "gateway.in(remote.call(turn!(grain intent! policy store.append))) gateway.in(remote.call(turn(grain intent policy store.append)))"
		if drawn := tree(t, append(slices.Clone(here), there...)); drawn != want {
			t.Errorf("the spans of both nodes are %s, want %s", drawn, want)
		}
		if len(here) != 4 || len(there) != 10 {
			t.Errorf("%d spans are recorded where the messages came in and %d where the conversation is, want 4 and 10", len(here), len(there))
		}
		if s := one(t, here, "remote.call"); s.Label != string(owner.id) {
			t.Errorf("the call went to %q, want %q", s.Label, owner.id)
		}
		if w := <-owner.engine.o.Flights.Wants(); !slices.Equal(w.Nodes, []string{string(other.id)}) {
			t.Errorf("the trace is to be gathered from %v, want %v", w.Nodes, other.id)
		}
		if at, _ := other.engine.o.Flights.Shown(id, 1); at.ID != callers().ID {
			t.Errorf("what is shown where the messages came in belongs to %v", at)
		}
	})
}

// A node that knows nothing of traces reads the message all the same, and its
// messages are read here.
func TestTraceIsNothingToOlderNodes(t *testing.T) {
	t.Parallel()
	plain := &deliver{in: with(anna("hello"), "r", time.Second), origin: conversation.Origin{ID: conversation.ConversationID{1}}}
	marked := *plain
	marked.in.Trace, marked.via = callers(), "node-b"
	before, after := encodeDeliver(plain), encodeDeliver(&marked)
	const flagsAt = 2
	older := slices.Clone(after)
	older[flagsAt] &^= flagTraced
	if !slices.Equal(older[:len(before)], before) {
		t.Errorf("a message with a trace is\n%x, want\n%x and more", after, before)
	}
	got, err := (conversationCodec{}).Decode(before)
	if m, ok := got.(*deliver); err != nil || !ok || !m.in.Trace.IsZero() || m.via != "" {
		t.Errorf("an older node's message came as %+v, %v", got, err)
	}
	for cut := len(before); cut < len(after); cut++ {
		if _, err := (conversationCodec{}).Decode(after[:cut]); !errors.Is(err, conversation.ErrInvalid) {
			t.Fatalf("%d of %d bytes = %v, want class invalid", cut, len(after), err)
		}
	}
}

// The recorder must not make turns slower than they are: compare the two rows.
func BenchmarkTurnTraced(b *testing.B) {
	for _, on := range []bool{false, true} {
		b.Run(fmt.Sprintf("recorder=%v", on), func(b *testing.B) {
			r := newRig(b, func(o *Options) {
				if on {
					o.Flights = flight.New(flight.Options{})
				}
			})
			r.script.means("when?", "hours")
			b.ReportAllocs()
			for b.Loop() {
				r.say("when?")
			}
		})
	}
}
