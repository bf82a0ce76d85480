package persistence

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// recycler is the file system under the database. The database keeps write-ahead
// logs that it is done with and writes over them, because that makes syncing
// cheaper; until then they hold what was in them. After an erasure they are removed
// under its hands, and where it looks for one it gets a new file.
type recycler struct {
	vfs.FS

	fresh atomic.Bool // every log begins as a new file
}

// ReuseForWrite implements [vfs.FS].
func (r *recycler) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if !r.fresh.Load() {
		f, err := r.FS.ReuseForWrite(oldname, newname, category)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
	}
	if err := r.Remove(oldname); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return r.Create(newname, category)
}

// Unwrap implements [vfs.FS].
func (r *recycler) Unwrap() vfs.FS { return r.FS }

// reuse says whether old logs may be written over.
func (r *recycler) reuse(may bool) { r.fresh.Store(!may) }

// logs lists the write-ahead logs.
func (r *recycler) logs(dir string) ([]string, error) {
	return r.named(dir, func(name string) bool { return strings.HasSuffix(name, ".log") })
}

// lists gives the database's lists of its files.
func (r *recycler) lists(dir string) ([]string, error) {
	return r.named(dir, func(name string) bool { return strings.HasPrefix(name, "MANIFEST-") })
}

func (r *recycler) named(dir string, wanted func(string) bool) ([]string, error) {
	all, err := r.List(dir)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(name string) bool { return !wanted(name) })
	slices.Sort(all)
	return all, nil
}

// remove removes files; one that is gone already is no error.
func (r *recycler) remove(dir string, names []string) error {
	for _, name := range names {
		if err := r.Remove(r.PathJoin(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
