package engine

import (
	"context"
	"errors"
	"net"
	"os"
	"strconv"

	"github.com/colloquyhq/colloquy/actors"
	"github.com/colloquyhq/colloquy/cluster"
	"github.com/colloquyhq/colloquy/gateway"
	"github.com/colloquyhq/colloquy/persistence"
)

// ErrEvicted is what [Engine.Run] ends with when the other nodes have given this
// one up: it was frozen or cut off for too long. Nothing is wrong with it; a new
// engine on the same directory joins them again.
var ErrEvicted = errors.New("the other nodes have given this one up")

// openCluster makes this node known to the others, before its journal is open:
// a new node learns from them which cluster it belongs to.
func (e *Engine) openCluster() error {
	e.system = cluster.NewSystem(e.opts.Logger)
	c := &e.config.Cluster
	if !c.Clustered() {
		return nil
	}
	link, err := beside(c.LinkListen, c.Listen, 1)
	if err != nil {
		return err
	}
	grains, err := beside(c.GrainListen, c.Listen, 2)
	if err != nil {
		return err
	}
	e.node, err = cluster.Open(cluster.NodeOptions{
		System: e.system, Name: c.Name, Key: c.Key,
		Gossip: cluster.Endpoint{Listen: c.Listen, Advertise: c.Advertise},
		Link:   cluster.Endpoint{Listen: link, Advertise: c.Advertise},
		Grains: cluster.Endpoint{Listen: grains, Advertise: c.Advertise},
		HTTP:   e.config.Listen, Seeds: c.Join, SeedsFile: e.seedsFile(), Profile: cluster.Profile(c.Profile),
		Version: e.opts.Version, Certs: c.certificates(), Logger: e.opts.Logger, Registerer: e.registry,
	})
	return err
}

// seedsFile gives the file with further addresses. Where none is configured and
// none was made by an operator's tool, there is none: without any address a new
// node founds a cluster.
func (e *Engine) seedsFile() string {
	c := &e.config.Cluster
	file := c.Seeds(e.config.DataDir)
	if _, err := os.Stat(file); err != nil && c.SeedsFile == "" {
		return ""
	}
	return file
}

// beside gives an address, or the one so many ports after another.
func beside(given, first string, ports int) (string, error) {
	if given != "" {
		return given, nil
	}
	host, port, err := net.SplitHostPort(first)
	if err != nil {
		return "", err
	}
	n, err := net.DefaultResolver.LookupPort(context.Background(), "tcp", port)
	if err != nil {
		return "", err
	}
	if n > 0 { // zero is any free one
		n += ports
	}
	return net.JoinHostPort(host, strconv.Itoa(n)), nil
}

// LinkAddress gives the address of the link of a node whose cluster.listen and
// cluster.link_listen are these.
func (c *ClusterConfig) LinkAddress() (string, error) { return beside(c.LinkListen, c.Listen, 1) }

func (c *ClusterConfig) certificates() *cluster.Certificates {
	if c.CertFile == "" {
		return nil
	}
	return &cluster.Certificates{Cert: c.CertFile, Key: c.CertKeyFile, CA: c.CAFile}
}

// Dialer opens links to the nodes of a cluster that is configured so, for tools
// that are no nodes.
func (c *ClusterConfig) Dialer() (*cluster.LinkDialer, error) {
	return cluster.NewLinkDialer(c.Key, c.Name, c.certificates())
}

// journalCluster says how the journal reaches its peers; nil when it has none.
func (e *Engine) journalCluster() *persistence.ClusterOptions {
	if e.node == nil {
		return nil
	}
	c := &e.config.Cluster
	timing := persistence.TimingCareful()
	if c.Profile == ProfileFast {
		timing = persistence.TimingFast()
	}
	return &persistence.ClusterOptions{
		Network: e.node.Link(), Address: e.node.LinkAddress(), Version: e.opts.Version,
		Voters: c.Voters, RemoveAfter: c.RemoveDead, Timing: timing, Peers: e.peers,
		Join: func(ctx context.Context, _ persistence.Identity) ([]string, error) {
			return e.node.Found(ctx, c.Expect)
		},
		// Peers find a node that has moved by what the gossip says of its
		// journal, so that is told before the journal needs them.
		Identified: func(id persistence.Identity) { e.node.SetJournal(id.Node, id.Cluster) },
	}
}

