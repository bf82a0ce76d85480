package otlp

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/telemetry/flight"
	"github.com/colloquyhq/colloquy/telemetry/traces"
)

// stubs makes the spans of a trace what the exporter takes, each with the node
// that it was recorded on as its resource.
func (e *Exporter) stubs(t *traces.Trace) tracetest.SpanStubs {
	nodes := map[string]*resource.Resource{}
	for _, n := range t.Nodes {
		nodes[n] = resource.NewSchemaless(
			attribute.String("service.name", "colloquy"), attribute.String("service.version", e.version), attribute.String("service.instance.id", n),
		)
	}
	out := make(tracetest.SpanStubs, len(t.All))
	for i := range t.All {
		r := &t.All[i]
		s := &out[i]
		s.Name, s.SpanKind, s.StartTime, s.EndTime = r.Name, kindOf(t.KindOf(r)), r.Start, r.Start.Add(r.Took)
		s.SpanContext = place(r.Trace, r.Span)
		if r.Parent != (conversation.SpanID{}) {
			s.Parent = place(r.Trace, r.Parent)
		}
		s.Attributes, s.Resource = attributesOf(r), nodes[r.Node]
		s.InstrumentationScope = instrumentation.Scope{Name: traces.Scope, Version: e.version}
		if r.Failed {
			s.Status.Code = codes.Error
		}
	}
	return out
}

func place(id conversation.TraceID, span conversation.SpanID) trace.SpanContext {
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID(id), SpanID: trace.SpanID(span), TraceFlags: trace.FlagsSampled})
}

func kindOf(k traces.Kind) trace.SpanKind {
	switch k {
	case traces.KindServer:
		return trace.SpanKindServer
	case traces.KindClient:
		return trace.SpanKindClient
	case traces.KindInternal:
	}
	return trace.SpanKindInternal
}

func attributesOf(r *flight.Record) []attribute.KeyValue {
	var out []attribute.KeyValue
	for _, a := range traces.Attributes(r) {
		if a.Text != "" {
			out = append(out, attribute.String(a.Key, a.Text))
		} else {
			out = append(out, attribute.Int64(a.Key, a.Int))
		}
	}
	return out
}
