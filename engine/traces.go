package engine

import (
	"context"
	"math"
	"net/http"
	"path/filepath"
	"sync"

	"github.com/colloquyhq/colloquy/cluster"
	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/telemetry/flight"
	"github.com/colloquyhq/colloquy/telemetry/otlp"
	"github.com/colloquyhq/colloquy/telemetry/traces"
)

// TracingConfig is what is kept of what turns spend their time on.
type TracingConfig struct {
	Spans         int     `yaml:"spans" help:"Newest spans kept in memory, about ten a turn and 96 bytes each; 0 = nothing is recorded."`
	Ratio         float64 `yaml:"ratio" help:"Share of all turns whose traces are kept whatever happens, 0 to 1. Those that fail, are slow or are watched are kept anyway."`
	KeepPerSecond int     `yaml:"keep_per_second" help:"Traces a node keeps in a second at most."`
	Keep          int     `yaml:"keep" help:"Traces on a node's disk, the newest ones."`
	KeepBytes     int64   `yaml:"keep_bytes" help:"What they may take there."`
	OTLP          string  `yaml:"otlp" help:"Receiver of kept traces that speaks OTLP over HTTP, such as http://127.0.0.1:4318; /v1/traces is added. Empty = as OTEL_EXPORTER_OTLP_ENDPOINT says, or none."`
}

// The limits of tracing in the configuration.
const (
	maxSpans         = 1 << 24
	maxKeep          = 100_000
	maxKeepPerSecond = 10_000
	minKeepBytes     = 1 << 20
)

func (c *TracingConfig) validate(bad func(key, format string, args ...any)) {
	if c.Spans < 0 || c.Spans > maxSpans {
		bad("tracing.spans", "must be 0 to %d", maxSpans)
	}
	if math.IsNaN(c.Ratio) || c.Ratio < 0 || c.Ratio > 1 {
		bad("tracing.ratio", "must be 0 to 1")
	}
	if c.KeepPerSecond < 1 || c.KeepPerSecond > maxKeepPerSecond {
		bad("tracing.keep_per_second", "must be 1 to %d", maxKeepPerSecond)
	}
	if c.Keep < 1 || c.Keep > maxKeep || c.KeepBytes < minKeepBytes {
		bad("tracing.keep", "must be 1 to %d, and tracing.keep_bytes at least 1 MiB", maxKeep)
	}
	if c.OTLP != "" {
		if _, err := otlp.ParseURL(c.OTLP); err != nil {
			bad("tracing.otlp", "%v", err)
		}
	}
}

func (c *TracingConfig) recorder() *flight.Recorder {
	if c.Spans == 0 {
		return nil
	}
	return flight.New(flight.Options{Spans: c.Spans, Ratio: c.Ratio, PerSecond: c.KeepPerSecond})
}

// openTraces opens the folder of kept traces, and the way to their receiver.
func (e *Engine) openTraces() error {
	if e.flights == nil {
		return nil
	}
	c := &e.config.Tracing
	o := traces.Options{
		Recorder: e.flights, Dir: filepath.Join(e.config.DataDir, "traces"), Traces: c.Keep, Bytes: c.KeepBytes,
		Node: e.store.Identity().Node, Logger: e.opts.Logger, Registerer: e.registry,
	}
	if e.node != nil {
		o.Ask = e.askSpans
	}
	if otlp.Wanted(c.OTLP) {
		var err error
		e.exporter, err = otlp.New(e.base, otlp.Options{URL: c.OTLP, Version: e.opts.Version, Logger: e.opts.Logger, Registerer: e.registry})
		if err != nil {
			return err
		}
		o.Export = e.exporter.Export
	}
	var err error
	e.traces, err = traces.NewKeeper(o)
	return err
}

// traceParts are what runs for traces. The exporter ends after the keeper, which
// has a last few for it.
func (e *Engine) traceParts() []part {
	var out []part
	if e.exporter != nil {
		out = append(out, part{name: "trace export", run: e.exporter.Run})
	}
	if e.traces != nil {
		out = append(out, part{name: "traces", run: e.traces.Run})
	}
	return out
}

// The way to the traces of other nodes, on the operators' link.
const (
	spansPath     = "/v1/traces/spans"
	traceListPath = "/v1/traces/list"
	traceOnePath  = "/v1/traces/one"
)

