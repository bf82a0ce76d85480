package kernel

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// patience is how long anything may take that a test waits for.
const patience = 60 * time.Second

// loaded gives programs in the kernel, or leaves the test out where that is not
// possible, unless COLLOQUY_REQUIRE_EBPF says that it must be.
func loaded(t *testing.T, l Limits) *Programs {
	t.Helper()
	p, err := Load(l)
	if err != nil {
		if os.Getenv("COLLOQUY_REQUIRE_EBPF") != "" {
			t.Fatalf("Load = %v, and COLLOQUY_REQUIRE_EBPF is set", err)
		}
		t.Skipf("no eBPF here: %v", err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
	})
	return p
}

// attached puts programs on a process, or on every process of a file.
func attached(t *testing.T, p *Programs, path string, pid int) io.Closer {
	t.Helper()
	c, err := p.Attach(path, pid)
	if err != nil {
		t.Fatalf("Attach(%s, %d) = %v", path, pid, err)
	}
	t.Cleanup(func() { _ = c.Close() }) // a second time where the test has done so
	return c
}

// builtTarget compiles testdata/target.
func builtTarget(t *testing.T, flags ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "target")
	cmd := exec.CommandContext(t.Context(), "go", append(append([]string{"build", "-o", path}, flags...), "./testdata/target")...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the target: %v\n%s", err, out)
	}
	return path
}

// running is the target as a process.
type running struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.Writer
	out *bufio.Scanner
}

func start(t *testing.T, path string) *running {
	t.Helper()
	r := &running{t: t, cmd: exec.CommandContext(t.Context(), path)}
	in, err1 := r.cmd.StdinPipe()
	out, err2 := r.cmd.StdoutPipe()
	r.cmd.Stderr = os.Stderr
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	r.in, r.out = in, bufio.NewScanner(out)
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.stop)
	return r
}

// stop ends the process; it may be called again.
func (r *running) stop() {
	_ = r.cmd.Process.Kill()
	_ = r.cmd.Wait()
}

func (r *running) pid() int { return r.cmd.Process.Pid }

// do gives a command and reads its answer.
func (r *running) do(format string, args ...any) string {
	r.t.Helper()
	command := fmt.Sprintf(format, args...)
	if _, err := io.WriteString(r.in, command+"\n"); err != nil {
		r.t.Fatalf("%s: %v", command, err)
	}
	return r.line()
}

func (r *running) line() string {
	r.t.Helper()
	if !r.out.Scan() {
		r.t.Fatalf("the target has ended: %v", r.out.Err())
	}
	if s := r.out.Text(); !strings.HasPrefix(s, "error: ") {
		return s
	}
	r.t.Fatal(r.out.Text())
	return ""
}

func number(t *testing.T, s string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func counts(t *testing.T, p *Programs) Counts {
	t.Helper()
	c, err := p.Counts()
	if err != nil {
		t.Fatal(err)
	}
	return c
}
