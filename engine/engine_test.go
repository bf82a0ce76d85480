package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/colloquyhq/colloquy/actors"
	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/persistence"
)

// dirVariable makes a second process out of this test binary; see TestMain.
const dirVariable = "TEST_OPEN_DATA_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(dirVariable); dir != "" {
		e, err := New(Options{Config: testConfig(dir), Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			fmt.Println(errors.Is(err, persistence.ErrLocked), err)
			os.Exit(1)
		}
		e.Close()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// deadline is how long anything may take that a test waits for, on a machine that
// has other things to do.
const deadline = time.Minute

func testConfig(dir string) Config {
	c := DefaultConfig()
	c.DataDir, c.Listen, c.OpsListen = dir, "127.0.0.1:0", "127.0.0.1:0"
	c.Packs.Dir = filepath.Join("testdata", "packs")
	c.Journal = JournalConfig{CacheBytes: 1 << 20, MemTableBytes: 1 << 20}
	// The disk of a test machine may be slow and full; that is not under test.
	c.Health = HealthConfig{FsyncP99: time.Minute, Lag: time.Minute}
	return c
}

// quietOptions are those of a node on a fresh directory that logs into w.
func quietOptions(t *testing.T, w io.Writer) Options {
	t.Helper()
	return Options{Config: testConfig(t.TempDir()), Logger: slog.New(slog.NewTextHandler(w, nil))}
}

// record is a log that may be written and read at once.
type record struct {
	mu struct {
		sync.Mutex
		bytes.Buffer
	}
}

func (r *record) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mu.Write(b)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mu.String()
}

// eventually waits until what holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(deadline); !holds(); {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", deadline, what)
		}
		runtime.Gosched()
		<-time.After(2 * time.Millisecond)
	}
}

// serving makes a node and runs it until the test ends. stop ends it earlier
// and gives what Run returned.
func serving(t testing.TB, o Options) (e *Engine, stop func() error) {
	t.Helper()
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return e, run(t, e)
}

func run(t testing.TB, e *Engine) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		select {
		case err := <-ended:
			return err
		case <-time.After(deadline):
			return errors.New("Run did not end")
		}
	})
	t.Cleanup(func() { _ = stop() })
	select {
	case <-e.Ready():
	case <-time.After(deadline):
		t.Fatal("the node did not get ready")
	}
	return stop
}

func putInbox(t testing.TB, e *Engine, in conversation.Inbox) {
	t.Helper()
	if _, err := e.Store().PutInbox(t.Context(), in); err != nil {
		t.Fatal(err)
	}
}

// acknowledged tries what a client would try again: where the lead of a cluster
// moves, as it does when the machine stands still for seconds, nodes say "not now".
func acknowledged[T any](t testing.TB, what string, try func() (T, error)) T {
	t.Helper()
	for end := time.Now().Add(deadline); ; <-time.After(20 * time.Millisecond) {
		v, err := try()
		if err == nil {
			return v
		}
		if !conversation.CodeOf(err).Row().Retry || time.Now().After(end) {
			t.Fatalf("%s = %v", what, err)
		}
	}
}

// say delivers a message and gives its receipt.
func say(t *testing.T, e *Engine, in conversation.Inbound) conversation.Receipt {
	t.Helper()
	r, err := e.Actors().Deliver(t.Context(), in)
	if err != nil {
		t.Fatalf("Deliver(%q) = %v", in.Text, err)
	}
	return r
}

func visitor(inbox conversation.InboxID, text string) conversation.Inbound {
	return conversation.Inbound{
		Inbox: inbox, Channel: conversation.ChannelAPI, Contact: conversation.NewContactID(time.Now()),
		Text: conversation.Text(text), Wait: deadline,
	}
}

func fetch(t *testing.T, url string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(raw)
}

// own gives the stacks of goroutines that run code of this module.
func own() []string {
	buf := make([]byte, 4<<20)
	buf = buf[:runtime.Stack(buf, true)]
	var out []string
	for stack := range strings.SplitSeq(string(buf), "\n\n") {
		for _, mark := range []string{"colloquyhq/colloquy", "cockroachdb/pebble", "hashicorp/raft", "protoactor-go", "lxzan/gws"} {
			if strings.Contains(stack, mark) && !strings.Contains(stack, "testing.tRunner") && !strings.Contains(stack, "testing.(*M)") {
				out = append(out, stack)
				break
			}
		}
	}
	return out
}

// noneLeft waits until there are as few goroutines as before.
func noneLeft(t *testing.T, before int) {
	t.Helper()
	var left []string
	for end := time.Now().Add(deadline); time.Now().Before(end); <-time.After(10 * time.Millisecond) {
		if left = own(); len(left) <= before {
			return
		}
	}
	t.Errorf("%d goroutines where %d were before:\n%s", len(left), before, strings.Join(left, "\n\n"))
}

