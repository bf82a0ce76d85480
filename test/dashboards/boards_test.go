package dashboards

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../.."

// board is what the tests need of a dashboard's JSON.
type board struct {
	UID    string  `json:"uid"`
	Title  string  `json:"title"`
	Panels []panel `json:"panels"`

	file, text string
}

type panel struct {
	ID          int    `json:"id"`
	Title       string `json:"title"`
	Description string `json:"description"`
	Datasource  struct {
		UID string `json:"uid"`
	} `json:"datasource"`
	Grid struct {
		X, Y, W, H int
	} `json:"gridPos"`
	Targets []struct {
		Expr   string `json:"expr"`
		Legend string `json:"legendFormat"`
	} `json:"targets"`
}

func readBoards(t *testing.T) []board {
	t.Helper()
	files, err := filepath.Glob(root + "/deploy/grafana/*.json")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d dashboards, %v; want five at least", len(files), err)
	}
	var out []board
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		b := board{file: filepath.Base(file), text: string(data)}
		if err := json.Unmarshal(data, &b); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		out = append(out, b)
	}
	return out
}

// plain puts values in the place of Grafana's variables.
func plain(expr, window string) string {
	return strings.NewReplacer("$__rate_interval", window, "$instance", ".+", "$conversation", ".+").Replace(expr)
}

// labelsOf reads which metrics there are, and their labels, from the page that is
// generated from the code.
func labelsOf(t *testing.T) map[string][]string {
	t.Helper()
	page, err := os.ReadFile(root + "/docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{
		// Go's own and the process's, which the registry has as well.
		"process_resident_memory_bytes": nil, "go_memstats_heap_inuse_bytes": nil, "up": {"job"},
	}
	row := regexp.MustCompile("(?m)^\\| `(colloquy_[a-z_0-9]+)` \\| (\\w+) \\| ([^|]*) \\|")
	name := regexp.MustCompile("`([a-z_]+)`")
	for _, m := range row.FindAllStringSubmatch(string(page), -1) {
		var labels []string
		for _, l := range name.FindAllStringSubmatch(m[3], -1) {
			labels = append(labels, l[1])
		}
		if m[2] != "histogram" {
			out[m[1]] = labels
			continue
		}
		out[m[1]+"_bucket"] = append([]string{"le"}, labels...)
		out[m[1]+"_sum"], out[m[1]+"_count"] = labels, labels
	}
	if len(out) < 50 {
		t.Fatalf("only %d metrics found in docs/metrics.md", len(out))
	}
	return out
}
