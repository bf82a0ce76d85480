package observer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/colloquyhq/colloquy/cmd/colloquy-ebpf/kernel"
	"github.com/colloquyhq/colloquy/conversation"
)

const patience = time.Minute

// scripted are eyes that see what a test says.
type scripted struct {
	events chan kernel.Event
	stop   chan struct{}
	once   sync.Once

	mu struct {
		sync.Mutex
		turns    map[kernel.Key]kernel.Turn
		counts   kernel.Counts
		attached []string
		open     int // attachments
		refuse   error
	}
}

func newScripted() *scripted {
	s := &scripted{events: make(chan kernel.Event), stop: make(chan struct{})}
	s.mu.turns = map[kernel.Key]kernel.Turn{}
	return s
}

func (s *scripted) Event() (kernel.Event, error) {
	select {
	case e := <-s.events:
		return e, nil
	case <-s.stop:
		return kernel.Event{}, io.EOF
	}
}

func (s *scripted) Stop() { s.once.Do(func() { close(s.stop) }) }

func (s *scripted) Turns(do func(kernel.Key, kernel.Turn)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, t := range s.mu.turns {
		do(k, t)
	}
	return nil
}

func (s *scripted) Forget(k kernel.Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.mu.turns, k)
}

func (s *scripted) Counts() (kernel.Counts, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.counts, nil
}

func (s *scripted) Walk() error { return nil }

func (s *scripted) Attach(path string, _ int) (io.Closer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.refuse != nil {
		return nil, s.mu.refuse
	}
	s.mu.attached = append(s.mu.attached, path)
	s.mu.open++
	return closer(func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.mu.open--
		return nil
	}), nil
}

func (s *scripted) attachments() (made, open int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.mu.attached), s.mu.open
}

type closer func() error

func (c closer) Close() error { return c() }

// usual are options as the program has them.
func usual(t *testing.T, findings io.Writer) Options {
	t.Helper()
	return Options{
		Exe: newProgram(t), Scan: 100 * time.Millisecond, Cooldown: time.Hour, WatchFor: time.Hour,
		Limits:   Limits{Stuck: 30 * time.Second, Slow: time.Second, Flood: 20, Errors: 3, ErrorBurst: 5, Lossy: 5, LossyLeast: 10, Far: time.Second},
		Findings: findings, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewPedanticRegistry(),
	}
}

