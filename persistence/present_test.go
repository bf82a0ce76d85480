package persistence

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// Where there is no journal, whoever only reads is told so, and nothing is made.
func TestReadingMakesNoJournal(t *testing.T) {
	t.Parallel()
	empty, missing := t.TempDir(), filepath.Join(t.TempDir(), "missing")
	for _, dir := range []string{empty, missing} {
		archive := func(dir string) error { _, err := OpenArchive(dir); return err }
		inspect := func(dir string) error { _, err := Inspect(dir); return err }
		recovery := func(dir string) error { _, err := Recover(dir); return err }
		for name, read := range map[string]func(string) error{"Present": Present, "OpenArchive": archive, "Inspect": inspect, "Recover": recovery} {
			if err := read(dir); !errors.Is(err, ErrNoJournal) {
				t.Errorf("%s(%s) = %v, want ErrNoJournal", name, dir, err)
			}
		}
	}
	if left, err := os.ReadDir(empty); err != nil || len(left) != 0 {
		t.Errorf("in the empty folder is %v, %v", left, err)
	}
	if _, err := os.Stat(missing); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the missing folder: %v", err)
	}

	made := filepath.Join(t.TempDir(), "journal")
	s, err := Open(Options{Dir: made})
	if err != nil {
		t.Fatal(err)
	}
	if err := Present(made); err != nil {
		t.Errorf("while it is open: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Present(made); err != nil {
		t.Errorf("at rest: %v", err)
	}
}
