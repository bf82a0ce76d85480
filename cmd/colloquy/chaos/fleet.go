package chaos

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/colloquyhq/colloquy/cmd/colloquy/lab"
)

const (
	lookEvery  = 50 * time.Millisecond // at the nodes, while something is awaited
	reviveTime = time.Second           // until a node that ended by itself is started again
	keyBytes   = 32
)

// fleet is the cluster of a run.
type fleet struct {
	options *Options
	site    *site
	dir     string
	key     string // of the cluster
	http    *http.Client
	roster  *roster
	keys    *lab.Keys
	say     func(format string, args ...any)

	idle      time.Duration // after so long without a message a conversation leaves memory
	smallDisk bool          // the last of the first nodes gets a disk of its own that can run full

	mu struct {
		sync.Mutex
		members []*member // those that belong to the cluster now
		made    int       // numbers given so far
		newest  bool      // members run this program, and not the one to upgrade from
		ended   map[int]int
		crashed []string // what nodes said when they crashed
	}
}

func newFleet(o *Options, s *site, dir string, say func(string, ...any)) *fleet {
	var key [keyBytes]byte
	_, _ = rand.Read(key[:]) // never fails
	f := &fleet{
		options: o, site: s, dir: dir, key: base64.StdEncoding.EncodeToString(key[:]), http: newHTTPClient(), roster: &roster{}, say: say,
		idle: idleTime,
	}
	f.mu.ended = map[int]int{}
	return f
}

// all gives the members of now.
func (f *fleet) all() []*member {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]*member(nil), f.mu.members...)
}

// make prepares one more member; it does not run yet.
func (f *fleet) make(ctx context.Context) (*member, error) {
	f.mu.Lock()
	f.mu.made++
	m := &member{number: f.mu.made, dir: filepath.Join(f.dir, fmt.Sprintf("node%d", f.mu.made))}
	f.mu.Unlock()
	var err error
	if m.at, err = f.site.place(ctx, m.number); err != nil {
		return nil, err
	}
	if m.space, err = f.site.space(ctx, m.number); err != nil {
		return nil, err
	}
	if m.log, err = newBoundedLog(m.dir + ".log"); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(m.dir, 0o700); err != nil {
		return nil, err
	}
	if f.smallDisk && m.number == f.options.Nodes {
		if m.disk, err = newSmallDisk(ctx, m.dir); err != nil {
			return nil, err
		}
	}
	m.spec = lab.Spec{
		Program: f.program(), Dir: m.dir, Listen: m.at.client, OpsListen: m.at.ops, Log: m.log, Spawn: m.space.spawnNode,
		// A long run can be looked into from outside.
		Environ: []string{"COLLOQUY_CLUSTER_KEY=" + f.key, "COLLOQUY_OPS_PPROF=true"},
	}
	if f.options.PacksDir != "" {
		m.spec.Args = []string{"--packs-dir", f.options.PacksDir}
	}
	return m, nil
}

// program is what a new member runs; empty = this one.
func (f *fleet) program() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mu.newest {
		return ""
	}
	return f.options.UpgradeFrom
}

// upgraded has new members run this program.
func (f *fleet) upgraded() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.newest = true
}

// idleTime is after how long without a message a conversation leaves memory:
// much sooner than by default, so that leaving and coming back is a part of the
// run, and so that nothing is left to be written when the nodes are stopped.
const idleTime = 10 * time.Second

// settings of a node, beside those of every node under test.
func (f *fleet) settings(m *member) []string {
	out := []string{"turns.idle=" + f.idle.String()}
	if m.disk != nil {
		// So that it needs new space often enough to miss it.
		out = append(out, fmt.Sprintf("journal.memtable_bytes=%d", 1<<20))
	}
	if f.options.Nodes < 2 {
		return out
	}
	out = append(out, "cluster.listen="+m.at.gossip)
	if f.options.Profile != "" {
		out = append(out, "cluster.profile="+f.options.Profile)
	}
	return out
}