func TestNewAndCloseLeaveNothing(t *testing.T) {
	before := len(own())
	o := quietOptions(t, io.Discard)
	for range 2 { // the second time shows that the directory was given back
		e, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		select {
		case <-e.Ready():
			t.Error("a node that does not run is ready")
		default:
		}
		addr := e.Addr()
		e.Close()
		e.Close()
		if c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr); err == nil {
			_ = c.Close()
			t.Error("a closed node still listens")
		}
	}
	noneLeft(t, before)
}

func TestRunStopsWithinTheGraceAndLeavesNothing(t *testing.T) {
	before := len(own())
	var log record
	o := quietOptions(t, &log)
	o.Config.ShutdownGrace = deadline / 2
	e, stop := serving(t, o)
	// So few questions prove nothing: the operator says that they are answered.
	putInbox(t, e, conversation.Inbox{
		ID: "house", Name: "House", Lang: "en", Packs: []string{"house"}, Policy: conversation.Policy{Answers: conversation.AnswersOn},
	})
	first := say(t, e, visitor("house", "when are you open"))
	if len(first.Replies) != 1 || !strings.Contains(string(first.Replies[0].Text), "nine to five") {
		t.Errorf("replies = %v, want the opening hours", first.Replies)
	}
	if len(own()) <= before {
		t.Error("a running node has no goroutines: the test looks for the wrong ones")
	}
	addr, ops := e.Addr(), e.OpsAddr()
	began := time.Now()
	if err := stop(); err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
	if took := time.Since(began); took > o.Config.ShutdownGrace {
		t.Errorf("stopping took %v, the grace is %v", took, o.Config.ShutdownGrace)
	}
	for _, a := range []string{addr, ops} {
		if c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", a); err == nil {
			_ = c.Close()
			t.Errorf("%s still listens", a)
		}
	}
	for _, p := range []string{"listener", "gateway", "stream", "actors", "models", "packs", "operations", "journal"} {
		if !strings.Contains(log.String(), "part="+p) {
			t.Errorf("the log does not say that %s stopped", p)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	noneLeft(t, before)

	if err := e.Run(t.Context()); err == nil {
		t.Error("a second Run = nil, want an error")
	}
	again, err := New(o)
	if err != nil {
		t.Fatalf("the directory cannot be opened again: %v", err)
	}
	defer again.Close()
	entries, err := again.Store().Entries(t.Context(), first.Conversation, 0, 10)
	if err != nil || len(entries) < 3 {
		t.Errorf("%d entries, %v, want those of the conversation", len(entries), err)
	}
}

// A context that has ended before the start still gives a clean stop.
func TestRunWithAnEndedContext(t *testing.T) {
	t.Parallel()
	e, err := New(quietOptions(t, io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.Run(ctx); err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
}

func TestNewRefusesBadConfiguration(t *testing.T) {
	t.Parallel()
	o := quietOptions(t, io.Discard)
	o.Config.Listen, o.Config.Turns.Idle = "nowhere", 0
	_, err := New(o)
	if err == nil || !strings.Contains(err.Error(), "listen") || !strings.Contains(err.Error(), "turns.idle") {
		t.Errorf("New = %v, want both mistakes", err)
	}
}

func TestNewRefusesBadPacks(t *testing.T) {
	t.Parallel()
	o := quietOptions(t, io.Discard)
	o.Config.Packs.Dir = filepath.Dir(writeFile(t, "bad.yaml", "colloquy: 1\npack: bad\nintents: 7\n"))
	_, err := New(o)
	if err == nil || !strings.Contains(err.Error(), "packs") || !strings.Contains(err.Error(), "bad.yaml") {
		t.Errorf("New = %v, want it to name the file", err)
	}
	// What had been opened before was given back.
	o.Config.Packs.Dir = ""
	e, err := New(o)
	if err != nil {
		t.Fatalf("New after a refusal = %v", err)
	}
	e.Close()
}

func TestNewRefusesATakenAddress(t *testing.T) {
	t.Parallel()
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	for _, set := range []func(*Config){
		func(c *Config) { c.Listen = taken.Addr().String() },
		func(c *Config) { c.OpsListen = taken.Addr().String() },
	} {
		o := quietOptions(t, io.Discard)
		set(&o.Config)
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), taken.Addr().String()) {
			t.Errorf("New = %v, want it to name the address", err)
		}
	}
}

func TestASecondNodeOnTheSameDirectoryIsRefused(t *testing.T) {
	t.Parallel()
	o := quietOptions(t, io.Discard)
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if _, err := New(o); !errors.Is(err, persistence.ErrLocked) {
		t.Errorf("New in the same process = %v, want ErrLocked", err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), dirVariable+"="+o.Config.DataDir)
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.HasPrefix(string(out), "true ") || !strings.Contains(string(out), "in use by another process") || !strings.Contains(string(out), o.Config.DataDir) {
		t.Errorf("New in another process: %v\n%s", err, out)
	}
}

// A part that ends by itself takes the node down, and Run says which one.
func TestRunEndsWhenAPartFails(t *testing.T) {
	t.Parallel()
	tests := []struct {
		part    string
		destroy func(*Engine)
	}{
		{"listener", func(e *Engine) { _ = e.listener.Close() }},
		{"operations", func(e *Engine) { _ = e.opsListener.Close() }},
	}
	for _, tt := range tests {
		t.Run(tt.part, func(t *testing.T) {
			t.Parallel()
			e, err := New(quietOptions(t, io.Discard))
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- e.Run(context.Background()) }()
			<-e.Ready()
			tt.destroy(e)
			select {
			case err := <-ended:
				if err == nil || !strings.HasPrefix(err.Error(), tt.part+" ended: ") || !errors.Is(err, net.ErrClosed) {
					t.Errorf("Run = %v, want the end of the %s", err, tt.part)
				}
			case <-time.After(deadline):
				t.Fatal("Run went on without it")
			}
		})
	}
}

