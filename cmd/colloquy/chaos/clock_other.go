//go:build !linux || !amd64

package chaos

import (
	"errors"
	"time"
)

// wallClock would shift the wall clock of one process.
type wallClock struct{}

func newWallClock(int) (*wallClock, error) {
	return nil, errors.New("the clock of one process can be shifted on Linux on amd64 only")
}

func (*wallClock) shift(time.Duration) error { return nil }

func (*wallClock) close() {}
