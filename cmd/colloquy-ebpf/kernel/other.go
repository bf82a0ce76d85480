//go:build !linux

package kernel

import (
	"errors"
	"io"
)

// errNotHere is all that there is elsewhere.
var errNotHere = errors.New("the observer needs Linux")

// Programs is empty: no other system has what it takes.
type Programs struct{}

// Load says that it needs Linux.
func Load(Limits) (*Programs, error) { return nil, errNotHere }

// Now gives 0.
func Now() uint64 { return 0 }

// WatchLosses says that it needs Linux.
func (*Programs) WatchLosses() error { return errNotHere }

// WatchDistances says that it needs Linux.
func (*Programs) WatchDistances() error { return errNotHere }

// Attach says that it needs Linux.
func (*Programs) Attach(string, int) (io.Closer, error) { return nil, errNotHere }

// Event says that there is none.
func (*Programs) Event() (Event, error) { return Event{}, io.EOF }

// Stop does nothing.
func (*Programs) Stop() {}

// Turns says that it needs Linux.
func (*Programs) Turns(func(Key, Turn)) error { return errNotHere }

// Talks says that it needs Linux.
func (*Programs) Talks(func(Key, Talk)) error { return errNotHere }

// Lines says that it needs Linux.
func (*Programs) Lines(func(uint64, Line)) error { return errNotHere }

// Forget does nothing.
func (*Programs) Forget(Key) {}

// Counts says that it needs Linux.
func (*Programs) Counts() (Counts, error) { return Counts{}, errNotHere }

// Walk says that it needs Linux.
func (*Programs) Walk() error { return errNotHere }

// Close does nothing.
func (*Programs) Close() error { return nil }
