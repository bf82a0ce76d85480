package persistence

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/colloquyhq/colloquy/conversation"
)

const (
	manifestName   = "manifest.json"
	backupFormat   = 2 // 1 had the raft log in it
	dirMode        = 0o700
	fileMode       = 0o600
	maxManifest    = 64 << 20
	writeCategory  = vfs.WriteCategoryUnspecified
	copyBufferSize = 1 << 20
)

// ErrTampered says that a backup is not what was written: a file is missing,
// changed, or one too many.
var ErrTampered = errors.New("the backup is not what was written")

// Manifest describes a backup.
type Manifest struct {
	Format  int            `json:"format"`
	Time    time.Time      `json:"time"`
	Node    string         `json:"node"`
	Cluster string         `json:"cluster"`
	Applied uint64         `json:"applied"` // raft index that it holds at least
	Files   []ManifestFile `json:"files"`
}

// ManifestFile is a file of a backup.
type ManifestFile struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Backup writes a copy of the whole journal to dir, which must not exist, while
// the store goes on. It holds everything acknowledged before the call. On the
// same file system most of it is hard links, so it costs little time and space
// until the originals are compacted away.
func (s *Store) Backup(ctx context.Context, dir string) error {
	done, err := s.reading(ctx)
	if err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	defer done()
	fsys := s.options.FS
	if _, err := fsys.Stat(dir); err == nil {
		return fmt.Errorf("back up: %w", conversation.Refusef(conversation.CodeConflict, "%s exists already", dir))
	}
	m := Manifest{
		Format: backupFormat, Time: s.options.Now().UTC().Truncate(time.Millisecond),
		Node: s.identity.Node, Cluster: s.identity.Cluster, Applied: s.raft.AppliedIndex(),
	}
	// The raft log is not copied: what its entries made is in the tables.
	if err := errors.Join(s.db.Flush(), s.db.Checkpoint(dir)); err != nil {
		return fmt.Errorf("back up to %s: %w", dir, err)
	}
	if err := writeManifest(ctx, fsys, dir, m); err != nil {
		return fmt.Errorf("back up to %s: %w", dir, err)
	}
	return nil
}

func writeManifest(ctx context.Context, fsys vfs.FS, dir string, m Manifest) error {
	names, err := backupFiles(fsys, dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		f, err := digest(fsys, dir, name)
		if err != nil {
			return err
		}
		m.Files = append(m.Files, f)
	}
	rec, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	if err := writeFile(fsys, fsys.PathJoin(dir, manifestName), append(rec, '\n')); err != nil {
		return err
	}
	return errors.Join(closeToOthers(fsys, dir), syncDir(fsys, dir))
}

// backupFiles lists what belongs to a backup, without its manifest.
func backupFiles(fsys vfs.FS, dir string) ([]string, error) {
	names, err := fsys.List(dir)
	if err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(names, func(n string) bool { return n == manifestName || n == "LOCK" })
	slices.Sort(names)
	return names, nil
}

func digest(fsys vfs.FS, dir, name string) (ManifestFile, error) {
	f, err := fsys.Open(fsys.PathJoin(dir, name), vfs.SequentialReadsOption)
	if err != nil {
		return ManifestFile{}, err
	}
	sum := sha256.New()
	n, err := io.CopyBuffer(sum, f, make([]byte, copyBufferSize))
	if err = errors.Join(err, f.Close()); err != nil {
		return ManifestFile{}, fmt.Errorf("read %s: %w", name, err)
	}
	return ManifestFile{Name: name, Size: n, SHA256: hex.EncodeToString(sum.Sum(nil))}, nil
}

func writeFile(fsys vfs.FS, path string, data []byte) error {
	f, err := fsys.Create(path, writeCategory)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncDir(fsys vfs.FS, dir string) error {
	d, err := fsys.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// closeToOthers takes the rights of everybody but the owner away: a backup
// holds what people wrote, and secrets.
func closeToOthers(fsys vfs.FS, dir string) error {
	if fsys != vfs.Default {
		return nil
	}
	names, err := fsys.List(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		path := fsys.PathJoin(dir, name)
		if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
			continue
		}
		if err := os.Chmod(path, fileMode); err != nil {
			return err
		}
	}
	return os.Chmod(dir, dirMode)
}

// Verify reads a backup and compares it with its manifest. Errors:
// [ErrTampered], [ErrNewerFormat].
func Verify(dir string) (Manifest, error) {
	m, err := verify(vfs.Default, dir)
	if err != nil {
		return m, fmt.Errorf("verify %s: %w", dir, err)
	}
	return m, nil
}

func verify(fsys vfs.FS, dir string) (Manifest, error) {
	m, err := readManifest(fsys, dir)
	if err != nil {
		return m, err
	}
	names, err := backupFiles(fsys, dir)
	if err != nil {
		return m, err
	}
	known := make(map[string]bool, len(m.Files))
	for _, want := range m.Files {
		known[want.Name] = true
		if want.Name == "" || strings.ContainsAny(want.Name, `/\`) {
			return m, fmt.Errorf("%w: the manifest names %q", ErrTampered, want.Name)
		}
		got, err := digest(fsys, dir, want.Name)
		if errors.Is(err, fs.ErrNotExist) {
			return m, fmt.Errorf("%w: %s is missing", ErrTampered, want.Name)
		}
		if err != nil {
			return m, err
		}
		if got != want {
			return m, fmt.Errorf("%w: %s has changed", ErrTampered, want.Name)
		}
	}
	for _, name := range names {
		if !known[name] {
			return m, fmt.Errorf("%w: %s is not in the manifest", ErrTampered, name)
		}
	}
	return m, nil
}

func readManifest(fsys vfs.FS, dir string) (m Manifest, err error) {
	f, err := fsys.Open(fsys.PathJoin(dir, manifestName))
	if err != nil {
		return m, err
	}
	rec, err := io.ReadAll(io.LimitReader(f, maxManifest))
	if err = errors.Join(err, f.Close()); err != nil {
		return m, err
	}
	if err := json.Unmarshal(rec, &m); err != nil {
		return m, fmt.Errorf("%w: %s: %w", ErrTampered, manifestName, err)
	}
	if m.Format > backupFormat {
		return m, fmt.Errorf("backup of format %d, this program knows %d: %w", m.Format, backupFormat, ErrNewerFormat)
	}
	if m.Format < 1 || len(m.Files) == 0 {
		return m, fmt.Errorf("%w: %s", ErrTampered, manifestName)
	}
	return m, nil
}
