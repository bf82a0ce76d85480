package main

import (
	"encoding/json"
	"runtime"
	"testing"

	"github.com/colloquyhq/colloquy/cmd/colloquy/soak"
	"github.com/colloquyhq/colloquy/cmd/colloquy/sockets"
)

// Each benchmark of sockets runs its workers, and gives the figures that it is for.
func TestBenchSockets(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("the load needs Linux")
	}
	for name, c := range map[string]struct {
		args   []string
		fields []string
	}{
		"idle":   {[]string{"--connections", "30", "--processes", "2"}, []string{"rss_before", "rss_after_gc", "answering"}},
		"echo":   {[]string{"--connections", "10", "--duration", "200ms", "--warmup", "50ms"}, []string{"msgs_per_s", "cpu_us_per_msg", "p50_ms"}},
		"json":   {[]string{"--connections", "10", "--duration", "200ms", "--warmup", "0s", "--rate", "500"}, []string{"msgs_per_s", "cpu_us_per_msg", "p99_ms", "p999_ms"}},
		"burst":  {[]string{"--connections", "10", "--duration", "200ms", "--warmup", "0s"}, []string{"msgs_per_s", "cpu_us_per_msg"}},
		"fanout": {[]string{"--followers", "10", "--rounds", "5"}, []string{"deliveries", "deliveries_per_s", "cpu_us_per_delivery"}},
		"slow":   {[]string{"--stalled", "2", "--connections", "10", "--rate", "100", "--duration", "200ms"}, []string{"stalled", "closed_slow", "p99_ms"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, code := runProgram(t, append([]string{"bench", name, "--json"}, c.args...)...)
			var r map[string]any
			if err := json.Unmarshal([]byte(out), &r); err != nil || code != 0 {
				t.Fatalf("exit status %d, %v:\n%s", code, err, out)
			}
			if r["bench"] != name || r["server"] != "colloquy" || r["version"] != "1.2.3-test" {
				t.Errorf("result %v", r)
			}
			if name == "idle" { // of so few it may be less than what the collector has given back
				checkFields(t, out, "bytes_per_conn")
			}
			for _, f := range c.fields {
				if v, _ := r[f].(float64); v <= 0 {
					t.Errorf("%s = %v", f, r[f])
				}
			}
		})
	}
}

// Visitors whose node is killed, or told to end, all come back and miss nothing.
func TestBenchStorm(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("the load needs Linux")
	}
	for name, more := range map[string][]string{"killed": nil, "told to end": {"--sigterm"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, code := runProgram(t, append([]string{"bench", "storm", "--json", "--connections", "30", "--dir", t.TempDir()}, more...)...)
			var r sockets.Result
			if err := json.Unmarshal([]byte(out), &r); err != nil || code != 0 {
				t.Fatalf("exit status %d, %v:\n%s", code, err, out)
			}
			if r.Resumed != 30 || r.Missed == nil || *r.Missed != 0 || r.Twice == nil || *r.Twice != 0 || r.Outage <= 0 || r.ResumeS <= 0 || r.SettledS < r.ResumeS {
				t.Errorf("result %s", out)
			}
		})
	}
}

// A soak of seconds sees a node that answers; whether it grows takes longer.
func TestSoak(t *testing.T) {
	t.Parallel()
	out, _ := runProgram(t, "soak", "--json", "--duration", "3s", "--sample", "200ms", "--visitors", "5", "--think", "100ms",
		"--pack", "counter", "--packs-dir", testPacks(t), "--dir", t.TempDir())
	var r soak.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	if r.Messages == 0 || r.Replies != r.Messages || r.Lost != 0 || r.Visits == 0 || len(r.Samples) == 0 || len(r.Growth) != 4 || r.Samples[0].Goroutines == 0 {
		t.Errorf("report %s", out)
	}
}
