package cluster

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
)

// announceAgain is how long after a change it is told once more.
const announceAgain = time.Second

// closeWait is how long Close waits for its goroutines.
const closeWait = 2 * time.Second

// Node is this process as a member of a cluster: it gossips with the others,
// agrees with them on who belongs to the cluster, and carries streams and
// messages between them.
//
// Membership decides where work goes and nothing else. A wrong view costs time;
// what must not happen twice is refused by the journal.
//
// Concurrency: all methods may be called from anywhere.
type Node struct {
	o       NodeOptions
	id      NodeID
	log     *slog.Logger
	metrics *nodeMetrics
	creds   *identity
	link    *Link
	list    *memberlist.Memberlist
	queue   *memberlist.TransmitLimitedQueue
	carrier Carrier
	gate    atomic.Pointer[Gate]
	gossip  string // own address

	view    atomic.Pointer[View]
	evicted chan struct{}
	steward *steward
	watches *watches
	herald  chan struct{} // cap 1: what the node says about itself has changed
	stop    context.CancelFunc
	ended   sync.WaitGroup
	closing sync.Once
	dials   dials
	met     atomic.Bool // a cluster was heard of: this run founds none

	mu struct {
		sync.Mutex
		own      meta
		leaving  bool
		watchers []func(before, now *View)
	}
}

// Open binds the listeners and starts to gossip. The node is a member at once,
// and owns grains after [Node.SetServing].
//
// Errors: class invalid for a missing or weak key and for other settings that
// make no sense; those of the network.
func Open(o NodeOptions) (*Node, error) {
	o.fill()
	if err := o.validate(); err != nil {
		return nil, err
	}
	n := &Node{
		o: o, id: newNodeID(), evicted: make(chan struct{}), herald: make(chan struct{}, 1),
		dials: dials{busy: map[string]int{}, answered: map[string]time.Time{}},
	}
	n.log = o.Logger.With("component", "cluster", "node", string(n.id))
	var err error
	if n.creds, err = newIdentity(o.Key, o.Name, n.id, o.Certs); err != nil {
		return nil, err
	}
	n.metrics = newNodeMetrics(o.Registerer)
	o.System.ID = string(n.id)
	ctx, stop := context.WithCancel(context.Background())
	n.stop = stop
	if err := n.bind(ctx); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	watched, err := n.link.Listen(watchProtocol)
	if err != nil {
		return nil, errors.Join(err, n.Close())
	}
	n.steward.kick()
	n.ended.Go(func() { n.steward.run(ctx) })
	n.ended.Go(func() { n.announce(ctx) })
	n.ended.Go(func() { n.seek(ctx) })
	n.ended.Go(func() { n.watches.answer(watched) })
	n.log.Info("cluster joined the network", "gossip", n.gossip, "link", n.LinkAddress(), "grains", n.GrainsAddress())
	return n, nil
}

func newNodeID() NodeID {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return NodeID(strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:])))
}

// bind opens the three ports, the gossip last, because it tells of the others.
func (n *Node) bind(ctx context.Context) error {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", n.o.Link.Listen)
	if err != nil {
		return fmt.Errorf("listen for links: %w", err)
	}
	n.link = newLink(listener, n.creds, n.o.Dialer, n.log, n.metrics)

	transport, host, err := n.openTransport(ctx)
	if err != nil {
		return err
	}
	n.gossip = host.String()
	n.mu.own = meta{
		Link:    advertised(n.o.Link, listener.Addr(), host.IP),
		HTTP:    n.o.HTTP,
		Version: n.o.Version,
		Started: time.Now().UnixMilli(),
	}
	n.steward, n.watches = newSteward(n), newWatches(n)
	if err := n.openCarrier(host.IP); err != nil {
		_ = transport.Shutdown()
		return err
	}
	if _, err := n.mu.own.encode(); err != nil {
		_ = transport.Shutdown()
		return err
	}
	n.view.Store(NewView(n.id, n.mu.own.member(n.id, n.gossip)))
	if n.list, err = memberlist.Create(n.gossipConfig(transport, host)); err != nil {
		_ = transport.Shutdown()
		return fmt.Errorf("start the gossip: %w", err)
	}
	return nil
}

func (n *Node) openCarrier(host net.IP) error {
	open := n.o.Carrier
	if open == nil {
		open = func(o CarrierOptions) Carrier { return newRemote(n, o) }
	}
	n.carrier = open(CarrierOptions{
		Listen: n.o.Grains.Listen, Receive: n.receive, Broken: n.broken,
		Advertise: func(bound net.Addr) string { return advertised(n.o.Grains, bound, host) },
	})
	address, err := n.carrier.Start()
	n.mu.own.Grains = address
	return err
}

// receive takes a batch from another gate.
func (n *Node) receive(frame []byte) {
	if g := n.gate.Load(); g != nil {
		g.receive(frame)
	}
}

// broken hears that the connection to the grains at an address has ended.
func (n *Node) broken(address string) {
	n.metrics.remoteErrors.WithLabelValues("broken").Inc()
	n.Suspect(address)
	if g := n.gate.Load(); g != nil {
		g.broken(address)
	}
}

