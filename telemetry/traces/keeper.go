package traces

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/telemetry/flight"
)

// Options configure [NewKeeper]. Recorder, Dir, Logger and Registerer are needed.
type Options struct {
	Recorder   *flight.Recorder
	Dir        string // where the traces are kept
	Traces     int    // so many at most; default 2,000
	Bytes      int64  // and so large together; default 64 MiB
	Node       string // name of this node in traces
	Logger     *slog.Logger
	Registerer prometheus.Registerer

	// Ask gives the spans that another node has of some traces; nil = there are no
	// others. It ends with ctx.
	Ask func(ctx context.Context, node string, of []conversation.TraceID) ([]flight.Record, error)
	// Export takes what has been kept; nil = nobody does. It does not block.
	Export func(*Trace)
}

// The rhythm of a keeper.
const (
	gatherEvery = 250 * time.Millisecond
	// settle is how long after its turn a trace is looked for once more: by then
	// the reply has been sent and has reached its socket.
	settle     = 2 * time.Second
	askTimeout = time.Second
	maxPending = 256
)

// Keeper keeps the traces of a node.
//
// owns: the folder, the traces that are being gathered · bound: maxPending of
// them, Options.Traces and Options.Bytes on disk · how it ends: with Run's ctx,
// after storing what it has.
//
// Concurrency: all methods may run together.
type Keeper struct {
	o       Options
	log     *slog.Logger
	metrics *metrics
	store   *store

	mu struct {
		sync.Mutex
		erased []conversation.ConversationID // whose traces go with the next look
	}

	// touched by Run only

	pending map[conversation.TraceID]*pending
}

// pending is a trace that is being gathered.
type pending struct {
	Trace

	fresh bool      // nobody has looked for it yet
	due   time.Time // when it is looked for the last time
	nodes []string  // to ask
}

// NewKeeper opens the folder. Errors: those of the file system.
func NewKeeper(o Options) (*Keeper, error) {
	if o.Traces == 0 {
		o.Traces = 2_000
	}
	if o.Bytes == 0 {
		o.Bytes = 64 << 20
	}
	s, err := openStore(o.Dir, o.Traces, o.Bytes)
	if err != nil {
		return nil, err
	}
	k := &Keeper{o: o, log: o.Logger.With("component", "traces"), store: s, pending: map[conversation.TraceID]*pending{}}
	k.metrics = newMetrics(o.Registerer, k)
	return k, nil
}

// Run gathers and stores until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	tick := time.NewTicker(gatherEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			k.forget()
			k.finish()
			return nil
		case w := <-k.o.Recorder.Wants():
			k.want(w, time.Now())
		case now := <-tick.C:
			k.forget()
			k.gather(ctx, now)
		}
	}
}

// want begins a trace, or tells more about one that has begun.
func (k *Keeper) want(w flight.Want, now time.Time) {
	p := k.pending[w.Trace]
	if p == nil {
		if len(k.pending) >= maxPending {
			k.metrics.dropped.WithLabelValues("busy").Inc()
			return
		}
		p = &pending{fresh: true, due: now.Add(settle)}
		p.Summary = Summary{
			ID: w.Trace, Conversation: w.Conversation, Inbox: w.Inbox, Channel: w.Channel, Reason: w.Reason,
			Began: w.Began.Round(0), Took: float64(w.Took) / float64(time.Millisecond),
		}
		k.pending[w.Trace] = p
	}
	p.Failed = p.Failed || w.Failed
	if w.Failed {
		p.Reason = flight.ReasonError
	}
	for _, n := range w.Nodes {
		if n != "" && !slices.Contains(p.nodes, n) {
			p.nodes = append(p.nodes, n)
		}
	}
}

