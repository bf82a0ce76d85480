package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// grownBy is how many nodes a growth adds for a while.
const grownBy = 2

// storm injects one fault after the other.
type storm struct {
	options *Options
	fleet   *fleet
	ledger  *ledger
	random  *rand.Rand
	kinds   []Kind
	turn    map[Kind]int // how often each kind had its turn
	events  []event

	upgraded int // nodes that came back with a newer program
}

// applicable leaves out the kinds that cannot be had here, and says why.
func applicable(o *Options, s *site) ([]Kind, []string) {
	var kinds []Kind
	var limits []string
	leave := func(k Kind, why string) { limits = append(limits, fmt.Sprintf("%s was left out: %s", k, why)) }
	for _, k := range o.Faults {
		switch {
		case k.needsPeers() && o.Nodes < 3:
			leave(k, "it needs three nodes, so that a majority is left")
		case k.onNetwork() && !s.cell:
			leave(k, "it needs network namespaces and the packet filter")
		case k == DiskFull && !s.cell:
			leave(k, "it needs mounts of its own")
		default:
			kinds = append(kinds, k)
		}
	}
	return kinds, limits
}

// run injects the faults. It ends early when the cluster does not become whole
// again.
func (s *storm) run(ctx context.Context) error {
	began := time.Now()
	var round []Kind
	for i := 0; s.more(i, began) && len(s.kinds) > 0; i++ {
		if len(round) == 0 {
			round = slices.Clone(s.kinds)
			s.random.Shuffle(len(round), func(a, b int) { round[a], round[b] = round[b], round[a] })
		}
		kind := round[0]
		round = round[1:]
		s.rest(ctx, s.options.Calm/2+time.Duration(s.random.Int64N(int64(s.options.Calm))))
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if s.enough() {
			return nil
		}
		if err := s.inject(ctx, i+1, kind); err != nil {
			return fmt.Errorf("fault %d, %s: %w", i+1, kind, err)
		}
	}
	return nil
}

func (s *storm) more(done int, began time.Time) bool {
	o := s.options
	return !s.enough() && (o.Cycles == 0 || done < o.Cycles) && (o.Duration == 0 || time.Since(began) < o.Duration)
}

// enough says that the run is to end early.
func (s *storm) enough() bool {
	select {
	case <-s.options.Enough:
		return true
	default:
		return false
	}
}

// rest waits for d, or until the run is to end.
func (s *storm) rest(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	select {
	case <-s.options.Enough:
	case <-ctx.Done():
	}
}

// inject injects one fault and waits until the cluster is whole again.
func (s *storm) inject(ctx context.Context, number int, kind Kind) error {
	target, leads := s.choose(ctx, kind)
	e := event{kind: kind, leader: leads, began: s.ledger.since(time.Now())}
	if target != nil {
		e.node = target.number
	}
	err := s.apply(ctx, kind, target)
	if err == nil {
		err = s.fleet.awaitReady(ctx, s.options.Heal)
	}
	e.ended = s.ledger.since(time.Now())
	s.events = append(s.events, e)
	s.fleet.say("%4d %-9s %s whole again after %v", number, kind, where(e), (e.ended - e.began).Round(time.Millisecond))
	return err
}

// where says what a fault hit.
func where(e event) string {
	switch {
	case e.node == 0:
		return "all nodes,"
	case e.leader:
		return fmt.Sprintf("node %d, which led,", e.node)
	}
	return fmt.Sprintf("node %d,", e.node)
}

// choose picks the node that a fault hits: in turn the one that leads the
// journal and one of the others, which are equal among themselves. Faults of all
// nodes hit none in particular.
func (s *storm) choose(ctx context.Context, kind Kind) (target *member, leads bool) {
	switch kind {
	case Loss, Restart, Grow:
		return nil, false
	case DiskFull:
		for _, m := range s.fleet.all() {
			if m.disk != nil {
				return m, s.fleet.leader(ctx) == m
			}
		}
		return nil, false
	case Kill, Wipe, Pause, Partition, Oneway, Clock:
	}
	leader := s.fleet.leader(ctx)
	s.turn[kind]++
	if leader != nil && s.turn[kind]%2 == 1 {
		return leader, true
	}
	others := slices.DeleteFunc(s.fleet.all(), func(m *member) bool { return m == leader })
	if len(others) == 0 {
		return leader, true
	}
	return others[s.random.IntN(len(others))], false
}

