package colloquy_test

import (
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/colloquyhq/colloquy/conversation"
)

// TestReferencePagesAreFresh runs the generator and compares.
func TestReferencePagesAreFresh(t *testing.T) {
	t.Parallel()
	watchTree(t)
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "go", "run", "./docs/gen", "-o", dir).CombinedOutput(); err != nil {
		t.Fatalf("go run ./docs/gen: %v\n%s", err, out)
	}
	for _, page := range []string{"errors.md", "metrics.md", "configuration.md"} {
		want, got := readFile(t, filepath.Join(dir, page)), readFile(t, filepath.Join("docs", page))
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("docs/%s is not fresh (- generated, + there); run make docs\n%s", page, diff)
		}
	}
}

func TestErrorsHaveCodes(t *testing.T) {
	t.Parallel()
	page := string(readFile(t, "docs/errors.md"))
	seen := map[conversation.Code]bool{}
	for _, r := range conversation.Codes() {
		if seen[r.Code] {
			t.Errorf("code %s stands in the table twice", r.Code)
		}
		seen[r.Code] = true
		if !strings.Contains(page, fmt.Sprintf("\n| `%s` | %d %s |", r.Code, r.Status, http.StatusText(r.Status))) {
			t.Errorf("docs/errors.md does not say that %s is %d; run make docs", r.Code, r.Status)
		}
		if row := r.Code.Row(); row != r {
			t.Errorf("Row of %s = %v, want %v", r.Code, row, r)
		}
	}
}

// metricRow is a line of the page of metrics.
var metricRow = regexp.MustCompile("(?m)^\\| `(colloquy_[a-z0-9_]+)` \\| ([a-z]+) \\|")

func TestMetricsAreDocumented(t *testing.T) {
	t.Parallel()
	page := string(readFile(t, "docs/metrics.md"))
	rows := metricRow.FindAllStringSubmatch(page, -1)
	if len(rows) < 20 {
		t.Fatalf("docs/metrics.md has %d rows, far fewer than the program has metrics", len(rows))
	}
	for _, r := range rows {
		name, kind := r[1], r[2]
		switch kind {
		case "counter":
			if !strings.HasSuffix(name, "_total") {
				t.Errorf("counter %s does not end in _total", name)
			}
		case "gauge", "histogram":
			if strings.HasSuffix(name, "_total") {
				t.Errorf("%s %s ends in _total, which is for counters", kind, name)
			}
		default:
			t.Errorf("%s is a %s, which this program has none of", name, kind)
		}
	}
}

var goBlock = regexp.MustCompile("(?s)\n```go\n(.*?)\n```\n")

// TestReadmeShowsTheExample keeps the code in the README a part of a program
// that is compiled and tested.
func TestReadmeShowsTheExample(t *testing.T) {
	t.Parallel()
	example := string(readFile(t, "examples/custom-behavior/main.go"))
	blocks := goBlock.FindAllStringSubmatch(string(readFile(t, "README.md")), -1)
	if len(blocks) == 0 {
		t.Fatal("README.md shows no Go code")
	}
	for _, b := range blocks {
		if !strings.Contains(example, b[1]+"\n") {
			t.Errorf("this part of README.md does not stand in examples/custom-behavior/main.go:\n%s", b[1])
		}
	}
}
