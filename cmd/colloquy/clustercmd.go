package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/colloquyhq/colloquy/cluster"
	"github.com/colloquyhq/colloquy/engine"
	"github.com/colloquyhq/colloquy/gateway"
	"github.com/colloquyhq/colloquy/persistence"
)

// clusterCmd is `colloquy cluster`.
type clusterCmd struct {
	Key     clusterKeyCmd     `cmd:"" help:"Make the secret that all nodes of a cluster share."`
	Status  clusterStatusCmd  `cmd:"" help:"Show the nodes: who leads, who is behind, what is where."`
	Init    clusterInitCmd    `cmd:"" help:"Print the one-time token that makes the first admin of a running cluster."`
	Join    clusterJoinCmd    `cmd:"" help:"Check whether this node may join a cluster, and have its next start do it."`
	Drain   clusterDrainCmd   `cmd:"" help:"Have a node give everything away, before it is stopped."`
	Remove  clusterRemoveCmd  `cmd:"" help:"Take a node out that will not come back."`
	Recover clusterRecoverCmd `cmd:"" help:"Go on with this node alone after the majority is gone for good."`
}

// clusterKeyCmd is `colloquy cluster key`.
type clusterKeyCmd struct{}

// Run implements the subcommand.
func (*clusterKeyCmd) Run(t *tool) error {
	_, err := fmt.Fprintln(t.stdout, cluster.NewKey())
	return err
}

// nodeFlags choose the running node that is asked.
type nodeFlags struct {
	configFlags

	Node    string        `help:"Link of the node to ask: the port after its cluster.listen; default: this machine's, as configured." placeholder:"HOST:PORT"`
	Timeout time.Duration `help:"How long to wait for the answer." default:"10s"`
}

// clusterStatusCmd is `colloquy cluster status`.
type clusterStatusCmd struct {
	nodeFlags

	StateHash bool `help:"Also a hash over everything stored, on each node."`
	JSON      bool `help:"Print JSON."`
}

// Run implements the subcommand.
func (c *clusterStatusCmd) Run(t *tool) error {
	path := "/v1/cluster"
	if c.StateHash {
		path += "?state_hash"
	}
	var s gateway.ClusterStatus
	if err := c.ask(t, "GET", path, nil, &s); err != nil {
		return err
	}
	if c.JSON {
		if err := writeJSON(t.stdout, s); err != nil {
			return err
		}
	} else if err := printStatus(t, &s); err != nil {
		return err
	}
	if !s.Quorum {
		return &failure{exitCheck, fmt.Errorf("%d of %d voters answer; nothing can be stored", s.LiveVoters, s.Voters)}
	}
	return nil
}

func printStatus(t *tool, s *gateway.ClusterStatus) error {
	w := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "NODE\tSTATE\tROLE\tBEHIND\tCONVERSATIONS\tSOCKETS\tLINK\tVERSION\tNOTE")
	for i := range s.Nodes {
		n := &s.Nodes[i]
		name := n.Node
		if n.Node == s.Self {
			name += " *"
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%d\t%s\t%s\t%s\n", name, n.State, role(n), n.LagEntries,
			n.Grains["conversation"], n.Sockets, n.Link, n.Version, strings.Join(nonEmpty(n.StateHash, n.Problem), " "))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(t.stdout, "\ncluster %s: %d of %d voters answer, %d bytes are not on all of them yet\n",
		s.Cluster, s.LiveVoters, s.Voters, s.UnderReplicatedBytes)
	return err
}

func role(n *gateway.NodeStatus) string {
	switch {
	case n.Leader:
		return "leader"
	case n.Voter:
		return "voter"
	}
	return "copy"
}