type (
	spansAsk struct {
		Traces []conversation.TraceID `json:"traces"`
	}
	oneAsk struct {
		Trace conversation.TraceID `json:"trace"`
	}
)

// serveTraces answers other nodes.
func (e *Engine) serveTraces(mux *http.ServeMux) {
	if e.traces == nil {
		return
	}
	mux.HandleFunc("POST "+spansPath, serveCall(func(_ context.Context, ask spansAsk) (any, error) {
		of := make(map[conversation.TraceID]bool, len(ask.Traces))
		for _, id := range ask.Traces {
			of[id] = true
		}
		return e.traces.Spans(of), nil
	}))
	mux.HandleFunc("POST "+traceListPath, serveCall(func(_ context.Context, q traces.Query) (any, error) {
		return e.traces.List(q), nil
	}))
	mux.HandleFunc("POST "+traceOnePath, serveCall(func(_ context.Context, ask oneAsk) (any, error) {
		return e.traces.Get(ask.Trace)
	}))
}

// askSpans asks a node, by its name in the view, for its part of some traces.
func (e *Engine) askSpans(ctx context.Context, node string, of []conversation.TraceID) ([]flight.Record, error) {
	m, ok := e.node.View().Member(cluster.NodeID(node))
	if !ok {
		return nil, conversation.Refusef(conversation.CodeNotFound, "no node %s is there", node)
	}
	var out []flight.Record
	err := operator{e}.call(ctx, Call{Address: m.Address, Method: http.MethodPost, Path: spansPath, Body: spansAsk{of}, Answer: &out})
	return out, err
}

// traceSource is nil when nothing is recorded.
func (e *Engine) traceSource() traces.Source {
	if e.traces == nil {
		return nil
	}
	return kept{e}
}

// kept is the traces of all nodes as [traces.Source].
type kept struct{ e *Engine }

// Traces implements [traces.Source]. A node that does not answer is left out:
// when something is wrong, a part of the picture is better than none.
func (k kept) Traces(ctx context.Context, q traces.Query) ([]traces.Summary, error) {
	lists := fromOthers[[]traces.Summary](ctx, k.e, traceListPath, q)
	return traces.Merge(q, append(lists, k.e.traces.List(q))...), nil
}

// Trace implements [traces.Source].
func (k kept) Trace(ctx context.Context, id conversation.TraceID) (*traces.Trace, error) {
	best, err := k.e.traces.Get(id)
	for _, t := range fromOthers[traces.Trace](ctx, k.e, traceOnePath, oneAsk{id}) {
		if best == nil || t.Spans > best.Spans {
			best, err = &t, nil
		}
	}
	return best, err
}

// fromOthers asks all other nodes at once and gives the answers that came in time.
func fromOthers[T any](ctx context.Context, e *Engine, path string, ask any) []T {
	if e.node == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var all sync.WaitGroup
	var mu sync.Mutex
	var out []T
	for _, m := range e.node.View().Members() {
		if m.ID == e.node.ID() {
			continue
		}
		all.Go(func() {
			var answer T
			if (operator{e}).call(ctx, Call{Address: m.Address, Method: http.MethodPost, Path: path, Body: ask, Answer: &answer}) != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			out = append(out, answer)
		})
	}
	all.Wait()
	return out
}

// tracesPage serves the traces on the operations listener, once the node is open.
func (e *Engine) tracesPage() http.Handler {
	pages := traces.Handler(kept{e})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !e.opened.Load():
			http.Error(w, *e.opening.Load(), http.StatusServiceUnavailable)
		case e.traces == nil:
			http.Error(w, "nothing is recorded: tracing.spans is 0", http.StatusNotFound)
		default:
			pages.ServeHTTP(w, r)
		}
	})
}

// traceparent has every request of a client carry the place in the trace that its
// context has. Source: W3C Trace Context.
type traceparent struct{ *http.Transport }

// RoundTrip implements [http.RoundTripper].
func (t traceparent) RoundTrip(r *http.Request) (*http.Response, error) {
	if at := conversation.TraceOf(r.Context()); !at.IsZero() {
		r = r.Clone(r.Context())
		r.Header.Set("traceparent", at.Traceparent())
	}
	return t.Transport.RoundTrip(r)
}
