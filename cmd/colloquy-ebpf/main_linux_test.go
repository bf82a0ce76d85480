package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/cluster/clustertest"
	"github.com/colloquyhq/colloquy/cmd/colloquy-ebpf/kernel"
	"github.com/colloquyhq/colloquy/cmd/colloquy-ebpf/observer"
	"github.com/colloquyhq/colloquy/cmd/colloquy/lab"
)

const (
	// patience is how long anything may take that a test waits for.
	patience = 90 * time.Second
	nobody   = 65534
)

// built are the programs under test: the node as it is shipped, without symbols.
var built struct{ dir, node, observer string }

func TestMain(m *testing.M) { os.Exit(withPrograms(m.Run)) }

// withPrograms builds the programs, where they can be tested.
func withPrograms(tests func() int) int {
	p, err := kernel.Load(kernel.Limits{})
	if err != nil {
		fmt.Fprintln(os.Stderr, "no eBPF here:", err)
		if os.Getenv("COLLOQUY_REQUIRE_EBPF") != "" {
			return 1
		}
		return tests()
	}
	_ = p.Close()
	dir, err := os.MkdirTemp("", "colloquy-ebpf-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	_ = os.Chmod(dir, 0o755) // nobody has to read them
	built.dir, built.node, built.observer = dir, filepath.Join(dir, "colloquy"), filepath.Join(dir, "colloquy-ebpf")
	for path, pkg := range map[string]string{built.node: "../colloquy", built.observer: "."} {
		build := exec.CommandContext(context.Background(), "go", "build", "-trimpath", "-ldflags", "-s -w -X main.version=1.2.3-test", "-o", path, pkg)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
			return 1
		}
	}
	return tests()
}

// needPrograms leaves a test out where there is no eBPF.
func needPrograms(t *testing.T) {
	t.Helper()
	if built.node == "" {
		t.Skip("no eBPF here; COLLOQUY_REQUIRE_EBPF=1 says why")
	}
}

// watching is the observer as a process.
type watching struct {
	t        *testing.T
	cmd      *exec.Cmd
	addr     string
	findings chan observer.Finding
	early    []observer.Finding // came before they were waited for
	log      *lab.Tail
	ended    chan struct{}
}

// asNobody starts the observer with nothing but the two capabilities, as nobody.
func asNobody(t *testing.T, args ...string) *watching {
	t.Helper()
	if os.Getuid() != 0 {
		return launch(t, append([]string{built.observer}, args...))
	}
	return launch(t, append([]string{
		"setpriv", "--reuid", strconv.Itoa(nobody), "--regid", strconv.Itoa(nobody), "--clear-groups",
		"--inh-caps", "-all,+bpf,+perfmon", "--ambient-caps", "-all,+bpf,+perfmon", "--bounding-set", "-all,+bpf,+perfmon", "--no-new-privs",
		built.observer,
	}, args...))
}

func launch(t *testing.T, argv []string) *watching {
	t.Helper()
	w := &watching{t: t, findings: make(chan observer.Finding, 1024), log: &lab.Tail{}, ended: make(chan struct{})}
	w.cmd = exec.CommandContext(t.Context(), argv[0], append(argv[1:], "--listen", "127.0.0.1:0")...)
	w.cmd.Env = lab.CleanEnviron(os.Environ())
	stdout, err1 := w.cmd.StdoutPipe()
	stderr, err2 := w.cmd.StderrPipe()
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	serving := make(chan string, 1)
	var readers sync.WaitGroup
	readers.Go(func() {
		for dec := json.NewDecoder(stdout); ; {
			var f observer.Finding
			if dec.Decode(&f) != nil {
				return
			}
			w.findings <- f
		}
	})
	readers.Go(func() {
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			w.log.Add(lines.Text())
			var rec struct{ Msg, Address string }
			if json.Unmarshal(lines.Bytes(), &rec) == nil && rec.Msg == "serving" {
				serving <- rec.Address
			}
		}
	})
	go func() {
		readers.Wait()
		_ = w.cmd.Wait()
		close(w.ended)
	}()
	t.Cleanup(func() { _ = w.cmd.Process.Kill(); <-w.ended })
	select {
	case w.addr = <-serving:
	case <-w.ended:
		t.Fatalf("the observer ended at once:\n%s", w.log)
	case <-time.After(patience):
		t.Fatalf("the observer does not serve:\n%s", w.log)
	}
	return w
}

