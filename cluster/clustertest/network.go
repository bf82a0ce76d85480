// Package clustertest runs whole clusters in one process: real nodes that gossip
// over loopback, with a network between them that can be cut.
//
// A cut loses packets and holds streams up, on the gossip, the link and the
// grains alike; a freeze still lets connections be opened, as the kernel of a
// frozen process does. A killed node closes its ports, so that they refuse, as
// after the end of a process; its actors cannot be killed, but nothing reaches
// them any more.
package clustertest

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/colloquyhq/colloquy/cluster"
)

// Patience is how long the waits of this package take at most. It is for machines
// that have other things to do.
const Patience = time.Minute

// Options say what the machines of a [Network] run.
type Options struct {
	Kinds   func(machine string) []cluster.Kind // may be nil
	Change  func(machine string, o *cluster.NodeOptions)
	Logger  *slog.Logger // nil = nobody listens
	Carrier Carrier      // zero = [Library], or [Memory] under the race detector
}

// Carrier says what carries messages between gates.
type Carrier int

// The carriers. The library races with itself when several nodes start in one
// process, because each start sets a package variable of gRPC.
const (
	Fitting Carrier = iota // Memory under the race detector, else Library
	Library                // protoactor's remote
	Memory                 // queues in memory
)

// Network is a set of machines and what lies between them.
type Network struct {
	t   testing.TB
	o   Options
	key string
	mu  struct {
		sync.Mutex
		machines map[string]*Machine
		owner    map[string]string // address → machine
		gone     map[string]bool   // machines that were killed
		cut      map[[2]string]bool
		frozen   map[string]bool
		carriers map[string]*memory
		next     int
	}
}

// New makes a network without machines. It ends with the test.
func New(t testing.TB, o Options) *Network {
	t.Helper()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Carrier == Fitting {
		o.Carrier = fitting
	}
	n := &Network{t: t, o: o, key: cluster.NewKey()}
	n.mu.machines = map[string]*Machine{}
	n.mu.owner = map[string]string{}
	n.mu.gone = map[string]bool{}
	n.mu.cut = map[[2]string]bool{}
	n.mu.frozen = map[string]bool{}
	n.mu.carriers = map[string]*memory{}
	return n
}

// Machine is one node of a [Network].
type Machine struct {
	Name    string
	Node    *cluster.Node
	Gate    *cluster.Gate
	System  *actor.ActorSystem
	Metrics *prometheus.Registry // of Gate

	network *Network
	stop    context.CancelFunc
	ended   chan struct{}
	once    sync.Once
}

// Key gives the secret that the machines share.
func (n *Network) Key() string { return n.key }

// Start starts machines one after the other, each seeded with those that run,
// and waits until all machines see one another. They serve.
func (n *Network) Start(names ...string) []*Machine {
	n.t.Helper()
	out := make([]*Machine, 0, len(names))
	for _, name := range names {
		out = append(out, n.Boot(name))
	}
	for _, m := range out {
		m.Node.SetServing(cluster.Serving)
	}
	n.Settle()
	return out
}