func newProgram(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "colloquy")
	if err := os.WriteFile(path, []byte("first"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func made(t *testing.T, o Options, eyes Eyes) *Observer {
	t.Helper()
	obs, err := New(o, eyes)
	if err != nil {
		t.Fatal(err)
	}
	obs.gone = func(pid uint32, _ uint64) bool { return pid == 666 }
	return obs
}

func key(n byte) kernel.Key { return kernel.KeyOf(conversation.ConversationID{1, 15: n}, 77) }

func found(t *testing.T, b *bytes.Buffer) []Finding {
	t.Helper()
	var all []Finding
	for dec := json.NewDecoder(b); ; {
		var f Finding
		if err := dec.Decode(&f); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, f)
	}
}

// Every event becomes a finding with its figures, once in a while.
func TestEventsBecomeFindings(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	o := made(t, usual(t, &out), newScripted())
	now := kernel.Now() + uint64(time.Hour)
	for _, e := range []kernel.Event{
		{Key: key(1), Kind: kernel.Slow, Value: uint64(2500 * time.Millisecond)},
		{Key: key(1), Kind: kernel.Slow, Value: uint64(time.Minute)}, // told already
		{Key: key(2), Kind: kernel.Flood, Value: 20},
		{Key: key(3), Kind: kernel.Lossy, Value: 12, Of: 100},
		{Key: key(4), Kind: kernel.Far, Value: 1_500_000},
	} {
		e.At = now
		o.onEvent(&e)
	}
	again := kernel.Event{Key: key(1), Kind: kernel.Slow, Value: uint64(3 * time.Second), At: now + uint64(2*time.Hour)}
	o.onEvent(&again)
	name := func(n byte) string { return key(n).Conversation().String() }
	want := []Finding{
		{Kind: Slow, Conversation: name(1), PID: 77, Seconds: 2.5, Says: "a turn took 2.5s"},
		{Kind: Flood, Conversation: name(2), PID: 77, Turns: 20, Says: "20 turns within 10s"},
		{Kind: Lossy, Conversation: name(3), PID: 77, Retransmits: 12, Segments: 100, Says: "12 of 100 segments to the visitor were sent again"},
		{Kind: Far, Conversation: name(4), PID: 77, Seconds: 1.5, Says: "a round trip to the visitor takes 1.5s"},
		{Kind: Slow, Conversation: name(1), PID: 77, Seconds: 3, Says: "a turn took 3s"},
	}
	got := found(t, &out)
	for i := range got {
		got[i].At = time.Time{}
	}
	if !slices.Equal(got, want) {
		t.Errorf("findings:\n%+v\nwant:\n%+v", got, want)
	}
	for kind, n := range map[Kind]float64{Slow: 2, Flood: 1, Lossy: 1, Far: 1, Stuck: 0, Errors: 0, ErrorBurst: 0} {
		if got := testutil.ToFloat64(o.metrics.anomalies.WithLabelValues(string(kind))); got != n {
			t.Errorf("%s is counted %v times, want %v", kind, got, n)
		}
	}
}

// Failures are counted for a conversation and for the process, within a minute.
func TestFailures(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	o := made(t, usual(t, &out), newScripted())
	at := kernel.Now()
	fail := func(n byte, after time.Duration) {
		at += uint64(after)
		o.onEvent(&kernel.Event{Key: key(n), Kind: kernel.Failure, At: at})
	}
	fail(1, 0)
	fail(1, time.Second)
	fail(1, 2*time.Minute) // the first two are forgotten
	fail(1, time.Second)
	if got := found(t, &out); len(got) > 0 {
		t.Fatalf("found %+v too early", got)
	}
	fail(1, time.Second)
	fail(2, time.Second)
	fail(3, time.Second)
	got := found(t, &out)
	if len(got) != 2 || got[0].Kind != Errors || got[0].Turns != 3 || got[0].Conversation != key(1).Conversation().String() ||
		got[1].Kind != ErrorBurst || got[1].Turns != 5 || got[1].Conversation != key(3).Conversation().String() {
		t.Errorf("findings = %+v, want 3 errors of the first conversation, and a burst of 5 completed by the third", got)
	}
}

// Open turns that are old are found, but for those of a process that is gone, which
// are forgotten.
func TestStuckTurns(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	eyes := newScripted()
	o := made(t, usual(t, &out), eyes)
	now := uint64(time.Hour)
	dead := key(3)
	dead.PID = 666
	eyes.mu.turns = map[kernel.Key]kernel.Turn{
		key(1): {Began: now - uint64(31*time.Second)},
		key(2): {Began: now - uint64(29*time.Second)},
		dead:   {Began: 1},
		key(4): {Began: now + 5}, // since the scan began
	}
	eyes.mu.counts = kernel.Counts{Begun: 9, Done: 3, Failed: 1, Dropped: 1, Lost: 2}
	o.scan(now)
	o.scan(now + uint64(time.Millisecond))
	got := found(t, &out)
	if len(got) != 1 || got[0].Kind != Stuck || got[0].Conversation != key(1).Conversation().String() || got[0].Seconds != 31 {
		t.Errorf("findings = %+v, want the first conversation's, once", got)
	}
	if _, still := eyes.mu.turns[dead]; still || len(eyes.mu.turns) != 3 {
		t.Errorf("open turns = %v, want those of living processes", eyes.mu.turns)
	}
	for want, got := range map[float64]prometheus.Collector{
		3: o.metrics.open, 1: o.metrics.stuck, 9: o.metrics.begun, 2: o.metrics.missed.WithLabelValues("lost"),
	} {
		if n := testutil.ToFloat64(got); n != want {
			t.Errorf("a metric is %v, want %v", n, want)
		}
	}
}

// A finding reaches the node that has the conversation.
func TestNodesAreAskedToWatch(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 4)
	knows := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Method + " " + r.RequestURI
		w.WriteHeader(http.StatusNoContent)
	}))
	defer knows.Close()
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()

	id := key(1).Conversation().String()
	for name, c := range map[string]struct {
		nodes  []string
		result string
		asks   int
	}{
		"the second knows it": {[]string{other.URL, knows.URL + "/"}, watchDone, 1},
		"one does not answer": {[]string{gone.URL, knows.URL}, watchDone, 1},
		"nobody knows it":     {[]string{other.URL}, watchUnknown, 0},
		"nobody answers":      {[]string{gone.URL, other.URL}, watchFailed, 0},
	} {
		w := newWatcher(c.nodes, 90*time.Minute, newMetrics(prometheus.NewRegistry()), slog.New(slog.DiscardHandler))
		if got := w.watch(t.Context(), id); got != c.result {
			t.Errorf("%s: %s, want %s", name, got, c.result)
		}
		if len(asked) != c.asks {
			t.Errorf("%s: asked %d times, want %d", name, len(asked), c.asks)
		}
		for range len(asked) {
			if got, want := <-asked, "POST /debug/sessions/"+id+"/watch?for=1h30m0s"; got != want {
				t.Errorf("%s: asked %s, want %s", name, got, want)
			}
		}
	}
}

// Requests to watch have a bound, and an answer when it is reached.
func TestWatchesAreBounded(t *testing.T) {
	t.Parallel()
	m := newMetrics(prometheus.NewRegistry())
	w := newWatcher([]string{"http://127.0.0.1:1"}, time.Hour, m, slog.New(slog.DiscardHandler))
	for range maxAsked + 3 {
		w.ask("cnv_x")
	}
	if n := testutil.ToFloat64(m.watches.WithLabelValues(watchFull)); n != 3 {
		t.Errorf("%v were turned away, want 3", n)
	}
}

