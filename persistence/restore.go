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
	defer func() { err = errors.Join(err, db.Close()) }()
	old, ok, err := loadIdentity(db)
	if err != nil {
		return err
	}
	if !ok || old.Node != m.Node {
		return fmt.Errorf("%w: the node in the database is not the one in the manifest", ErrTampered)
	}
	if err := rewriteVoters(db, &o, h, id); err != nil {
		return err
	}
	if h.failed() {
		return ErrUnavailable
	}
	return storeIdentity(db, id)
}

func rewriteVoters(db *pebble.DB, o *Options, h *halt, id Identity) error {
	s := newStore(*o, db, h)
	s.identity = id
	var err error
	if s.metrics, err = newMetrics(nil, s); err != nil {
		return err
	}
	if err := s.prepare(newFlights(randomNonce())); err != nil {
		return err
	}
	return s.onlyVoter()
}

// onlyVoter applies what is left in the raft log of a directory that does not
// run, and makes its node the only voter.
func (s *Store) onlyVoter() error {
	conf := s.raftConfig()
	addr, transport := raft.NewInmemTransport(raft.ServerAddress(s.identity.Node))
	only := raft.Configuration{Servers: []raft.Server{{Suffrage: raft.Voter, ID: conf.LocalID, Address: addr}}}
	if err := raft.RecoverCluster(conf, keptState{s.machine}, s.logs, s.logs, s.snapshots, transport, only); err != nil {
		return fmt.Errorf("rewrite the voters: %w", err)
	}
	s.snapshots.close()
	return nil
}

// keptState is the state machine of a directory whose state is in place, so
// that there is nothing to take from a snapshot.
type keptState struct{ *machine }

// Restore implements [raft.FSM].
func (keptState) Restore(src io.ReadCloser) error { return src.Close() }
