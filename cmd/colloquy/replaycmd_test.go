package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/colloquyhq/colloquy/conversation"
)

// What a node has stored can be read again when it is at rest: the states, and
// what another pack would make of the turns.
func TestReplayOfANode(t *testing.T) {
	t.Parallel()
	n := setUpShop(t)
	first, _ := n.post(t, "u1", "m1", "when are you open")
	n.post(t, "u1", "m2", "where can I park")
	if out, code := runProgram(t, "replay", "--data-dir", n.dir, "--packs-dir", n.packs, "--since", "1d"); code != exitFailed {
		t.Errorf("replay beside the running node: %d %s", code, out)
	}
	n.end(t, syscall.SIGTERM)

	out, code := runProgram(t, "replay", "--data-dir", n.dir, "--conversation", first.Conversation)
	if code != 0 || !strings.Contains(out, "turn.completed") || !strings.Contains(out, "the last state is the stored one") {
		t.Errorf("replay of a conversation: %d\n%s", code, out)
	}
	out, code = runProgram(t, "replay", "--data-dir", n.dir, "--conversation", first.Conversation, "--json")
	for line := range strings.Lines(out) {
		var step struct {
			Seq   uint64
			Kind  string
			State struct{ Version uint64 }
		}
		if err := json.Unmarshal([]byte(line), &step); err != nil || step.Kind == "" || step.State.Version != step.Seq || code != 0 {
			t.Fatalf("step %s: %v", line, err)
		}
	}

	out, code = runProgram(t, "replay", "--data-dir", n.dir, "--all")
	if code != 0 || !strings.HasPrefix(out, "1 conversations with ") || !strings.Contains(out, "; 0 give another state") {
		t.Errorf("replay of all: %d\n%s", code, out)
	}
	compare := func(pack string, more ...string) (string, int) {
		n.writePack(t, pack)
		return runProgram(t, append([]string{"replay", "--data-dir", n.dir, "--packs-dir", n.packs, "--since", "7d", "--pack", "house", "--diff"}, more...)...)
	}
	var report struct {
		Turns, Answered int
		Changes         map[string]int
		Rows            []struct {
			Text     string
			Old, New struct{ Kind, Intent string }
		}
	}
	out, code = compare(n.goodPack(t), "--json")
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != 0 || report.Turns != 2 || report.Answered != 2 || report.Changes["same"] != 2 {
		t.Fatalf("with the same pack: %d %v\n%s", code, err, out)
	}
	out, code = compare(strings.ReplaceAll(n.goodPack(t), "id: parking", "id: car_park"), "--json")
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != 0 || len(report.Rows) != 1 || report.Rows[0].Text != "where can I park" ||
		report.Rows[0].Old.Intent != "parking" || report.Rows[0].New.Intent != "car_park" {
		t.Errorf("with an intent of another name: %d %v\n%s", code, err, out)
	}
	out, code = compare(n.goodPack(t))
	if code != 0 || !strings.Contains(out, "2 turns compared") || !strings.Contains(out, "same 2, better 0, worse 0, unclear 0") {
		t.Errorf("as text: %d\n%s", code, out)
	}
	for _, bad := range [][]string{
		{"replay"},
		{"replay", "--since", "soon"},
		{"replay", "--since", "-3d"},
		{"replay", "--conversation", "x", "--diff"},
		{"replay", "--conversation", "x", "--since", "1d"},
		{"replay", "--all", "--since", "1d"},
		{"replay", "--all", "--diff"},
		{"replay", "--data-dir", n.dir, "--all", "--inbox", "nobody"},
		{"replay", "--data-dir", n.dir, "--conversation", "nonsense"},
		{"replay", "--data-dir", n.dir, "--since", "1d", "--inbox", "nobody"},
	} {
		if out, code := runProgram(t, bad...); code != exitUsage {
			t.Errorf("%q: %d %s", bad, code, out)
		}
	}
	nowhere := filepath.Join(t.TempDir(), "nowhere")
	if out, code := runProgram(t, "replay", "--data-dir", nowhere, "--since", "1d"); code != exitUsage {
		t.Errorf("without a journal: %d %s", code, out)
	}
	if _, err := os.Stat(nowhere); err == nil {
		t.Error("reading has made a journal")
	}
	if out, code := runProgram(t, "replay", "--data-dir", n.dir, "--conversation", (conversation.ConversationID{15: 9}).String()); code != exitFailed {
		t.Errorf("an unknown conversation: %d %s", code, out)
	}
}
