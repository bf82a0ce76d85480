package observer

import (
	"os"
	"os/exec"
	"testing"

	"github.com/colloquyhq/colloquy/cmd/colloquy-ebpf/kernel"
)

func TestProcessGone(t *testing.T) {
	t.Parallel()
	now, self := kernel.Now(), uint32(os.Getpid())
	if processGone(self, now) {
		t.Error("this process is gone")
	}
	if !processGone(self, 1) {
		t.Error("this process was there when the system started")
	}
	cmd := exec.CommandContext(t.Context(), "sleep", "600")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	child := uint32(cmd.Process.Pid)
	_ = cmd.Process.Kill()
	eventually(t, "a process that was killed is gone before anybody asks for its end", func() bool { return processGone(child, kernel.Now()) })
	_ = cmd.Wait()
	if !processGone(child, kernel.Now()) {
		t.Error("a process that has ended is not gone")
	}
}