// Run sees events and scans, keeps up with a program that is replaced, and lets go
// of everything in the end.
func TestRun(t *testing.T) {
	t.Parallel()
	out, eyes := &lines{came: make(chan string, 16)}, newScripted()
	o := usual(t, out)
	obs := made(t, o, eyes)
	if err := obs.Attach(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- obs.Run(ctx) }()
	eyes.events <- kernel.Event{Key: key(1), Kind: kernel.Slow, Value: uint64(time.Minute), At: kernel.Now()}
	out.expect(t, `"kind":"slow"`)
	eyes.mu.Lock()
	eyes.mu.turns[key(2)] = kernel.Turn{}
	eyes.mu.Unlock()
	if kernel.Now() > 0 { // there is a clock
		out.expect(t, `"kind":"stuck"`)
	}
	if err := os.Remove(o.Exe); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(o.Exe, []byte("second"), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new program is attached, the old one let go", func() bool {
		made, open := eyes.attachments()
		return made == 2 && open == 1
	})
	cancel()
	if err := <-ran; err != nil {
		t.Errorf("Run = %v", err)
	}
	if err := obs.Detach(); err != nil {
		t.Errorf("Detach = %v", err)
	}
	if _, open := eyes.attachments(); open != 0 {
		t.Errorf("%d attachments are left", open)
	}
}

// lines is a writer that a test waits for.
type lines struct{ came chan string }

func (l *lines) Write(b []byte) (int, error) {
	l.came <- string(b)
	return len(b), nil
}

func (l *lines) expect(t *testing.T, part string) {
	t.Helper()
	select {
	case line := <-l.came:
		if !strings.Contains(line, part) {
			t.Errorf("line %s, want %s", line, part)
		}
	case <-time.After(patience):
		t.Fatalf("no line came, want %s", part)
	}
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !f(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// A version that cannot be attached leaves the old one attached, and is not tried
// again and again; the next one is.
func TestReplacedByNonsense(t *testing.T) {
	t.Parallel()
	eyes := newScripted()
	o := usual(t, io.Discard)
	obs := made(t, o, eyes)
	if err := obs.Attach(); err != nil {
		t.Fatal(err)
	}
	replace := func(content string) {
		t.Helper()
		if err := errors.Join(os.Remove(o.Exe), os.WriteFile(o.Exe, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	replace("nonsense")
	eyes.mu.refuse = errors.New("no marks")
	for range 3 {
		if !obs.target.follow() {
			t.Fatal("it gave up")
		}
	}
	if n := testutil.ToFloat64(obs.metrics.attaches.WithLabelValues("failed")); n != 1 {
		t.Errorf("tried %v times, want once", n)
	}
	if _, open := eyes.attachments(); open != 1 {
		t.Errorf("%d are attached, want the old one", open)
	}
	eyes.mu.refuse = nil
	if err := os.Remove(o.Exe); err != nil || !obs.target.follow() {
		t.Fatalf("it gave up on a program that is away: %v", err)
	}
	if err := os.WriteFile(o.Exe, []byte("better than that"), 0o600); err != nil || !obs.target.follow() {
		t.Fatal(err)
	}
	if made, open := eyes.attachments(); made != 2 || open != 1 {
		t.Errorf("%d attached, %d now; want 2 and 1", made, open)
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*Options){
		"--exe":       func(o *Options) { o.Exe = "" },
		"--pid":       func(o *Options) { o.Exe, o.PID = "", -1 },
		"either":      func(o *Options) { o.PID = 1 },
		"--stuck":     func(o *Options) { o.Limits.Stuck = -1 },
		"--lossy":     func(o *Options) { o.Limits.Lossy = 101 },
		"--scan":      func(o *Options) { o.Scan = time.Hour },
		"--cooldown":  func(o *Options) { o.Cooldown = -1 },
		"--watch-for": func(o *Options) { o.WatchFor = 0 },
		"--ops":       func(o *Options) { o.Ops = []string{"127.0.0.1:9090"} },
	} {
		o := usual(t, io.Discard)
		change(&o)
		if _, err := New(o, newScripted()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New = %v, want it to name %s", err, want)
		}
	}
}

func TestMetricsAreWellFormed(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	newMetrics(reg)
	problems, err := testutil.GatherAndLint(reg)
	if err != nil || len(problems) > 0 {
		t.Errorf("lint = %v, %v", problems, err)
	}
}

// What is remembered has a bound, and nothing is told twice because of it within
// half of that.
func TestRecentIsBounded(t *testing.T) {
	t.Parallel()
	r := recent{every: uint64(time.Hour)}
	for n := range uint64(3 * maxRecent) {
		k := kernel.Key{Hi: n}
		if !r.first(Slow, k, n) || r.first(Slow, k, n) || !r.first(Flood, k, n) {
			t.Fatalf("the %dth is not told once", n)
		}
		if len(r.newer)+len(r.over) > 2*maxRecent {
			t.Fatalf("%d are remembered", len(r.newer)+len(r.over))
		}
	}
	b := bursts{window: uint64(time.Minute)}
	for n := range uint64(3 * maxBursts) {
		b.count(kernel.Key{Hi: n}, n)
		if len(b.counts) > maxBursts {
			t.Fatalf("%d are counted", len(b.counts))
		}
	}
}
