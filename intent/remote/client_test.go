package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/colloquyhq/colloquy/conversation"
)

const patience = time.Minute

// labels are packs that have a few names.
type labels []string

func (l labels) HasIntent(_ []string, intent string) bool {
	return slices.Contains(l, intent)
}

func (l labels) HasEntity(_ []string, name string) bool { return name == "order_no" }

// backend is a server whose answers a test writes.
type backend struct {
	*httptest.Server

	mu       sync.Mutex
	requests []Request
	headers  []http.Header
}

func serve(t *testing.T, answer func(w http.ResponseWriter, r *http.Request, q Request)) *backend {
	t.Helper()
	b := &backend{}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		var q Request
		if err := json.Unmarshal(raw, &q); err != nil {
			t.Errorf("the client sent %q: %v", raw, err)
		}
		b.mu.Lock()
		b.requests, b.headers = append(b.requests, q), append(b.headers, r.Header.Clone())
		b.mu.Unlock()
		answer(w, r, q)
	}))
	t.Cleanup(b.Close)
	return b
}

func (b *backend) asked() []Request {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]Request(nil), b.requests...)
}

// echo answers each utterance with the intent that its text names.
func echo(w http.ResponseWriter, _ *http.Request, q Request) {
	var results []string
	for _, u := range q.Utterances {
		results = append(results, fmt.Sprintf(`{"candidates":[{"intent":%q,"confidence":0.9}]}`, u.Text))
	}
	write(w, `{"model":"echo","version":"1","results":[`+strings.Join(results, ",")+`]}`)
}

func write(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = io.WriteString(w, body)
}

