package intentserverpython

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/intent"
	"github.com/colloquyhq/colloquy/intent/remote/conformance"
)

// The example keeps the protocol, as `colloquy intent conformance` sees it.
func TestConformance(t *testing.T) {
	t.Parallel()
	conforms(t, ".", "server.py")
}

// The model that docs/intent-plugin.md puts into it does as well.
func TestTheOneInTheGuide(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile(filepath.Join("..", "..", "docs", "intent-plugin.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(guide), "cat > my-intents/mine.py <<'END'\n")
	mine, _, ok := strings.Cut(rest, "\nEND\n")
	if !ok {
		t.Fatal("docs/intent-plugin.md does not write mine.py any more")
	}
	dir := t.TempDir()
	for _, name := range []string{"server.py", "questions.jsonl"} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "mine.py"), []byte(mine+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	conforms(t, dir, "mine.py")
}

// conforms starts a server in dir and has it checked.
func conforms(t *testing.T, dir, program string) {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3 here: the example in Python is not tested")
	}
	cmd := exec.CommandContext(t.Context(), python, program, "--questions", "questions.jsonl", "--pack", "ecommerce", "--port", "0")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "INTENT_TOKEN=s3cret", "PYTHONDONTWRITEBYTECODE=1")
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
	for _, id := range l.IntentNames(packs) {
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
