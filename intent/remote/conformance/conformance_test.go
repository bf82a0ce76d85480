package conformance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/intent/remote"
)

func samples() []Sample {
	return []Sample{
		{Text: "order", Intent: "order", Lang: "en"},
		{Text: "refund", Intent: "refund", Lang: "en"},
		{Text: "订单", Intent: "order", Lang: "zh"},
		{Text: "退款", Intent: "refund", Lang: "zh"},
	}
}

// toy is a server that keeps the protocol, with a place to break it at.
type toy struct {
	result func(u map[string]any) string                               // nil = as it should be
	before func(w http.ResponseWriter, r *http.Request, b []byte) bool // true = it has answered
}

func (y toy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 4<<20))
	switch {
	case r.URL.Path != remote.Path:
		refuse(w, 404)
		return
	case r.Method != http.MethodPost:
		refuse(w, 405)
		return
	case r.Header.Get("Authorization") != "Bearer t":
		refuse(w, 401)
		return
	case err != nil:
		refuse(w, 413)
		return
	}
	if y.before != nil && y.before(w, r, b) {
		return
	}
	var q struct{ Utterances []map[string]any }
	if json.Unmarshal(b, &q) != nil || len(q.Utterances) == 0 || len(q.Utterances) > 64 {
		refuse(w, 400)
		return
	}
	var results []string
	for _, u := range q.Utterances {
		if _, ok := u["text"].(string); !ok {
			refuse(w, 400)
			return
		}
		if y.result != nil {
			if s := y.result(u); s != "" {
				results = append(results, s)
				continue
			}
		}
		results = append(results, rightly(u))
	}
	answer(w, `{"model":"toy","version":"1","results":[`+strings.Join(results, ",")+`]}`)
}

func rightly(u map[string]any) string {
	if fmt.Sprint(u["packs"]) != "[shop]" {
		return `{"error":{"code":"unknown_pack","message":"no such pack"}}`
	}
	text := fmt.Sprint(u["text"])
	for i, words := range []string{"order 订单", "refund 退款"} {
		for w := range strings.FieldsSeq(words) {
			if strings.Contains(text, w) {
				return fmt.Sprintf(`{"candidates":[{"intent":%q,"confidence":%v}]}`, strings.Fields(words)[0], 0.9-0.1*float64(i))
			}
		}
	}
	return `{"candidates":[]}`
}

func answer(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, body)
}

func refuse(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, `{"error":{"code":"bad_request","message":"no"}}`)
}

