package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// saboteur harms the data of a run on purpose, to show that the audit finds it.
type saboteur struct {
	fleet *fleet
	kind  Sabotage
	old   map[*member]string // copies of data directories
}

// prepare copies the data directories of a majority while the nodes are stopped.
func (s *saboteur) prepare() error {
	if s.kind == NoSabotage {
		return nil
	}
	s.old = map[*member]string{}
	members := s.fleet.all()
	for _, m := range members[:len(members)/2+1] {
		old := m.dir + ".old"
		if err := os.CopyFS(old, os.DirFS(m.dir)); err != nil {
			return fmt.Errorf("copy the directory of node %d: %w", m.number, err)
		}
		s.old[m] = old
	}
	return nil
}

// strike puts the copies back: the majority forgets what it acknowledged since,
// and the others lose their disks. All nodes run again afterwards.
func (s *saboteur) strike(ctx context.Context) error {
	if s.kind == NoSabotage {
		return nil
	}
	if err := s.fleet.stopAll(); err != nil {
		return err
	}
	for _, m := range s.fleet.all() {
		err := m.wipe()
		if old, ok := s.old[m]; ok {
			err = errors.Join(err, os.CopyFS(m.dir, os.DirFS(old)))
		}
		if err != nil {
			return fmt.Errorf("roll node %d back: %w", m.number, err)
		}
	}
	_, err := s.fleet.startAll(ctx)
	return err
}
