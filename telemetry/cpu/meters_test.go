package cpu

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// spend charges a conversation as if a segment had been measured.
func spend(ms *Meters, id string, d time.Duration) {
	m := ms.Of(id)
	m.Turn("web")
	m.charge(int64(d))
}

func shown(ms *Meters) []string {
	var out []string
	for _, m := range ms.all() {
		if m.shown.Load() {
			out = append(out, m.id)
		}
	}
	slices.Sort(out)
	return out
}

func TestSegmentsAreCharged(t *testing.T) {
	t.Parallel()
	ms := NewMeters(Options{})
	m := ms.Of("a")
	if ms.Of("a") != m {
		t.Fatal("a conversation has two meters")
	}
	m.Run(func() {
		work := SegmentOf(With(context.Background(), m))
		if work == nil {
			t.Error("the context leads to no segment")
		}
		work.Pause()
		if n := ms.locked.Load(); n != 0 {
			t.Errorf("%d goroutines are counted as locked in a pause", n)
		}
		work.Resume()
		for range 1000 {
			testutilWork()
		}
	})
	first := m.Spent()
	if first <= 0 {
		t.Fatal("work costs nothing")
	}
	m.Charged(testutilWork)
	if m.Spent() <= first {
		t.Error("work beside the mailbox costs nothing")
	}
	if got := time.Duration(ms.total.Load()); got != m.Spent() {
		t.Errorf("all conversations cost %v, the only one %v", got, m.Spent())
	}
	if n := ms.locked.Load(); n != 0 {
		t.Errorf("%d goroutines are counted as locked at rest", n)
	}
}

func testutilWork() { _ = fmt.Sprint(strings.Repeat("x", 1000)) }

func TestPanicsLeaveNothingLocked(t *testing.T) {
	t.Parallel()
	ms := NewMeters(Options{})
	for _, run := range []func(func()){ms.Of("a").Run, ms.Of("a").Charged} {
		func() {
			defer func() { _ = recover() }()
			run(func() { panic("no") })
		}()
	}
	if n := ms.locked.Load(); n != 0 {
		t.Errorf("%d goroutines are counted as locked", n)
	}
}

func TestOffAndNilMeasureNothing(t *testing.T) {
	t.Parallel()
	ran := 0
	off := NewMeters(Options{Accounting: Off}).Of("a")
	off.Run(func() {
		work := SegmentOf(With(context.Background(), off))
		work.Pause()
		work.Resume()
		ran++
	})
	var none *Meters
	m := none.Of("a")
	m.Charged(func() { ran++ })
	m.Turn("web")
	SegmentOf(context.Background()).Pause()
	SegmentOf(context.Background()).Resume()
	if ran != 2 || off.Spent() != 0 || m.Spent() != 0 {
		t.Errorf("ran %d times, charged %v and %v", ran, off.Spent(), m.Spent())
	}
}

// TestThreadsAreBounded has more segments open at once than threads are allowed
// for.
func TestThreadsAreBounded(t *testing.T) {
	t.Parallel()
	ms := NewMeters(Options{})
	many := int(ms.lockedMost) + 10
	var inside, done sync.WaitGroup
	inside.Add(many)
	for range many {
		done.Go(func() {
			ms.Of("a").Charged(func() { inside.Done(); inside.Wait() })
		})
	}
	done.Wait()
	if n := ms.approximate.Load(); n != 10 {
		t.Errorf("%d segments are approximate, want 10", n)
	}
	if n := ms.locked.Load(); n != 0 {
		t.Errorf("%d goroutines are counted as locked at rest", n)
	}
}

func TestTheDearestAreShown(t *testing.T) {
	t.Parallel()
	ms := NewMeters(Options{Top: 2})
	now := time.Now()
	for i := range 5 {
		spend(ms, fmt.Sprint("c", i), time.Duration(i+1)*time.Millisecond)
	}
	ms.survey(now)
	if got := shown(ms); !slices.Equal(got, []string{"c3", "c4"}) {
		t.Fatalf("shown are %v", got)
	}
	// Others become dearer; who was shown stays for a while.
	now = now.Add(surveyEvery)
	spend(ms, "c0", time.Second)
	spend(ms, "c1", time.Second)
	ms.survey(now)
	if got := shown(ms); !slices.Equal(got, []string{"c0", "c1", "c3", "c4"}) {
		t.Fatalf("shown are %v", got)
	}
	now = now.Add(surveyEvery)
	spend(ms, "c2", 2*time.Second)
	ms.survey(now)
	if got := shown(ms); len(got) != 4 || !slices.Contains(got, "c2") {
		t.Errorf("shown are %v, want four with c2", got)
	}
	if !ms.Watch("c3", now.Add(time.Hour)) || ms.Watch("nobody", now.Add(time.Hour)) {
		t.Error("who is active can be watched, and nobody else")
	}
	now = now.Add(stay + surveyEvery)
	ms.survey(now)
	if got := shown(ms); !slices.Contains(got, "c3") || len(got) > 3 {
		t.Errorf("after a while shown are %v, want the dearest two and the watched one", got)
	}
}

