package persistence

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

const (
	stewardEvery  = 500 * time.Millisecond
	surveyTime    = time.Second
	levelBytes    = 1 << 20         // of log that a level node may lack
	changeTime    = 5 * time.Second // for a change of the configuration
	recordEvery   = 10 * time.Second
	recordEntries = 64              // a node is ahead of what is remembered of it by so many before that is written
	goneAfter     = 3 * time.Second // silence of a node whose address another has
)

// books are what the leader remembers of the others between two looks.
type books struct {
	mu struct {
		sync.Mutex
		seen     map[string]time.Time // when a node was last heard of
		last     map[string]uint64    // the end of its log then
		kept     map[string]uint64    // what it knew to be committed then
		survey   []Server
		at       time.Time
		recorded time.Time
	}
}

// forget starts the books anew: this node has not led for a while.
func (b *books) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mu.seen, b.mu.last, b.mu.kept = nil, nil, nil
	b.mu.survey = nil
}

// note takes a survey over.
func (b *books) note(servers []Server, heard func(node string) time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mu.seen == nil {
		b.mu.seen, b.mu.last = make(map[string]time.Time), make(map[string]uint64)
		b.mu.kept = make(map[string]uint64)
	}
	now := time.Now()
	b.mu.survey, b.mu.at = servers, now
	for i := range servers {
		v := &servers[i]
		seen, known := b.mu.seen[v.Node]
		switch {
		case v.Reachable, !known:
			seen = now
		}
		if at := heard(v.Node); at.After(seen) {
			seen = at
		}
		b.mu.seen[v.Node] = seen
		if v.Reachable {
			b.mu.last[v.Node], b.mu.kept[v.Node] = v.Last, v.commit
		}
	}
}

// of gives since when a node is silent, and the end of its log.
func (b *books) of(node string) (seen time.Time, last uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.mu.seen[node], b.mu.last[node]
}

// keeps gives up to which entry a node surely has everything on its disk. That
// is not the end of its log: what stands there may have to be replaced.
func (b *books) keeps(node string) uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.mu.kept[node]
}

// latest gives the last survey if it is young enough.
func (b *books) latest() []Server {
	b.mu.Lock()
	defer b.mu.Unlock()
	if time.Since(b.mu.at) > 4*stewardEvery+surveyTime {
		return nil
	}
	return b.mu.survey
}

// due reports, once in a while, that what is known of the nodes should be
// written down.
func (b *books) due() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if time.Since(b.mu.recorded) < recordEvery {
		return false
	}
	b.mu.recorded = time.Now()
	return true
}

// steward looks after the cluster until ctx ends.
func (c *clusterNode) steward(ctx context.Context) {
	tick := time.NewTicker(stewardEvery)
	defer tick.Stop()
	led, quiet := false, time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.store.closing:
			return
		case <-c.out:
			return
		case <-tick.C:
		}
		leader, _ := c.store.leadership.now()
		if leader != "" {
			quiet = time.Now()
		}
		if time.Since(quiet) > 2*c.options.Timing.silence() {
			quiet = time.Now()
			c.checkStanding(ctx)
		}
		if c.store.roster.get(c.store.identity.Node).removed {
			c.expel(ErrRemoved)
		}
		if leads := leader == c.store.identity.Node; leads {
			c.tend(ctx)
			led = true
		} else if led {
			led = false
			c.books.forget()
			c.store.metrics.votersLive.Set(0)
			c.store.metrics.underReplicated.Set(0)
		}
		c.observe()
	}
}

// checkStanding asks the others about this node when it has had no leader for
// long: it may have been removed while it was cut off.
func (c *clusterNode) checkStanding(ctx context.Context) {
	err := c.hello(ctx)
	if errors.Is(err, ErrRemoved) {
		c.expel(err)
	}
}

// tend makes the next change of the configuration, if one is due.
func (c *clusterNode) tend(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, surveyTime+changeTime)
	defer cancel()
	c.books.note(c.surveyBriefly(ctx), c.transport.peers.last)
	a := plan(c.seats(), c.options.Voters, c.options.RemoveAfter)
	if err := c.act(ctx, a); err != nil && ctx.Err() == nil {
		c.store.logger.Warn("change of the cluster", "action", a.kind, "node", a.node, "err", err)
	}
	if c.books.due() {
		c.record(ctx)
	}
}

func (c *clusterNode) surveyBriefly(ctx context.Context) []Server {
	ctx, cancel := context.WithTimeout(ctx, surveyTime)
	defer cancel()
	return c.survey(ctx)
}

