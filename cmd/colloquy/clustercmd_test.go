package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/cluster"
	"github.com/colloquyhq/colloquy/cmd/colloquy/chaos"
	"github.com/colloquyhq/colloquy/cmd/colloquy/lab"
	"github.com/colloquyhq/colloquy/gateway"
)

// realCluster is one of processes on loopback, and what it has acknowledged.
type realCluster struct {
	t     *testing.T
	key   string
	keys  *lab.Keys
	acked map[string]string // answers by the id of the message
}

// realNode is a process of a [realCluster].
type realNode struct {
	*lab.Node

	dir, gossip string
}

func newRealCluster(t *testing.T) *realCluster {
	t.Helper()
	return &realCluster{t: t, key: cluster.NewKey(), acked: map[string]string{}}
}

// launch starts a program on a directory, and waits for nothing.
func (c *realCluster) launch(program, dir, gossip string, join ...string) *realNode {
	c.t.Helper()
	settings := []string{"cluster.listen=" + gossip, grace, "health.fsync_p99=10m", "health.lag=10m"}
	if len(join) > 0 {
		settings = append(settings, "cluster.join="+strings.Join(join, ","))
	}
	n, err := lab.Launch(&lab.Spec{Program: program, Dir: dir, Settings: settings, Environ: []string{"COLLOQUY_CLUSTER_KEY=" + c.key}})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(n.Kill)
	return &realNode{Node: n, dir: dir, gossip: gossip}
}

// start starts the built program on a directory and waits until it serves.
func (c *realCluster) start(dir string, join ...string) *realNode {
	c.t.Helper()
	gossip, err := freeAddress()
	if err != nil {
		c.t.Fatal(err)
	}
	n := c.launch(os.Getenv(builtProgram), dir, gossip, join...)
	if err := n.AwaitServing(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
	return n
}

// ended waits until a process has ended, and gives its exit status.
func (n *realNode) ended(t *testing.T) int {
	t.Helper()
	select {
	case <-n.Done():
	case <-time.After(patience):
		t.Fatalf("the node did not end:\n%s", n.Log())
	}
	return n.ExitCode()
}

// found starts so many nodes, of which all but the first join it.
func (c *realCluster) found(count int) []*realNode {
	c.t.Helper()
	var err error
	dir := c.t.TempDir()
	if c.keys, err = lab.Furnish(c.t.Context(), dir, lab.House{Agents: 1}); err != nil {
		c.t.Fatal(err)
	}
	out := []*realNode{c.start(dir)}
	for range count - 1 {
		out = append(out, c.start(c.t.TempDir(), out[0].gossip))
	}
	return out
}

// tool runs a subcommand of `colloquy cluster` as an operator has it on the node's
// machine.
func (c *realCluster) tool(at *realNode, args ...string) (stdout, stderr string, code int) {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), os.Getenv(builtProgram), append([]string{"cluster"}, args...)...)
	cmd.Env = append(lab.CleanEnviron(os.Environ()), "COLLOQUY_CLUSTER_KEY="+c.key, "COLLOQUY_CLUSTER_LISTEN="+at.gossip)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		c.t.Fatal(err)
	}
	return out.String(), problems.String(), cmd.ProcessState.ExitCode()
}

// status asks a node; the zero value while it has no answer.
func (c *realCluster) status(at *realNode) (s gateway.ClusterStatus) {
	c.t.Helper()
	out, _, _ := c.tool(at, "status", "--json")
	_ = json.Unmarshal([]byte(out), &s) // empty while there is none
	return s
}

// nameOf is what the cluster calls a node.
func (c *realCluster) nameOf(n *realNode) string {
	c.t.Helper()
	return c.status(n).Self
}

// await waits until a node sees so many voters, all of which are there and have
// everything. Nodes without a vote may be known beside them: one that ended just now.
func (c *realCluster) await(at *realNode, voters int) {
	c.t.Helper()
	var s gateway.ClusterStatus
	defer func() {
		if c.t.Failed() {
			c.t.Logf("the cluster: %+v; %s", s, at.Log())
		}
	}()
	eventually(c.t, fmt.Sprintf("%d nodes that vote and are level", voters), func() bool {
		s = c.status(at)
		level := !slices.ContainsFunc(s.Nodes, func(n gateway.NodeStatus) bool {
			return n.Voter && (n.State != gateway.NodeServing || n.AppliedIndex != applied(&s))
		})
		return s.Quorum && s.Voters == voters && s.LiveVoters == voters && level
	})
}

