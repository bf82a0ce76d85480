//go:build !linux

package chaos

import (
	"context"
	"errors"
)

// smallDisk would be a file system of its own for one node's data.
type smallDisk struct{}

func newSmallDisk(context.Context, string) (*smallDisk, error) {
	return nil, errors.New("a file system of its own for a node needs Linux")
}

func (*smallDisk) fill() error { return nil }

func (*smallDisk) free() error { return nil }

func (*smallDisk) settle() error { return nil }
