package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/cmd/colloquy/lab"
)

// patience is how long anything may take that a test waits for, on a machine that
// has other things to do; grace is what a node may take to end, which it does not.
const (
	patience = 2 * time.Minute
	grace    = "shutdown_grace=60s"
)

// served is the built program as a node in a process of its own.
type served struct {
	addr, ops string
	cmd       *exec.Cmd
	stdout    *lab.Tail
	log       *lab.Tail
	ended     chan struct{}
}

// serveProgram starts a node and waits until it serves. It is killed when the
// test ends, if it still runs.
func serveProgram(t *testing.T, environ []string, args ...string) *served {
	t.Helper()
	args = append([]string{"serve", "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"}, args...)
	s := &served{stdout: &lab.Tail{}, log: &lab.Tail{}, ended: make(chan struct{})}
	s.cmd = exec.CommandContext(t.Context(), os.Getenv(builtProgram), args...)
	s.cmd.Env = append(lab.CleanEnviron(os.Environ()), environ...)
	stdout, err1 := s.cmd.StdoutPipe()
	stderr, err2 := s.cmd.StderrPipe()
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	serving := make(chan [2]string, 1)
	var readers sync.WaitGroup
	readers.Go(func() { follow(stdout, s.stdout.Add) })
	readers.Go(func() {
		follow(stderr, func(line string) {
			s.log.Add(line)
			var rec struct{ Msg, Address, Operations string }
			if json.Unmarshal([]byte(line), &rec) == nil && rec.Msg == "serving" {
				serving <- [2]string{rec.Address, rec.Operations}
			}
		})
	})
	go func() {
		readers.Wait()
		_ = s.cmd.Wait()
		close(s.ended)
	}()
	t.Cleanup(func() { s.signal(syscall.SIGKILL); <-s.ended })
	select {
	case at := <-serving:
		s.addr, s.ops = "http://"+at[0], "http://"+at[1]
	case <-s.ended:
		t.Fatalf("the node ended at once:\n%s", s.log)
	case <-time.After(patience):
		t.Fatalf("the node did not serve:\n%s", s.log)
	}
	return s
}

func follow(r io.Reader, line func(string)) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line(lines.Text())
	}
}

func (s *served) signal(sig syscall.Signal) { _ = s.cmd.Process.Signal(sig) }

// end sends a signal and gives the exit status, -1 for a process that was killed.
func (s *served) end(t *testing.T, sig syscall.Signal) int {
	t.Helper()
	s.signal(sig)
	select {
	case <-s.ended:
		return s.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		t.Fatalf("the node did not end:\n%s", s.log)
		return 0
	}
}

// runProgram runs the built program to its end.
func runProgram(t *testing.T, args ...string) (stdout string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Getenv(builtProgram), args...)
	cmd.Env = lab.CleanEnviron(os.Environ())
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	if problems.Len() > 0 {
		t.Logf("colloquy %s: %s", strings.Join(args, " "), problems.String())
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

// reply is an HTTP answer.
type reply struct {
	status int
	header http.Header
	body   string
}

// into decodes the body.
func (r *reply) into(t *testing.T, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.body), v); err != nil {
		t.Fatalf("%v in the answer %d %s", err, r.status, r.body)
	}
}

// is fails the test unless the answer has a status.
func (r *reply) is(t *testing.T, status int) *reply {
	t.Helper()
	if r.status != status {
		t.Fatalf("status %d, want %d: %s", r.status, status, r.body)
	}
	return r
}

// send makes a request. Headers are pairs of name and value.
func send(t *testing.T, method, url, body string, headers ...string) *reply {
	t.Helper()
	r, err := trySend(t, method, url, body, headers...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func trySend(t *testing.T, method, url, body string, headers ...string) (*reply, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	return &reply{status: res.StatusCode, header: res.Header, body: string(raw)}, err
}

// eventually waits until what holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); <-time.After(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// staff is an agent at the console: a cookie, and the header that shows that a
// write comes from our own page.
type staff struct {
	at     string
	cookie string
}

// do makes a request as the console would.
func (a *staff) do(t *testing.T, method, path, body string) *reply {
	t.Helper()
	return send(t, method, a.at+path, body, "Cookie", a.cookie, "X-Colloquy-CSRF", "1", "Origin", a.at)
}

// signedIn takes the cookie out of the answer of a login.
func signedIn(t *testing.T, at string, r *reply) *staff {
	t.Helper()
	cookie, _, ok := strings.Cut(r.header.Get("Set-Cookie"), ";")
	if !ok || !strings.Contains(r.header.Get("Set-Cookie"), "HttpOnly") {
		t.Fatalf("no cookie in the answer to a login: %d %s", r.status, r.body)
	}
	return &staff{at: at, cookie: cookie}
}

func testPacks(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("testdata", "packs"))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
