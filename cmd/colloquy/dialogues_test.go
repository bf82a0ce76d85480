package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/colloquyhq/colloquy/cmd/colloquy/replay"
)

// The built-in packs resolve what they did when the floors were set, on dialogues
// that were written before their questions were read.
func TestDialoguesOfTheBuiltInPacks(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("trains both packs")
	}
	dir := filepath.Join("testdata", "dialogues")
	for _, tc := range []struct {
		pack            string
		resolved, wrong float64
	}{
		{"ecommerce", 0.55, 0.08},
		{"education", 0.70, 0.06},
	} {
		out, code := runProgram(t, "dialogues", "--json", "--pack", tc.pack, "--data", filepath.Join(dir, tc.pack+".jsonl"), "--orders", filepath.Join(dir, "orders.json"))
		var r replay.Report
		if err := json.Unmarshal([]byte(out), &r); err != nil || code != 0 {
			t.Fatalf("%s: exit status %d, %v:\n%.2000s", tc.pack, code, err, out)
		}
		if r.AutomatableResolved < tc.resolved || r.WronglyResolved > tc.wrong || r.SlotAccuracy < 0.80 {
			t.Errorf("%s: %.3f of what is automatable resolved, %.3f answered wrongly, %.3f of the values; the floors are %v, %v, 0.80",
				tc.pack, r.AutomatableResolved, r.WronglyResolved, r.SlotAccuracy, tc.resolved, tc.wrong)
		}
		if r.Dialogues < 40 || len(r.Langs) != 2 || len(r.Results) != r.Dialogues || r.AutoResolved+r.WronglyResolved+r.HandedOver < 0.999 {
			t.Errorf("%s: %d dialogues, %d languages, %d results", tc.pack, r.Dialogues, len(r.Langs), len(r.Results))
		}
		checkFields(t, out, "auto_resolved", "wrongly_resolved", "handed_over", "automatable_resolved", "intervals", "langs", "domains", "results")
	}
}

// What goes on with a matter is understood as a part of it, every time: these are
// no sample, and none may fail.
func TestFollowUpsOfTheBuiltInPacks(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("trains a pack")
	}
	data := filepath.Join("testdata", "dialogues", "followups.jsonl")
	out, code := runProgram(t, "dialogues", "--pack", "ecommerce", "--data", data, "--min-resolved", "1", "--max-wrong", "0")
	if code != 0 {
		t.Errorf("exit status %d:\n%s", code, out)
	}
}

// Who is no student yet is answered in the end, and not asked for a number again.
func TestNewcomersNeedNoNumber(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("trains a pack")
	}
	dir := filepath.Join("testdata", "dialogues")
	out, code := runProgram(t, "dialogues", "--json", "--pack", "education", "--data", filepath.Join(dir, "newcomers.jsonl"),
		"--orders", filepath.Join(dir, "orders.json"), "--min-resolved", "1", "--max-wrong", "0")
	var r replay.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != 0 || len(r.Results) == 0 {
		t.Fatalf("exit status %d, %v:\n%.2000s", code, err, out)
	}
	for _, d := range r.Results {
		if last := d.Turns[len(d.Turns)-1]; last.Action != "answered" {
			t.Errorf("%s: %q was %s with %q, want answered", d.ID, last.Visitor, last.Action, last.Reply)
		}
	}
}

// However a visitor parts a number, it is his order that is looked up, and not that of
// the first group; and a waybill is not looked up as an order.
func TestDialoguesLookUpWholeNumbers(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("trains a pack")
	}
	dir := filepath.Join("testdata", "dialogues")
	out, code := runProgram(t, "dialogues", "--json", "--pack", "ecommerce", "--data", filepath.Join(dir, "numbers.jsonl"), "--orders", filepath.Join(dir, "numbers.json"))
	var r replay.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != 0 {
		t.Fatalf("exit status %d, %v:\n%.2000s", code, err, out)
	}
	for _, o := range r.Results {
		if o.Result != replay.AutoResolved {
			t.Errorf("%s: %s: %+v", o.ID, o.Result, o.Turns)
		}
		for _, turn := range o.Turns {
			if waybill := strings.Contains(strings.ToLower(turn.Visitor), "sf"); waybill &&
				(len(turn.Lookups) > 0 || !strings.Contains(turn.Reply, "这是快递单号") && !strings.Contains(turn.Reply, "That is a tracking number")) {
				t.Errorf("%s: %q: looked up %v, said %q", o.ID, turn.Visitor, turn.Lookups, turn.Reply)
			}
		}
	}
	if len(r.Results) == 0 || r.SlotAccuracy < 1 {
		t.Errorf("%d dialogues, %.3f of the values", len(r.Results), r.SlotAccuracy)
	}
}

// What is wrong with the files is said, with the line, and the exit status tells
// a check that did not pass from a command that did not run.
func TestDialoguesExitCodes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := write("good.jsonl", `{"id":"a","automatable":true,"turns":[{"visitor":"xyzzy","expect":{"intent":"out_of_scope"}}]}`+"\n")
	bad := write("bad.jsonl", "{\"turns\":[{\"visitor\":\"x\"}]}\nnonsense\n")
	orders := write("orders.json", `{"7": "text"}`)
	for _, tc := range []struct {
		code int
		says string
		args []string
	}{
		{exitOK, "auto_resolved", []string{"--data", good}},
		{exitCheck, "auto_resolved", []string{"--data", good, "--min-resolved", "0.5"}},
		{exitFailed, "", []string{"--data", bad}},
		{exitFailed, "", []string{"--data", good, "--orders", orders}},
		{exitFailed, "", []string{"--data", filepath.Join(dir, "nobody")}},
		{exitUsage, "", nil},
	} {
		out, code := runProgram(t, append([]string{"dialogues", "--pack", "counter", "--packs-dir", testPacks(t)}, tc.args...)...)
		if code != tc.code || !strings.Contains(out, tc.says) {
			t.Errorf("%q: exit status %d, want %d with %q:\n%s", tc.args, code, tc.code, tc.says, out)
		}
	}
}
