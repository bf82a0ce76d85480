package channeltest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Node runs a script of test/channels, in which other people's packages are the
// provider's side, and gives the lines it writes. The test is skipped where the
// packages are not installed.
func Node(t *testing.T, script string, args ...string) []string {
	t.Helper()
	dir := filepath.Join("..", "..", "test", "channels")
	if _, err := os.Stat(filepath.Join(dir, "node_modules")); err != nil {
		t.Skip("needs npm ci in test/channels")
	}
	cmd := exec.CommandContext(t.Context(), "node", append([]string{script}, args...)...) //nolint:gosec // a script of ours
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node %s: %v", script, err)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}
