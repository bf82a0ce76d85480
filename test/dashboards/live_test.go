package dashboards

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Set by make dashboards; other runs leave the real programs alone.
const (
	envRun     = "DASHBOARDS"            // 1 = run them, and fail where one is missing
	envRequire = "COLLOQUY_REQUIRE_EBPF" // 1 = fail where the kernel does not let the observer attach; else its dashboard is left out
)

const (
	manySessions = 10_000
	loaders      = 16
	pace         = 100 * time.Millisecond // of each of them, once all sessions are there
	window       = "20s"                  // of rates; nodes are scraped every second here
)

// live is a node under load and a Prometheus that scrapes it.
type live struct {
	node, ops, prometheus string
	pid                   int
	observer              string // where colloquy-ebpf tells its metrics; empty = it cannot run here
	sent                  atomic.Int64
	failed                atomic.Pointer[string]
}

func TestLive(t *testing.T) {
	if os.Getenv(envRun) != "1" {
		t.Skip("needs a built node and a Prometheus; run make dashboards")
	}
	l := &live{}
	l.startNode(t)
	l.startObserver(t)
	l.startPrometheus(t)
	stop := l.load(t)
	defer stop()
	t.Run("panels", l.panels)
	t.Run("exemplars", l.exemplars)
	t.Run("sessions", l.sessions)
}

func (l *live) startNode(t *testing.T) {
	t.Helper()
	l.node, l.ops = freeAddress(t), freeAddress(t)
	program := filepath.Join(root, "bin", "colloquy")
	key, err := exec.CommandContext(t.Context(), program, "cluster", "key").Output()
	if err != nil {
		t.Fatal(err)
	}
	// A cluster of one, which has all that a cluster's dashboard shows.
	node := start(t, program, "serve", "--demo", "--data-dir", t.TempDir(), "--listen", l.node, "--ops-listen", l.ops,
		"--set", "cluster.listen="+freeAddress(t), "--set", "cluster.link_listen="+freeAddress(t), "--set", "cluster.grain_listen="+freeAddress(t),
		"--set", "cluster.key="+strings.TrimSpace(string(key)), "--set", "gateway.insecure_ingress=demo-shop", "--set", "log.level=warn")
	l.pid = node.cmd.Process.Pid
	eventually(t, "the node is ready", func() []string {
		node.mustRun(t)
		if _, err := get(t.Context(), "http://"+l.ops+"/readyz"); err != nil {
			return []string{err.Error()}
		}
		return nil
	})
}

// startObserver attaches colloquy-ebpf to the node, where the kernel lets it.
func (l *live) startObserver(t *testing.T) {
	t.Helper()
	at := freeAddress(t)
	p := start(t, filepath.Join(root, "bin", "colloquy-ebpf"), "--pid", strconv.Itoa(l.pid), "--listen", at, "--ops", "http://"+l.ops)
	ended := false
	eventually(t, "the observer has attached, or cannot", func() []string {
		select {
		case <-p.ended:
			ended = true
			return nil
		default:
		}
		if _, err := get(t.Context(), "http://"+at+"/metrics"); err != nil {
			return []string{err.Error()}
		}
		return nil
	})
	switch {
	case !ended:
		l.observer = at
	case os.Getenv(envRequire) == "1":
		t.Fatalf("the observer does not run: %s", p.log)
	default:
		t.Logf("the dashboard of colloquy-ebpf is left out: %s", p.log)
	}
}

func (l *live) startPrometheus(t *testing.T) {
	t.Helper()
	prometheus, err := exec.LookPath("prometheus")
	if err != nil {
		t.Fatal("prometheus is missing: apt-get install prometheus")
	}
	dir := t.TempDir()
	config := fmt.Sprintf("global: {scrape_interval: 1s}\nscrape_configs:\n  - job_name: colloquy\n    static_configs: [{targets: [%q]}]\n", l.ops)
	if l.observer != "" {
		config += fmt.Sprintf("  - job_name: colloquy-ebpf\n    static_configs: [{targets: [%q]}]\n", l.observer)
	}
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	l.prometheus = freeAddress(t)
	server := start(t, prometheus, "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+l.prometheus,
		"--enable-feature=exemplar-storage", "--log.level=warn")
	eventually(t, "prometheus has scraped", func() []string {
		server.mustRun(t)
		if n, err := l.series(t.Context(), `up{job="colloquy"} == 1`); err != nil || len(n) == 0 {
			return []string{fmt.Sprint(n, err)}
		}
		return nil
	})
}

// load has visitors of several channels write, some calm and some not, until the
// returned function is called. It goes round as many visitors as the scrape of
// sessions is to have.
func (l *live) load(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for n := range loaders {
		all.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(n))) //nolint:gosec // a load
			tick := time.NewTicker(pace)
			defer tick.Stop()
			for ctx.Err() == nil {
				if l.sent.Load() > manySessions {
					<-tick.C // everybody is there; from now on only so that there is something to see
				}
				if err := l.say(ctx, r); err != nil && ctx.Err() == nil {
					text := err.Error()
					l.failed.Store(&text)
				}
			}
		})
	}
	return func() {
		cancel()
		all.Wait()
		if why := l.failed.Load(); why != nil {
			t.Errorf("a message failed: %s", *why)
		}
	}
}

