//go:build !linux

package load

import (
	"context"
	"errors"
	"io"
)

// Serve would be the life of a load process, which needs Linux.
func Serve(context.Context, io.Reader, io.Writer) error { return ErrSystem }

// ErrSystem says that this system has no epoll.
var ErrSystem = errors.New("the load of the socket benchmarks needs Linux")

// Supported reports whether this system can run a load process.
func Supported() error { return ErrSystem }
