package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/intent"
	"github.com/colloquyhq/colloquy/intent/remote/conformance"
)

const questionsFile = "../intent-server-python/questions.jsonl"

// The example keeps the protocol, as `colloquy intent conformance` sees it.
func TestConformance(t *testing.T) {
	t.Setenv("INTENT_TOKEN", "s3cret")
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"-questions", questionsFile, "-pack", "ecommerce", "-listen", "127.0.0.1:0"}, w)
		_ = w.Close()
	}()
	line := make([]byte, 200)
	n, err := r.Read(line)
	if err != nil {
		t.Fatalf("the server did not start: %v", <-ended)
	}
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run = %v", err)
		}
	}()
	_, url, _ := strings.Cut(strings.TrimSpace(string(line[:n])), "serving on ")
	conforms(t, url, "s3cret")
}

// conforms runs all checks, with the titles of the shop's pack as questions.
func conforms(t *testing.T, url, token string) {
	t.Helper()
	l, err := intent.Open(intent.Options{})
	if err != nil {
		t.Fatal(err)
	}
	packs := []string{"ecommerce"}
	var samples []conformance.Sample
	for _, id := range l.IntentNames(packs) {
		for _, lang := range []string{"en", "zh"} {
			if p, ok := l.Playbook(packs, id, lang); ok {
				samples = append(samples, conformance.Sample{Text: p.Title, Intent: id, Lang: lang})
			}
		}
	}
	report, err := conformance.Run(t.Context(), conformance.Options{
		// A test machine may be busy; how quick the server is, is not under test.
		URL: url, Token: token, Packs: packs, Samples: samples, Labels: l, Calls: 50, Timeout: 20 * time.Second, P99: 20 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	if report.Failed > 0 {
		var b bytes.Buffer
		_ = report.Print(&b)
		t.Errorf("%s", b.String())
	}
}

// What the model states is worth it: on questions that it was not taught, and on
// what it knows nothing about.
func TestModel(t *testing.T) {
	t.Parallel()
	questions, err := readQuestions(questionsFile)
	if err != nil {
		t.Fatal(err)
	}
	m := newModel(questions)
	known, foreign := 0.0, 0.0 // confidences, added up
	for text, want := range map[string]string{
		"my package has not shipped yet, where is it": "track_order", "我的包裹发货了没": "track_order", "refund please": "request_refund",
		"可以帮我退款吗": "request_refund", "this coupon code does not work": "coupon_problem", "给我转人工客服": "talk_to_human",
	} {
		got := m.classify(text)
		if len(got) == 0 || got[0].Intent != want {
			t.Errorf("classify(%q) = %v, want %s", text, got, want)
			continue
		}
		known += got[0].Confidence / 6
		if again := m.classify(text); len(again) != len(got) || again[0] != got[0] {
			t.Errorf("classify(%q) = %v, and then %v", text, got, again)
		}
	}
	for _, text := range []string{"the mitochondria is the powerhouse of the cell", "wie spät ist es in Berlin", "今晚月亮真圆啊"} {
		if got := m.classify(text); len(got) > 0 {
			foreign += got[0].Confidence / 3
		}
	}
	if known < foreign+0.2 {
		t.Errorf("confidence is %.2f on average for what was taught and %.2f for what was not", known, foreign)
	}
	if got := m.classify("🙂 ?!"); got != nil {
		t.Errorf("classify of nothing to read = %v", got)
	}
}

func TestBadQuestions(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"no JSON": "x\n", "no text": `{"intent":"a"}` + "\n", "one intent": `{"intent":"a","text":"b"}` + "\n", "empty": ""} {
		path := filepath.Join(t.TempDir(), "q.jsonl")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readQuestions(path); err == nil || !strings.Contains(err.Error(), "q.jsonl") {
			t.Errorf("%s: %v, want an error that names the file", name, err)
		}
	}
	pack := filepath.Join(t.TempDir(), "pack.json")
	for text, want := range map[string]int{
		`{"intents":[{"id":"a","ask":{"en":["x","y"],"zh":["z"]}},{"id":"b","ask":{"en":["w"]}},{"id":"c","ask":{"en":["v"]},"background":true}]}`: 4,
		`{"intents":[{"id":"a","ask":{"en":["x"]}}]}`: 0, `{"intents":7}`: 0, `{}`: 0,
	} {
		if err := os.WriteFile(pack, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := readQuestions(pack); (err == nil) != (want > 0) || err == nil && len(got) != want {
			t.Errorf("%s: %v, %v, want %d questions", text, got, err, want)
		}
	}
	if err := run(t.Context(), nil, io.Discard); err == nil {
		t.Error("run without questions = nil")
	}
}
