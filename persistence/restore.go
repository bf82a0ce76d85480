package persistence

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"

	"github.com/colloquyhq/colloquy/conversation"
)

// restoringName is a file that stands in a directory while a backup is restored
// into it. [Open] refuses a directory that has it.
const restoringName = "RESTORING"

// Restore makes a new directory dst from the backup src, after verifying it.
// The directory must not exist, or be empty.
//
// What is restored is a new node of a new cluster: the backup may be older than
// what the old node acknowledged, so it must never take that one's place among
// its peers.
func Restore(src, dst string) (Identity, error) {
	id, err := restore(vfs.Default, src, dst, time.Now())
	if err != nil {
		return id, fmt.Errorf("restore %s to %s: %w", src, dst, err)
	}
	return id, nil
}

func restore(fsys vfs.FS, src, dst string, now time.Time) (Identity, error) {
	m, err := verify(fsys, src)
	if err != nil {
		return Identity{}, err
	}
	if err := prepareTarget(fsys, dst); err != nil {
		return Identity{}, err
	}
	marker := fsys.PathJoin(dst, restoringName)
	if err := writeFile(fsys, marker, []byte("a restore is under way\n")); err != nil {
		return Identity{}, err
	}
	if err := syncDir(fsys, dst); err != nil {
		return Identity{}, err
	}
	for _, f := range m.Files {
		if err := copyFile(fsys, fsys.PathJoin(src, f.Name), fsys.PathJoin(dst, f.Name)); err != nil {
			return Identity{}, fmt.Errorf("copy %s: %w", f.Name, err)
		}
	}
	if err := errors.Join(closeToOthers(fsys, dst), syncDir(fsys, dst)); err != nil {
		return Identity{}, err
	}
	id := newIdentity(now)
	id.Restored = &Origin{Node: m.Node, Backup: m.Time, At: id.Created}
	if err := adopt(fsys, dst, id, m); err != nil {
		return Identity{}, err
	}
	return id, errors.Join(fsys.Remove(marker), syncDir(fsys, dst))
}

func prepareTarget(fsys vfs.FS, dst string) error {
	names, err := fsys.List(dst)
	switch {
	case err == nil && len(names) > 0:
		return conversation.Refusef(conversation.CodeConflict, "%s is not empty", dst)
	case err == nil || errors.Is(err, fs.ErrNotExist):
		return fsys.MkdirAll(dst, dirMode)
	}
	return err
}

func copyFile(fsys vfs.FS, from, to string) error {
	in, err := fsys.Open(from, vfs.SequentialReadsOption)
	if err != nil {
		return err
	}
	out, err := fsys.Create(to, writeCategory)
	if err != nil {
		return errors.Join(err, in.Close())
	}
	_, err = io.CopyBuffer(out, in, make([]byte, copyBufferSize))
	return errors.Join(err, out.Sync(), out.Close(), in.Close())
}

// adopt gives a copied directory its new identity: what is left in its raft log
// is applied, and the voters become the one new node.
func adopt(fsys vfs.FS, dir string, id Identity, m Manifest) (err error) {
	o := withDefaults(Options{Dir: dir, FS: fsys, Fatal: func(string) {}})
	h := newHalt(o.Logger, o.Fatal)
	db, err := pebble.Open(dir, o.pebbleOptions(h))
	if err != nil {
		return fmt.Errorf("open the copy: %w", err)
	}
	s := newStore(o, db, h)
	defer func() { err = errors.Join(err, s.closeFiles()) }()
	old, ok, err := loadIdentity(db)
	if err != nil {
		return err
	}
	if !ok || old.Node != m.Node {
		return fmt.Errorf("%w: the node in the database is not the one in the manifest", ErrTampered)
	}
	s.identity = old
	if s.metrics, err = newMetrics(nil, s); err != nil {
		return err
	}
	if err := s.prepare(newFlights(randomNonce())); err != nil {
		return err
	}
	if err := s.onlyVoter(id.Node); err != nil {
		return err
	}
	if h.failed() {
		return ErrUnavailable
	}
	return storeIdentity(db, id)
}

// onlyVoter applies what is left in the raft log of a directory that does not
// run, and makes a node the only voter: the log begins anew behind that.
func (s *Store) onlyVoter(node string) error {
	err := s.replay()
	if err == nil {
		err = s.markOnly(node)
	}
	if err == nil {
		err = s.logs.files.Reset()
	}
	if err != nil {
		return fmt.Errorf("rewrite the voters: %w", err)
	}
	return nil
}

// markOnly stores a snapshot mark at the end of the log, with one voter.
func (s *Store) markOnly(node string) error {
	term, err := s.logs.GetUint64([]byte(termKey))
	if err == nil && term == 0 {
		term, err = 1, s.logs.SetUint64([]byte(termKey), 1)
	}
	if err != nil {
		return err
	}
	at, err := s.logEnd()
	if err != nil {
		return err
	}
	return s.snapshots.put(&storedMark{Applied: s.machine.position().index, SnapshotMeta: raft.SnapshotMeta{
		Version: raft.SnapshotVersionMax, ID: snapshotID(term, at), Index: at, Term: term, ConfigurationIndex: at,
		Configuration: raft.Configuration{Servers: []raft.Server{{
			Suffrage: raft.Voter, ID: raft.ServerID(node), Address: raft.ServerAddress(node),
		}}},
	}})
}

// termKey is the name under which raft stores its term.
const termKey = "CurrentTerm"

// replay applies the entries of the log that the state does not hold yet.
func (s *Store) replay() error {
	m := s.machine
	for i := m.position().index + 1; i <= s.logs.files.Last(); i++ {
		var entry raft.Log
		if err := s.logs.GetLog(i, &entry); err != nil {
			return err
		}
		m.ApplyBatch([]*raft.Log{&entry})
		if s.halt.failed() {
			return ErrUnavailable
		}
	}
	if at := m.position(); at.ops > 0 {
		// The rest of an entry that a backup caught in the middle: it was not
		// acknowledged then.
		m.next = position{index: at.index + 1}
		m.flush()
	}
	return nil
}
