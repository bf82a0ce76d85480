package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// The benchmark gives plausible figures, and every turn is answered.
func TestBenchTurns(t *testing.T) {
	t.Parallel()
	profile := filepath.Join(t.TempDir(), "cpu.pprof")
	out, code := runProgram(t, "bench", "turns", "--json", "--duration", "2s", "--warmup", "500ms", "--visitors", "8", "--profile", profile,
		"--pack", "counter", "--packs-dir", testPacks(t), "--dir", t.TempDir())
	var r turnsResult
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != 0 {
		t.Fatalf("exit status %d, %v:\n%s", code, err, out)
	}
	if r.Visitors != 8 || r.Seconds < 1.9 || r.Turns < 20 || r.TurnsPerS < 10 || r.CPUMicros == 0 || r.P50 <= 0 || r.P99 < r.P50 || r.Max < r.P99 ||
		r.Unanswered != 0 || r.Errors != 0 || r.CPUs < 1 || r.Version != "1.2.3-test" {
		t.Errorf("result %+v", r)
	}
	if raw, err := os.ReadFile(profile); err != nil || !bytes.HasPrefix(raw, []byte{0x1f, 0x8b}) {
		t.Errorf("the profile: %d bytes, %v, want gzip", len(raw), err)
	}
	checkFields(t, out, "visitors", "seconds", "turns", "turns_per_s", "cpu_us_per_turn", "p50_ms", "p99_ms", "max_ms", "unanswered", "errors", "cpus", "version")
}

// A node that is killed three times under load loses, doubles and reorders
// nothing.
func TestChaosSingle(t *testing.T) {
	t.Parallel()
	out, code := runProgram(t, "chaos", "single", "--json", "--visitors", "30", "--kills", "3", "--up", "700ms", "--think", "200ms",
		"--pack", "counter", "--packs-dir", testPacks(t), "--dir", t.TempDir())
	var r chaosResult
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != 0 {
		t.Fatalf("exit status %d, %v:\n%s", code, err, out)
	}
	if r.Visitors != 30 || r.Kills != 3 || len(r.RecoveryMS) != 3 || r.Seed == 0 || r.Acked < 100 || r.Sent < r.Acked || r.Stored < r.Acked ||
		r.Replies == 0 || r.Reconnects < 30 || r.Lost+r.Duplicated+r.Reordered+r.Missed+r.ShownTwice != 0 {
		t.Errorf("result %+v", r)
	}
	checkFields(t, out, "visitors", "kills", "seed", "sent", "acked", "stored", "replies", "lost", "duplicated", "reordered", "missed",
		"shown_twice", "reconnects", "recovery_ms", "seconds")
}

func checkFields(t *testing.T, out string, names ...string) {
	t.Helper()
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(out), &fields); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if _, ok := fields[name]; !ok {
			t.Errorf("the field %s is missing", name)
		}
	}
}