func client(t *testing.T, url string, change ...func(*Options)) (*Client, *prometheus.Registry) {
	t.Helper()
	reg := prometheus.NewRegistry()
	o := Options{URL: url, HTTP: &http.Client{Transport: &http.Transport{}}, Timeout: patience, Registerer: reg}
	for _, f := range change {
		f(&o)
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, reg
}

// ask waits for one answer.
func ask(t *testing.T, c *Client, text string) (Answer, error) {
	t.Helper()
	type got struct {
		a   Answer
		err error
	}
	ch := make(chan got, 2)
	c.Ask(t.Context(), &conversation.Utterance{Text: conversation.Text(text), Packs: []string{"shop"}}, func(a Answer, err error) { ch <- got{a, err} })
	select {
	case g := <-ch:
		return g.a, g.err
	case <-time.After(patience):
		t.Fatalf("no answer to %q", text)
		return Answer{}, nil
	}
}

func count(t *testing.T, reg *prometheus.Registry, name, outcome string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && (len(m.GetLabel()) == 0 || m.GetLabel()[0].GetValue() == outcome) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("there is no metric %s with %q", name, outcome)
	return 0
}

func TestAskSendsWhatTheProtocolSays(t *testing.T) {
	t.Parallel()
	b := serve(t, echo)
	c, _ := client(t, b.URL+"/nlu/", func(o *Options) { o.Token = "s3cret" })
	done := make(chan Answer, 1)
	c.Ask(t.Context(), &conversation.Utterance{
		Text: "order_status", Lang: "en", Context: []conversation.Text{"hi", "my order"}, Packs: []string{"shop", "common"}, Inbox: "store", Channel: "web",
	}, func(a Answer, err error) {
		if err != nil {
			t.Errorf("Ask = %v", err)
		}
		done <- a
	})
	a := <-done
	if a.Model != "echo@1" || len(a.Candidates) != 1 || a.Candidates[0].Intent != "order_status" {
		t.Errorf("answer = %+v, want the echo", a)
	}
	want := Utterance{Text: "order_status", Lang: "en", Context: []string{"hi", "my order"}, Packs: []string{"shop", "common"}, Inbox: "store", Channel: "web"}
	if got := b.asked(); len(got) != 1 || fmt.Sprint(got[0].Utterances) != fmt.Sprint([]Utterance{want}) {
		t.Errorf("asked %+v, want %+v", got, want)
	}
	h := b.headers[0]
	ms, err := strconv.Atoi(h.Get(HeaderDeadline))
	if h.Get("Authorization") != "Bearer s3cret" || h.Get("Content-Type") != ContentType || len(h.Get(HeaderRequestID)) < 16 || err != nil || ms < 1 || ms > int(patience.Milliseconds()) {
		t.Errorf("headers = %v, want token, type, request id and the time that is left", h)
	}
	if _, sent := h["Idempotency-Key"]; sent {
		t.Error("the mark for the transport was sent")
	}
}

// While as many requests as allowed are on their way the others wait, and share
// the next. An idle client waits for nobody.
func TestConcurrentUtterancesShareRequests(t *testing.T) {
	t.Parallel()
	release, arrived := make(chan struct{}), make(chan int, 64)
	b := serve(t, func(w http.ResponseWriter, r *http.Request, q Request) {
		arrived <- len(q.Utterances)
		<-release
		echo(w, r, q)
	})
	c, _ := client(t, b.URL, func(o *Options) { o.InFlight, o.Batch, o.Queue = 2, 5, 20 })
	var all sync.WaitGroup
	start := func(text string) {
		all.Add(1)
		c.Ask(t.Context(), &conversation.Utterance{Text: conversation.Text(text)}, func(a Answer, err error) {
			defer all.Done()
			if err != nil || a.Candidates[0].Intent != text {
				t.Errorf("%s: %+v, %v, want its own answer", text, a, err)
			}
		})
	}
	start("a0")
	start("a1")
	if first, second := <-arrived, <-arrived; first != 1 || second != 1 {
		t.Errorf("requests of %d and %d utterances left an idle client, want one each", first, second)
	}
	for i := range 12 {
		start(fmt.Sprint("b", i))
	}
	select {
	case n := <-arrived:
		t.Errorf("a third request, of %d, is on its way; 2 are allowed", n)
	case <-time.After(20 * time.Millisecond):
	}
	close(release)
	all.Wait()
	close(arrived)
	sizes, total := []int{}, 0
	for n := range arrived {
		sizes, total = append(sizes, n), total+n
	}
	if total != 12 || len(sizes) > 4 {
		t.Errorf("12 utterances went in requests of %v, want at most 5 together and few of them", sizes)
	}
	for _, n := range sizes {
		if n > 5 {
			t.Errorf("a request held %d utterances, the limit is 5", n)
		}
	}
}

func TestAFullQueueRefusesAtOnce(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	b := serve(t, func(w http.ResponseWriter, r *http.Request, q Request) {
		<-release
		echo(w, r, q)
	})
	c, reg := client(t, b.URL, func(o *Options) { o.InFlight, o.Queue = 1, 3 })
	var refused, answered atomic.Int32
	var all sync.WaitGroup
	for range 10 {
		all.Add(1)
		c.Ask(t.Context(), &conversation.Utterance{Text: "x"}, func(_ Answer, err error) {
			defer all.Done()
			if errors.Is(err, ErrFull) {
				refused.Add(1)
			} else if err == nil {
				answered.Add(1)
			}
		})
	}
	if n := refused.Load(); n != 6 {
		t.Errorf("%d refused before anything was answered, want the 6 for which there is no room", n)
	}
	close(release)
	all.Wait()
	if answered.Load() != 4 || count(t, reg, "colloquy_intent_remote_utterances_total", "full") != 6 {
		t.Errorf("%d answered, want 4, and 6 counted as full", answered.Load())
	}
}

// However a server fails, the utterance gets one answer in time, with the reason.
func TestFailuresAreNamed(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		answer  func(w http.ResponseWriter, r *http.Request, q Request)
		outcome string
		reason  string
	}{
		"500":               {func(w http.ResponseWriter, _ *http.Request, _ Request) { w.WriteHeader(http.StatusInternalServerError) }, "failed", "status 500"},
		"401 with a code":   {status(401, `{"error":{"code":"bad_token","message":"the visitor wrote: secret"}}`), "failed", "status 401 bad_token"},
		"redirect":          {func(w http.ResponseWriter, r *http.Request, _ Request) { http.Redirect(w, r, "/x", http.StatusFound) }, "failed", "status 302"},
		"no answer":         {func(http.ResponseWriter, *http.Request, Request) { panic(http.ErrAbortHandler) }, "failed", "EOF"},
		"html":              {func(w http.ResponseWriter, _ *http.Request, _ Request) { _, _ = io.WriteString(w, "<html>") }, "invalid", "Content-Type"},
		"not json":          {body(`{"model":`), "invalid", "unexpected end"},
		"NaN":               {body(`{"model":"m","results":[{"candidates":[{"intent":"a","confidence":NaN}]}]}`), "invalid", "invalid character 'N'"},
		"huge number":       {body(`{"model":"m","results":[{"candidates":[{"intent":"a","confidence":1e999}]}]}`), "invalid", "cannot unmarshal number"},
		"no model":          {body(`{"results":[{"candidates":[]}]}`), "invalid", "model is not a name"},
		"model with spaces": {body(`{"model":"my order 4711","results":[{"candidates":[]}]}`), "invalid", "model is not a name"},
		"too few results":   {body(`{"model":"m","results":[]}`), "invalid", "0 results for 1"},
		"too many":          {body(`{"model":"m","results":[{"candidates":[]},{"candidates":[]}]}`), "invalid", "2 results for 1"},
		"null result":       {body(`{"model":"m","results":[null]}`), "invalid", "neither candidates"},
		"too large":         {body(`{"model":"m","results":[{"candidates":[]}],"x":"` + strings.Repeat("x", MaxResponseBytes) + `"}`), "invalid", "over"},
		"confidence 1.2":    {one(`{"candidates":[{"intent":"a","confidence":1.2}]}`), "invalid", "1.2 is not from 0 to 1"},
		"confidence -1":     {one(`{"candidates":[{"intent":"a","confidence":-1}]}`), "invalid", "-1 is not from 0 to 1"},
		"no confidence":     {one(`{"candidates":[{"intent":"a"}]}`), "invalid", "no confidence"},
		"text confidence":   {one(`{"candidates":[{"intent":"a","confidence":"high"}]}`), "invalid", "cannot unmarshal string"},
		"unknown intent":    {one(`{"candidates":[{"intent":"zz","confidence":1}]}`), "invalid", "no intent zz"},
		"text as intent":    {one(`{"candidates":[{"intent":"where is 4711","confidence":1}]}`), "invalid", "intent is not a name"},
		"wrong order":       {one(`{"candidates":[{"intent":"a","confidence":0.2},{"intent":"b","confidence":0.3}]}`), "invalid", "higher confidence"},
		"twice":             {one(`{"candidates":[{"intent":"a","confidence":0.2},{"intent":"a","confidence":0.1}]}`), "invalid", "twice"},
		"language":          {one(`{"candidates":[],"lang":"fr"}`), "invalid", "lang"},
		"anger":             {one(`{"candidates":[],"anger":7}`), "invalid", "anger"},
		"entity outside":    {one(`{"candidates":[],"entities":[{"name":"order_no","value":"1","start":0,"end":99}]}`), "invalid", "no part of the text"},
		"entity in a rune":  {one(`{"candidates":[],"entities":[{"name":"order_no","value":"1","start":1,"end":3}]}`), "invalid", "no part of the text"},
		"entity name":       {one(`{"candidates":[],"entities":[{"name":"order no","value":"1","start":0,"end":1}]}`), "invalid", "name"},
		"declined":          {one(`{"error":{"code":"unknown_pack","message":"no"}}`), "declined", "unknown_pack"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := serve(t, tt.answer)
			c, reg := client(t, b.URL, func(o *Options) {
				o.Labels = labels{"a", "b"}
				o.HTTP.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
			})
			_, err := ask(t, c, "订单 4711")
			if err == nil || !strings.Contains(err.Error(), tt.reason) {
				t.Errorf("error = %v, want one that says %q", err, tt.reason)
			}
			for _, secret := range []string{"secret", "4711", "127.0.0.1"} {
				if err != nil && strings.Contains(err.Error(), secret) {
					t.Errorf("error %v repeats %q", err, secret)
				}
			}
			if n := count(t, reg, "colloquy_intent_remote_utterances_total", tt.outcome); n != 1 {
				t.Errorf("%v utterances counted as %s, want 1", n, tt.outcome)
			}
		})
	}
}

