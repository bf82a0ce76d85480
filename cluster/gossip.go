package cluster

import (
	"context"
	"fmt"
	"io"
	"log" //nolint:depguard // the library takes no other
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/colloquyhq/colloquy/conversation"
)

// The memberlist calls these on its own goroutines and under its own lock: they
// note what they see and return.
var (
	_ memberlist.Delegate      = gossip{}
	_ memberlist.EventDelegate = gossip{}
	_ memberlist.AliveDelegate = gossip{}
	_ memberlist.MergeDelegate = gossip{}
)

// gossip is the node as the memberlist library sees it.
type gossip struct{ node *Node }

// rumor is news on its way through the gossip.
type rumor []byte

// Invalidates implements [memberlist.Broadcast].
func (rumor) Invalidates(memberlist.Broadcast) bool { return false }

// Message implements [memberlist.Broadcast].
func (r rumor) Message() []byte { return r }

// Finished implements [memberlist.Broadcast].
func (rumor) Finished() {}

// openTransport binds the gossip's TCP and UDP port and says how to advertise
// it.
func (n *Node) openTransport(ctx context.Context) (memberlist.NodeAwareTransport, *net.TCPAddr, error) {
	bind, err := net.ResolveTCPAddr("tcp", n.o.Gossip.Listen)
	if err != nil {
		return nil, nil, &conversation.Error{Code: conversation.CodeInvalid, Detail: "the gossip's address cannot be resolved", Err: err}
	}
	if bind.IP == nil {
		bind.IP = net.IPv4zero
	}
	nt, err := bindGossip(bind, n.libraryLog())
	if err != nil {
		return nil, nil, err
	}
	ip, port := "", nt.GetAutoBindPort()
	if n.o.Gossip.Advertise != "" {
		host, p, err := net.SplitHostPort(n.o.Gossip.Advertise)
		if err != nil {
			host, p = n.o.Gossip.Advertise, fmt.Sprint(port)
		}
		at, err := (&net.Resolver{}).LookupIPAddr(ctx, host)
		if err != nil || len(at) == 0 {
			_ = nt.Shutdown()
			return nil, nil, &conversation.Error{Code: conversation.CodeInvalid, Detail: "the gossip's address for others cannot be resolved", Err: err}
		}
		ip = at[0].IP.String()
		if port, err = (&net.Resolver{}).LookupPort(ctx, "tcp", p); err != nil {
			_ = nt.Shutdown()
			return nil, nil, &conversation.Error{Code: conversation.CodeInvalid, Detail: "the gossip's port for others is none", Err: err}
		}
	}
	final, port, err := nt.FinalAdvertiseAddr(ip, port)
	if err != nil {
		_ = nt.Shutdown()
		return nil, nil, &conversation.Error{Code: conversation.CodeInvalid, Detail: "no address to tell others; set one to advertise", Err: err}
	}
	return &transport{NetTransport: nt, o: &n.o}, &net.TCPAddr{IP: final, Port: port}, nil
}

// bindGossip retries when a free TCP port was not free for UDP.
func bindGossip(at *net.TCPAddr, l *log.Logger) (nt *memberlist.NetTransport, err error) {
	for range 10 {
		nt, err = memberlist.NewNetTransport(&memberlist.NetTransportConfig{
			BindAddrs: []string{at.IP.String()}, BindPort: at.Port, Logger: l,
		})
		if err == nil || at.Port != 0 {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("listen for gossip: %w", err)
	}
	return nt, nil
}

// transport is the network with the node's own way to open connections.
type transport struct {
	*memberlist.NetTransport

	o *NodeOptions
}

// WriteToAddress implements [memberlist.NodeAwareTransport].
func (t *transport) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	if t.o.Packets(a.Addr) {
		return time.Now(), nil
	}
	return t.NetTransport.WriteToAddress(b, a)
}

// WriteTo implements [memberlist.Transport].
func (t *transport) WriteTo(b []byte, addr string) (time.Time, error) {
	return t.WriteToAddress(b, memberlist.Address{Addr: addr})
}

// DialAddressTimeout implements [memberlist.NodeAwareTransport].
func (t *transport) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	conn, err := t.o.Dialer.DialContext(ctx, "tcp", a.Addr)
	if err != nil {
		return nil, err
	}
	// The library sets none when it sends a single message.
	return conn, conn.SetDeadline(time.Now().Add(timeout))
}

// DialTimeout implements [memberlist.Transport].
func (t *transport) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	return t.DialAddressTimeout(memberlist.Address{Addr: addr}, timeout)
}

func (n *Node) gossipConfig(t memberlist.NodeAwareTransport, at *net.TCPAddr) *memberlist.Config {
	c := memberlist.DefaultLANConfig()
	if n.o.Profile == Fast {
		c.ProbeInterval, c.ProbeTimeout, c.SuspicionMult = 500*time.Millisecond, 300*time.Millisecond, 4
		c.TCPTimeout, c.GossipInterval = 2*time.Second, 100*time.Millisecond
		c.PushPullInterval = 10 * time.Second
	}
	c.Name = string(n.id)
	c.Transport = t
	c.BindPort, c.AdvertiseAddr, c.AdvertisePort = at.Port, at.IP.String(), at.Port
	c.SecretKey = n.creds.gossip
	c.Delegate, c.Events, c.Alive, c.Merge = gossip{n}, gossip{n}, gossip{n}, gossip{n}
	c.Logger = n.libraryLog()
	c.DNSConfigPath = "" // names are resolved here
	n.queue = &memberlist.TransmitLimitedQueue{
		RetransmitMult: c.RetransmitMult, NumNodes: func() int { return len(n.View().Members()) },
	}
	return c
}