// newGate makes the way to the grains, on this node or on all.
func (e *Engine) newGate(o cluster.Options) (actors.Gate, error) {
	o.Node = e.node
	var err error
	e.gate, err = cluster.NewGate(o)
	return e.gate, err
}

// relay joins the nodes in what is worth nothing a second later: typing,
// presence, and what each remembers of shadows.
func (e *Engine) relay() {
	if e.node == nil {
		return
	}
	for _, topic := range gateway.RelayTopics() {
		e.gate.OnBroadcast(topic, func(from cluster.NodeID, payload []byte) {
			e.gateway.Relayed(string(from), topic, payload)
		})
	}
	e.gate.OnBroadcast(topicShadow, e.shadows.hear)
	e.gate.OnView(func(_, _ *cluster.View) {
		select {
		case e.members <- struct{}{}:
		default: // it will look anyway
		}
	})
}

// tellMembers tells the gateway who is there, whenever that changes.
func (e *Engine) tellMembers(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-e.members:
		}
		var nodes []string
		for _, m := range e.gate.View().Members() {
			nodes = append(nodes, string(m.ID))
		}
		e.gateway.SetMembers(nodes)
	}
}

// watchEviction ends the node when the others have given it up.
func (e *Engine) watchEviction(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-e.node.Evicted():
		return ErrEvicted
	}
}

// clusterParts are what runs only where there are other nodes.
func (e *Engine) clusterParts() []part {
	if e.node == nil {
		return nil
	}
	return []part{
		{name: "membership", run: e.watchEviction, stop: func(ctx context.Context) {
			if err := e.node.Leave(ctx); err != nil {
				e.log.Warn("cluster not left in time", "err", err)
			}
		}},
		{name: "operators", run: e.serveOperators},
		{name: "members", run: e.tellMembers},
	}
}

// serving tells the others that grains may live here.
func (e *Engine) serving() {
	if e.node != nil {
		e.node.SetServing(cluster.Serving)
	}
}

// yield gives everything away before the node stops, or sends the clients away
// if there is nothing left to give.
func (e *Engine) yield(why error) {
	ctx, cancel := context.WithTimeout(context.Background(), e.config.ShutdownGrace/2)
	defer cancel()
	if !errors.Is(why, ErrEvicted) {
		e.Drain(ctx)
		return
	}
	if err := e.gateway.SendAway(ctx); err != nil {
		e.log.Warn("sockets not all sent away", "err", err)
	}
}

// relayer gives the gateway its way to the others; nil on a node that is alone.
func (e *Engine) relayer() gateway.Relay {
	if e.node == nil {
		return nil
	}
	return e.gate
}

// peers lists the live nodes for the journal.
func (e *Engine) peers() []persistence.Peer {
	members := e.node.View().Members()
	out := make([]persistence.Peer, 0, len(members))
	for i := range members {
		if m := &members[i]; m.Journal != "" {
			out = append(out, persistence.Peer{Node: m.Journal, Address: m.Address})
		}
	}
	return out
}

// Drain gives everything away that this node has: clients are told to come back
// to another one, conversations move, so does the lead of the journal. The node
// goes on running, and helps with what comes; it is meant to be stopped next.
//
// It returns when the clients have been told and most of them are gone, or ctx
// ends. It does nothing a second time, nor on a node that is alone.
func (e *Engine) Drain(ctx context.Context) {
	if e.node == nil || !e.draining.CompareAndSwap(false, true) {
		return
	}
	e.log.Info("draining")
	e.node.SetDraining()
	if err := e.store.TransferLeadership(ctx); err != nil {
		e.log.Warn("the lead of the journal stays here until the end", "err", err)
	}
	if err := e.gateway.Drain(ctx, e.config.ShutdownGrace/4); err != nil {
		e.log.Warn("sockets not all told to come back", "err", err)
	}
	if err := e.gate.Cede(ctx); err != nil {
		e.log.Warn("conversations not all handed over", "err", err)
	}
}
