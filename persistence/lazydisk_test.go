package persistence

import (
	"strings"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// lazyDisk says that it has synced the raft log, and has not. It is for the
// tests that prove that the others would notice.
type lazyDisk struct {
	vfs.FS

	lazy *atomic.Bool // nil = always
}

type lazyFile struct {
	vfs.File

	lazy *atomic.Bool
}

// OpenReadWrite implements [vfs.FS].
func (d lazyDisk) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := d.FS.OpenReadWrite(name, category, opts...)
	if err != nil || !strings.HasSuffix(name, ".seg") {
		return f, err
	}
	return lazyFile{File: f, lazy: d.lazy}, nil
}

// SyncData implements [vfs.File].
func (f lazyFile) SyncData() error {
	if f.lazy == nil || f.lazy.Load() {
		return nil
	}
	return f.File.SyncData()
}