// Boot starts a machine that does not serve yet, and waits for nobody.
func (n *Network) Boot(name string) *Machine {
	n.t.Helper()
	m := &Machine{Name: name, network: n, ended: make(chan struct{}), Metrics: prometheus.NewRegistry()}
	log := n.o.Logger.With("machine", name)
	m.System = cluster.NewSystem(log)
	n.mu.Lock()
	delete(n.mu.gone, name)
	delete(n.mu.frozen, name)
	var seeds []string
	for _, other := range n.mu.machines {
		seeds = append(seeds, other.Node.GossipAddress())
	}
	n.mu.Unlock()
	any0 := cluster.Endpoint{Listen: "127.0.0.1:0"}
	o := cluster.NodeOptions{
		System: m.System, Key: n.key, Gossip: any0, Link: any0, Grains: any0, Seeds: seeds, Version: "1.0.0",
		Logger: log, Registerer: prometheus.NewRegistry(),
		Dialer: wires{n, name}, Packets: func(to string) bool { return n.separate(name, n.machineAt(to)) },
	}
	if n.o.Carrier == Memory {
		o.Carrier = func(co cluster.CarrierOptions) cluster.Carrier { return newMemory(n, name, co) }
	}
	if n.o.Change != nil {
		n.o.Change(name, &o)
	}
	var err error
	if m.Node, err = cluster.Open(o); err != nil {
		n.t.Fatalf("open node %s: %v", name, err)
	}
	var kinds []cluster.Kind
	if n.o.Kinds != nil {
		kinds = n.o.Kinds(name)
	}
	m.Gate, err = cluster.NewGate(cluster.Options{
		System: m.System, Node: m.Node, Kinds: kinds, Logger: log, Registerer: m.Metrics,
	})
	if err != nil {
		n.t.Fatalf("open gate of %s: %v", name, err)
	}
	ctx, stop := context.WithCancel(context.Background())
	m.stop = stop
	go func() {
		defer close(m.ended)
		_ = m.Gate.Run(ctx) // never fails
	}()
	n.mu.Lock()
	n.mu.machines[name] = m
	for _, a := range []string{m.Node.GossipAddress(), m.Node.LinkAddress(), m.Node.GrainsAddress()} {
		n.mu.owner[a] = name
	}
	n.mu.Unlock()
	n.t.Cleanup(m.Kill)
	return m
}

// Kill ends a machine as a crash does.
func (m *Machine) Kill() {
	m.once.Do(func() {
		n := m.network
		n.mu.Lock()
		n.mu.gone[m.Name] = true
		if n.mu.machines[m.Name] == m {
			delete(n.mu.machines, m.Name)
		}
		n.mu.Unlock()
		_ = m.Node.Close() // what is closed twice by a test is closed
		m.stop()
		<-m.ended
	})
}

// Leave drains a machine and has it leave in good order.
func (m *Machine) Leave(ctx context.Context) error {
	m.Node.SetDraining()
	if err := m.Gate.Cede(ctx); err != nil {
		return err
	}
	if err := m.Gate.Drain(ctx); err != nil {
		return err
	}
	err := m.Node.Leave(ctx)
	m.Kill()
	return err
}

// Machines lists those that run.
func (n *Network) Machines() []*Machine {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := make([]*Machine, 0, len(n.mu.machines))
	for _, m := range n.mu.machines {
		out = append(out, m)
	}
	return out
}

// Settle waits until every machine that runs sees all others, alive, serving as
// they say, and nobody else.
func (n *Network) Settle() {
	n.t.Helper()
	n.Await("all machines see one another", func() bool {
		all := n.Machines()
		for _, m := range all {
			v := m.Gate.View()
			if len(v.Members()) != len(all) {
				return false
			}
			for _, other := range all {
				own := other.Node.Member()
				seen, ok := v.Member(other.Node.ID())
				if !ok || seen.Suspect || seen.Serving != own.Serving || seen.Draining != own.Draining {
					return false
				}
			}
		}
		return true
	})
}

// Await waits for a condition.
func (n *Network) Await(what string, ok func() bool) {
	n.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(Patience); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			n.t.Fatalf("not so after %v: %s", Patience, what)
		}
	}
}

// Cut separates the named machines from all others, both ways.
func (n *Network) Cut(names ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, a := range names {
		for b := range n.mu.machines {
			inside := false
			for _, c := range names {
				inside = inside || b == c
			}
			if !inside {
				n.mu.cut[[2]string{a, b}], n.mu.cut[[2]string{b, a}] = true, true
			}
		}
	}
}

// Freeze has a machine hear and say nothing, while its ports still take
// connections.
func (n *Network) Freeze(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mu.frozen[name] = true
}

// Heal undoes every cut and freeze.
func (n *Network) Heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.mu.cut)
	clear(n.mu.frozen)
}

// separate reports whether nothing gets from one machine to another.
func (n *Network) separate(from, to string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return from != to && (n.mu.cut[[2]string{from, to}] || n.mu.frozen[from] || n.mu.frozen[to])
}

// unreachable reports whether not even a connection is made.
func (n *Network) unreachable(from, to string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.mu.cut[[2]string{from, to}]
}

func (n *Network) machineAt(address string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.mu.owner[address]
}