func nonEmpty(texts ...string) []string {
	var out []string
	for _, s := range texts {
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}

// clusterInitCmd is `colloquy cluster init`.
type clusterInitCmd struct {
	nodeFlags

	Inbox string `help:"Also make a first inbox with this id, answered by the e-commerce pack, and print its ingress credential." placeholder:"ID"`
}

// Run implements the subcommand.
func (c *clusterInitCmd) Run(t *tool) error {
	var made engine.Setup
	if err := c.ask(t, "POST", engine.SetUpPath, map[string]string{"inbox": c.Inbox}, &made); err != nil {
		return setUpFailure(err)
	}
	return printSetup(t.stdout, made, "Open /agent")
}

// clusterJoinCmd is `colloquy cluster join`.
type clusterJoinCmd struct {
	configFlags

	Address string        `arg:"" help:"cluster.listen of a node that is there, host:port."`
	Link    string        `help:"Link of that node; default: the next port." placeholder:"HOST:PORT"`
	Timeout time.Duration `help:"How long to wait for the answer." default:"10s"`
}

// Run implements the subcommand.
func (c *clusterJoinCmd) Run(t *tool) error {
	config, err := c.load(t, nil)
	if err != nil {
		return err
	}
	if !config.Cluster.Clustered() {
		return &failure{exitUsage, errors.New("cluster.listen is not set: this node would not take part in any cluster")}
	}
	link := c.Link
	if link == "" {
		there := engine.ClusterConfig{Listen: c.Address}
		if link, err = there.LinkAddress(); err != nil {
			return &failure{exitUsage, err}
		}
	}
	var there gateway.ClusterStatus
	call := engine.Call{Address: link, Method: "GET", Path: "/v1/cluster", Answer: &there}
	if err := callNode(t, &config, c.Timeout, call); err != nil {
		return err
	}
	if err := mayJoin(config.DataDir, there.Cluster); err != nil {
		return &failure{exitCheck, err}
	}
	seeds := config.Cluster.Seeds(config.DataDir)
	if err := addLine(seeds, c.Address); err != nil {
		return err
	}
	_, err = fmt.Fprintf(t.stdout, "%s is a node of cluster %s with %d nodes; it stands in %s now, and `colloquy serve` will join it\n",
		c.Address, there.Cluster, len(there.Nodes), seeds)
	return err
}

// mayJoin refuses a directory that belongs elsewhere.
func mayJoin(dir, cluster string) error {
	a, err := persistence.OpenArchive(dir)
	switch {
	case errors.Is(err, persistence.ErrNoJournal):
		return nil // nothing was ever stored here
	case err != nil:
		return err
	}
	id := a.Identity()
	if err := a.Close(); err != nil {
		return err
	}
	if id.Cluster != cluster {
		return fmt.Errorf("%s belongs to cluster %s; only an empty directory can join another one", dir, id.Cluster)
	}
	return nil
}

// addLine adds a line to a file, unless it is there.
func addLine(path, line string) error {
	old, err := os.ReadFile(path) //nolint:gosec // the operator's own file
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for have := range strings.Lines(string(old)) {
		if strings.TrimSpace(have) == line {
			return nil
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if len(old) > 0 && old[len(old)-1] != '\n' {
		old = append(old, '\n')
	}
	return os.WriteFile(path, append(old, line+"\n"...), 0o600) //nolint:gosec // the operator's own file
}

// clusterDrainCmd is `colloquy cluster drain`.
type clusterDrainCmd struct {
	nodeFlags

	Target string        `arg:"" optional:"" help:"The node to drain, as status names it; default: the one that is asked."`
	Wait   time.Duration `help:"Wait so long for it to be empty." placeholder:"TIME"`
}

// Run implements the subcommand.
func (c *clusterDrainCmd) Run(t *tool) error {
	if err := c.ask(t, "POST", "/v1/cluster/drain", map[string]string{"node": c.Target}, nil); err != nil {
		return err
	}
	if c.Wait <= 0 {
		_, err := fmt.Fprintln(t.stdout, "the node gives everything away; `colloquy cluster status` shows how far it is")
		return err
	}
	for end := time.Now().Add(c.Wait); ; pause(t.ctx, 200*time.Millisecond) {
		var s gateway.ClusterStatus
		if err := c.ask(t, "GET", "/v1/cluster", nil, &s); err != nil {
			return err
		}
		left, goes := left(&s, c.Target)
		switch {
		case goes && left == 0:
			_, err := fmt.Fprintln(t.stdout, "the node is empty and can be stopped")
			return err
		case time.Now().After(end) || t.ctx.Err() != nil:
			return &failure{exitCheck, fmt.Errorf("%d conversations and sockets are left after %v", left, c.Wait)}
		}
	}
}

// left counts what a node still has, and reports whether it gives that away or is
// gone. An empty name is the node that was asked.
func left(s *gateway.ClusterStatus, node string) (int, bool) {
	if node == "" {
		node = s.Self
	}
	for i := range s.Nodes {
		if n := &s.Nodes[i]; n.Node == node {
			total := n.Sockets
			for _, active := range n.Grains {
				total += active
			}
			return total, n.State == gateway.NodeDraining || n.State == gateway.NodeAbsent
		}
	}
	return 0, true
}

// clusterRemoveCmd is `colloquy cluster remove`.
type clusterRemoveCmd struct {
	nodeFlags

	Target string `arg:"" help:"The node to remove, as status names it."`
	Force  bool   `help:"Also when it is alive, or when few are left."`
}

// Run implements the subcommand.
func (c *clusterRemoveCmd) Run(t *tool) error {
	if err := c.ask(t, "POST", "/v1/cluster/remove", map[string]any{"node": c.Target, "force": c.Force}, nil); err != nil {
		return err
	}
	_, err := fmt.Fprintln(t.stdout, c.Target, "has no place in the cluster any more; it can only come back on an empty directory")
	return err
}

// clusterRecoverCmd is `colloquy cluster recover`.
type clusterRecoverCmd struct {
	configFlags

	Yes bool `help:"Do it. Without, it is only said what would be done."`
}

// Run implements the subcommand.
func (c *clusterRecoverCmd) Run(t *tool) error {
	config, err := c.load(t, nil)
	if err != nil {
		return err
	}
	look := persistence.Inspect
	if c.Yes {
		look = persistence.Recover
	}
	r, err := look(config.DataDir)
	if err == nil && len(r.Dropped) == 0 {
		err = persistence.ErrNothingToRecover
	}
	switch {
	case errors.Is(err, persistence.ErrNothingToRecover):
		return &failure{exitCheck, err}
	case errors.Is(err, persistence.ErrLocked):
		return fmt.Errorf("%s is in use by a running node; stop it first: %w", config.DataDir, err)
	case err != nil:
		return noJournal(err)
	}
	_, err = fmt.Fprintf(t.stdout, "%s is node %s of cluster %s; its log ends at entry %d.\n", config.DataDir, r.Node, r.Cluster, r.Last)
	for _, gone := range r.Dropped {
		_, _ = fmt.Fprintf(t.stdout, "  loses its place: node %s at %s\n", gone.Node, gone.Address)
	}
	if err == nil && !c.Yes {
		_, err = fmt.Fprintln(t.stdout, "Nothing was changed. If all of these are stopped for good and the log of no other node ends later, do it with --yes.")
	} else if err == nil {
		_, err = fmt.Fprintln(t.stdout, "It is a cluster of its own now. Start it, then let new nodes join on empty directories.")
	}
	return err
}