// finds waits for a finding of a kind about a conversation.
func (w *watching) finds(kind observer.Kind, conversation string) observer.Finding {
	w.t.Helper()
	wanted := func(f observer.Finding) bool { return f.Kind == kind && f.Conversation == conversation }
	if i := slices.IndexFunc(w.early, wanted); i >= 0 {
		f := w.early[i]
		w.early = slices.Delete(w.early, i, i+1)
		return f
	}
	timeout := time.After(patience)
	for {
		select {
		case f := <-w.findings:
			if wanted(f) {
				return f
			}
			w.early = append(w.early, f)
		case <-w.ended:
			w.t.Fatalf("the observer ended without finding %s of %s:\n%s", kind, conversation, w.log)
		case <-timeout:
			w.t.Fatalf("never found: %s of %s:\n%s", kind, conversation, w.log)
		}
	}
}

// metric gives a series of the observer's.
func (w *watching) metric(series string) float64 {
	w.t.Helper()
	for line := range strings.Lines(get(w.t, w.addr, "/metrics")) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				w.t.Fatal(err)
			}
			return n
		}
	}
	w.t.Fatalf("there is no series %s", series)
	return 0
}

func (w *watching) becomes(series string, want float64) {
	w.t.Helper()
	eventually(w.t, fmt.Sprintf("%s is %v", series, want), func() bool { return w.metric(series) == want })
}

// stop ends the observer as an operator would.
func (w *watching) stop() {
	w.t.Helper()
	_ = w.cmd.Process.Signal(syscall.SIGTERM)
	w.ends(exitOK)
}

func (w *watching) ends(code int) {
	w.t.Helper()
	select {
	case <-w.ended:
		if got := w.cmd.ProcessState.ExitCode(); got != code {
			w.t.Errorf("the observer ended with status %d, want %d:\n%s", got, code, w.log)
		}
	case <-time.After(patience):
		w.t.Fatalf("the observer does not end:\n%s", w.log)
	}
}

func get(t *testing.T, addr, path string) string {
	t.Helper()
	status, body := fetch(t, addr, path)
	if status != http.StatusOK {
		t.Fatalf("GET %s = %d %s", path, status, body)
	}
	return body
}

func fetch(t *testing.T, addr, path string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !f(); <-time.After(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// freeAddress is where nobody listens, and soon nobody else will.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", clustertest.LoopbackOfItsOwn()+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// What is wrong is said in words that help, and with a status of its own.
func TestWhatIsWrongIsSaid(t *testing.T) {
	needPrograms(t)
	plain := built.observer // a program in Go, without marks
	one := []string{"setpriv", "--reuid", strconv.Itoa(nobody), "--clear-groups", "--inh-caps", "-all,+bpf", "--ambient-caps", "-all,+bpf"}
	for _, c := range []struct {
		name string
		argv []string
		code int
		want string
	}{
		{"no capability", []string{"setpriv", "--reuid", strconv.Itoa(nobody), "--clear-groups", built.observer, "--exe", built.node}, exitFailed, "lacks CAP_BPF and CAP_PERFMON"},
		{"one capability", append(one, built.observer, "--exe", built.node), exitFailed, "lacks CAP_PERFMON:"},
		{"another program", []string{built.observer, "--exe", plain}, exitFailed, "has no marks"},
		{"no program", []string{built.observer, "--exe", filepath.Join(built.dir, "none")}, exitFailed, "no such file"},
		{"no process", []string{built.observer, "--pid", "4194305"}, exitFailed, "process 4194305"},
		{"both", []string{built.observer, "--pid", "1", "--exe", "x"}, exitUsage, "--pid"},
		{"nonsense", []string{built.observer, "--exe", built.node, "--ops", "here", "--scan", "1h"}, exitUsage, "--scan"},
		{"nothing", []string{built.observer, "--stack", "3"}, exitUsage, "unknown flag"},
	} {
		if c.argv[0] == "setpriv" && os.Getuid() != 0 {
			continue
		}
		cmd := exec.CommandContext(t.Context(), c.argv[0], c.argv[1:]...)
		cmd.Env = append(lab.CleanEnviron(os.Environ()), "COLLOQUY_EBPF_LISTEN=127.0.0.1:0")
		var problems bytes.Buffer
		cmd.Stderr = &problems
		_ = cmd.Run()
		if got := cmd.ProcessState.ExitCode(); got != c.code || !strings.Contains(problems.String(), c.want) {
			t.Errorf("%s: status %d, want %d; said %q, want %q", c.name, got, c.code, problems.String(), c.want)
		}
	}
}
