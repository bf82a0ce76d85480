package dashboards

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long anything may take before a test gives up. The machine may
// be busy; nothing here measures by it.
const patience = 3 * time.Minute

// program is a process under test, with the end of what it said.
type program struct {
	cmd   *exec.Cmd
	log   *tail
	ended chan struct{}
}

// mustRun fails the test when the program has ended.
func (p *program) mustRun(t *testing.T) {
	t.Helper()
	select {
	case <-p.ended:
		t.Fatalf("%s has ended", p.cmd.Path)
	default:
	}
}

// tail keeps the end of what is written.
type tail struct {
	mu struct {
		sync.Mutex
		text []byte
	}
}

const tailBytes = 8 << 10

// Write implements [io.Writer].
func (l *tail) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.text = append(l.mu.text, p...)
	if n := len(l.mu.text); n > tailBytes {
		l.mu.text = bytes.Clone(l.mu.text[n-tailBytes:])
	}
	return len(p), nil
}

func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.mu.text)
}

// start starts a program that ends with the test, at first politely.
func start(t *testing.T, name string, args ...string) *program {
	t.Helper()
	p := &program{cmd: exec.Command(name, args...), log: &tail{}, ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.Env = slices.DeleteFunc(os.Environ(), func(pair string) bool { return strings.HasPrefix(pair, "COLLOQUY_") })
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = p.cmd.Wait(); close(p.ended) }()
	t.Cleanup(func() {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.ended:
		case <-time.After(30 * time.Second):
			_ = p.cmd.Process.Kill()
			<-p.ended
		}
		if t.Failed() {
			t.Logf("the end of what %s said:\n%s", name, p.log)
		}
	})
	return p
}

// freeAddress gives a port that nobody has at the moment; where all of 127/8 is
// loopback, of a host that nobody else uses, so that it stays so.
func freeAddress(t *testing.T) string {
	t.Helper()
	host := "127.0.0.1"
	if runtime.GOOS == "linux" {
		host = fmt.Sprintf("127.%d.%d.%d", 64+rand.IntN(128), rand.IntN(256), 1+rand.IntN(254)) //nolint:gosec // any will do
	}
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// eventually asks until nothing is missing any more.
func eventually(t *testing.T, what string, missing func() []string) {
	t.Helper()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var left []string
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if left = missing(); len(left) == 0 {
			return
		}
		<-tick.C
	}
	t.Fatalf("%s, still missing after %v:\n%s", what, patience, strings.Join(left, "\n"))
}

// get reads a page; an error stands for one that is not there.
func get(ctx context.Context, url string, headers ...string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", res.Status, data)
	}
	return string(data), err
}