func TestTheSilentAreForgotten(t *testing.T) {
	t.Parallel()
	ms := NewMeters(Options{Forget: time.Minute})
	spend(ms, "a", time.Millisecond)
	spend(ms, "b", time.Millisecond)
	now := time.Now()
	ms.Watch("b", now.Add(time.Hour))
	ms.survey(now)
	ms.survey(now.Add(30 * time.Second))
	if n := len(ms.all()); n != 2 {
		t.Fatalf("%d are known, want 2", n)
	}
	ms.survey(now.Add(2 * time.Minute))
	if _, ok := ms.Find("a"); ok || len(ms.all()) != 1 {
		t.Error("the silent one is still known, or the watched one is not")
	}
}

func TestMetricsAreWellNamed(t *testing.T) {
	t.Parallel()
	ms := NewMeters(Options{})
	spend(ms, "a", time.Millisecond)
	ms.survey(time.Now())
	problems, err := testutil.CollectAndLint(ms.Collector())
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
	if n := testutil.CollectAndCount(ms.Collector(), "colloquy_session_cpu_seconds_total"); n != 1 {
		t.Errorf("%d sessions have a series, want 1", n)
	}
}

func TestHandler(t *testing.T) {
	t.Parallel()
	ms := NewMeters(Options{})
	spend(ms, "a", 5*time.Millisecond)
	spend(ms, "b", 7*time.Millisecond)
	ms.Of("c").Turn("email")
	ask := func(method, path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		ms.Handler().ServeHTTP(w, httptest.NewRequest(method, path, http.NoBody))
		return w
	}
	for path, want := range map[string]int{
		"/debug/sessions?sort=dear": 400, "/debug/sessions?limit=0": 400, "/metrics/sessions?limit=10001": 400, "/metrics/sessions?limit=x": 400,
		"/debug/sessions/nobody": 404, "/debug/sessions/a": 200,
	} {
		if w := ask("GET", path); w.Code != want {
			t.Errorf("%s: %d, want %d", path, w.Code, want)
		}
	}
	for path, want := range map[string]int{
		"/debug/sessions/a/watch": 204, "/debug/sessions/nobody/watch": 404, "/debug/sessions/a/watch?for=1y": 400, "/debug/sessions/a/watch?for=-1h": 400,
	} {
		if w := ask("POST", path); w.Code != want {
			t.Errorf("%s: %d, want %d", path, w.Code, want)
		}
	}
	var list sessionList
	if err := json.Unmarshal(ask("GET", "/debug/sessions?channel=web&limit=1").Body.Bytes(), &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Sessions) != 1 || list.Sessions[0].Conversation != "b" || list.Sessions[0].CPU != 0.007 || list.Sessions[0].Turns != 1 {
		t.Errorf("the dearest of the web is %+v", list.Sessions)
	}
	text := ask("GET", "/metrics/sessions").Body.String()
	for _, want := range []string{
		`colloquy_session_cpu_seconds_total{channel="web",conversation="a"} 0.005`, `colloquy_session_cpu_seconds_total{channel="email",conversation="c"} 0`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{{Accounting: "some"}, {Every: -1}, {Every: maxEvery + 1}, {Top: -1}, {Top: maxTop + 1}} {
		if o.Validate() == nil {
			t.Errorf("%+v passes", o)
		}
	}
	if err := (&Options{Accounting: Sampled, Every: 8, Top: 10}).Validate(); err != nil {
		t.Error(err)
	}
}

func BenchmarkSegment(b *testing.B) {
	for _, a := range []Accounting{Exact, Sampled, Off} {
		b.Run(string(a), func(b *testing.B) {
			m := NewMeters(Options{Accounting: a}).Of("a")
			b.ReportAllocs()
			for b.Loop() {
				m.Run(func() {})
			}
		})
	}
}

// BenchmarkScrape is a scrape of ten thousand sessions.
func BenchmarkScrape(b *testing.B) {
	ms := NewMeters(Options{})
	for i := range 10_000 {
		spend(ms, fmt.Sprintf("%032d", i), time.Duration(i))
	}
	h := ms.Handler()
	for b.Loop() {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics/sessions?limit=10000", http.NoBody))
		if w.Code != http.StatusOK {
			b.Fatal(w.Code)
		}
	}
}
