package telemetry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// checkTimeout bounds one readiness check; a check that hangs is a failure.
const checkTimeout = 2 * time.Second

// Check says why something is not ready, or returns nil. What it says with
// [Degraded] is shown and does not make the node unready.
type Check func(ctx context.Context) error

// degraded is something wrong with which the node serves all the same.
type degraded struct{ error }

// Degraded marks an error as one with which the node goes on serving: to take
// traffic away from it would help nobody, as when all nodes have the same.
func Degraded(err error) error { return degraded{err} }

// Health is the list of readiness checks of a node.
type Health struct {
	mu struct {
		sync.Mutex
		names  []string
		checks map[string]Check
	}
}

// NewHealth makes an empty list.
func NewHealth() *Health {
	h := &Health{}
	h.mu.checks = map[string]Check{}
	return h
}

// Add registers a check; a second one of the same name replaces the first.
func (h *Health) Add(name string, c Check) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.mu.checks[name]; !ok {
		h.mu.names = append(h.mu.names, name)
	}
	h.mu.checks[name] = c
}

// Result is the outcome of one check.
type Result struct {
	Name string
	Err  error
	Took time.Duration
}

// Run runs all checks side by side and gives their results in the order in
// which they were added.
func (h *Health) Run(ctx context.Context) []Result {
	h.mu.Lock()
	out := make([]Result, len(h.mu.names))
	checks := make([]Check, len(out))
	for i, n := range h.mu.names {
		out[i].Name, checks[i] = n, h.mu.checks[n]
	}
	h.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	var all sync.WaitGroup
	for i, c := range checks {
		all.Go(func() {
			began := time.Now()
			out[i].Err = runCheck(ctx, c)
			out[i].Took = time.Since(began)
		})
	}
	all.Wait()
	return out
}

// runCheck gives up on a check that does not heed its context.
func runCheck(ctx context.Context, c Check) error {
	done := make(chan error, 1)
	go func() { done <- c(ctx) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("no answer within %v", checkTimeout)
	}
}

// OpsHandler serves the operations listener: /metrics, /livez and /readyz.
// /readyz answers 503 while any check fails; with ?verbose it lists every check
// with its reason: [+] is well, [-] is not, [!] is not and the node serves.
func OpsHandler(reg prometheus.Gatherer, h *Health) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok\n"))
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { serveReady(w, r, h) })
	return mux
}

func serveReady(w http.ResponseWriter, r *http.Request, h *Health) {
	results := h.Run(r.Context())
	status, b := http.StatusOK, &strings.Builder{}
	for _, res := range results {
		mark, reason := "+", "ok"
		if soft := (degraded{}); errors.As(res.Err, &soft) {
			mark, reason = "!", res.Err.Error()
		} else if res.Err != nil {
			status, mark, reason = http.StatusServiceUnavailable, "-", res.Err.Error()
		}
		fmt.Fprintf(b, "[%s] %s: %s (%v)\n", mark, res.Name, reason, res.Took.Round(time.Microsecond))
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if r.URL.Query().Has("verbose") {
		_, _ = w.Write([]byte(b.String()))
	}
	if status == http.StatusOK {
		_, _ = w.Write([]byte("ready\n"))
	} else {
		_, _ = w.Write([]byte("not ready\n"))
	}
}