func (l *live) say(ctx context.Context, r *rand.Rand) error {
	texts := []string{
		"where is my order", "我的快递到哪了", "how do I return this", "hello", "talk to a human", "this is ridiculous, you are useless!!!", "asdf qwer",
	}
	channels := []string{"wechat", "telegram", "email", "webhook"}
	n := l.sent.Add(1) % manySessions
	body, err := json.Marshal(map[string]string{"user": fmt.Sprint("visitor-", n), "text": texts[r.IntN(len(texts))]})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+l.node+"/webhook", strings.NewReader(string(body)))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Channel-Type", channels[n%int64(len(channels))])
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode >= http.StatusInternalServerError && res.StatusCode != http.StatusServiceUnavailable {
		return fmt.Errorf("status %s", res.Status)
	}
	return nil
}

// panels asks each query of each dashboard.
func (l *live) panels(t *testing.T) {
	boards := readBoards(t)
	if l.observer == "" {
		boards = slices.DeleteFunc(boards, func(b board) bool { return b.file == "ebpf.json" })
	}
	asked := 0
	eventually(t, "every panel has something to show", func() []string {
		var empty []string
		asked = 0
		for _, b := range boards {
			for _, p := range b.Panels {
				for _, target := range p.Targets {
					asked++
					values, err := l.series(t.Context(), plain(target.Expr, window))
					if err != nil || len(values) == 0 {
						empty = append(empty, fmt.Sprintf("%s, %s: %s: %d series, %v", b.file, p.Title, target.Expr, len(values), err))
					}
				}
			}
		}
		return empty
	})
	t.Logf("%d queries of %d dashboards have an answer", asked, len(boards))
	l.busy(t)
}

// busy checks that the load is seen, and not only the zeros that series begin
// with.
func (l *live) busy(t *testing.T) {
	t.Helper()
	eventually(t, "the load is seen", func() []string {
		var quiet []string
		for _, expr := range []string{
			"sum(rate(colloquy_messages_accepted_total[20s]))", `sum(rate(colloquy_turn_duration_seconds_count{outcome="answered"}[20s]))`,
			"histogram_quantile(0.99, sum by (le) (rate(colloquy_turn_cpu_seconds_bucket[20s])))", "sum(rate(colloquy_handovers_total[20s]))",
			"sum(colloquy_queue_waiting)", "sum(rate(colloquy_journal_appends_total[20s]))", "count(colloquy_session_cpu_seconds_total)",
			"colloquy_cpu_attributed_ratio", "sum(rate(colloquy_mood_changes_total[20s]))", "process_resident_memory_bytes",
		} {
			if values, err := l.series(t.Context(), expr); err != nil || !slices.ContainsFunc(values, func(v float64) bool { return v > 0 }) {
				quiet = append(quiet, fmt.Sprintf("%s = %v, %v", expr, values, err))
			}
		}
		return quiet
	})
}

// exemplars are there once turns have traces.
func (l *live) exemplars(t *testing.T) {
	if _, traces := labelsOf(t)["colloquy_traces_kept_total"]; !traces {
		t.Skip("turns have no traces in this version")
	}
	eventually(t, "an exemplar of a turn has arrived", func() []string {
		q := url.Values{"query": {"colloquy_turn_cpu_seconds_bucket"}, "start": {"0"}, "end": {fmt.Sprint(time.Now().Unix() + 60)}}
		text, err := get(t.Context(), "http://"+l.prometheus+"/api/v1/query_exemplars?"+q.Encode())
		if err != nil || !strings.Contains(text, "trace_id") {
			return []string{fmt.Sprint(text, err)}
		}
		return nil
	})
}

// sessions scrapes ten thousand of them, and says how long that took.
func (l *live) sessions(t *testing.T) {
	scrape := func() (lines int, took time.Duration) {
		began := time.Now()
		text, err := get(t.Context(), "http://"+l.ops+"/metrics/sessions?limit="+strconv.Itoa(manySessions))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(text, "\ncolloquy_session_cpu_seconds_total{"), time.Since(began)
	}
	eventually(t, "so many sessions are active", func() []string {
		if n, _ := scrape(); n < manySessions {
			return []string{fmt.Sprintf("%d of %d", n, manySessions)}
		}
		return nil
	})
	best := time.Duration(math.MaxInt64)
	for range 10 {
		_, took := scrape()
		best = min(best, took)
	}
	t.Logf("a scrape of %d sessions takes %v, the best of ten beside the load", manySessions, best)
}

// series gives the values of a query's series.
func (l *live) series(ctx context.Context, expr string) ([]float64, error) {
	text, err := get(ctx, "http://"+l.prometheus+"/api/v1/query?"+url.Values{"query": {expr}}.Encode())
	if err != nil {
		return nil, err
	}
	var answer struct {
		Data struct {
			Result []struct {
				Value [2]any `json:"value"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		return nil, err
	}
	var out []float64
	for _, r := range answer.Data.Result {
		text, ok := r.Value[1].(string)
		if !ok {
			return nil, fmt.Errorf("a value is %v", r.Value[1])
		}
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}
