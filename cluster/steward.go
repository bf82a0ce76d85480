package cluster

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// The paces of the steward.
const (
	stewardEvery   = 200 * time.Millisecond
	newsBacklog    = 1024        // messages of members that may wait
	checkAgain     = time.Second // a member that stays silent is looked at again after so long
	checkPause     = 20 * time.Millisecond
	suspicionLooks = 4
	mergeMost      = 200 * time.Millisecond // a view waits at most so long for the rest of the members
	suspicionPause = 15 * time.Millisecond  // doubled with each look
	zombiePause    = 500 * time.Millisecond // a buried run that still speaks is told so at most this often
)

// sighting is what the gossip says of another run.
type sighting struct {
	gossip  string
	meta    meta
	alive   bool
	since   time.Time // since when it has been heard without a break; zero = it never was
	foreign bool      // of another cluster, as has turned out since
}

// steward decides who is a member. It is the only one who publishes views.
//
// owns: the ballots, the view · accepts: what the gossip sees (under mu, with a
// kick), news of members, results of checks · bound: newsBacklog messages, one
// check a member at a time · how it ends: with ctx.
type steward struct {
	node    *Node
	kicked  chan struct{} // cap 1
	news    chan news
	results chan verdict
	asked   chan suspicion // of anybody
	lost    atomic.Int64

	mu struct {
		sync.Mutex
		seen    map[NodeID]sighting
		buried  map[NodeID]struct{}  // copy of the ballots' for the gossip's goroutines
		zombies map[NodeID]string    // buried runs that were heard, with their address
		known   news                 // for the exchange of states
		early   map[NodeID]meta      // what nodes have said that the gossip does not know yet
		gone    map[string]time.Time // gossip addresses of members that were buried here, and when
		merging time.Time            // since when the members of a peer are being learned, one by one
		refused string               // why the newest stranger was kept out; empty = there was none
	}

	// touched by run only

	ballots  *ballots
	checking map[NodeID]bool
	checked  map[NodeID]time.Time
	told     map[NodeID]time.Time
	out      bool // evicted
}

func newSteward(n *Node) *steward {
	s := &steward{
		node: n, kicked: make(chan struct{}, 1), news: make(chan news, newsBacklog),
		results: make(chan verdict, newsBacklog), asked: make(chan suspicion, newsBacklog),
		ballots: newBallots(), checking: map[NodeID]bool{}, checked: map[NodeID]time.Time{}, told: map[NodeID]time.Time{},
	}
	s.mu.seen = map[NodeID]sighting{}
	s.mu.early = map[NodeID]meta{}
	s.mu.gone = map[string]time.Time{}
	s.mu.buried = map[NodeID]struct{}{}
	s.mu.zombies = map[NodeID]string{}
	return s
}

// kick has the view looked at anew. It never blocks.
func (s *steward) kick() {
	select {
	case s.kicked <- struct{}{}:
	default:
	}
}

// suspicion says that somebody lost a connection to a member.
type suspicion struct {
	id    NodeID
	looks int // that have been taken for it
}

// suspect has a member looked at. It never blocks.
func (s *steward) suspect(id NodeID) { s.ask(suspicion{id: id}) }

func (s *steward) ask(of suspicion) {
	select {
	case s.asked <- of:
	default: // a look is due with the next tick anyway if the gossip misses it too
	}
}

// onSuspicion looks at a member, and again a little later: a process does not
// close all its ports at the same instant.
func (s *steward) onSuspicion(ctx context.Context, of suspicion) {
	s.check(ctx, of.id)
	if of.looks++; of.looks < suspicionLooks {
		time.AfterFunc(suspicionPause<<of.looks, func() { s.ask(of) })
	}
}

// take queues what another member tells. It never blocks: what is dropped comes
// again with the next exchange of states.
func (s *steward) take(n news) {
	select {
	case s.news <- n:
	default:
		s.lost.Add(1)
	}
}

func (s *steward) run(ctx context.Context) {
	tick := time.NewTicker(stewardEvery)
	defer tick.Stop()
	for {
		now := time.Now()
		select {
		case <-ctx.Done():
			return
		case <-s.kicked:
		case n := <-s.news:
			s.onNews(ctx, n)
		case of := <-s.asked:
			s.onSuspicion(ctx, of)
		case v := <-s.results:
			s.onVerdict(v)
		case now = <-tick.C:
			s.ballots.age(now)
			s.recheck(ctx, now)
		}
		s.settle(now)
		s.node.watches.follow(ctx, s.node.View())
	}
}