func status(code int, text string) func(http.ResponseWriter, *http.Request, Request) {
	return func(w http.ResponseWriter, _ *http.Request, _ Request) {
		w.WriteHeader(code)
		_, _ = io.WriteString(w, text)
	}
}

func body(text string) func(http.ResponseWriter, *http.Request, Request) {
	return func(w http.ResponseWriter, _ *http.Request, _ Request) { write(w, text) }
}

func one(result string) func(http.ResponseWriter, *http.Request, Request) {
	return body(`{"model":"m","results":[` + result + `]}`)
}

// One bad result of a batch costs its own utterance only.
func TestABadResultCostsItsOwnUtterance(t *testing.T) {
	t.Parallel()
	release, arrived := make(chan struct{}), make(chan struct{}, 2)
	b := serve(t, func(w http.ResponseWriter, r *http.Request, q Request) {
		arrived <- struct{}{}
		<-release
		if len(q.Utterances) != 3 {
			echo(w, r, q)
			return
		}
		write(w, `{"model":"m","results":[{"candidates":[{"intent":"a","confidence":1}]},{"candidates":[{"intent":"a","confidence":2}]},{"error":{"code":"unknown_pack","message":""}}]}`)
	})
	c, _ := client(t, b.URL, func(o *Options) { o.InFlight = 1 })
	errs := make([]error, 4)
	var all sync.WaitGroup
	for i := range 4 {
		all.Add(1)
		c.Ask(t.Context(), &conversation.Utterance{Text: "a"}, func(_ Answer, err error) {
			errs[i] = err
			all.Done()
		})
		if i == 0 {
			<-arrived // alone; the others wait and go together
		}
	}
	close(release)
	all.Wait()
	var bad *InvalidError
	var declined *DeclinedError
	if errs[0] != nil || errs[1] != nil || !errors.As(errs[2], &bad) || !errors.As(errs[3], &declined) {
		t.Errorf("errors = %v, want two answers, invalid, declined", errs)
	}
}

