package chaos

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func testReport() *Report {
	return &Report{
		Passed: true, Nodes: 3, Faults: []Kind{Kill, Wipe}, Cycles: 2, Seed: 7, Visitors: 40, Agents: 4, Webhooks: 4,
		Findings:      Findings{Sent: 1000, Acked: 999, Notes: []string{"something small"}},
		FailoverP99MS: 432, GapMaxMS: 987, ColdStartMS: 1234,
		Kinds:    map[Kind]*KindFigures{Wipe: {Count: 1, GapMaxMS: 432, OfLeaders: 1}},
		Replaced: Replacements{Count: 1, LevelP50MS: 2100, LevelMaxMS: 2100}, Limits: []string{"clock was left out"},
		Ended: map[string]int{"70": 1}, Command: "colloquy chaos --seed 7", Version: "0.2.0", UpgradedFrom: "0.1.0", Upgraded: 3,
	}
}

func TestReportAsText(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	r := testReport()
	if err := r.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"PASSED", "3 nodes, 2 faults (kill,wipe)", "999 acknowledged", "lost 0", "p99 432 ms", "987 ms", "1234 ms", "wipe", "2100 ms",
		"clock was left out", "status 70: 1", "something small", "--seed 7",
		"upgraded under load: 3 nodes, from version 0.1.0 to 0.2.0",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, b.String())
		}
	}
	b.Reset()
	r.Passed, r.Lost, r.Kept = false, 3, "/somewhere"
	if err := r.WriteText(&b); err != nil || !strings.Contains(b.String(), "FAILED") || !strings.Contains(b.String(), "lost 3") || !strings.Contains(b.String(), "/somewhere") {
		t.Errorf("%v:\n%s", err, b.String())
	}
}

func TestReportAsJSON(t *testing.T) {
	t.Parallel()
	raw, err := json.Marshal(testReport())
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"passed", "nodes", "faults", "cycles", "seed", "seconds", "visitors", "agents", "webhooks", "sent", "acked", "lost", "duplicated", "reordered",
		"violations", "missed", "shown_twice", "replies", "failover_p50_ms", "failover_p99_ms", "gap_max_ms", "kinds", "cold_start_ms", "replaced",
		"replicas", "limits", "command", "upgraded_from", "upgraded",
	} {
		if _, ok := fields[name]; !ok {
			t.Errorf("the field %s is missing", name)
		}
	}
}

func TestBoundedLog(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "node.log")
	l, err := newBoundedLog(path)
	if err != nil {
		t.Fatal(err)
	}
	line := []byte(strings.Repeat("x", 1<<20-1) + "\n")
	for range 3 * logBytes / len(line) {
		if _, err := l.Write(line); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) != 2 {
		t.Fatalf("files %v, %v", files, err)
	}
	for _, f := range files {
		if s, err := os.Stat(f); err != nil || s.Size() > logBytes || s.Size() == 0 {
			t.Errorf("%s: %v, %v", f, s.Size(), err)
		}
	}
	if _, err := l.Write(line); err == nil {
		t.Error("a closed log takes a line")
	}
}