// isLevel reports whether a node with a log up to last, of which it knows that it
// is committed up to kept, may vote: it lacks little, and has heard of everybody
// who belonged to the cluster when it last changed. One that gets a vote before
// that lets none of the others lead, and with a vote lost at the same time, nobody
// could.
func (c *clusterNode) isLevel(last, kept, changed uint64) bool {
	lacks, known := c.store.logs.sizes.after(last)
	return last > 0 && known && lacks <= levelBytes && kept >= changed
}

// seats puts together what is known of the nodes.
func (c *clusterNode) seats() []seat {
	live := c.addresses.live()
	taken := make(map[string]string) // address -> node
	for node, address := range live {
		taken[address] = node
	}
	silence := c.options.Timing.silence()
	var out []seat
	changed := c.store.logs.changed.Load()
	for _, v := range c.store.configuration().Servers {
		node := string(v.ID)
		_, address := splitAddress(v.Address)
		seen, last := c.books.of(node)
		s := seat{
			node: node, address: address, now: live[node], voter: v.Suffrage == raft.Voter,
			self: node == c.store.identity.Node,
		}
		if !seen.IsZero() { // it has come since the last look otherwise
			s.silent = time.Since(seen)
		}
		s.live = s.self || s.silent < silence
		s.level = s.self || c.isLevel(last, c.books.keeps(node), changed)
		_, announced := live[node]
		other, hasOther := taken[address]
		s.gone = c.store.roster.get(node).removed ||
			!announced && hasOther && other != node && s.silent > max(goneAfter, silence)
		if s.gone && c.store.roster.get(node).removed {
			s.live = false
		}
		out = append(out, s)
	}
	return out
}

func (c *clusterNode) act(ctx context.Context, a stewardAction) error {
	id := raft.ServerID(a.node)
	switch a.kind {
	case actionNone:
		return nil
	case actionMove:
		return c.move(id, a.address)
	case actionPromote:
		c.store.logger.Info("a node gets a vote", "node", a.node)
		return c.store.raft.AddVoter(id, c.storedAddress(id), 0, changeTime).Error()
	case actionRemove:
		c.store.logger.Info("a dead node is removed", "node", a.node)
		return c.remove(ctx, id)
	}
	return nil
}

// move stores a node's new address.
func (c *clusterNode) move(id raft.ServerID, address string) error {
	for _, v := range c.store.configuration().Servers {
		if v.ID != id {
			continue
		}
		to := joinAddress(string(id), address)
		if v.Suffrage == raft.Voter {
			return c.store.raft.AddVoter(id, to, 0, changeTime).Error()
		}
		return c.store.raft.AddNonvoter(id, to, 0, changeTime).Error()
	}
	return nil
}

func (c *clusterNode) storedAddress(id raft.ServerID) raft.ServerAddress {
	for _, v := range c.store.configuration().Servers {
		if v.ID == id {
			return v.Address
		}
	}
	return ""
}

// remove takes a node out for good. That it must not come back is remembered
// before it goes.
func (c *clusterNode) remove(ctx context.Context, id raft.ServerID) error {
	i := introduction{node: string(id), member: member{removed: true}}
	if _, err := c.store.queue.do(ctx, i.encodeMember(), nil); err != nil {
		return err
	}
	return c.store.raft.RemoveServer(id, 0, changeTime).Error()
}

// record writes down how far the nodes' disks are, so that an old copy of one is
// known when it comes back.
func (c *clusterNode) record(ctx context.Context) {
	for _, v := range c.books.latest() {
		acked := c.books.keeps(v.Node)
		if !v.Reachable || acked < c.store.roster.get(v.Node).acked+recordEntries {
			continue
		}
		i := introduction{node: v.Node, member: member{acked: acked, starts: v.starts}}
		if _, err := c.store.queue.do(ctx, i.encodeMember(), nil); err != nil {
			return // the next leader does it, or the next round
		}
	}
}

// observe sets the gauges of the cluster.
func (c *clusterNode) observe() {
	m := c.store.metrics
	voters := 0
	for _, v := range c.store.configuration().Servers {
		if v.Suffrage == raft.Voter {
			voters++
		}
	}
	m.voters.Set(float64(voters))
	m.lag.Set(float64(c.store.lagEntries()))
	if c.store.Leads() {
		m.votersLive.Set(float64(c.liveVoters()))
		m.underReplicated.Set(float64(c.underReplicated()))
	}
}

func (c *clusterNode) liveVoters() int {
	n := 0
	for _, v := range c.books.latest() {
		if v.Voter && v.Reachable {
			n++
		}
	}
	return n
}

// underReplicated gives the bytes of log that some voter lacks.
func (c *clusterNode) underReplicated() int64 {
	most := int64(0)
	for _, v := range c.books.latest() {
		if v.Voter {
			_, last := c.books.of(v.Node)
			lacks, _ := c.store.logs.sizes.after(last)
			most = max(most, lacks)
		}
	}
	return most
}
