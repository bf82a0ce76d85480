//go:build !linux

package chaos

import (
	"context"
	"errors"
	"io"
	"os/exec"
)

var errNoCell = errors.New("this system has no network namespaces")

// Streams is where the process inside a cell reads and writes.
type Streams struct {
	Out, Err io.Writer
}

// InCell reports whether this process runs inside a cell.
func InCell() bool { return false }

// NewCell would run this program in namespaces of its own; this system has none.
func NewCell(context.Context, <-chan struct{}, []string, Streams) (int, error) { return 0, errNoCell }

func furnishCell(context.Context) error { return errNoCell }

// namespace stands for a network namespace.
type namespace struct{}

func joinCell(context.Context, int) (*namespace, error) { return nil, errNoCell }

func (*namespace) close() {}

func sameNetwork() (*namespace, error) { return &namespace{}, nil }

func (*namespace) spawnNode(cmd *exec.Cmd) error { return cmd.Start() }

func (*namespace) filter(context.Context, string) error { return errNoCell }