// admit makes a member part of the fleet.
func (f *fleet) admit(m *member) {
	f.mu.Lock()
	f.mu.members = append(f.mu.members, m)
	f.mu.Unlock()
	f.tellPeers()
	f.roster.add(m.at.client)
}

// dismiss takes a member out of the fleet.
func (f *fleet) dismiss(m *member) {
	f.roster.remove(m.at.client)
	f.mu.Lock()
	for i, other := range f.mu.members {
		if other == m {
			f.mu.members = append(f.mu.members[:i:i], f.mu.members[i+1:]...)
			break
		}
	}
	f.mu.Unlock()
	f.tellPeers()
}

// tellPeers sets for each member whom it may ask to be let in, from its next
// start on.
func (f *fleet) tellPeers() {
	for _, m := range f.all() {
		var others []string
		for _, other := range f.all() {
			if other != m {
				others = append(others, other.at.gossip)
			}
		}
		settings := f.settings(m)
		if len(others) > 0 {
			settings = append(settings, "cluster.join="+strings.Join(others, ","))
		}
		m.setSettings(settings)
	}
}

// found sets the cluster up: the first node has a furnished directory, the
// others come to it. Then all are stopped and started together, which is the
// cold start that is measured. In between, while nothing runs, stopped is called.
func (f *fleet) found(ctx context.Context, stopped func() error) (time.Duration, error) {
	o := f.options
	for i := range o.Nodes {
		m, err := f.make(ctx)
		if err != nil {
			return 0, err
		}
		if i == 0 {
			house := lab.House{Pack: o.Pack, Agents: max(o.Agents, 1)}
			if f.keys, err = lab.Furnish(ctx, m.dir, house); err != nil {
				return 0, err
			}
		}
		f.admit(m)
		if err := m.start(); err != nil {
			return 0, err
		}
		if err := f.awaitReady(ctx, o.Heal); err != nil {
			return 0, err
		}
	}
	if err := errors.Join(f.stopAll(), stopped()); err != nil {
		return 0, err
	}
	return f.startAll(ctx)
}

// startAll starts all nodes together. It gives how long it took until all were
// ready.
func (f *fleet) startAll(ctx context.Context) (time.Duration, error) {
	began := time.Now()
	for _, m := range f.all() {
		if err := m.start(); err != nil {
			return 0, err
		}
	}
	err := f.awaitReady(ctx, f.options.Heal)
	return time.Since(began), err
}

// awaitReady waits until every member says that it is ready, and starts again
// what has ended by itself.
func (f *fleet) awaitReady(ctx context.Context, limit time.Duration) error {
	deadline := time.Now().Add(limit)
	for {
		err := f.notReady(ctx)
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not whole again within %v: %w", limit, err)
		}
		if pause(ctx, lookEvery); ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// notReady gives why the cluster is not whole, or nil. It is whole when every
// node says that it is ready, and as many vote as should: another loss before
// that could be one too many.
func (f *fleet) notReady(ctx context.Context) error {
	members := f.all()
	for _, m := range members {
		if err := m.ready(ctx, f.http); err != nil {
			return err
		}
	}
	if f.options.Nodes < 2 {
		return nil
	}
	s, _, err := f.status(ctx)
	if err != nil {
		return err
	}
	if want := votersOf(len(members)); s.Voters < want || s.LiveVoters != s.Voters || s.Leader == "" {
		return fmt.Errorf("of %d nodes %d vote and %d of these are there, %d at least should; the leader is %q", len(members), s.Voters, s.LiveVoters, want, s.Leader)
	}
	return nil
}

// votersOf is how many of so many nodes vote at least: all up to five, and an odd
// number from three on. It is one more when a fifth voter has left.
func votersOf(nodes int) int {
	const most = 5
	switch {
	case nodes >= most:
		return most
	case nodes == most-1:
		return nodes - 1
	}
	return nodes
}

// supervise starts nodes again that have ended by themselves, as an init system
// would, until ctx ends.
func (f *fleet) supervise(ctx context.Context) {
	for ctx.Err() == nil {
		pause(ctx, reviveTime)
		for _, m := range f.all() {
			tail := m.tail()
			status, revived, err := m.revive()
			if !revived {
				continue
			}
			f.say("node %d ended by itself with status %d and is started again", m.number, status)
			f.mu.Lock()
			f.mu.ended[status]++
			if status == crashStatus {
				f.mu.crashed = append(f.mu.crashed, fmt.Sprintf("node %d crashed: %s", m.number, lastLine(tail)))
			}
			f.mu.Unlock()
			if err != nil {
				f.say("%v", err)
			}
		}
	}
}

// crashStatus is what a Go program ends with when it panics.
const crashStatus = 2

// lastLine finds the line that says why a program crashed.
func lastLine(log string) string {
	for line := range strings.Lines(log) {
		if strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "fatal error:") {
			return strings.TrimSpace(line)
		}
	}
	return "no reason in its log"
}