// An utterance is given up at its time limit, wherever it is: on its way or
// waiting. The worker goes on with those that are not late.
func TestLateUtterancesAreGivenUp(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	b := serve(t, func(w http.ResponseWriter, r *http.Request, q Request) {
		if q.Utterances[0].Text != "fine" { // the one behind, if it comes so far before its time is over
			select {
			case <-hang:
			case <-r.Context().Done():
			}
			return
		}
		echo(w, r, q)
	})
	defer close(hang)
	c, reg := client(t, b.URL, func(o *Options) { o.InFlight, o.Timeout = 1, 60*time.Millisecond })
	late := make(chan error, 2)
	began := time.Now()
	for _, text := range []string{"hang", "behind"} {
		c.Ask(t.Context(), &conversation.Utterance{Text: conversation.Text(text)}, func(_ Answer, err error) { late <- err })
	}
	for range 2 {
		if err := <-late; !errors.Is(err, ErrLate) {
			t.Errorf("error = %v, want late", err)
		}
	}
	if took := time.Since(began); took > patience {
		t.Errorf("the late ones took %v, the limit is 60ms", took)
	}
	for end := time.Now().Add(patience); ; {
		if _, err := ask(t, c, "fine"); err == nil {
			break
		} else if time.Now().After(end) {
			t.Fatalf("after the late ones: %v", err)
		}
	}
	if n := count(t, reg, "colloquy_intent_remote_utterances_total", "late"); n < 2 {
		t.Errorf("%v counted as late, want both", n)
	}
}

// A turn's own deadline is shorter than the client's limit.
func TestTheCallersDeadlineCounts(t *testing.T) {
	t.Parallel()
	b := serve(t, func(_ http.ResponseWriter, r *http.Request, _ Request) { <-r.Context().Done() })
	c, _ := client(t, b.URL)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	got := make(chan error, 1)
	c.Ask(ctx, &conversation.Utterance{Text: "x"}, func(_ Answer, err error) { got <- err })
	select {
	case err := <-got:
		if !errors.Is(err, ErrLate) {
			t.Errorf("error = %v, want late", err)
		}
	case <-time.After(patience / 2):
		t.Error("the deadline passed by")
	}
}

