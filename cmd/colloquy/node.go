package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/persistence"
)

// The limits of a node under test.
const (
	nodeStartTime = 60 * time.Second
	nodeStopTime  = 30 * time.Second
	clockTicks    = 100 // per second, in /proc; fixed on Linux for user space
	logTail       = 64 << 10
)

// node is a real `colloquy serve` in a process of its own, on loopback.
type node struct {
	addr, ops string
	pid       int
	cmd       *exec.Cmd
	done      chan struct{}
	log       *tail
}

// benchInbox is the inbox of the nodes under test: a bot without look-ups.
const benchInbox conversation.InboxID = "bench"

// botFlags choose the bot of a node under test.
type botFlags struct {
	Pack     string `help:"Pack that answers." default:"ecommerce" placeholder:"NAME"`
	PacksDir string `help:"Folder with own packs; one named as a built-in pack takes its place." type:"path" placeholder:"DIR"`
}

func (f *botFlags) flags() []string {
	if f.PacksDir == "" {
		return nil
	}
	return []string{"--packs-dir", f.PacksDir}
}

// prepareDir makes a data directory with the inbox in it.
func (f *botFlags) prepareDir(ctx context.Context, dir string) error {
	s, err := persistence.Open(persistence.Options{Dir: dir})
	if err != nil {
		return err
	}
	_, err = s.PutInbox(ctx, conversation.Inbox{ID: benchInbox, Name: "bench", Lang: "zh", Packs: []string{f.Pack}, Origins: []string{"self"}})
	return errors.Join(err, s.Close())
}

// startNode starts a node on a data directory and waits until it serves. The
// limits per address are lifted, because all visitors come from one.
func startNode(ctx context.Context, dir, listen string, more ...string) (*node, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args := append([]string{
		"serve", "--data-dir", dir, "--listen", listen, "--ops-listen", "127.0.0.1:0",
		"--set", "gateway.connections_per_ip=100000", "--set", "gateway.handshakes_per_ip=100000",
		"--set", "gateway.sessions_per_minute=1000000", "--set", "gateway.visitor_frames_per_second=100000",
	}, more...)
	n := &node{cmd: exec.Command(self, args...), done: make(chan struct{}), log: &tail{}} //nolint:gosec,noctx // this program; it is killed by hand
	n.cmd.Env = cleanEnviron(os.Environ())
	stderr, err := n.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := n.cmd.Start(); err != nil {
		return nil, err
	}
	n.pid = n.cmd.Process.Pid
	serving := make(chan [2]string, 1)
	go n.follow(stderr, serving)
	select {
	case at := <-serving:
		n.addr, n.ops = at[0], at[1]
		return n, nil
	case <-n.done:
		return nil, fmt.Errorf("the node ended at once:\n%s", n.log)
	case <-time.After(nodeStartTime):
	case <-ctx.Done():
	}
	n.kill()
	return nil, fmt.Errorf("the node did not serve within %v:\n%s", nodeStartTime, n.log)
}

// cleanEnviron keeps this shell's configuration away from a node under test.
func cleanEnviron(environ []string) []string {
	var out []string
	for _, pair := range environ {
		if !strings.HasPrefix(pair, "COLLOQUY_") {
			out = append(out, pair)
		}
	}
	return out
}

// follow reads the log until the process ends.
func (n *node) follow(r io.Reader, serving chan<- [2]string) {
	defer close(n.done)
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		n.log.add(lines.Text())
		var rec struct {
			Msg        string `json:"msg"`
			Address    string `json:"address"`
			Operations string `json:"operations"`
		}
		if json.Unmarshal(lines.Bytes(), &rec) == nil && rec.Msg == "serving" {
			select {
			case serving <- [2]string{rec.Address, rec.Operations}:
			default:
			}
		}
	}
	_, _ = io.Copy(io.Discard, r)
	_ = n.cmd.Wait()
}

// kill ends the process as a power cut would, and waits until it is gone.
func (n *node) kill() {
	_ = n.cmd.Process.Signal(syscall.SIGKILL)
	<-n.done
}

// stop ends the process as an operator would.
func (n *node) stop() error {
	_ = n.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-n.done:
		if code := n.cmd.ProcessState.ExitCode(); code != 0 {
			return fmt.Errorf("the node ended with status %d:\n%s", code, n.log)
		}
		return nil
	case <-time.After(nodeStopTime):
		n.kill()
		return fmt.Errorf("the node did not stop within %v:\n%s", nodeStopTime, n.log)
	}
}

// cpu gives the processor time that the process has used, and false where the
// system does not say.
func (n *node) cpu() (time.Duration, bool) {
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

// tail keeps the end of a log.
type tail struct {
	mu struct {
		sync.Mutex
		lines []string
		bytes int
	}
}

func (t *tail) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.lines = append(t.mu.lines, line)
	t.mu.bytes += len(line)
	for t.mu.bytes > logTail && len(t.mu.lines) > 1 {
		t.mu.bytes -= len(t.mu.lines[0])
		t.mu.lines = t.mu.lines[1:]
	}
}

// String gives what is kept.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.mu.lines, "\n")
}
