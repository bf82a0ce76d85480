package persistence

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Present gives nil when a directory holds a journal, or one that a restore has
// begun, and else [ErrNoJournal]. It changes nothing. Whoever only wants to read
// asks first: [Open] makes a journal where there is none.
func Present(dir string) error { return present(vfs.Default, dir) }

func present(fsys vfs.FS, dir string) error {
	if _, err := fsys.Stat(fsys.PathJoin(dir, restoringName)); err == nil {
		return nil // opening it says what is wrong
	}
	found, err := pebble.Peek(dir, fsys)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && !found.Exists:
		return fmt.Errorf("%w: %s", ErrNoJournal, dir)
	case err != nil:
		return fmt.Errorf("look for a journal in %s: %w", dir, openError(err))
	}
	return nil
}
