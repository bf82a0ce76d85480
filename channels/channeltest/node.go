package channeltest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// requireNPM is 1 where the packages of test/channels must be there.
const requireNPM = "COLLOQUY_REQUIRE_NPM"

// Node runs a script of test/channels, in which other people's packages are the
// provider's side, and gives the lines it writes. The test is skipped as with
// [NodeCommand].
func Node(t *testing.T, script string, args ...string) []string {
	t.Helper()
	out, err := NodeCommand(t.Context(), t, script, args...).Output()
	if err != nil {
		t.Fatalf("node %s: %v", script, err)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

// NodeCommand makes the command that runs a script of test/channels until ctx
// ends. The test is skipped where the packages are not installed, unless
// COLLOQUY_REQUIRE_NPM is 1.
func NodeCommand(ctx context.Context, t *testing.T, script string, args ...string) *exec.Cmd {
	t.Helper()
	dir := filepath.Join(moduleRoot(t), "test", "channels")
	if _, err := os.Stat(filepath.Join(dir, "node_modules")); err != nil {
		if os.Getenv(requireNPM) == "1" {
			t.Fatal("needs npm ci in test/channels")
		}
		t.Skip("needs npm ci in test/channels")
	}
	cmd := exec.CommandContext(ctx, "node", append([]string{script}, args...)...) //nolint:gosec // a script of ours
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	return cmd
}

// moduleRoot is the folder of go.mod, at or above that of the test.
func moduleRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("no go.mod above the test")
		}
		dir = up
	}
}
