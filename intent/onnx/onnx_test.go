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
	"unicode"

	"github.com/colloquyhq/colloquy/intent"
	"github.com/colloquyhq/colloquy/intent/remote/conformance"
)

const questionsFile = "../../examples/intent-server-python/questions.jsonl"

// runtimeLibrary gives the shared library of ONNX Runtime. Without one, what
// needs it is left out; a path that leads nowhere is a mistake.
func runtimeLibrary(t *testing.T) string {
	t.Helper()
	path := os.Getenv("ONNXRUNTIME_LIB")
	if path == "" {
		t.Skip("ONNXRUNTIME_LIB names no shared library of ONNX Runtime")
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// setting gives a variable, or what stands in testdata.
func setting(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return filepath.Join("testdata", otherwise)
}

// The program keeps the protocol, and understands questions that it was taught
// in other words. ONNX_MODEL and ONNX_VOCAB have it run another encoder than the
// tiny one of testdata.
func TestServesByTheRuntime(t *testing.T) {
	t.Setenv("INTENT_TOKEN", "s3cret")
	args := []string{
		"-runtime", runtimeLibrary(t), "-model", setting("ONNX_MODEL", "tiny.onnx"), "-vocab", setting("ONNX_VOCAB", "vocab.txt"),
		"-questions", questionsFile, "-pack", "ecommerce", "-listen", "127.0.0.1:0",
	}
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, args, w)
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
	t.Log(strings.TrimSpace(string(line[:n])))
	_, url, _ := strings.Cut(strings.TrimSpace(string(line[:n])), "serving on ")
	conforms(t, url)
}

// conforms runs all checks, with the titles of the shop's pack as questions.
func conforms(t *testing.T, url string) {
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
		URL: url, Token: "s3cret", Packs: packs, Samples: samples, Labels: l, Calls: 50, Timeout: 20 * time.Second, P99: 20 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	_ = report.Print(&b)
	if report.Failed > 0 {
		t.Error(b.String())
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	t.Log("\n" + strings.Join(lines[max(len(lines)-3, 0):], "\n"))
}

// What was taught is recognized; what was not, as far as the encoder knows words
// that mean the same, which the tiny one does not.
func TestUnderstandsByTheRuntime(t *testing.T) {
	questions, err := readQuestions(questionsFile)
	if err != nil {
		t.Fatal(err)
	}
	var taught, others []question
	for i, q := range questions {
		if strings.ContainsFunc(q.Text, func(r rune) bool { return r > unicode.MaxASCII }) {
			continue // the encoders that are tried know English
		}
		if i%4 == 3 {
			others = append(others, q)
		} else {
			taught = append(taught, q)
		}
	}
	e, err := openEncoder(encoderOptions{
		library: runtimeLibrary(t), model: setting("ONNX_MODEL", "tiny.onnx"), vocabulary: setting("ONNX_VOCAB", "vocab.txt"), threads: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer e.close()
	h, err := learn(t.Context(), e, taught)
	if err != nil {
		t.Fatal(err)
	}
	if right := understood(t, e, h, taught); 4*right < 3*len(taught) {
		t.Errorf("%d of %d taught questions are recognized", right, len(taught))
	}
	if right := understood(t, e, h, others); os.Getenv("ONNX_MODEL") != "" && 2*right < len(others) {
		t.Errorf("%d of %d other questions are understood", right, len(others))
	}
	// Texts of a batch do not change each other.
	alone, err1 := e.encode([]string{"where is my parcel"})
	both, err2 := e.encode([]string{"where is my parcel", "can I pay with a card, and what does it cost me to send it back"})
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	for k := range alone[0] {
		if d := alone[0][k] - both[0][k]; d > 0.02 || d < -0.02 {
			t.Fatalf("number %d is %v alone and %v in a batch", k, alone[0][k], both[0][k])
		}
	}
	if _, err := openEncoder(encoderOptions{library: runtimeLibrary(t), model: "go.mod", vocabulary: "testdata/vocab.txt", threads: 1}); err == nil {
		t.Error("a file that is no model was opened")
	}
}

// understood counts the questions whose first intent is the right one.
func understood(t *testing.T, e *encoder, h *head, asked []question) (right int) {
	t.Helper()
	sure, wrong := 0, 0
	for _, q := range asked {
		v, err := e.encode([]string{q.Text})
		if err != nil {
			t.Fatal(err)
		}
		best := h.classify(v[0])[0]
		if best.Intent == q.Intent {
			right++
		}
		if best.Confidence >= 0.8 {
			sure++
			if best.Intent != q.Intent {
				wrong++
			}
		}
	}
	t.Logf("%d of %d understood; of %d that it is sure of, %d are wrong", right, len(asked), sure, wrong)
	return right
}

func TestMistakesAreTold(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := []string{"-runtime", "no.so", "-model", "testdata/tiny.onnx", "-vocab", "testdata/vocab.txt", "-questions", questionsFile, "-pack", "p"}
	with := func(flag, value string) []string {
		out := append([]string{}, good...)
		for i := range out {
			if out[i] == flag {
				out[i+1] = value
			}
		}
		return out
	}
	for want, args := range map[string][]string{
		"-runtime is needed": {},
		"-pack is needed":    with("-pack", ""),
		"no.so":              good,
		"nothing.onnx":       append(with("-model", "nothing.onnx"), "-runtime", "go.mod"),
		"go.mod":             with("-runtime", "go.mod"), // no shared library
		"is no WordPiece vocabulary: it has no line [CLS]": with("-vocab", write("words.txt", "a\nb\n")),
		"one.jsonl:2: a line is a JSON object":             with("-questions", write("one.jsonl", `{"intent":"a","text":"b"}`+"\n{}\n")),
		"questions for two intents at least":               with("-questions", write("two.jsonl", `{"intent":"a","text":"b"}`+"\n")),
		"-threads has to be 1":                             append([]string{"-threads", "0"}, good...),
	} {
		if err := run(t.Context(), args, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("run %v = %v, want %q", args, err, want)
		}
	}
}