// onNews takes votes and tombstones. A vote of somebody else makes this node
// look for itself: a majority is of opinions, not of echoes.
func (s *steward) onNews(ctx context.Context, n news) {
	now := time.Now()
	if n.From != "" && n.From != s.node.id {
		s.heard(n)
	}
	for _, v := range n.Votes {
		if v.By == s.node.id {
			continue
		}
		if s.ballots.vote(v, now) && v.Target != s.node.id {
			s.checkVoted(ctx, v)
		}
	}
	for _, t := range n.Tombs {
		if s.ballots.bury(t, now) {
			s.node.metrics.buried(t.Why)
		}
	}
}

// heard takes what a member says about itself.
func (s *steward) heard(n news) {
	m, err := decodeMeta(n.Says)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	seen, known := s.mu.seen[n.From]
	switch {
	case known && !seen.foreign && m.Seq > seen.meta.Seq:
		seen.meta = m
		s.mu.seen[n.From] = seen
	case !known && len(s.mu.early) < maxTombs:
		s.mu.early[n.From] = m
	}
}

// recheck looks again at members that the gossip holds for dead.
func (s *steward) recheck(ctx context.Context, now time.Time) {
	for _, m := range s.node.View().Members() {
		if m.Suspect && now.Sub(s.checked[m.ID]) >= checkAgain {
			s.check(ctx, m.ID)
		}
	}
	for id, at := range s.checked {
		if now.Sub(at) > 10*checkAgain {
			delete(s.checked, id)
		}
	}
}

// check looks at a member.
func (s *steward) check(ctx context.Context, id NodeID) {
	if m, ok := s.node.View().Member(id); ok {
		s.checkMember(ctx, m)
	}
}

// checkVoted looks at whom another member has voted against. One that ended while
// this node joined is no member here and remains one there: without this node's
// voice there would be too few to ever vote it out.
func (s *steward) checkVoted(ctx context.Context, v vote) {
	m, ok := s.node.View().Member(v.Target)
	if !ok {
		m = Member{ID: v.Target, Gossip: v.Gossip, Address: v.Address}
	}
	if m.Gossip != "" && m.Address != "" {
		s.checkMember(ctx, m)
	}
}

// checkMember looks at a run, on a goroutine of its own, once at a time.
func (s *steward) checkMember(ctx context.Context, m Member) {
	id, now := m.ID, time.Now()
	if s.checking[id] || now.Sub(s.checked[id]) < checkPause || s.ballots.buried(id) {
		return
	}
	s.checking[id], s.checked[id] = true, now
	s.node.ended.Go(func() { s.results <- s.node.look(ctx, m) })
}

func (s *steward) onVerdict(v verdict) {
	id := v.of.ID
	delete(s.checking, id)
	if v.state == stateAnswers {
		s.ballots.withdraw(id, s.node.id)
		return
	}
	if v.state == stateSilent && !s.silent(id) {
		return // the gossip hears it: a cold connection is not a dead node
	}
	// The vote is as old as the look: one that began in a cut tells of the cut, however
	// late it ends.
	now := time.Now()
	mine := vote{
		Target: id, By: s.node.id, Gone: v.state == stateGone, Gossip: v.of.Gossip, Address: v.of.Address,
		Age: now.Sub(s.checked[id]).Milliseconds() + 1, // rounded up: never younger than it is
	}
	if s.ballots.vote(mine, now) {
		s.node.metrics.votes.Inc()
	}
	s.node.tell(news{Votes: []vote{mine}}, id)
}

// silent reports whether the gossip holds a run for dead, or has never heard of it.
func (s *steward) silent(id NodeID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen, ok := s.mu.seen[id]
	return !ok || !seen.alive
}

// settle draws the consequences of everything that is known.
func (s *steward) settle(now time.Time) {
	if s.out {
		return
	}
	members := s.members()
	s.replace(members, now)
	ids := make([]NodeID, 0, len(members))
	for _, m := range members {
		if !s.ballots.buried(m.ID) {
			ids = append(ids, m.ID)
		}
	}
	for _, id := range s.ballots.elect(s.node.id, ids, s.heardSince()) {
		s.bury(id, tombVoted, now)
	}
	s.share(now)
	if s.ballots.buried(s.node.id) {
		s.evict()
		return
	}
	if s.halfMerged() {
		return
	}
	s.node.publish(slices.DeleteFunc(members, func(m Member) bool { return s.ballots.buried(m.ID) }))
}

// merging says that the members that a peer knows are about to be seen, one after
// the other. Until they all are there is no new view: with half of them, this node
// would take grains without asking the other half whether they have them.
func (s *steward) merging() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.merging = time.Now()
}

// merged says that they have been seen.
func (s *steward) merged() {
	s.mu.Lock()
	s.mu.merging = time.Time{}
	s.mu.Unlock()
	s.kick()
}

func (s *steward) halfMerged() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Since(s.mu.merging) < mergeMost
}