// A backend that keeps failing is left alone; then one probe goes out while the
// others fall back at once, and its success lets all through again.
func TestTheBreakerProbes(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	broken.Store(true)
	b := serve(t, func(w http.ResponseWriter, r *http.Request, q Request) {
		if broken.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		echo(w, r, q)
	})
	c, reg := client(t, b.URL)
	for range breakerStrikes {
		if _, err := ask(t, c, "x"); !errors.Is(err, ErrFailed) {
			t.Fatalf("error = %v, want the failure", err)
		}
	}
	// Where the machine stood still for as long as the breaker waits, a probe goes
	// out first, and the breaker waits for longer.
	for end := time.Now().Add(patience); ; {
		before := len(b.asked())
		_, err := ask(t, c, "x")
		if errors.Is(err, ErrOpen) && len(b.asked()) == before {
			break
		}
		if !errors.Is(err, ErrFailed) || time.Now().After(end) {
			t.Fatalf("error = %v after %d requests, want an open breaker and no further request", err, len(b.asked()))
		}
	}
	if count(t, reg, "colloquy_intent_remote_breaker_open", "") != 1 {
		t.Error("the metric does not say that the breaker is open")
	}
	broken.Store(false)
	for end := time.Now().Add(patience); ; {
		if _, err := ask(t, c, "x"); err == nil {
			break
		} else if time.Now().After(end) {
			t.Fatalf("the breaker does not close: %v", err)
		}
	}
	if _, err := ask(t, c, "x"); err != nil || count(t, reg, "colloquy_intent_remote_breaker_open", "") != 0 {
		t.Errorf("after the probe: %v, want all let through", err)
	}
}

func TestBreaker(t *testing.T) {
	t.Parallel()
	var b breaker
	now := time.Unix(1_700_000_000, 0)
	for i := range breakerStrikes {
		if b.allow(now, time.Second) != passNormal {
			t.Fatalf("closed before strike %d", i)
		}
		want := changeNone
		if i == breakerStrikes-1 {
			want = changeOpened
		}
		if got := b.failed(passNormal, now); got != want {
			t.Errorf("strike %d = %v, want %v", i, got, want)
		}
	}
	if b.allow(now.Add(breakerCooldown-1), time.Second) != passNone {
		t.Error("let through before the cooldown")
	}
	now = now.Add(breakerCooldown)
	if b.allow(now, time.Second) != passProbe || b.allow(now, time.Second) != passNone {
		t.Error("want one probe and nobody beside it")
	}
	if b.succeeded(passNormal) != changeNone || b.allow(now, time.Second) != passNone {
		t.Error("a request from before the trip closed the breaker")
	}
	if b.allow(now.Add(time.Second), time.Second) != passProbe {
		t.Error("a probe that is never told of blocks the next")
	}
	if b.failed(passProbe, now) != changeNone || b.allow(now.Add(2*breakerCooldown-1), time.Second) != passNone {
		t.Error("a failed probe has to double the pause")
	}
	if b.allow(now.Add(2*breakerCooldown), time.Second) != passProbe || b.succeeded(passProbe) != changeClosed || b.allow(now, time.Second) != passNormal {
		t.Error("a good probe has to close the breaker")
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	t.Parallel()
	b := serve(t, func(_ http.ResponseWriter, r *http.Request, _ Request) { <-r.Context().Done() })
	c, reg := client(t, b.URL, func(o *Options) { o.InFlight = 1 })
	got := make(chan error, 3)
	for range 2 {
		c.Ask(t.Context(), &conversation.Utterance{Text: "x"}, func(_ Answer, err error) { got <- err })
	}
	c.Close()
	c.Ask(t.Context(), &conversation.Utterance{Text: "x"}, func(_ Answer, err error) { got <- err })
	for range 3 {
		select {
		case err := <-got:
			if err == nil {
				t.Error("an answer after Close")
			}
		case <-time.After(patience):
			t.Fatal("an utterance is lost")
		}
	}
	if n := count(t, reg, "colloquy_intent_remote_breaker_open", ""); n != 0 {
		t.Error("ending the client counted against the backend")
	}
}

func TestParseURL(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"http://127.0.0.1:8090", "https://nlu.example", "https://nlu.example/a/b/"} {
		if _, err := ParseURL(good); err != nil {
			t.Errorf("ParseURL(%s) = %v", good, err)
		}
	}
	for _, bad := range []string{"", "nlu.example", "ftp://x", "http://", "https://user:pass@x", "https://x/?a=b", "https://x#f", "http://[::1", "unix:///x"} {
		if _, err := ParseURL(bad); err == nil || strings.Contains(err.Error(), "pass@") {
			t.Errorf("ParseURL(%q) = %v, want a refusal that repeats no password", bad, err)
		}
	}
}

func TestMetricsAreClean(t *testing.T) {
	t.Parallel()
	b := serve(t, echo)
	_, reg := client(t, b.URL)
	problems, err := testutil.GatherAndLint(reg)
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
}