// applied is how far the leader is.
func applied(s *gateway.ClusterStatus) uint64 {
	for i := range s.Nodes {
		if s.Nodes[i].Leader {
			return s.Nodes[i].AppliedIndex
		}
	}
	return 0
}

// post posts a message until it is acknowledged.
func (c *realCluster) post(at *realNode, id string) *reply {
	c.t.Helper()
	var r *reply
	eventually(c.t, "an acknowledgement for "+id, func() bool {
		var err error
		body := fmt.Sprintf(`{"user":"person-%s","text":"message %s","id":%q}`, id[:1], id, id)
		r, err = trySend(c.t, "POST", "http://"+at.Addr()+"/webhook?wait_ms=0", body, "Authorization", "Bearer "+c.keys.Ingress)
		return err == nil && r.status/100 == 2
	})
	return r
}

// write has nodes acknowledge messages, whose ids begin with a word.
func (c *realCluster) write(word string, count int, at ...*realNode) {
	c.t.Helper()
	for i := range count {
		id := fmt.Sprintf("%d-%s", i, word)
		c.acked[id] = c.post(at[i%len(at)], id).body
	}
}

// check posts everything again that was acknowledged: whoever has it says so, with
// the first answer.
func (c *realCluster) check(at *realNode) {
	c.t.Helper()
	for _, id := range slices.Sorted(maps.Keys(c.acked)) {
		if r := c.post(at, id); r.header.Get("Idempotency-Replayed") != "true" || r.body != c.acked[id] {
			c.t.Errorf("message %s is not there: %q %s, acknowledged was %s", id, r.header.Get("Idempotency-Replayed"), r.body, c.acked[id])
		}
	}
}

// A node is drained, stopped and removed, and another one takes its place.
func TestClusterDrainAndRemove(t *testing.T) {
	t.Parallel()
	c := newRealCluster(t)
	nodes := c.found(3)
	stays, goes := nodes[0], nodes[2]
	c.await(stays, 3)
	c.write("before", 9, nodes...)
	name := c.nameOf(goes)

	if _, problem, code := c.tool(stays, "remove", name); code != 1 || !strings.Contains(problem, "the node is alive; stop it first, or force its removal") {
		t.Errorf("remove of a node that is alive: exit status %d, %s", code, problem)
	}
	if out, problem, code := c.tool(stays, "drain", "--wait", patience.String(), name); code != 0 || !strings.Contains(out, "is empty and can be stopped") {
		t.Fatalf("drain: exit status %d, %s%s", code, out, problem)
	}
	if r := send(t, "GET", "http://"+goes.Ops()+"/readyz?verbose", ""); r.status != 503 || !strings.Contains(r.body, "[-] drain: the node gives everything away") {
		t.Errorf("/readyz of a drained node = %d:\n%s", r.status, r.body)
	}
	c.write("drained", 9, nodes[:2]...)
	if err := goes.Stop(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the removal", func() bool {
		out, problem, code := c.tool(stays, "remove", name)
		if code != 0 {
			t.Log(problem) // the others have not noticed that it has ended
		}
		return code == 0 && strings.Contains(out, "has no place in the cluster any more")
	})
	c.await(stays, 2)
	if _, problem, code := c.tool(stays, "remove", name+"x"); code != 1 || !strings.Contains(problem, "the cluster has no node "+name+"x") {
		t.Errorf("remove of nobody: exit status %d, %s", code, problem)
	}

	back := c.launch(os.Getenv(builtProgram), goes.dir, goes.gossip, stays.gossip)
	if code := back.ended(t); code == 0 || !strings.Contains(back.Log(), "removed") {
		t.Errorf("a removed node on its old disk: exit status %d:\n%s", code, back.Log())
	}
	c.start(t.TempDir(), stays.gossip)
	c.await(stays, 3)
	c.check(stays)
	eventually(t, "that the run on the old disk is no member", func() bool { return len(c.status(stays).Nodes) == 3 })
}

