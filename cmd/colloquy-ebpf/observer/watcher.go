package observer

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"time"
)

const (
	maxAsked    = 256
	askPatience = 2 * time.Second // a node that hangs does the rest when it goes on
)

// Results of asking a node to watch, as a label.
const (
	watchDone    = "done"
	watchUnknown = "unknown" // the conversation is active on none of the nodes
	watchFailed  = "failed"
	watchFull    = "full" // too many at once; not asked
)

// watcher asks nodes to watch conversations.
type watcher struct {
	nodes   []string
	query   string
	client  *http.Client
	metrics *metrics
	log     *slog.Logger
	asked   chan string
}

func newWatcher(nodes []string, d time.Duration, m *metrics, log *slog.Logger) *watcher {
	return &watcher{
		nodes: nodes, query: "?for=" + url.QueryEscape(d.String()), metrics: m, log: log,
		client: &http.Client{Timeout: askPatience}, asked: make(chan string, maxAsked),
	}
}

// ask never waits.
func (w *watcher) ask(conversation string) {
	if len(w.nodes) == 0 {
		return
	}
	select {
	case w.asked <- conversation:
	default:
		w.metrics.watches.WithLabelValues(watchFull).Inc()
	}
}

// run asks one after the other until ctx ends.
func (w *watcher) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case id := <-w.asked:
			w.metrics.watches.WithLabelValues(w.watch(ctx, id)).Inc()
		}
	}
}

// watch asks the nodes until one knows the conversation.
func (w *watcher) watch(ctx context.Context, id string) string {
	result := watchUnknown
	for _, node := range w.nodes {
		status, err := w.post(ctx, node+"/debug/sessions/"+url.PathEscape(id)+"/watch"+w.query)
		switch {
		case err == nil && status == http.StatusNoContent:
			return watchDone
		case err == nil && status == http.StatusNotFound:
		default:
			result = watchFailed
			w.log.Warn("node not asked to watch", "node", node, "conversation_id", id, "status", status, "err", err)
		}
	}
	return result
}

func (w *watcher) post(ctx context.Context, address string) (int, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, http.NoBody)
	if err != nil {
		return 0, fmt.Errorf("ask node: %w", err)
	}
	answer, err := w.client.Do(r) //nolint:gosec // the operator's addresses
	if err != nil {
		return 0, fmt.Errorf("ask node: %w", err)
	}
	_, _ = io.CopyN(io.Discard, answer.Body, 4<<10) // so that the connection can be used again
	_ = answer.Body.Close()
	return answer.StatusCode, nil
}
