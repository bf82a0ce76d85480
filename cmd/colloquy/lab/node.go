package lab

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The limits of a node under test.
const (
	startTime  = 60 * time.Second
	stopTime   = 30 * time.Second
	clockTicks = 100 // per second, in /proc; fixed on Linux for user space
	lineBytes  = 1 << 20
)

// Spec says how a node is started.
type Spec struct {
	Program   string // empty = this one
	Dir       string // data directory
	Listen    string // host:port of clients; empty = loopback, any port
	OpsListen string // the same for health and metrics
	Settings  []string
	Args      []string              // more arguments of `colloquy serve`
	Environ   []string              // more variables; this process's own COLLOQUY_… ones are kept away
	Log       io.Writer             // also gets every line of the log; nil = nobody
	Spawn     func(*exec.Cmd) error // starts the process; nil = where this one runs
}

// Node is a real `colloquy serve` in a process of its own.
type Node struct {
	cmd       *exec.Cmd
	pid       int
	addr, ops string
	serving   chan [2]string
	done      chan struct{}
	log       *Tail
	copyTo    io.Writer
}

// Start starts a node on a data directory and waits until it serves.
func Start(ctx context.Context, s *Spec) (*Node, error) {
	n, err := Launch(s)
	if err != nil {
		return nil, err
	}
	if err := n.AwaitServing(ctx); err != nil {
		n.Kill()
		return nil, err
	}
	return n, nil
}

// Launch starts a node and waits for nothing. The limits per address are
// lifted, because all clients come from one.
func Launch(s *Spec) (*Node, error) {
	program := s.Program
	if program == "" {
		var err error
		if program, err = os.Executable(); err != nil {
			return nil, err
		}
	}
	args := []string{
		"serve", "--data-dir", s.Dir, "--listen", orAnyPort(s.Listen), "--ops-listen", orAnyPort(s.OpsListen),
		"--set", "gateway.connections_per_ip=100000", "--set", "gateway.handshakes_per_ip=100000",
		"--set", "gateway.sessions_per_minute=1000000", "--set", "gateway.visitor_frames_per_second=100000",
	}
	for _, pair := range s.Settings {
		args = append(args, "--set", pair)
	}
	n := &Node{
		cmd:     exec.Command(program, append(args, s.Args...)...), //nolint:gosec,noctx // ours; it is killed by hand
		serving: make(chan [2]string, 1), done: make(chan struct{}), log: &Tail{}, copyTo: s.Log,
	}
	n.cmd.Env = append(CleanEnviron(os.Environ()), s.Environ...)
	stderr, err := n.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	spawn := s.Spawn
	if spawn == nil {
		spawn = (*exec.Cmd).Start
	}
	if err := spawn(n.cmd); err != nil {
		return nil, err
	}
	n.pid = n.cmd.Process.Pid
	go n.follow(stderr)
	return n, nil
}

func orAnyPort(address string) string {
	if address == "" {
		return "127.0.0.1:0"
	}
	return address
}

// AwaitServing waits until the node says that it serves.
func (n *Node) AwaitServing(ctx context.Context) error {
	timeout := time.NewTimer(startTime)
	defer timeout.Stop()
	select {
	case at := <-n.serving:
		n.addr, n.ops = at[0], at[1]
		return nil
	case <-n.done:
		return fmt.Errorf("the node ended with status %d:\n%s", n.ExitCode(), n.log)
	case <-timeout.C:
		return fmt.Errorf("the node did not serve within %v:\n%s", startTime, n.log)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// CleanEnviron keeps this shell's configuration away from a node under test.
func CleanEnviron(environ []string) []string {
	var out []string
	for _, pair := range environ {
		if !strings.HasPrefix(pair, "COLLOQUY_") {
			out = append(out, pair)
		}
	}
	return out
}

// follow reads the log until the process ends.
func (n *Node) follow(r io.Reader) {
	defer close(n.done)
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, lineBytes)
	for lines.Scan() {
		n.log.Add(lines.Text())
		if n.copyTo != nil {
			_, _ = fmt.Fprintln(n.copyTo, lines.Text())
		}
		var rec struct {
			Msg        string `json:"msg"`
			Address    string `json:"address"`
			Operations string `json:"operations"`
		}
		if json.Unmarshal(lines.Bytes(), &rec) == nil && rec.Msg == "serving" {
			select {
			case n.serving <- [2]string{rec.Address, rec.Operations}:
			default:
			}
		}
	}
	_, _ = io.Copy(io.Discard, r)
	_ = n.cmd.Wait()
}

// Addr is where the node answers clients; known once it serves.
func (n *Node) Addr() string { return n.addr }

// Ops is where the node answers about its health; known once it serves.
func (n *Node) Ops() string { return n.ops }

// PID is the number of the process.
func (n *Node) PID() int { return n.pid }

// Log is the end of the node's log.
func (n *Node) Log() string { return n.log.String() }

// Done is closed when the process has ended.
func (n *Node) Done() <-chan struct{} { return n.done }

// Ended reports whether the process has ended.
func (n *Node) Ended() bool {
	select {
	case <-n.done:
		return true
	default:
		return false
	}
}

// ExitCode is the status that the process ended with, -1 for a signal.
func (n *Node) ExitCode() int {
	<-n.done
	return n.cmd.ProcessState.ExitCode()
}

// Signal sends a signal to the process.
func (n *Node) Signal(s os.Signal) error { return n.cmd.Process.Signal(s) }

// Kill ends the process as a power cut would, and waits until it is gone.
func (n *Node) Kill() {
	_ = n.cmd.Process.Signal(syscall.SIGKILL)
	<-n.done
}

// Stop ends the process as an operator would.
func (n *Node) Stop() error {
	_ = n.cmd.Process.Signal(syscall.SIGTERM)
	timeout := time.NewTimer(stopTime)
	defer timeout.Stop()
	select {
	case <-n.done:
		if code := n.cmd.ProcessState.ExitCode(); code != 0 {
			return fmt.Errorf("the node ended with status %d:\n%s", code, n.log)
		}
		return nil
	case <-timeout.C:
		n.Kill()
		return fmt.Errorf("the node did not stop within %v:\n%s", stopTime, n.log)
	}
}

// CPU gives the processor time that the process has used, and false where the
// system does not say.
func (n *Node) CPU() (time.Duration, bool) {
	raw, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(n.pid), "stat"))
	if err != nil {
		return 0, false
	}
	// The name in parentheses may hold blanks; fields are counted after it.
	text := string(raw)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 13 {
		return 0, false
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * time.Second / clockTicks, err1 == nil && err2 == nil
}