func run(t *testing.T, h http.Handler) *Report {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	r, err := Run(t.Context(), Options{
		URL: srv.URL, Token: "t", Packs: []string{"shop"}, Samples: samples(), Labels: shop{}, Calls: 20, Timeout: 5 * time.Second, P99: 5 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

type shop struct{}

func (shop) HasIntent(_ []string, intent string) bool { return intent == "order" || intent == "refund" }
func (shop) HasEntity([]string, string) bool          { return false }

func TestARightServerPasses(t *testing.T) {
	t.Parallel()
	r := run(t, toy{})
	if r.Failed != 0 || r.Model != "toy@1" || r.Latency.Calls != 20 || r.Latency.P50 <= 0 || r.Latency.P99 < r.Latency.P50 || r.Rate <= 0 {
		var b bytes.Buffer
		_ = r.Print(&b)
		t.Errorf("report:\n%s", b.String())
	}
	if len(r.Checks) < 30 {
		t.Errorf("%d checks, want about 30 at least", len(r.Checks))
	}
	seen := map[string]bool{}
	for _, c := range r.Checks {
		if seen[c.Name] || c.What == "" {
			t.Errorf("check %q stands there twice or says nothing", c.Name)
		}
		seen[c.Name] = true
	}
}

// Each way to be wrong is found by a check that says so. Every check is there for
// one of them.
func TestWrongServersFail(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("asks some 40 servers everything")
	}
	var n atomic.Int64
	result := func(f func(u map[string]any) string) toy { return toy{result: f} }
	always := func(s string) toy { return result(func(map[string]any) string { return s }) }
	text := func(u map[string]any) string { return fmt.Sprint(u["text"]) }
	for name, tt := range map[string]struct {
		server http.Handler
		fails  []string
	}{
		"nothing there":     {http.NotFoundHandler(), []string{"reachable"}},
		"other packs":       {always(`{"error":{"code":"unknown_pack","message":"no"}}`), []string{"packs"}},
		"confidence over 1": {always(`{"candidates":[{"intent":"order","confidence":7}]}`), []string{"all_samples", "emoji"}},
		"unknown label":     {always(`{"candidates":[{"intent":"zz","confidence":0.7}]}`), []string{"all_samples"}},
		"always the same":   {always(`{"candidates":[{"intent":"order","confidence":0.7}]}`), []string{"confidences", "batch_order", "empty", "unknown_pack"}},
		"never anything":    {always(`{"candidates":[]}`), []string{"question_en", "question_zh", "own_questions", "context"}},
		"by chance": {result(func(map[string]any) string {
			return fmt.Sprintf(`{"candidates":[{"intent":"order","confidence":%v}]}`, float64(n.Add(1)%1000)/1000+1e-9)
		}), []string{"deterministic", "batch_alone", "concurrent"}},
		"zero confidence": {result(func(u map[string]any) string {
			if text(u) == "refund" {
				return `{"candidates":[{"intent":"refund","confidence":0}]}`
			}
			return ""
		}), []string{"confidences"}},
		"wrong intents": {result(func(u map[string]any) string {
			switch text(u) {
			case "order", "订单":
				return `{"candidates":[{"intent":"refund","confidence":0.5}]}`
			case "refund", "退款":
				return `{"candidates":[{"intent":"order","confidence":0.6}]}`
			}
			return ""
		}), []string{"own_questions"}},
		"order lost": {toy{before: func(w http.ResponseWriter, _ *http.Request, b []byte) bool {
			var q struct{ Utterances []map[string]any }
			if json.Unmarshal(b, &q) != nil || len(q.Utterances) < 2 {
				return false
			}
			var all []string
			for i := range q.Utterances {
				all = append(all, rightly(q.Utterances[len(q.Utterances)-1-i]))
			}
			answer(w, `{"model":"toy","version":"1","results":[`+strings.Join(all, ",")+`]}`)
			return true
		}}, []string{"batch_order", "batch_alone", "unknown_pack"}},
		"no version":      {model(`{"model":"toy","results":[%s]}`), []string{"model"}},
		"changing model":  {toy{before: func(w http.ResponseWriter, _ *http.Request, b []byte) bool { return changing(w, b, n.Add(1)) }}, []string{"model"}},
		"batch of one":    {limit(1), []string{"batch", "batch_max"}},
		"batch of 32":     {limit(32), []string{"batch_max"}},
		"500 on bad JSON": {broken(500, `{"error":{"code":"x","message":"y"}}`), []string{"not_json", "wrong_types", "no_utterances", "no_text", "deep"}},
		"no reason":       {broken(400, `Bad Request`), []string{"not_json", "wrong_types", "no_utterances", "no_text"}},
		"takes anything":  {broken(200, `{"model":"toy","version":"1","results":[]}`), []string{"not_json", "no_utterances"}},
		"breaks on emoji": {toy{before: func(w http.ResponseWriter, _ *http.Request, b []byte) bool { return fails(w, b, "🙂") }}, []string{"emoji"}},
		"breaks on size":  {toy{before: func(w http.ResponseWriter, _ *http.Request, b []byte) bool { return len(b) > 9000 && fails(w, b, "") }}, []string{"very_long", "very_long_zh", "one_word"}},
		"breaks on quotes": {
			toy{before: func(w http.ResponseWriter, _ *http.Request, b []byte) bool { return fails(w, b, "DROP TABLE") }}, []string{"quoted"},
		},
		"breaks on script": {toy{before: func(w http.ResponseWriter, _ *http.Request, b []byte) bool { return fails(w, b, "مرحبا") }}, []string{"scripts"}},
		"breaks on blank":  {toy{before: func(w http.ResponseWriter, _ *http.Request, b []byte) bool { return fails(w, b, `"..."`) }}, []string{"blank"}},
		"breaks on mixed":  {toy{before: func(w http.ResponseWriter, _ *http.Request, b []byte) bool { return fails(w, b, "我的order") }}, []string{"mixed"}},
		"breaks on lang":   {toy{before: func(w http.ResponseWriter, _ *http.Request, b []byte) bool { return fails(w, b, `"fr"`) }}, []string{"language_hint"}},
		"breaks on context": {
			toy{before: func(w http.ResponseWriter, _ *http.Request, b []byte) bool { return fails(w, b, `"context"`) }}, []string{"context"},
		},
		"needs lang": {toy{before: func(w http.ResponseWriter, _ *http.Request, b []byte) bool {
			return !bytes.Contains(b, []byte(`"lang"`)) && fails(w, b, "utterances")
		}}, []string{"optional_fields"}},
		"strict":     {toy{before: func(w http.ResponseWriter, _ *http.Request, b []byte) bool { return fails(w, b, `"later"`) }}, []string{"unknown_fields"}},
		"any method": {outer(func(r *http.Request) { r.Method = http.MethodPost }), []string{"method"}},
		"any path":   {outer(func(r *http.Request) { r.URL.Path = remote.Path }), []string{"path"}},
		"any token":  {outer(func(r *http.Request) { r.Header.Set("Authorization", "Bearer t") }), []string{"token"}},
		"any size":   {http.HandlerFunc(anySize), []string{"too_large"}},
		"closes":     {outer(func(*http.Request) {}, "Connection", "close"), []string{"kept_connection"}},
		"deadline is 500": {toy{before: func(w http.ResponseWriter, r *http.Request, b []byte) bool {
			return r.Header.Get(remote.HeaderDeadline) == "soon" && fails(w, b, "")
		}}, []string{"deadline"}},
		"too many is 500": {toy{before: func(w http.ResponseWriter, _ *http.Request, b []byte) bool {
			return bytes.Count(b, []byte(`"text"`)) > 64 && fails(w, b, "")
		}}, []string{"too_many"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := run(t, tt.server)
			failed := map[string]bool{}
			for _, c := range r.Checks {
				if !c.Passed {
					failed[c.Name] = true
					if c.Detail == "" {
						t.Errorf("%s failed without a reason", c.Name)
					}
				}
			}
			for _, want := range tt.fails {
				if !failed[want] {
					t.Errorf("%s passed; failed: %v", want, failed)
				}
			}
			if r.Failed != len(failed) {
				t.Errorf("%d failed, %d are marked so", r.Failed, len(failed))
			}
		})
	}
}

func model(format string) http.Handler {
	return toy{before: func(w http.ResponseWriter, _ *http.Request, b []byte) bool {
		var q struct{ Utterances []map[string]any }
		if json.Unmarshal(b, &q) != nil || len(q.Utterances) != 1 {
			return false
		}
		answer(w, fmt.Sprintf(format, rightly(q.Utterances[0])))
		return true
	}}
}

func changing(w http.ResponseWriter, b []byte, n int64) bool {
	var q struct{ Utterances []map[string]any }
	if json.Unmarshal(b, &q) != nil || len(q.Utterances) != 1 {
		return false
	}
	answer(w, fmt.Sprintf(`{"model":"toy","version":"v%d","results":[%s]}`, n, rightly(q.Utterances[0])))
	return true
}

func limit(most int) http.Handler {
	return toy{before: func(w http.ResponseWriter, _ *http.Request, b []byte) bool {
		if bytes.Count(b, []byte(`"text"`)) <= most {
			return false
		}
		refuse(w, 400)
		return true
	}}
}

// broken answers what is no request in a way of its own.
func broken(status int, body string) http.Handler {
	return toy{before: func(w http.ResponseWriter, _ *http.Request, b []byte) bool {
		var q struct {
			Utterances []struct{ Text *string }
		}
		if json.Unmarshal(b, &q) == nil && len(q.Utterances) > 0 && q.Utterances[0].Text != nil {
			return false
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
		return true
	}}
}

// fails breaks on bodies that hold a word.
func fails(w http.ResponseWriter, b []byte, word string) bool {
	if !bytes.Contains(b, []byte(word)) {
		return false
	}
	w.WriteHeader(http.StatusInternalServerError)
	return true
}

// outer changes requests before the toy sees them.
func outer(change func(*http.Request), header ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		change(r)
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		if r.ContentLength == 0 {
			answer(w, `{}`)
			return
		}
		toy{}.ServeHTTP(w, r)
	})
}

func anySize(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	if len(b) > 4<<20 {
		answer(w, `{"model":"toy","version":"1","results":[{"candidates":[]}]}`)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(b))
	toy{}.ServeHTTP(w, r)
}

func TestSlowServersFail(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(toy{before: func(http.ResponseWriter, *http.Request, []byte) bool {
		<-time.After(3 * time.Millisecond)
		return false
	}})
	t.Cleanup(srv.Close)
	s, err := newSession(Options{URL: srv.URL, Token: "t", Packs: []string{"shop"}, Samples: samples(), Calls: 10, P99: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if err := checkLatency(t.Context(), s); err == nil || !strings.Contains(err.Error(), "p99") || s.latency.P50 < 3 {
		t.Errorf("checkLatency = %v with %+v, want the p99 named", err, s.latency)
	}
}

func TestBadOptions(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{
		{URL: "x", Packs: []string{"shop"}, Samples: samples()}, {URL: "http://127.0.0.1:1", Samples: samples()}, {URL: "http://127.0.0.1:1", Packs: []string{"shop"}},
	} {
		if _, err := Run(t.Context(), o); err == nil {
			t.Errorf("Run(%+v) = nil", o)
		}
	}
}

// What the confidences are worth is learned from labelled questions.
func TestMeasure(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(toy{})
	t.Cleanup(srv.Close)
	var all []Sample
	for i := range 100 {
		all = append(all, Sample{Text: "order", Intent: []string{"order", "refund"}[i%2]}) // stated 0.9, right half of the time
		all = append(all, Sample{Text: "refund", Intent: "refund"})                        // stated 0.8, always right
	}
	all = append(all, Sample{Text: "weather", Intent: outOfScope})
	m, err := Measure(t.Context(), Options{URL: srv.URL, Token: "t", Packs: []string{"shop"}, Samples: samples()}, all)
	if err != nil {
		t.Fatal(err)
	}
	if m.Questions != 201 || m.Right != 150 || m.Declined != 1 {
		t.Errorf("measured %+v", m)
	}
	k, err := remote.ParseCalibration(m.Calibration)
	if err != nil || len(k) == 0 || k.Apply(0.9) < 0.7 || k.Apply(0.9) > 0.8 {
		t.Errorf("calibration %v, %v: 0.9 is worth %v, want three quarters for all, as it never falls", m.Calibration, err, k.Apply(0.9))
	}
	var b bytes.Buffer
	if err := m.Print(&b); err != nil || !strings.Contains(b.String(), "calibration: [\"0.") {
		t.Errorf("Print = %q, %v", b.String(), err)
	}
}