// advertised says under which address peers reach what was bound. Without a
// word from the operator it is the host of the gossip, which has looked for one.
func advertised(e Endpoint, bound net.Addr, host net.IP) string {
	port := ""
	if tcp, ok := bound.(*net.TCPAddr); ok {
		port = strconv.Itoa(tcp.Port)
		if e.Advertise == "" && !tcp.IP.IsUnspecified() {
			return bound.String()
		}
	}
	if e.Advertise == "" {
		return net.JoinHostPort(host.String(), port)
	}
	if _, _, err := net.SplitHostPort(e.Advertise); err == nil {
		return e.Advertise
	}
	return net.JoinHostPort(e.Advertise, port)
}

// ID names this run of the node.
func (n *Node) ID() NodeID { return n.id }

// View gives the present view.
func (n *Node) View() *View { return n.view.Load() }

// Member is what this node says about itself. The view follows a moment later.
func (n *Node) Member() Member {
	own := n.self()
	return own.member(n.id, n.gossip)
}

// Link gives the streams between nodes.
func (n *Node) Link() *Link { return n.link }

// LinkAddress is where peers reach this node's link.
func (n *Node) LinkAddress() string { return n.self().Link }

// GossipAddress is where peers reach this node's gossip: what seeds name.
func (n *Node) GossipAddress() string { return n.gossip }

// GrainsAddress is where peers reach this node's grains.
func (n *Node) GrainsAddress() string { return n.self().Grains }

// Evicted is closed when a majority has decided that this run is gone. It was
// frozen or cut off; its grains are elsewhere by now. The gate has fenced itself,
// and nothing but a new start, with a new id, makes the process a member again.
func (n *Node) Evicted() <-chan struct{} { return n.evicted }

// OnView has f called with every view that follows another, one at a time. f
// must not block.
func (n *Node) OnView(f func(before, now *View)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mu.watchers = append(n.mu.watchers, f)
}

// SetJournal tells the others which disk and which cluster this node has.
func (n *Node) SetJournal(node, cluster string) {
	n.change(func(m *meta) { m.Journal, m.Cluster, m.Candidate = node, cluster, "" })
}

// SetServing tells the others whether this node is ready to own grains.
func (n *Node) SetServing(s ServingState) { n.change(func(m *meta) { m.Serving = s == Serving }) }

// SetDraining tells the others that this node takes no more grains. It stays a
// member, and gives back what it has.
func (n *Node) SetDraining() { n.change(func(m *meta) { m.Draining = true }) }

// Suspect has the member at an address looked at: somebody's connection to it
// broke. It returns at once. If the member's process has ended, it is out of the
// view some milliseconds later.
func (n *Node) Suspect(address string) {
	for _, m := range n.View().Members() {
		if m.ID != n.id && address != "" && (m.Address == address || m.Grains == address || m.Gossip == address) {
			n.steward.suspect(m.ID)
		}
	}
}

func (n *Node) self() meta {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.mu.own
}

func (n *Node) change(f func(*meta)) {
	n.mu.Lock()
	before := n.mu.own
	f(&n.mu.own)
	changed := n.mu.own != before
	if changed {
		n.mu.own.Seq++
	}
	n.mu.Unlock()
	if !changed {
		return
	}
	n.steward.kick()
	n.heraldChange()
}

func (n *Node) heraldChange() {
	select {
	case n.herald <- struct{}{}:
	default:
	}
}

// announce tells what the node says about itself, when that changes and to
// those who join: at once, because requests go back and forth between nodes that
// see different owners, and by the gossip, which is slower and may lose it. (The
// library keeps what it has to tell in a tree whose keys can be equal for two
// messages of the same length; the later one takes the other's place.)
func (n *Node) announce(ctx context.Context) {
	var again <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-again:
			again = nil
			n.tellSelf()
			continue
		case <-n.herald:
		}
		n.tellSelf()
		again = time.After(announceAgain)
		// An error says that it has not gone out in this time. It goes all the
		// same, and nobody here waits for it.
		_ = n.list.UpdateNode(time.Millisecond)
	}
}

func (n *Node) tellSelf() {
	if says, err := n.self().encode(); err == nil {
		n.tellNow(news{From: n.id, Says: says})
	}
}

// Leave tells the others that this node goes for good, so that nobody waits for
// it. Drain the gate first. Errors: those of ctx; the node is gone either way.
func (n *Node) Leave(ctx context.Context) error {
	n.mu.Lock()
	n.mu.leaving = true
	n.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		n.steward.leave()
		_ = n.list.Leave(time.Second) // who does not hear it looks for itself
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	return errors.Join(err, n.Close())
}

// Close ends the node without a word to the others, as a crash would.
func (n *Node) Close() error {
	var err error
	n.closing.Do(func() {
		// The ports first: who notices the end of a connection looks at them.
		if n.link != nil {
			err = n.link.Close()
		}
		if n.list != nil {
			err = errors.Join(err, n.list.Shutdown())
		}
		if n.carrier != nil {
			n.carrier.Stop()
		}
		if n.watches != nil {
			n.watches.close()
		}
		n.stop()
		ended := make(chan struct{})
		go func() { n.ended.Wait(); close(ended) }()
		select {
		case <-ended:
		case <-time.After(closeWait): // somebody speaks to a peer that does not answer; its own deadline ends it
		}
	})
	return err
}