// members lists this node and those that the gossip has seen and nobody has
// buried.
func (s *steward) members() []Member {
	own := s.node.self()
	list := []Member{own.member(s.node.id, s.node.gossip)}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, seen := range s.mu.seen {
		if seen.foreign || s.ballots.buried(id) || own.compatible(seen.meta) != "" {
			continue
		}
		m := seen.meta.member(id, seen.gossip)
		m.Suspect = !seen.alive
		list = append(list, m)
	}
	return list
}

// heardSince says since when each run that is heard now has been heard without a break.
func (s *steward) heardSince() map[NodeID]time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	since := make(map[NodeID]time.Time, len(s.mu.seen))
	for id, seen := range s.mu.seen {
		if seen.alive {
			since[id] = seen.since
		}
	}
	return since
}

// replace buries runs whose address another, newer run has: a process has bound
// the port, so that the one before it has ended.
func (s *steward) replace(members []Member, now time.Time) {
	for i, a := range members {
		for _, b := range members[i+1:] {
			if a.Gossip != b.Gossip && a.Address != b.Address && a.Grains != b.Grains {
				continue
			}
			old := a
			if a.Suspect == b.Suspect && b.Started.Before(a.Started) || b.Suspect && !a.Suspect {
				old = b
			}
			s.bury(old.ID, tombReplaced, now)
		}
	}
}

func (s *steward) bury(id NodeID, why string, now time.Time) {
	t := tomb{ID: id, Why: why}
	if !s.ballots.bury(t, now) {
		return
	}
	s.node.metrics.buried(why)
	s.node.log.Warn("member evicted", "member", string(id), "reason", why)
	// The buried one hears it as well: if it is only frozen, this is the first
	// thing that it reads when it goes on.
	s.node.tell(news{Tombs: []tomb{t}}, "")
}

// share copies the ballots to where the gossip reads them, and tells runs that
// are buried and still speak.
func (s *steward) share(now time.Time) {
	all := s.ballots.news(now)
	s.mu.Lock()
	s.mu.known = all
	clear(s.mu.buried)
	for _, t := range all.Tombs {
		s.mu.buried[t.ID] = struct{}{}
		if seen, ok := s.mu.seen[t.ID]; ok && !seen.foreign && len(s.mu.gone) < maxDeparted {
			s.mu.gone[seen.gossip] = now
		}
		delete(s.mu.seen, t.ID)
	}
	zombies := s.mu.zombies
	s.mu.zombies = map[NodeID]string{}
	s.mu.Unlock()
	for id, address := range zombies {
		if now.Sub(s.told[id]) < zombiePause {
			continue
		}
		s.told[id] = now
		s.node.send(address, news{Tombs: []tomb{{ID: id, Why: s.ballots.tombs[id].why}}})
	}
	for id := range s.told {
		if !s.ballots.buried(id) {
			delete(s.told, id)
		}
	}
}

// departed lists where members were that are gone since an hour at most.
func (s *steward) departed() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for a, at := range s.mu.gone {
		if time.Since(at) >= tombAge {
			delete(s.mu.gone, a)
		}
	}
	return slices.Sorted(maps.Keys(s.mu.gone))
}

// evict ends this run's membership.
func (s *steward) evict() {
	s.out = true
	s.node.mu.Lock()
	leaving := s.node.mu.leaving
	s.node.mu.Unlock()
	if leaving {
		return
	}
	s.node.log.Error("this node was evicted from the cluster; it has to start again", "reason", s.ballots.tombs[s.node.id].why)
	if g := s.node.gate.Load(); g != nil {
		g.fence()
	}
	close(s.node.evicted)
}

// leave buries this run by its own will.
func (s *steward) leave() {
	n := news{Tombs: []tomb{{ID: s.node.id, Why: tombLeft}}}
	s.node.queue.QueueBroadcast(rumor(n.encode()))
	s.node.tellNow(n)
	s.take(n)
}

// saw notes what the gossip sees. It is called under the gossip's lock.
func (s *steward) saw(id NodeID, f func(*sighting)) {
	if id == s.node.id {
		return
	}
	s.mu.Lock()
	seen := s.mu.seen[id]
	f(&seen)
	if said, ok := s.mu.early[id]; ok {
		if said.Seq > seen.meta.Seq {
			seen.meta = said
		}
		delete(s.mu.early, id)
	}
	s.mu.seen[id] = seen
	s.mu.Unlock()
	s.kick()
}

// spoke reports whether a run is buried, and notes that it was heard.
func (s *steward) spoke(id NodeID, address string) (buried bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, buried = s.mu.buried[id]; buried && len(s.mu.zombies) < maxTombs {
		s.mu.zombies[id] = address
		s.kick()
	}
	return buried
}
