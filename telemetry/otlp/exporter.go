// Package otlp hands kept traces to a receiver of OpenTelemetry's protocol over
// HTTP, by OpenTelemetry's own exporter.
package otlp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/colloquyhq/colloquy/telemetry/traces"
)

// Options configure [New]. Logger and Registerer are needed.
type Options struct {
	URL        string // of the receiver; empty = as the variables OTEL_EXPORTER_OTLP_… say
	Version    string // of this program
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// The bounds of an exporter.
const (
	queued      = 256 // traces that wait
	together    = 32  // traces in a request
	requestTime = 10 * time.Second
	lastTime    = 3 * time.Second // for what is under way or still waits at the end
	tracesPath  = "/v1/traces"
)

// Wanted reports whether there is anywhere to export to.
func Wanted(address string) bool {
	return address != "" || os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != ""
}

// ParseURL reads the address of a receiver. The path that all receivers have is
// added where there is none: the exporter itself would post to "/". Errors: what
// is wrong with it.
func ParseURL(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("an address such as http://127.0.0.1:4318 is needed")
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = tracesPath
	}
	return u.String(), nil
}

// Exporter sends traces, a few in a request.
//
// owns: the connections of OpenTelemetry's exporter, which tries again by itself ·
// bound: queued traces; what comes when they wait is dropped and counted · how it
// ends: with Run's ctx, when what waits has been sent or lastTime is over.
//
// Concurrency: Export may be called from anywhere.
type Exporter struct {
	version string
	log     *slog.Logger
	spans   *otlptrace.Exporter
	queue   chan *traces.Trace
	results *prometheus.CounterVec

	failing bool // touched by Run only
}

// New makes an exporter. It connects to nothing yet. Errors: those of [ParseURL];
// what the exporter says of the variables.
func New(ctx context.Context, o Options) (*Exporter, error) {
	settings := []otlptracehttp.Option{otlptracehttp.WithTimeout(requestTime)}
	if o.URL != "" {
		address, err := ParseURL(o.URL)
		if err != nil {
			return nil, err
		}
		settings = append(settings, otlptracehttp.WithEndpointURL(address))
	}
	spans, err := otlptracehttp.New(ctx, settings...)
	if err != nil {
		return nil, fmt.Errorf("make the exporter of traces: %w", err)
	}
	e := &Exporter{
		version: o.Version, log: o.Logger.With("component", "otlp"), spans: spans, queue: make(chan *traces.Trace, queued),
		results: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "colloquy_traces_exported_total", Help: "Traces for the receiver of tracing.otlp: ok, failed, or dropped because too many waited.",
		}, []string{"result"}),
	}
	o.Registerer.MustRegister(e.results)
	for _, r := range []string{"ok", "failed", "dropped"} {
		e.results.WithLabelValues(r)
	}
	return e, nil
}

// Export queues a trace, which nobody changes any more. It does not block.
func (e *Exporter) Export(t *traces.Trace) {
	select {
	case e.queue <- t:
	default:
		e.results.WithLabelValues("dropped").Inc()
	}
}

// Run sends until ctx ends, and then what still waits.
func (e *Exporter) Run(ctx context.Context) error {
	sending, cancel := lasting(ctx)
	defer cancel()
	for sending.Err() == nil {
		var list []*traces.Trace
		select {
		case t := <-e.queue:
			list = e.more([]*traces.Trace{t})
		case <-ctx.Done():
			list = e.more(nil)
		}
		if len(list) == 0 {
			break
		}
		e.send(sending, list)
	}
	return e.spans.Shutdown(context.WithoutCancel(ctx)) // nothing is under way
}

// lasting gives a context that ends lastTime after another.
func lasting(ctx context.Context) (context.Context, context.CancelFunc) {
	long, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(lastTime, cancel) })
	return long, func() {
		stop()
		cancel()
	}
}

// more takes what waits, up to a request's size.
func (e *Exporter) more(list []*traces.Trace) []*traces.Trace {
	for len(list) < together {
		select {
		case t := <-e.queue:
			list = append(list, t)
		default:
			return list
		}
	}
	return list
}

func (e *Exporter) send(ctx context.Context, list []*traces.Trace) {
	var stubs tracetest.SpanStubs
	for _, t := range list {
		stubs = append(stubs, e.stubs(t)...)
	}
	result := "ok"
	err := e.spans.ExportSpans(ctx, stubs.Snapshots())
	if err != nil {
		result = "failed"
		if !e.failing {
			e.log.Warn("receiver of traces fails", "err", err)
		}
	} else if e.failing {
		e.log.Info("receiver of traces answers again")
	}
	e.failing = err != nil
	e.results.WithLabelValues(result).Add(float64(len(list)))
}