// Two of three nodes are lost with their disks. The last one goes on, with
// everything, when it is told to, and new ones join it.
func TestClusterRecover(t *testing.T) {
	t.Parallel()
	c := newRealCluster(t)
	nodes := c.found(3)
	last := nodes[0]
	c.await(last, 3)
	c.write("before", 12, nodes...)
	c.await(last, 3)
	old := c.status(last).Cluster
	for _, n := range nodes[1:] {
		n.Kill()
		if err := os.RemoveAll(n.dir); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "no majority", func() bool {
		_, problem, code := c.tool(last, "status")
		return code == 3 && strings.Contains(problem, "1 of 3 voters answer; nothing can be stored")
	})
	if _, problem, code := c.tool(last, "recover", "--data-dir", last.dir, "--yes"); code != 1 || !strings.Contains(problem, "in use by a running node") {
		t.Errorf("recovery under a running node: exit status %d, %s", code, problem)
	}
	if err := last.Stop(); err != nil {
		t.Log(err) // it has nobody to give anything to
	}

	out, problem, code := c.tool(last, "recover", "--data-dir", last.dir)
	if code != 0 || strings.Count(out, "loses its place: node") != 2 || !strings.Contains(out, "Nothing was changed") || !strings.Contains(out, old) {
		t.Fatalf("recover: exit status %d, %s%s", code, out, problem)
	}
	if out, problem, code = c.tool(last, "recover", "--data-dir", last.dir, "--yes"); code != 0 || !strings.Contains(out, "a cluster of its own now") {
		t.Fatalf("recover --yes: exit status %d, %s%s", code, out, problem)
	}
	if _, problem, code = c.tool(last, "recover", "--data-dir", last.dir, "--yes"); code != 3 || !strings.Contains(problem, "nothing to recover") {
		t.Errorf("second recovery: exit status %d, %s", code, problem)
	}

	last = c.start(last.dir)
	c.check(last)
	second := c.start(t.TempDir(), last.gossip)
	third := c.start(t.TempDir(), last.gossip)
	c.await(last, 3)
	if s := c.status(last); s.Cluster == old {
		t.Error("the recovered node still belongs to the cluster that was lost")
	}
	c.write("after", 9, last, second, third)
	c.await(last, 3)
	last.Kill()
	c.check(second)
	c.check(third)
}

// as gives the built program under another version, which is as long: building it
// anew would take longer than the test.
func as(t *testing.T, version string) string {
	t.Helper()
	built := []byte("1.2.3-test")
	if len(version) != len(built) {
		t.Fatalf("%q is not as long as %q", version, built)
	}
	raw, err := os.ReadFile(os.Getenv(builtProgram))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(raw, built) {
		t.Fatalf("the program does not know its version %s", built)
	}
	path := filepath.Join(t.TempDir(), "colloquy-"+version)
	if err := os.WriteFile(path, bytes.ReplaceAll(raw, built, []byte(version)), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// Three nodes of the minor version before are upgraded under load, one after the
// other, and nothing is lost.
func TestChaosUpgrade(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("three nodes, each started three times")
	}
	out, code := runProgram(t, "chaos", "--json", "--faults", "restart", "--cycles", "1", "--calm", "500ms", "--cut", "1s", "--visitors", "6", "--agents", "1",
		"--webhooks", "1", "--profile", "careful", "--heal", "3m", "--upgrade-from", as(t, "1.1.0-test"),
		"--pack", "counter", "--packs-dir", testPacks(t), "--dir", t.TempDir())
	var r chaos.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != 0 {
		t.Fatalf("exit status %d, %v:\n%s", code, err, out)
	}
	if !r.Passed || r.UpgradedFrom != "1.1.0-test" || r.Version != "1.2.3-test" || r.Upgraded != 3 || r.Acked < 10 || len(r.Replicas) != 3 {
		t.Errorf("result %+v", r)
	}
}

// Two minor versions apart is too far: a new node is kept out, and one that
// belongs to the cluster ends, and both say why.
func TestVersionsTooFarApart(t *testing.T) {
	t.Parallel()
	c := newRealCluster(t)
	nodes := c.found(2)
	stays, goes := nodes[0], nodes[1]
	c.await(stays, 2)
	later := as(t, "1.4.0-test")
	const why = "it runs version 1.2.3-test and this node 1.4.0-test; members are at most one minor release apart"

	gossip, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	stranger := c.launch(later, t.TempDir(), gossip, stays.gossip)
	eventually(t, "the reason, and what it waits for", func() bool {
		return strings.Contains(stranger.Log(), why) && strings.Contains(stranger.Log(), "waiting for a cluster") && strings.Contains(stranger.Log(), `"kept_out":"it runs version 1.2.3-test`)
	})
	_ = stranger.Signal(syscall.SIGTERM)
	stranger.ended(t)

	if err := goes.Stop(); err != nil {
		t.Fatal(err)
	}
	skips := c.launch(later, goes.dir, goes.gossip, stays.gossip)
	code := skips.ended(t)
	if log := skips.Log(); code != 1 || !strings.Contains(log, why) || !strings.Contains(log, "versions that cannot work together") {
		t.Errorf("a member that skipped a version: exit status %d:\n%s", code, log)
	}
	next := c.launch(as(t, "1.3.0-test"), goes.dir, goes.gossip, stays.gossip)
	if err := next.AwaitServing(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.await(stays, 2)
}
