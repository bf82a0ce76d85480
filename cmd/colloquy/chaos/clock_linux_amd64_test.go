package chaos

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

const clockHelper = "TEST_CLOCK_HELPER"

// TestMain lets the test program be the process whose clock is shifted: it
// answers each line with the time of its wall clock and with what its monotonic
// clock has measured since the start.
func TestMain(m *testing.M) {
	if os.Getenv(clockHelper) == "" {
		os.Exit(m.Run())
	}
	began := time.Now()
	for range 4 { // threads that are inside the clock most of the time
		go func() {
			for time.Since(began) < time.Hour {
				continue
			}
		}()
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		now := time.Now()
		fmt.Println(now.UnixMilli(), now.Sub(began).Milliseconds())
	}
}

// Only the wall clock of the one process jumps, while it runs.
func TestWallClock(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), clockHelper+"=1", "GOMAXPROCS=2")
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err1 != nil || err2 != nil || cmd.Start() != nil {
		t.Fatal(err1, err2)
	}
	t.Cleanup(func() { _ = in.Close(); _ = cmd.Process.Kill(); _ = cmd.Wait() })
	answers := bufio.NewReader(out)
	began := time.Now()
	off := func(want time.Duration) {
		t.Helper()
		if _, err := fmt.Fprintln(in); err != nil {
			t.Fatal(err)
		}
		line, err := answers.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		var wall, monotonic int64
		if _, err := fmt.Sscan(strings.TrimSpace(line), &wall, &monotonic); err != nil {
			t.Fatal(err)
		}
		const tolerance = 10 * time.Second
		if got := time.Until(time.UnixMilli(wall)); (got - want).Abs() > tolerance {
			t.Errorf("the clock is off by %v, want %v", got, want)
		}
		if got := time.Duration(monotonic) * time.Millisecond; (got - time.Since(began)).Abs() > tolerance {
			t.Errorf("the monotonic clock has measured %v, want %v", got, time.Since(began))
		}
	}
	off(0)
	c, err := newWallClock(cmd.Process.Pid)
	if err != nil {
		t.Skipf("no clock of its own for a process: %v", err)
	}
	defer c.close()
	off(0)
	for _, d := range []time.Duration{time.Hour, -48 * time.Hour, 0} {
		if err := c.shift(d); err != nil {
			t.Fatal(err)
		}
		off(d)
	}
}
