package otlp

import (
	"compress/gzip"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/telemetry/flight"
	"github.com/colloquyhq/colloquy/telemetry/traces"
)

// receiver is a server that speaks OTLP over HTTP.
type receiver struct {
	*httptest.Server

	got    chan *collector.ExportTraceServiceRequest
	status int
}

func newReceiver(t *testing.T, status int) *receiver {
	t.Helper()
	r := &receiver{got: make(chan *collector.ExportTraceServiceRequest, 100), status: status}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body := io.Reader(req.Body)
		if req.Header.Get("Content-Encoding") == "gzip" {
			body, _ = gzip.NewReader(req.Body)
		}
		raw, err := io.ReadAll(body)
		var m collector.ExportTraceServiceRequest
		if err != nil || proto.Unmarshal(raw, &m) != nil || req.URL.Path != "/v1/traces" {
			t.Errorf("%s is no export of traces", req.URL.Path)
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
		w.WriteHeader(r.status)
		r.got <- &m
	}))
	t.Cleanup(r.Close)
	return r
}

func newExporter(t *testing.T, address string) *Exporter {
	t.Helper()
	e, err := New(t.Context(), Options{URL: address, Version: "v1", Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// run runs an exporter until the returned function is called.
func run(t *testing.T, e *Exporter) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var ended sync.WaitGroup
	ended.Go(func() {
		if err := e.Run(ctx); err != nil {
			t.Errorf("Run = %v", err)
		}
	})
	return func() {
		cancel()
		ended.Wait()
	}
}

func sample() *traces.Trace {
	id, began := conversation.TraceID{0xab, 15: 1}, time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	return &traces.Trace{
		Summary: traces.Summary{ID: id, Nodes: []string{"node-a", "node-b"}},
		All: []flight.Record{
			{Trace: id, Span: conversation.SpanID{1}, Name: "gateway.in", Node: "node-a", Start: began, Took: 9 * time.Millisecond, Channel: "web"},
			{Trace: id, Span: conversation.SpanID{2}, Parent: conversation.SpanID{1}, Name: "turn", Node: "node-b", Start: began, Took: time.Millisecond, Failed: true, Value: 77},
		},
	}
}

func TestReceiverGetsTheSpans(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, http.StatusOK)
	e := newExporter(t, r.URL)
	stop := run(t, e)
	defer stop()
	e.Export(sample())
	got := <-r.got
	if len(got.GetResourceSpans()) != 2 {
		t.Fatalf("the receiver got %v, want a resource for each node", got)
	}
	for _, res := range got.GetResourceSpans() {
		facts := map[string]string{}
		for _, a := range res.GetResource().GetAttributes() {
			facts[a.GetKey()] = a.GetValue().GetStringValue()
		}
		s := res.GetScopeSpans()[0].GetSpans()[0]
		node, parent, kind, failed := "node-a", "", "SPAN_KIND_SERVER", "STATUS_CODE_UNSET"
		if s.GetName() == "turn" {
			node, parent, kind, failed = "node-b", "\x01\x00\x00\x00\x00\x00\x00\x00", "SPAN_KIND_INTERNAL", "STATUS_CODE_ERROR"
		}
		if facts["service.name"] != "colloquy" || facts["service.instance.id"] != node || string(s.GetParentSpanId()) != parent ||
			s.GetKind().String() != kind || s.GetStatus().GetCode().String() != failed || s.GetTraceId()[0] != 0xab {
			t.Errorf("%v has the span %v", facts, s)
		}
	}
}

func TestWhatWaitsIsSentAtTheEnd(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, http.StatusOK)
	e := newExporter(t, r.URL)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range together + 1 {
		e.Export(sample())
	}
	if err := e.Run(ctx); err != nil {
		t.Errorf("Run = %v", err)
	}
	if n := testutil.ToFloat64(e.results.WithLabelValues("ok")); n != together+1 || len(r.got) != 2 {
		t.Errorf("%v traces in %d requests, want %d in two", n, len(r.got), together+1)
	}
}

func TestReceiverThatRefusesIsCounted(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, http.StatusBadRequest) // which the exporter does not try again
	e := newExporter(t, r.URL)
	stop := run(t, e)
	e.Export(sample())
	<-r.got
	stop()
	if n := testutil.ToFloat64(e.results.WithLabelValues("failed")); n != 1 {
		t.Errorf("failed = %v, want 1", n)
	}
}

func TestQueueIsBounded(t *testing.T) {
	t.Parallel()
	e := newExporter(t, "http://127.0.0.1:1")
	for range queued + 3 {
		e.Export(sample())
	}
	if n := testutil.ToFloat64(e.results.WithLabelValues("dropped")); n != 3 {
		t.Errorf("dropped = %v, want 3", n)
	}
}

func TestParseURL(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"http://127.0.0.1:4318": "http://127.0.0.1:4318/v1/traces", "https://otel.example.com/": "https://otel.example.com/v1/traces",
		"http://host/in/here": "http://host/in/here", "host:4318": "", "grpc://host": "", "http://": "", "http://u:p@host": "", "http://host/?x": "", "": "",
	} {
		got, err := ParseURL(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("ParseURL(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
}
