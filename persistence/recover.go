package persistence

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"

	"github.com/colloquyhq/colloquy/persistence/logfile"
)

// Recovery says what [Recover] found and did.
type Recovery struct {
	Node    string
	Cluster string // the new one
	Applied uint64 // last raft entry in the state before
	Last    uint64 // end of the raft log: up to here everything is kept
	Dropped []Recovered
}

// Recovered is a node that a recovery left behind.
type Recovered struct {
	Node    string
	Address string
	Voter   bool
}

// ErrNothingToRecover says that a directory's node can do without others.
var ErrNothingToRecover = errors.New("the node is the only one of its cluster: there is nothing to recover")

// Recover makes the node of a directory the only voter of a new cluster with
// what it has. It is for when so many nodes are lost for good that the others
// can store nothing: one of two, or the majority of more. The node must not run.
//
// What the lost nodes had acknowledged among themselves and this one never
// received is lost: with two voters nothing, with more take the node whose log
// ends last. The nodes left behind belong to the old cluster; their directories
// have to be emptied before they can join the new one.
func Recover(dir string) (Recovery, error) {
	r, err := recoverDir(vfs.Default, dir, time.Now())
	if err != nil {
		return r, fmt.Errorf("recover from %s: %w", dir, err)
	}
	return r, nil
}

// Inspect says what [Recover] would find, and changes nothing.
func Inspect(dir string) (Recovery, error) {
	a, err := openArchive(vfs.Default, dir)
	if err != nil {
		return Recovery{}, fmt.Errorf("inspect %s: %w", dir, err)
	}
	files, err := inspectLog(a, vfs.Default, dir)
	if err != nil {
		return Recovery{}, fmt.Errorf("inspect %s: %w", dir, errors.Join(err, a.Close()))
	}
	r, _, err := found(a.db, files, a.identity, vfs.Default, dir)
	if err = errors.Join(err, files.Close(), a.Close()); err != nil {
		return r, fmt.Errorf("inspect %s: %w", dir, err)
	}
	r.Cluster = a.identity.Cluster
	return r, nil
}

// inspectLog opens the raft log of a directory and changes nothing. One that is
// still in the database is copied into memory.
func inspectLog(a *Archive, fsys vfs.FS, dir string) (*logfile.Log, error) {
	o := logfile.Options{FS: fsys, Dir: logDir(fsys, dir), ReadOnly: true}
	if a.identity.Format < 2 {
		o.FS = vfs.NewMem()
		copied := o
		copied.ReadOnly = false
		if err := copyLog(a.db, copied); err != nil {
			return nil, err
		}
	}
	files, err := logfile.Open(o)
	return files, logError(err)
}

// found reads what a directory holds.
func found(db *pebble.DB, files *logfile.Log, id Identity, fsys vfs.FS, dir string) (Recovery, raft.Configuration, error) {
	h := newHalt(slog.New(slog.DiscardHandler), func(string) {})
	r := Recovery{Node: id.Node}
	logs, err := newLogStore(files, h, DefaultSnapshotEvery, maxTailBytes)
	if err != nil {
		return r, raft.Configuration{}, err
	}
	if _, err := value(db, appliedKey(), func(rec []byte) error {
		p, err := decodePosition(rec)
		r.Applied = p.index
		return err
	}); err != nil {
		return r, raft.Configuration{}, err
	}
	last, _ := logs.LastIndex() // in memory
	r.Last = max(last, r.Applied)
	conf, err := storedConfiguration(logs, newSnapshots(db, fsys, dir, h))
	for _, v := range conf.Servers {
		if string(v.ID) == id.Node {
			continue
		}
		_, address := splitAddress(v.Address)
		r.Dropped = append(r.Dropped, Recovered{Node: string(v.ID), Address: address, Voter: v.Suffrage == raft.Voter})
	}
	return r, conf, err
}

func recoverDir(fsys vfs.FS, dir string, now time.Time) (r Recovery, err error) {
	if err := present(fsys, dir); err != nil {
		return r, err
	}
	o := withDefaults(Options{Dir: dir, FS: fsys, Fatal: func(string) {}})
	h := newHalt(o.Logger, o.Fatal)
	db, err := openDatabase(&o, h)
	if err != nil {
		return r, err
	}
	s := newStore(o, db, h)
	defer func() { err = errors.Join(err, s.closeFiles()) }()
	id, ok, err := loadIdentity(db)
	if err != nil {
		return r, err
	}
	if !ok {
		return r, fmt.Errorf("%w: there is no node in it", ErrCorrupt)
	}
	s.identity = id
	if s.metrics, err = newMetrics(nil, s); err != nil {
		return r, err
	}
	if err := s.prepare(newFlights(randomNonce())); err != nil {
		return r, err
	}
	id = s.identity // opening the log may have changed its format
	r, conf, err := found(db, s.logs.files, id, fsys, dir)
	if err != nil {
		return r, err
	}
	if err := recoverable(conf, id, s.roster); err != nil {
		return r, err
	}
	// The cluster's name changes first: whatever happens after it, the nodes left
	// behind cannot take up with this one again.
	id.Cluster = newIdentity(now).Cluster
	if err := storeIdentity(db, id); err != nil {
		return r, err
	}
	r.Cluster, s.identity = id.Cluster, id
	if err := s.onlyVoter(id.Node); err != nil {
		return r, err
	}
	if h.failed() {
		return r, ErrUnavailable
	}
	return r, nil
}

// recoverable says why a directory cannot start a cluster of its own.
func recoverable(conf raft.Configuration, id Identity, r *roster) error {
	self := false
	for _, v := range conf.Servers {
		self = self || string(v.ID) == id.Node
	}
	switch {
	case r.get(id.Node).removed:
		return ErrRemoved
	case len(conf.Servers) == 0:
		return errors.New("the node has received nothing from its cluster yet")
	case !self:
		return ErrRemoved
	case len(conf.Servers) == 1:
		return ErrNothingToRecover
	}
	return nil
}