// apply does a fault and undoes it.
func (s *storm) apply(ctx context.Context, kind Kind, m *member) error {
	switch kind {
	case Kill:
		m.kill()
		return m.start()
	case Wipe:
		m.kill()
		if err := m.wipe(); err != nil {
			return err
		}
		return m.start()
	case Pause:
		return s.during(ctx, s.options.Pause, m.freeze, m.thaw)
	case Partition:
		return s.cut(ctx, []*member{m}, cutRules(bothWays, 100))
	case Oneway:
		return s.cut(ctx, []*member{m}, cutRules([]direction{inbound, outbound}[s.random.IntN(2)], 100))
	case Loss:
		return s.cut(ctx, s.fleet.all(), cutRules(inbound, s.options.Loss))
	case Clock:
		skew := s.options.Skew
		if s.random.IntN(2) == 0 {
			skew = -skew
		}
		return s.during(ctx, s.options.Cut, func() error { return m.shiftClock(skew) }, func() error { return m.shiftClock(0) })
	case DiskFull:
		return s.fillDisk(ctx, m)
	case Restart:
		return s.restartAll(ctx)
	case Grow:
		return s.grow(ctx)
	}
	return fmt.Errorf("%s has no rule", kind)
}

// during breaks something for a while. What was broken is mended in any case.
func (s *storm) during(ctx context.Context, d time.Duration, breakIt, mend func() error) error {
	err := breakIt()
	if err == nil {
		s.rest(ctx, d)
	}
	return errors.Join(err, mend())
}

// cut lets the packet filter of some nodes drop what it is told to.
func (s *storm) cut(ctx context.Context, members []*member, rules string) error {
	filter := func(ctx context.Context, rules string) error {
		var errs []error
		for _, m := range members {
			errs = append(errs, m.space.filter(ctx, rules))
		}
		return errors.Join(errs...)
	}
	return s.during(ctx, s.options.Cut,
		func() error { return filter(ctx, rules) },
		func() error { return filter(context.WithoutCancel(ctx), healRules()) })
}

// fillDisk leaves a node no space for a while. It may end by that; then it is
// started again when it has space.
func (s *storm) fillDisk(ctx context.Context, m *member) error {
	if m == nil {
		return errors.New("no node has a disk of its own")
	}
	return s.during(ctx, s.options.Cut, m.disk.fill, m.disk.free)
}

// restartAll restarts one node after the other, each when the one before is
// ready again. Nodes of an older program come back with this one, and then work
// for a while beside those that are still older.
func (s *storm) restartAll(ctx context.Context) error {
	for _, m := range s.fleet.all() {
		if err := m.stop(); err != nil {
			return err
		}
		older := m.upgrade()
		if err := m.start(); err != nil {
			return err
		}
		if err := s.fleet.awaitReady(ctx, s.options.Heal); err != nil {
			return err
		}
		if !older {
			continue
		}
		v, err := s.fleet.version(ctx, m)
		if err == nil && v != s.options.Version {
			err = fmt.Errorf("node %d came back with version %s", m.number, v)
		}
		if err != nil {
			return err
		}
		s.upgraded++
		s.rest(ctx, s.options.Cut)
	}
	s.fleet.upgraded()
	return nil
}

// grow adds nodes, waits until they carry their part, and takes them out again.
func (s *storm) grow(ctx context.Context) error {
	var added []*member
	for range grownBy {
		m, err := s.fleet.make(ctx)
		if err != nil {
			return err
		}
		s.fleet.admit(m)
		added = append(added, m)
		if err := m.start(); err != nil {
			return err
		}
	}
	if err := s.fleet.awaitReady(ctx, s.options.Heal); err != nil {
		return err
	}
	s.rest(ctx, s.options.Cut)
	for _, m := range added {
		if err := s.fleet.retire(ctx, m); err != nil {
			return err
		}
		if err := s.fleet.awaitReady(ctx, s.options.Heal); err != nil {
			return err
		}
	}
	return nil
}
