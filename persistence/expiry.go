package persistence

import (
	"context"
	"fmt"
	"time"
)

const sweepEvery = 10 * time.Minute

// refDays gives the days whose refs are known, from the youngest to the oldest.
// The first is tomorrow, because another node's clock may be ahead.
func (s *Store) refDays() (youngest, oldest uint32) {
	now := s.options.Now()
	return dayOf(now) + 1, dayOf(now.Add(-s.options.RefTTL))
}

// refAge is how many days back a ref may have been stored.
func (s *Store) refAge() uint32 {
	youngest, oldest := s.refDays()
	return youngest - oldest
}

// sweep drops the refs whose day is over. That goes through the log like every
// write, so that all nodes forget the same refs at the same place in it.
func (s *Store) sweep(ctx context.Context) error {
	if !s.Leads() {
		return nil // one node does it for all
	}
	if err := s.sweepLetters(ctx); err != nil {
		return fmt.Errorf("drop expired dead letters: %w", err)
	}
	_, oldest := s.refDays()
	found, err := s.anyRefBefore(ctx, oldest)
	if err != nil || !found {
		return err
	}
	if _, err := s.queue.do(ctx, encodeExpire(oldest), nil); err != nil {
		return fmt.Errorf("drop expired refs: %w", err)
	}
	s.metrics.sweeps.Inc()
	return nil
}

// anyRefBefore looks before anything is written: most sweeps find nothing.
func (s *Store) anyRefBefore(ctx context.Context, day uint32) (bool, error) {
	return s.any(ctx, prefixBounds(tagPrefix(tagRef), appendRefDay(nil, day)))
}
