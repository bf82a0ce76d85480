package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Run breaks a cluster and reports what became of it. The error is about the run
// itself, for example that no node could be started; what the cluster did wrong
// is in the report.
func Run(ctx context.Context, o Options) (*Report, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.Seed == 0 {
		o.Seed = uint64(time.Now().UnixNano())
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	dir, err := os.MkdirTemp(o.Dir, "colloquy-chaos-")
	if err != nil {
		return nil, err
	}
	r := &run{options: &o, dir: dir, random: rand.New(rand.NewPCG(o.Seed, 0))} //nolint:gosec // repeatable choices, not secrets
	report, err := r.do(ctx)
	if r.fleet != nil {
		err = errors.Join(err, r.fleet.abandon())
	}
	if ctx.Err() != nil && !o.Keep { // somebody has had enough
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if report == nil || !report.Passed || o.Keep {
		if report != nil {
			report.Kept = dir
			err = errors.Join(err, dump(dir, r.storm.events, r.ledger.all()))
		}
		if err != nil {
			err = fmt.Errorf("%w (data and logs are in %s)", err, dir)
		}
		return report, err
	}
	return report, errors.Join(err, os.RemoveAll(dir))
}

// run is the state of one run.
type run struct {
	options *Options
	dir     string
	random  *rand.Rand
	fleet   *fleet
	ledger  *ledger
	load    *load
	storm   *storm
	older   string   // version that the nodes began with; empty = this one's
	broken  []string // promises that broke before the audit
	limits  []string
	cold    time.Duration
	loaded  time.Duration // how long the clients wrote
}

func (r *run) say(format string, args ...any) {
	_, _ = fmt.Fprintf(r.options.Progress, format+"\n", args...)
}

func (r *run) do(ctx context.Context) (*Report, error) {
	where, err := newSite(ctx, r.random)
	if err != nil {
		return nil, err
	}
	kinds, limits := applicable(r.options, where)
	r.limits = append(append([]string{}, r.options.Limits...), limits...)
	r.fleet = newFleet(r.options, where, r.dir, r.say)
	saboteur := &saboteur{fleet: r.fleet, kind: r.options.Sabotage}
	r.fleet.smallDisk = slices.Contains(kinds, DiskFull)
	if r.cold, err = r.fleet.found(ctx, saboteur.prepare); err != nil {
		return nil, err
	}
	if r.options.UpgradeFrom != "" {
		if r.older, err = r.fleet.version(ctx, r.fleet.all()[0]); err != nil {
			return nil, err
		}
		r.say("the nodes run version %s until a restart takes them to %s", r.older, r.options.Version)
	}
	kinds = r.tryClock(kinds)
	r.say("%d nodes are ready, %v after they were started together; faults: %s", r.options.Nodes, r.cold.Round(time.Millisecond), Names(kinds))
	r.ledger = newLedger(time.Now())
	if r.load, err = invite(ctx, r.options, r.ledger, r.fleet.roster, r.fleet.keys); err != nil {
		return nil, err
	}
	r.storm = &storm{options: r.options, fleet: r.fleet, ledger: r.ledger, random: r.random, kinds: kinds, turn: map[Kind]int{}}
	if err := r.weather(ctx); err != nil {
		return nil, err
	}
	if err := saboteur.strike(ctx); err != nil {
		return nil, err
	}
	return r.look(ctx)
}

// tryClock leaves clock faults out where they cannot be had.
func (r *run) tryClock(kinds []Kind) []Kind {
	if !slices.Contains(kinds, Clock) {
		return kinds
	}
	m := r.fleet.all()[0]
	err := m.shiftClock(time.Second)
	if err = errors.Join(err, m.shiftClock(0)); err == nil {
		return kinds
	}
	r.limits = append(r.limits, fmt.Sprintf("%s was left out: %v", Clock, err))
	return slices.DeleteFunc(kinds, func(k Kind) bool { return k == Clock })
}

// weather lets the clients write while faults are injected, and brings
// everything to rest.
func (r *run) weather(ctx context.Context) error {
	working, cancel := context.WithCancel(ctx)
	defer cancel()
	go r.fleet.supervise(working)
	r.load.start(working)
	err := r.storm.run(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		r.breakPromise("%v", err)
	}
	if r.storm.enough() {
		r.limits = append(r.limits, fmt.Sprintf("the run was ended early, after %d faults", len(r.storm.events)))
	}
	if r.older != "" && r.storm.upgraded < r.options.Nodes {
		r.limits = append(r.limits, fmt.Sprintf("of %d nodes only %d were upgraded", r.options.Nodes, r.storm.upgraded))
	}
	pause(ctx, r.options.Calm)
	r.loaded = time.Since(r.ledger.began)
	if !r.load.settle(ctx) {
		r.breakPromise("not every message was acknowledged, and shown, within %v after the last fault", settleTime)
	}
	if err == nil && !r.fleet.rest(ctx) {
		r.breakPromise("the nodes did not come to rest at the same place of the journal")
	}
	cancel()
	<-r.load.ended
	return ctx.Err()
}

// breakPromise notes what a cluster must not do and the audit cannot see.
func (r *run) breakPromise(format string, args ...any) {
	r.broken = append(r.broken, fmt.Sprintf(format, args...))
	r.say(format, args...)
}

// look stops the nodes and audits what is on their disks.
func (r *run) look(ctx context.Context) (*Report, error) {
	if err := r.fleet.stopAll(); err != nil {
		r.breakPromise("%v", err)
	}
	var replicas []named
	var rows []Replica
	for _, m := range r.fleet.all() {
		replica, err := openReplica(m)
		if err != nil {
			r.breakPromise("node %d: what is on its disk cannot be read: %v", m.number, err)
			continue
		}
		replicas = append(replicas, replica)
	}
	findings, err := audit(ctx, replicas, r.ledger.all(), r.load.views())
	for _, replica := range replicas {
		sum, herr := replica.StateHash(ctx)
		err = errors.Join(err, herr)
		rows = append(rows, Replica{Node: replica.node, Applied: replica.Applied(), Hash: sum})
	}
	if err = errors.Join(err, closeAll(replicas)); err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	report := r.report(findings)
	report.Replicas = rows
	return report, nil
}

// report puts the figures together.
func (r *run) report(f *Findings) *Report {
	o := r.options
	ended, crashed := r.fleet.endings()
	for _, text := range append(slices.Clone(r.broken), crashed...) {
		f.violated("%s", text)
	}
	felt := measure(r.storm.events, r.ledger.all())
	out := &Report{
		Nodes: o.Nodes, Faults: r.storm.kinds, Cycles: len(r.storm.events), Seed: o.Seed, Seconds: r.loaded.Seconds(),
		Visitors: o.Visitors, Agents: o.Agents, Webhooks: o.Webhooks, Findings: *f,
		AckP50MS: quantileFloat(felt.unremarked, 0.5), AckP99MS: quantileFloat(felt.unremarked, 0.99),
		FailoverP50MS: quantileMS(felt.failover, 0.5), FailoverP99MS: quantileMS(felt.failover, 0.99), GapMaxMS: felt.longest.Milliseconds(),
		Kinds: felt.byKind, ColdStartMS: r.cold.Milliseconds(), Ended: map[string]int{}, Limits: r.limits, CPUs: runtime.NumCPU(),
		Command: again(o), Version: o.Version, UpgradedFrom: r.older, Upgraded: r.storm.upgraded,
	}
	out.Passed = !f.Harmed() && f.Acked > 0
	out.Reconnects, out.Resets, _ = r.load.counts()
	_, _, refusals := r.load.counts()
	out.Refusals = refusalList(refusals)
	for status, n := range ended {
		out.Ended[strconv.Itoa(status)] = n
	}
	if wiped := felt.byKind[Wipe]; wiped != nil {
		out.Replaced = Replacements{wiped.Count, wiped.ReadyP50, wiped.ReadyMax}
	}
	for _, e := range r.storm.events {
		out.Recoveries = append(out.Recoveries, e.ended-e.began)
	}
	return out
}

// again is the command line that repeats the run's choices.
func again(o *Options) string {
	if len(o.Command) == 0 {
		return ""
	}
	line := strings.Join(o.Command, " ")
	if !strings.Contains(line, "--seed") {
		line += fmt.Sprintf(" --seed %d", o.Seed)
	}
	return line
}