// gather looks for the spans of the traces that are new, before newer spans take
// their places, and of those that have settled, which are stored then.
func (k *Keeper) gather(ctx context.Context, now time.Time) {
	here, there := map[conversation.TraceID]bool{}, map[string][]conversation.TraceID{}
	for id, p := range k.pending {
		if !p.fresh && now.Before(p.due) {
			continue
		}
		p.fresh = false
		here[id] = true
		for _, n := range p.nodes {
			there[n] = append(there[n], id)
		}
	}
	if len(here) == 0 {
		return
	}
	k.take(k.Spans(here))
	k.take(k.ask(ctx, there))
	for id, p := range k.pending {
		if !now.Before(p.due) {
			delete(k.pending, id)
			k.keep(&p.Trace)
		}
	}
}

// ask asks other nodes, all at once.
func (k *Keeper) ask(ctx context.Context, of map[string][]conversation.TraceID) []flight.Record {
	if k.o.Ask == nil || len(of) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var mu sync.Mutex
	var out []flight.Record
	var all sync.WaitGroup
	for node, ids := range of {
		all.Go(func() {
			records, err := k.o.Ask(ctx, node, ids)
			if err != nil {
				k.metrics.dropped.WithLabelValues("node").Add(float64(len(ids)))
				k.log.Debug("node gave no spans", "node", node, "err", err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			out = append(out, records...)
		})
	}
	all.Wait()
	return out
}

// take sorts records into the traces that they belong to.
func (k *Keeper) take(records []flight.Record) {
	by := map[conversation.TraceID][]flight.Record{}
	for _, r := range records {
		by[r.Trace] = append(by[r.Trace], r)
	}
	for id, list := range by {
		if p := k.pending[id]; p != nil {
			p.add(list)
		}
	}
}

// keep stores a trace. One that has been stored already, because its reply failed
// much later than its turn, grows.
func (k *Keeper) keep(t *Trace) {
	if before, err := k.store.get(t.ID); err == nil {
		t.Began, t.Took = before.Began, before.Took
		t.add(before.All)
	}
	if len(t.All) == 0 {
		k.metrics.dropped.WithLabelValues("evicted").Inc()
		return
	}
	if err := k.store.put(t); err != nil {
		k.metrics.dropped.WithLabelValues("disk").Inc()
		k.log.Warn("trace not stored", "trace_id", t.ID.String(), "err", err)
		return
	}
	k.metrics.kept.WithLabelValues(string(t.Reason)).Inc()
	if k.o.Export != nil {
		k.o.Export(t)
	}
}

// finish stores what has been gathered, with what there is on this node.
func (k *Keeper) finish() {
	for len(k.o.Recorder.Wants()) > 0 {
		k.want(<-k.o.Recorder.Wants(), time.Now())
	}
	here := map[conversation.TraceID]bool{}
	for id := range k.pending {
		here[id] = true
	}
	k.take(k.Spans(here))
	for id, p := range k.pending {
		delete(k.pending, id)
		k.keep(&p.Trace)
	}
}

// Spans gives what this node's recorder has of some traces.
func (k *Keeper) Spans(of map[conversation.TraceID]bool) []flight.Record {
	out := k.o.Recorder.Find(of)
	for i := range out {
		out[i].Node = k.o.Node
	}
	return out
}

// List gives the traces that this node keeps, newest first.
func (k *Keeper) List(q Query) []Summary { return k.store.list(q) }

// Get gives one of them. Errors: class [conversation.ErrNotFound]; those of the
// file system.
func (k *Keeper) Get(id conversation.TraceID) (*Trace, error) { return k.store.get(id) }

// Forget removes the traces that are kept, or being gathered, of a conversation
// that was erased. It does not wait for that.
func (k *Keeper) Forget(id conversation.ConversationID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.mu.erased = append(k.mu.erased, id)
}

// forget does what Forget was asked for.
func (k *Keeper) forget() {
	k.mu.Lock()
	erased := k.mu.erased
	k.mu.erased = nil
	k.mu.Unlock()
	for _, id := range erased {
		for trace, p := range k.pending {
			if p.Conversation == id {
				delete(k.pending, trace)
			}
		}
		k.store.forget(id)
	}
}