// endings gives the statuses with which nodes ended by themselves, and what
// those said that crashed.
func (f *fleet) endings() (map[int]int, []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make(map[int]int, len(f.mu.ended))
	maps.Copy(out, f.mu.ended)
	return out, append([]string(nil), f.mu.crashed...)
}

// stopAll ends all nodes at the same time, as an operator would.
func (f *fleet) stopAll() error {
	var wait sync.WaitGroup
	members := f.all()
	errs := make([]error, len(members))
	for i, m := range members {
		wait.Go(func() { errs[i] = m.stop() })
	}
	wait.Wait()
	return errors.Join(errs...)
}

// abandon kills all nodes and lets everything go.
func (f *fleet) abandon() error {
	var errs []error
	for _, m := range f.all() {
		m.kill()
		errs = append(errs, m.log.Close())
		m.space.close()
		if m.disk != nil {
			errs = append(errs, m.disk.settle())
		}
	}
	return errors.Join(errs...)
}

// retire stops a member for good and takes its place in the cluster away.
func (f *fleet) retire(ctx context.Context, m *member) error {
	name := ""
	err := f.insist(ctx, func() (err error) {
		name, err = f.nameOf(ctx, m)
		return err
	})
	if err != nil {
		return err
	}
	if err := m.stop(); err != nil {
		return err
	}
	f.dismiss(m)
	err = f.insist(ctx, func() error {
		_, err := f.operator(ctx, f.all()[0], http.MethodPost, "/v1/cluster/remove", map[string]any{"node": name})
		return err
	})
	if err != nil {
		return fmt.Errorf("remove node %d: %w", m.number, err)
	}
	m.space.close()
	return errors.Join(m.log.Close(), os.RemoveAll(m.dir))
}

// insist tries until it works, for as long as the cluster may take to heal.
func (f *fleet) insist(ctx context.Context, try func() error) error {
	deadline := time.Now().Add(f.options.Heal)
	for {
		err := try()
		if err == nil || time.Now().After(deadline) || ctx.Err() != nil {
			return err
		}
		pause(ctx, lookEvery)
	}
}

// nameOf finds the name that a member has in its cluster.
func (f *fleet) nameOf(ctx context.Context, m *member) (string, error) {
	s, _, err := f.status(ctx)
	if err != nil {
		return "", err
	}
	var known []string
	for _, n := range s.Nodes {
		if n.Address == m.at.client && n.Node != "" {
			return n.Node, nil
		}
		known = append(known, fmt.Sprintf("%s at %q (%s %s)", n.Node, n.Address, n.State, n.Problem))
	}
	return "", fmt.Errorf("node %d is not in the list of its cluster: %s", m.number, strings.Join(known, ", "))
}