func TestOwnRoutesBesideTheGateway(t *testing.T) {
	t.Parallel()
	o := quietOptions(t, io.Discard)
	o.Config.OpsListen = ""
	o.Routes = map[string]http.Handler{"GET /own/{thing}": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.PathValue("thing"))
	})}
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if e.OpsAddr() != "" {
		t.Errorf("OpsAddr() = %q without an operations address", e.OpsAddr())
	}
	srv := httptest.NewServer(e.Handler())
	defer srv.Close()
	if status, body := fetch(t, srv.URL+"/own/box"); status != http.StatusOK || body != "box" {
		t.Errorf("own route: %d %q", status, body)
	}
	if status, _ := fetch(t, srv.URL+"/v1/profile"); status != http.StatusUnauthorized {
		t.Errorf("/v1/profile = %d, want 401", status)
	}
}

// Everything that a running node measures follows the rules for names, units
// and help texts.
func TestMetricsAreWellFormed(t *testing.T) {
	t.Parallel()
	o := quietOptions(t, io.Discard)
	e, stop := serving(t, o)
	putInbox(t, e, conversation.Inbox{ID: "house", Name: "House", Lang: "en", Packs: []string{"house"}})
	say(t, e, visitor("house", "where can I park"))
	problems, err := testutil.GatherAndLint(e.registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	families, err := e.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		name := f.GetName()
		if !strings.HasPrefix(name, "colloquy_") && !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_") {
			t.Errorf("metric %s has a foreign prefix", name)
		}
		for _, m := range f.GetMetric() {
			if len(m.GetLabel()) > 3 {
				t.Errorf("metric %s has %d labels", name, len(m.GetLabel()))
			}
		}
	}
	status, body := fetch(t, "http://"+e.OpsAddr()+"/metrics")
	for _, want := range []string{"colloquy_build_info{", "colloquy_journal_", "colloquy_intent_", "colloquy_gateway_", "colloquy_channel_"} {
		if status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("/metrics (%d) has nothing that begins with %s", status, want)
		}
	}
	if err := stop(); err != nil {
		t.Errorf("Run = %v", err)
	}
}

// An own behavior, classifier and grain kind take the place of the built-in
// ones; what panics is kept, and its conversation goes to people.
func TestOwnParts(t *testing.T) {
	t.Parallel()
	o := quietOptions(t, io.Discard)
	o.Classifier = keywords{}
	o.Bindings = []actors.Binding{
		{Name: "hours", Intent: "hours", Behavior: actors.BehaviorFunc(func(_ context.Context, t *actors.Turn) (conversation.Outcome, error) {
			return t.Reply("own answer"), nil
		})},
		{Name: "broken", Intent: "broken", Behavior: actors.BehaviorFunc(func(context.Context, *actors.Turn) (conversation.Outcome, error) {
			panic("broken on purpose")
		})},
	}
	e, stop := serving(t, o)
	putInbox(t, e, conversation.Inbox{ID: "house", Name: "House", Lang: "en", Packs: []string{"house"}})
	if r := say(t, e, visitor("house", "hours")); len(r.Replies) != 1 || r.Replies[0].Text != "own answer" {
		t.Errorf("replies = %v, want the behavior's", r.Replies)
	}
	if r := say(t, e, visitor("house", "broken")); r.Status != conversation.StatusOpen {
		t.Errorf("status = %s after a behavior that panicked, want open", r.Status)
	}
	if err := stop(); err != nil {
		t.Errorf("Run = %v", err)
	}
}

// keywords is a classifier for which the text is the intent.
type keywords struct{}

func (keywords) Predict(_ context.Context, u *conversation.Utterance, p *conversation.Prediction) error {
	*p = conversation.Prediction{
		Candidates: []conversation.Candidate{{Intent: string(u.Text), Confidence: 1}}, Lang: "en", Auto: 0.5, Suggest: 0.2, Model: "keywords",
	}
	return nil
}
