package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// cellVariable tells the process inside a cell that it is there.
const cellVariable = "COLLOQUY_CHAOS_CELL"

// cellGrace is how long the process inside may take to end after a signal.
const cellGrace = 2 * time.Minute

// Streams is where the process inside a cell reads and writes.
type Streams struct {
	Out, Err io.Writer
}

// InCell reports whether this process runs inside a cell, where it is the first
// process.
func InCell() bool { return os.Getenv(cellVariable) != "" && os.Getpid() == 1 }

// NewCell runs this program again, with the same arguments, in network, mount
// and process namespaces of its own: a cell, in which the network can be broken
// without anybody else noticing, and of which nothing is left when it ends,
// however it ends. It gives the exit status.
//
// The process inside is interrupted when enough is closed, and once more when
// ctx ends; a terminal's own interrupt does not reach it.
//
// Errors: why there can be no cell on this machine.
func NewCell(ctx context.Context, enough <-chan struct{}, args []string, s Streams) (int, error) {
	for _, program := range []string{"ip", "nft", "mount"} {
		if _, err := exec.LookPath(program); err != nil {
			return 0, fmt.Errorf("the program %s is missing", program)
		}
	}
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	// The child is to die with this process. The system ties that to the thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.Command(self, args...) //nolint:gosec,noctx // this program; it is ended by hand
	cmd.Env = append(os.Environ(), cellVariable+"=1")
	cmd.Stdout, cmd.Stderr = s.Out, s.Err
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL, Setpgid: true,
	}
	if uid := os.Getuid(); uid != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("no namespaces of its own: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		select {
		case <-enough:
			_ = cmd.Process.Signal(syscall.SIGTERM)
		case <-ended:
		}
	}()
	stop := context.AfterFunc(ctx, func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		time.AfterFunc(cellGrace, func() { _ = cmd.Process.Kill() })
	})
	defer stop()
	err = cmd.Wait()
	close(ended)
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	return 0, err
}

// furnishCell makes the networks of the cell that this process is in.
func furnishCell(ctx context.Context) error {
	const private = syscall.MS_REC | syscall.MS_PRIVATE
	if err := syscall.Mount("", "/", "", private, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	return ipBatch(ctx, nil, bridges())
}

// namespace is a thread of this process from which nodes are started, and the
// network namespace that it is in. Nodes die with the thread, and the namespace
// lives as long as either of them.
type namespace struct {
	work chan func()
	path string
}

// newNamespace makes a thread of its own, in a network namespace of its own if
// flags say so.
func newNamespace(flags int) (*namespace, error) {
	n := &namespace{work: make(chan func())}
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // for ever: the thread ends with this goroutine
		var err error
		if flags != 0 {
			err = syscall.Unshare(flags)
		}
		n.path = fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), syscall.Gettid())
		ready <- err
		if err != nil {
			return
		}
		for f := range n.work {
			f()
		}
	}()
	if err := <-ready; err != nil {
		return nil, fmt.Errorf("network namespace: %w", err)
	}
	return n, nil
}

// sameNetwork gives a place for nodes in the network of this process.
func sameNetwork() (*namespace, error) { return newNamespace(0) }

// do runs f on the namespace's thread.
func (n *namespace) do(f func() error) error {
	result := make(chan error, 1)
	n.work <- func() { result <- f() }
	return <-result
}

func (n *namespace) close() { close(n.work) }

// spawn starts a process in the namespace.
func (n *namespace) spawn(cmd *exec.Cmd) error { return n.do(cmd.Start) }

// spawnNode starts a node in the namespace. It dies with this process.
func (n *namespace) spawnNode(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	return n.spawn(cmd)
}

// feed runs a program with an input, in a namespace or, when n is nil, where
// this process is.
func feed(ctx context.Context, n *namespace, input, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...) //nolint:gosec // the tools of the network
	cmd.Stdin = strings.NewReader(input)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	start := cmd.Start
	if n != nil {
		start = func() error { return n.spawn(cmd) }
	}
	err := start()
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		return fmt.Errorf("%s: %w: %s", program, err, strings.TrimSpace(out.String()))
	}
	return nil
}

func ipBatch(ctx context.Context, n *namespace, commands []string) error {
	return feed(ctx, n, strings.Join(commands, "\n")+"\n", "ip", "-batch", "-")
}

// joinCell connects a new namespace for node number i to the networks of the cell.
func joinCell(ctx context.Context, i int) (*namespace, error) {
	n, err := newNamespace(syscall.CLONE_NEWNET)
	if err != nil {
		return nil, err
	}
	if err = ipBatch(ctx, nil, cables(i, n.path)); err == nil {
		err = ipBatch(ctx, n, sockets(i))
	}
	if err != nil {
		n.close()
		return nil, err
	}
	return n, nil
}

// filter gives a namespace's packet filter its rules.
func (n *namespace) filter(ctx context.Context, rules string) error {
	return feed(ctx, n, rules, "nft", "-f", "-")
}