// libraryLog gives what the library says to the node's log, for those who debug:
// what matters is logged here in the node's own words.
func (n *Node) libraryLog() *log.Logger {
	return log.New(libraryWriter{n.log}, "", 0)
}

type libraryWriter struct{ log *slog.Logger }

var _ io.Writer = libraryWriter{}

// Write implements [io.Writer].
func (w libraryWriter) Write(line []byte) (int, error) {
	w.log.Debug("gossip library", "detail", strings.TrimSpace(string(line)))
	return len(line), nil
}

// NodeMeta implements [memberlist.Delegate].
func (g gossip) NodeMeta(int) []byte {
	b, err := g.node.self().encode()
	if err != nil {
		g.node.log.Error("the node cannot say who it is", "err", err) // Open has tried it, so this takes a huge identity
		return nil
	}
	return b
}

// NotifyMsg implements [memberlist.Delegate].
func (g gossip) NotifyMsg(b []byte) { g.take(b) }

// MergeRemoteState implements [memberlist.Delegate]. The library calls it when it
// has told of all the members of a peer.
func (g gossip) MergeRemoteState(b []byte, _ bool) {
	g.take(b)
	g.node.steward.merged()
}

func (g gossip) take(b []byte) {
	if len(b) == 0 {
		return
	}
	n, err := decodeNews(b)
	if err != nil {
		g.node.log.Debug("unreadable news", "err", err)
		return
	}
	g.node.steward.take(n)
}

// GetBroadcasts implements [memberlist.Delegate].
func (g gossip) GetBroadcasts(overhead, limit int) [][]byte {
	return g.node.queue.GetBroadcasts(overhead, limit)
}

// LocalState implements [memberlist.Delegate].
func (g gossip) LocalState(bool) []byte {
	s := g.node.steward
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.known.encode()
}

// NotifyJoin implements [memberlist.EventDelegate].
func (g gossip) NotifyJoin(p *memberlist.Node) { g.saw(p) }

// NotifyUpdate implements [memberlist.EventDelegate].
func (g gossip) NotifyUpdate(p *memberlist.Node) { g.saw(p) }

func (g gossip) saw(p *memberlist.Node) {
	m, err := decodeMeta(p.Meta)
	if err != nil {
		return // NotifyAlive has said so
	}
	address := p.Address()
	g.node.steward.saw(NodeID(p.Name), func(s *sighting) {
		if s.meta.Seq > m.Seq {
			m = s.meta // it has told us more itself
		}
		since := s.since
		if !s.alive {
			since = time.Now()
		}
		*s = sighting{gossip: address, meta: m, alive: true, since: since}
	})
}

// NotifyLeave implements [memberlist.EventDelegate].
func (g gossip) NotifyLeave(p *memberlist.Node) {
	g.node.steward.saw(NodeID(p.Name), func(s *sighting) { s.alive = false })
	g.node.steward.suspect(NodeID(p.Name))
}

// NotifyAlive implements [memberlist.AliveDelegate]: it keeps strangers and the
// buried out.
func (g gossip) NotifyAlive(p *memberlist.Node) error {
	if p.Name == string(g.node.id) {
		return nil
	}
	if g.node.steward.spoke(NodeID(p.Name), p.Address()) {
		return conversation.Refuse(conversation.CodeConflict, "the run was evicted")
	}
	return g.judge(p)
}

// NotifyMerge implements [memberlist.MergeDelegate].
func (g gossip) NotifyMerge(peers []*memberlist.Node) error {
	for _, p := range peers {
		if p.State != memberlist.StateAlive || p.Name == string(g.node.id) {
			continue
		}
		if err := g.judge(p); err != nil {
			return err
		}
	}
	g.node.steward.merging()
	return nil
}

// judge refuses nodes that must not be in one cluster with this one.
func (g gossip) judge(p *memberlist.Node) error {
	m, err := decodeMeta(p.Meta)
	why := "it does not say who it is"
	if err == nil {
		why = g.node.self().compatible(m)
	}
	if why == "" {
		return nil
	}
	g.node.steward.stranger(NodeID(p.Name), p.Address(), m.Version, why)
	return conversation.Refuse(conversation.CodeConflict, "not a member: "+why)
}

// stranger notes a node that cannot be a member, and logs it once.
func (s *steward) stranger(id NodeID, address, version, why string) {
	s.mu.Lock()
	seen, known := s.mu.seen[id]
	s.mu.refused = why
	again := known && seen.foreign
	if !again && len(s.mu.seen) < maxStrangers {
		seen.foreign = true
		s.mu.seen[id] = seen
	}
	s.mu.Unlock()
	if again {
		return
	}
	s.node.metrics.strangers.Inc()
	s.node.log.Error("a node was kept out of the cluster", "member", string(id), "gossip", address,
		"version", version, "reason", why)
	s.kick()
}

// refused says why the newest stranger was kept out; empty when none was.
func (s *steward) refused() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.refused
}

// maxStrangers bounds what is remembered about nodes that were seen.
const maxStrangers = 4096

// sendReliable sends news on a connection of its own.
func (n *Node) sendReliable(address string, what news) {
	ip, port, ok := peerAddr(address)
	if !ok {
		return
	}
	err := n.list.SendReliable(&memberlist.Node{Addr: ip, Port: port}, what.encode())
	if err != nil {
		n.log.Debug("news not delivered", "gossip", address, "err", err) // it is in the gossip as well
	}
}
