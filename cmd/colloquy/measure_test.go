package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/colloquyhq/colloquy/cmd/colloquy/appends"
	"github.com/colloquyhq/colloquy/cmd/colloquy/chaos"
	"github.com/colloquyhq/colloquy/cmd/colloquy/lab"
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
	if r.Visitors != 8 || r.Seconds < 1.9 || r.Turns == 0 || r.TurnsPerS <= 0 || r.CPUMicros < 0 || r.P50 <= 0 || r.P99 < r.P50 || r.Max < r.P99 ||
		r.Unanswered != 0 || r.Errors != 0 || r.CPUs < 1 || r.Version != "1.2.3-test" {
		t.Errorf("result %+v", r)
	}
	if raw, err := os.ReadFile(profile); err != nil || !bytes.HasPrefix(raw, []byte{0x1f, 0x8b}) {
		t.Errorf("the profile: %d bytes, %v, want gzip", len(raw), err)
	}
	checkFields(t, out, "visitors", "seconds", "turns", "turns_per_s", "cpu_us_per_turn", "p50_ms", "p99_ms", "max_ms", "unanswered", "errors", "cpus", "version")
}

// The benchmark of the journal gives plausible figures, alone and with a cluster
// of processes, of which one has no vote.
func TestBenchAppends(t *testing.T) {
	t.Parallel()
	for _, nodes := range []string{"1", "4"} {
		var r appends.Result
		eventually(t, "a run in which the lead stays where it is", func() bool {
			r = appends.Result{}
			out, code := runProgram(t, "bench", "appends", "--json", "--nodes", nodes, "--writers", "8", "--duration", "1s", "--warmup", "200ms",
				"--profile", "careful", "--dir", t.TempDir())
			if err := json.Unmarshal([]byte(out), &r); err != nil || code != 0 {
				t.Fatalf("exit status %d, %v:\n%s", code, err, out)
			}
			return r.Errors == 0 && r.Leaders == 1
		})
		if fmt.Sprint(r.Nodes) != nodes || r.Writers != r.Nodes*8 || r.Bytes != 300 || r.Seconds < 0.9 || r.Appends == 0 || r.AppendsPS <= 0 ||
			r.CPUMicros <= 0 || r.P50 <= 0 || r.P99 < r.P50 || r.CPUs < 1 || r.Version != "1.2.3-test" {
			t.Errorf("result %+v", r)
		}
	}
}

// A storm over one node is survived, and reported with everything that belongs
// into a report.
func TestChaosStorm(t *testing.T) {
	t.Parallel()
	out, code := runProgram(t, "chaos", "--json", "--nodes", "1", "--faults", "kill,pause,clock,restart", "--cycles", "4", "--calm", "500ms", "--pause", "1s",
		"--cut", "1s", "--visitors", "10", "--agents", "2", "--webhooks", "2", "--think", "200ms", "--seed", "7",
		"--pack", "counter", "--packs-dir", testPacks(t), "--dir", t.TempDir())
	var r chaos.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != 0 {
		t.Fatalf("exit status %d, %v:\n%s", code, err, out)
	}
	if !r.Passed || r.Nodes != 1 || r.Cycles+len(r.Limits) < 4 || r.Seed != 7 || r.Acked < 10 || r.Sent != r.Acked || r.Stored == 0 || r.Replies == 0 ||
		r.Conversations != 12 || r.Kinds[chaos.Kill].Count != 1 || r.GapMaxMS < 500 || r.FailoverP99MS <= 0 || r.ColdStartMS <= 0 ||
		len(r.Replicas) != 1 || r.Replicas[0].Hash == "" || r.Reconnects == 0 || !strings.Contains(r.Command, "--seed 7") {
		t.Errorf("result %+v", r)
	}
}

// A cluster loses a node, and then another one with its disk, and nothing that
// was acknowledged.
func TestChaosCluster(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("three nodes, twice broken")
	}
	out, code := runProgram(t, "chaos", "--json", "--faults", "kill,wipe", "--cycles", "2", "--calm", "500ms", "--visitors", "6", "--agents", "1",
		"--webhooks", "1", "--profile", "careful", "--heal", "3m", "--pack", "counter", "--packs-dir", testPacks(t), "--dir", t.TempDir())
	var r chaos.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != 0 {
		t.Fatalf("exit status %d, %v:\n%s", code, err, out)
	}
	if !r.Passed || r.Nodes != 3 || r.Cycles != 2 || r.Acked < 10 || r.Replaced.Count != 1 || len(r.Replicas) != 3 {
		t.Errorf("result %+v", r)
	}
	for _, replica := range r.Replicas {
		if replica != (chaos.Replica{Node: replica.Node, Applied: r.Replicas[0].Applied, Hash: r.Replicas[0].Hash}) {
			t.Errorf("replicas %+v are not the same", r.Replicas)
		}
	}
}

// A run that is interrupted breaks nothing more, and reports what it has seen.
func TestChaosEndsEarly(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), os.Getenv(builtProgram), "chaos", "--json", "--nodes", "1", "--faults", "kill", "--duration", "1h",
		"--calm", "300ms", "--visitors", "3", "--agents", "0", "--think", "100ms", "--pack", "counter", "--packs-dir", testPacks(t), "--dir", t.TempDir())
	cmd.Env = lab.CleanEnviron(os.Environ())
	var out bytes.Buffer
	cmd.Stdout = &out
	progress, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewScanner(progress)
	for said.Scan() {
		if strings.Contains(said.Text(), "whole again") {
			break
		}
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	for said.Scan() { // until it has ended, or it could not write
		t.Log(said.Text())
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v:\n%s", err, out.String())
	}
	var r chaos.Report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	early := slices.ContainsFunc(r.Limits, func(l string) bool { return strings.Contains(l, "ended early") })
	if !r.Passed || r.Cycles == 0 || !early {
		t.Errorf("result %+v", r)
	}
}

// Data that was harmed is found, and kept.
func TestChaosFindsSabotage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out, code := runProgram(t, "chaos", "--json", "--nodes", "1", "--faults", "kill", "--cycles", "1", "--calm", "500ms", "--visitors", "5", "--agents", "0",
		"--think", "200ms", "--pack", "counter", "--packs-dir", testPacks(t), "--dir", dir, "--sabotage", "rollback")
	var r chaos.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != 3 {
		t.Fatalf("exit status %d, %v:\n%s", code, err, out)
	}
	if r.Passed || r.Lost == 0 || len(r.Notes) == 0 || !strings.HasPrefix(r.Kept, dir) {
		t.Errorf("result %+v", r)
	}
	for _, name := range []string{"node1", "node1.log"} {
		if _, err := os.Stat(filepath.Join(r.Kept, name)); err != nil {
			t.Error(err)
		}
	}
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
	if r.Visitors != 30 || r.Kills != 3 || len(r.RecoveryMS) != 3 || r.Seed == 0 || r.Acked < 30 || r.Sent < r.Acked || r.Stored < r.Acked ||
		r.Replies == 0 || r.Reconnects == 0 || r.Lost+r.Duplicated+r.Reordered+r.Missed+r.ShownTwice != 0 {
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
