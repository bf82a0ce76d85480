package persistence

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/colloquyhq/colloquy/conversation"
)

func diskOptions(dir string) Options {
	o := testOptions(vfs.Default)
	o.Dir = dir
	return o
}

// backedUp is a store on disk with a backup that was taken under load.
func backedUp(t *testing.T) (*Store, string) {
	t.Helper()
	s := openTest(t, diskOptions(filepath.Join(t.TempDir(), "journal")))
	furnish(t, s)
	dir := filepath.Join(t.TempDir(), "backup")
	ctx, cancel := context.WithCancel(t.Context())
	var writer sync.WaitGroup
	writer.Go(func() {
		for i := conversation.Seq(0); ctx.Err() == nil; i++ {
			if err := s.Append(ctx, step(conv(50), i, 1)); err != nil && ctx.Err() == nil {
				t.Errorf("Append during a backup = %v", err)
				return
			}
		}
	})
	err := s.Backup(t.Context(), dir)
	cancel()
	writer.Wait()
	if err != nil {
		t.Fatalf("Backup = %v", err)
	}
	return s, dir
}

func TestBackupIsRestoredAsANewNode(t *testing.T) {
	t.Parallel()
	s, dir := backedUp(t)
	m, err := Verify(dir)
	if err != nil || m.Node != s.Identity().Node || len(m.Files) == 0 {
		t.Fatalf("Verify = %+v, %v", m, err)
	}
	if err := s.Backup(t.Context(), dir); !errors.Is(err, conversation.ErrConflict) {
		t.Errorf("Backup over a backup = %v, want a conflict", err)
	}
	dst := filepath.Join(t.TempDir(), "restored")
	id, err := Restore(dir, dst)
	if err != nil {
		t.Fatalf("Restore = %v", err)
	}
	if _, err := Restore(dir, dst); !errors.Is(err, conversation.ErrConflict) {
		t.Errorf("Restore over a journal = %v, want a conflict", err)
	}
	r := openTest(t, diskOptions(dst))
	if got := r.Identity(); got.Node != id.Node || got.Node == m.Node || got.Cluster == m.Cluster || got.Restored == nil || got.Restored.Node != m.Node {
		t.Errorf("identity = %+v, restored from %s", got, m.Node)
	}
	for n := range 6 {
		want, err := s.Load(t.Context(), conv(n))
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.Load(t.Context(), conv(n))
		if err != nil {
			t.Fatal(err)
		}
		diff(t, "state", want, got)
	}
	diff(t, "agents", s.Agents(), r.Agents())
	checkInvariants(t, r)
	fill(t, r, 2)
	r = reopen(t, r)
	fill(t, r, 2)
	checkInvariants(t, r)
	if conf := r.raft.GetConfiguration(); conf.Error() != nil || len(conf.Configuration().Servers) != 1 ||
		string(conf.Configuration().Servers[0].ID) != id.Node {
		t.Errorf("voters = %+v", conf.Configuration())
	}
}

func TestBackupIsClosedToOthers(t *testing.T) {
	t.Parallel()
	_, dir := backedUp(t)
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != dirMode {
		t.Errorf("mode of the backup = %v, %v", info.Mode(), err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm() != fileMode {
			t.Errorf("mode of %s = %v, %v", e.Name(), info.Mode(), err)
		}
	}
}

func TestTamperedBackupIsRefused(t *testing.T) {
	t.Parallel()
	_, dir := backedUp(t)
	m, err := Verify(dir)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what string) {
		t.Helper()
		if _, err := Verify(dir); !errors.Is(err, ErrTampered) {
			t.Errorf("%s: Verify = %v, want %v", what, err, ErrTampered)
		}
		dst := filepath.Join(t.TempDir(), "restored")
		if _, err := Restore(dir, dst); !errors.Is(err, ErrTampered) {
			t.Errorf("%s: Restore = %v, want %v", what, err, ErrTampered)
		}
		if _, err := os.Stat(dst); err == nil {
			t.Errorf("%s: the target was made", what)
		}
	}
	for _, f := range m.Files {
		path := filepath.Join(dir, f.Name)
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		bad := bytes.Clone(good)
		if len(bad) == 0 {
			continue
		}
		bad[len(bad)/2] ^= 1
		rewrite(t, path, bad)
		refused("one byte of " + f.Name)
		rewrite(t, path, good)
	}
	extra := filepath.Join(dir, "extra")
	rewrite(t, extra, []byte("x"))
	refused("a file too many")
	if err := os.Remove(extra); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, m.Files[0].Name)); err != nil {
		t.Fatal(err)
	}
	refused("a file missing")
	rewrite(t, filepath.Join(dir, manifestName), []byte("{}"))
	refused("an empty manifest")
}

// rewrite replaces a file by a new one, because the old one may be a link to
// the living journal.
func rewrite(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, fileMode); err != nil {
		t.Fatal(err)
	}
}

func TestHalfRestoredDirectoryIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rewrite(t, filepath.Join(dir, restoringName), nil)
	if s, err := Open(diskOptions(dir)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("Open = %v, want %v", err, ErrCorrupt)
		if err == nil {
			_ = s.Close()
		}
	}
}

func TestBackupHoldsTheUnappliedTail(t *testing.T) {
	t.Parallel()
	// A backup of a store that was never snapshotted: its raft log is all there
	// is of what the state batches have not brought to the disk.
	fs := vfs.NewMem()
	s := openTest(t, testOptions(fs))
	fill(t, s, 10)
	if err := s.Backup(t.Context(), "backup"); err != nil {
		t.Fatal(err)
	}
	want := dump(t, s)
	if _, err := restore(fs, "backup", "restored", testStart); err != nil {
		t.Fatal(err)
	}
	o := testOptions(fs)
	o.Dir = "restored"
	r := openTest(t, o)
	got := dump(t, r)
	delete(want, string(appliedKey()))
	delete(got, string(appliedKey()))
	diff(t, "rows", want, got)
}
