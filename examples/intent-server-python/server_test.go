package intentserverpython

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/intent"
	"github.com/colloquyhq/colloquy/intent/remote/conformance"
)

// The example keeps the protocol, as `colloquy intent conformance` sees it.
func TestConformance(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3 here: the example in Python is not tested")
	}
	cmd := exec.CommandContext(t.Context(), python, "server.py", "--questions", "questions.jsonl", "--pack", "ecommerce", "--port", "0")
	cmd.Env = append(os.Environ(), "INTENT_TOKEN=s3cret", "PYTHONDONTWRITEBYTECODE=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
		if stderr.Len() > 0 {
			t.Errorf("the server complained:\n%s", stderr.String())
		}
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the server did not start: %v\n%s", err, stderr.String())
	}
	_, url, _ := strings.Cut(strings.TrimSpace(line), "serving on ")

	l, err := intent.Open(intent.Options{})
	if err != nil {
		t.Fatal(err)
	}
	packs := []string{"ecommerce"}
	var samples []conformance.Sample
	for _, id := range l.Intents(packs) {
		for _, lang := range []string{"en", "zh"} {
			if p, ok := l.Playbook(packs, id, lang); ok {
				samples = append(samples, conformance.Sample{Text: p.Title, Intent: id, Lang: lang})
			}
		}
	}
	report, err := conformance.Run(t.Context(), conformance.Options{
		// A test machine may be busy; how quick the server is, is not under test.
		URL: url, Token: "s3cret", Packs: packs, Samples: samples, Labels: l, Calls: 50, Timeout: 20 * time.Second, P99: 20 * time.Second,
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
