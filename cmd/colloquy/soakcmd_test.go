package main

import (
	"encoding/json"
	"testing"

	"github.com/colloquyhq/colloquy/cmd/colloquy/flaky"
)

// A provider that fails in every way costs nothing but the messages of which it
// says so: see package flaky for what is held against what.
func TestSoakProvider(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("runs a node against a provider for some seconds")
	}
	out, code := runProgram(t, "soak", "provider", "--json", "--duration", "6s", "--people", "160", "--dir", t.TempDir())
	var r flaky.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != 0 {
		t.Fatalf("exit status %d, %v:\n%s", code, err, out)
	}
	if !r.Good || r.Written == 0 || r.Delivered == 0 {
		t.Errorf("report %+v", r)
	}
	for name, n := range r.Faults {
		if n == 0 {
			t.Logf("%s did not happen in this short time", name)
		}
	}
}
