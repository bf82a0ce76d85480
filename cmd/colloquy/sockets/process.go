package sockets

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
	"time"

	"github.com/colloquyhq/colloquy/cmd/colloquy/lab"
	"github.com/colloquyhq/colloquy/cmd/colloquy/sockets/load"
)

// The cores that the two sides run on, where there are two.
const (
	serverCore = 0
	loadCore   = 1
)

// process is a worker that takes orders.
type process struct {
	name string
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	log  *lab.Tail
}

// startProcess starts a program on a core.
func startProcess(ctx context.Context, name string, core int, argv ...string) (*process, error) {
	p := &process{name: name, cmd: exec.CommandContext(ctx, argv[0], argv[1:]...), log: &lab.Tail{}} //nolint:gosec // ours, or what the caller names
	p.cmd.Env = lab.CleanEnviron(os.Environ())
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out, p.cmd.Stderr = bufio.NewReader(out), tailWriter{p.log}
	if err := startOn(p.cmd, core); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

// tailWriter keeps the end of what a process complains about.
type tailWriter struct{ tail *lab.Tail }

// Write implements [io.Writer].
func (w tailWriter) Write(b []byte) (int, error) {
	w.tail.Add(strings.TrimRight(string(b), "\n"))
	return len(b), nil
}

// hear waits for the next answer.
func (p *process) hear(answer any) error {
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("%s ended: %w\n%s", p.name, err, p.log)
	}
	if err := json.Unmarshal(line, answer); err != nil {
		return fmt.Errorf("%s said %q: %w", p.name, line, err)
	}
	return nil
}

// tell gives an order without waiting for its answer.
func (p *process) tell(order any) error {
	if err := json.NewEncoder(p.in).Encode(order); err != nil {
		return fmt.Errorf("%s takes no order: %w\n%s", p.name, err, p.log)
	}
	return nil
}

// ask gives an order and waits for its answer.
func (p *process) ask(order, answer any) error {
	if err := p.tell(order); err != nil {
		return err
	}
	return p.hear(answer)
}

// end lets the process end by itself.
func (p *process) end() error {
	_ = p.in.Close()
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("%s: %w\n%s", p.name, err, p.log)
	}
	return nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// loader is a load process.
type loader struct{ *process }

func startLoader(ctx context.Context, o *Options) (*loader, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p, err := startProcess(ctx, "the load", loadCore, append([]string{self}, o.LoadWorker...)...)
	return &loader{p}, err
}

// do gives an order; what went wrong over there is an error here.
func (l *loader) do(o *load.Order) (*load.Answer, error) {
	if err := l.tell(o); err != nil {
		return nil, err
	}
	return l.answer()
}

// answer waits for the answer to an order that was told.
func (l *loader) answer() (*load.Answer, error) {
	var a load.Answer
	if err := l.hear(&a); err != nil {
		return nil, err
	}
	if a.Err != "" {
		return &a, errors.New(a.Err)
	}
	return &a, nil
}

// usage is processor time of a process.
type usage struct{ total, user time.Duration }

func (u usage) since(before usage) usage { return usage{u.total - before.total, u.user - before.user} }

// usageOf reads what a process has used: in all by the scheduler's books, which
// count nanoseconds, and the share of its own code by the ticks of 10 ms. Zero
// where the system does not say.
func usageOf(pid int) usage {
	const tick = 10 * time.Millisecond
	var u usage
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	for _, name := range threads {
		raw, err := os.ReadFile(name) //nolint:gosec // below /proc
		if err != nil {
			continue // the thread has ended
		}
		first, _, _ := strings.Cut(string(raw), " ")
		ns, _ := strconv.ParseInt(first, 10, 64)
		u.total += time.Duration(ns)
	}
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return u
	}
	const userField = 11 // behind the name, which may hold blanks
	text := string(raw)
	if fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:]); len(fields) > userField {
		n, _ := strconv.ParseInt(fields[userField], 10, 64)
		u.user = time.Duration(n) * tick
	}
	return u
}
