package gateway

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// Cluster is what an operator sees of the nodes and does with them.
type Cluster interface {
	// Status asks all nodes; those that do not answer are in it as absent.
	Status(ctx context.Context, how StatusDetail) (ClusterStatus, error)
	// Drain has a node give everything away; it goes on running. An empty name
	// is this node. It returns when the node has begun.
	Drain(ctx context.Context, node string) error
	// Remove takes a node's vote and place away.
	Remove(ctx context.Context, node string, how Removal) error
}

// StatusDetail says how much is to be asked of each node.
type StatusDetail int

// The details of a status.
const (
	StatusPlain    StatusDetail = iota
	StatusWithHash              // also a hash over everything stored, which takes time
)

// Removal says how sure an operator is.
type Removal int

// The ways to remove a node.
const (
	RemoveIfSafe Removal = iota // refused while it could cost the quorum, or the node is alive
	RemoveAnyway                // also when the node is alive or the remaining are few
)

// ClusterStatus is the cluster as one of its nodes sees it.
type ClusterStatus struct {
	Cluster              string       `json:"cluster"`          // the id that all its directories carry
	Name                 string       `json:"name,omitempty"`   // as configured
	Self                 string       `json:"self"`             // the node that answers
	Leader               string       `json:"leader,omitempty"` // empty while there is none
	Quorum               bool         `json:"quorum"`           // a majority of the voters answers
	Voters               int          `json:"voters"`
	LiveVoters           int          `json:"live_voters"`
	UnderReplicatedBytes uint64       `json:"under_replicated_bytes"` // of the log, not on all voters yet; as the leader knows
	Nodes                []NodeStatus `json:"nodes"`
}

// NodeStatus is one node. What an absent node would have to say itself is zero.
type NodeStatus struct {
	Node         string         `json:"node"`             // the name on its disk
	Run          string         `json:"run,omitempty"`    // the name of this run of it
	State        NodeState      `json:"state"`            // of the run
	Voter        bool           `json:"voter"`            // counts for the majority
	Leader       bool           `json:"leader,omitempty"` // takes the writes
	Version      string         `json:"version,omitempty"`
	Link         string         `json:"link,omitempty"` // address of its link
	Address      string         `json:"address,omitempty"`
	Started      time.Time      `json:"started,omitzero"`
	AppliedIndex uint64         `json:"applied_index,omitempty"`
	LagEntries   uint64         `json:"lag_entries"`               // behind the leader's log
	Grains       map[string]int `json:"grains,omitempty"`          // in memory, by kind
	Sockets      int            `json:"sockets"`                   // visitors and agents
	DiskFree     uint64         `json:"disk_free_bytes,omitempty"` // where the journal is
	FsyncP99     float64        `json:"fsync_p99_ms,omitempty"`
	// UnderReplicatedBytes is what only the leader knows; see [ClusterStatus].
	UnderReplicatedBytes uint64 `json:"under_replicated_bytes,omitempty"`
	StateHash            string `json:"state_hash,omitempty"` // at AppliedIndex; when asked for
	Problem              string `json:"problem,omitempty"`    // why it is not ready
}

// NodeState is where a node is between its start and its end.
type NodeState string

// The states of a node.
const (
	NodeJoining  NodeState = "joining"  // opens, or catches up
	NodeServing  NodeState = "serving"  // takes everything
	NodeDraining NodeState = "draining" // gives everything away
	NodeAbsent   NodeState = "absent"   // has a place in the cluster and does not answer
)

func errNoCluster() error {
	return conversation.Refuse(conversation.CodeUnavailable, "this server does not know its cluster")
}

// Operators serves the cluster routes to whoever comes, on a way that only
// operators have: the link between the nodes.
func (g *Gateway) Operators() http.Handler {
	mux := http.NewServeMux()
	for _, rt := range table() {
		if !strings.HasPrefix(rt.path, clusterPath) {
			continue
		}
		mux.HandleFunc(rt.method+" "+rt.path, func(w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, smallBody)
			if err := rt.handle(g, w, r, caller{}); err != nil {
				g.refuse(w, r, err)
			}
		})
	}
	return mux
}

const clusterPath = "/v1/cluster"

// forOperators makes a route of a cluster's handler.
func forOperators(handle func(Cluster, http.ResponseWriter, *http.Request) error) func(*Gateway, http.ResponseWriter, *http.Request, caller) error {
	return func(g *Gateway, w http.ResponseWriter, r *http.Request, _ caller) error {
		if g.opts.Cluster == nil {
			return errNoCluster()
		}
		return handle(g.opts.Cluster, w, r)
	}
}

func clusterStatus(c Cluster, w http.ResponseWriter, r *http.Request) error {
	how := StatusPlain
	if r.URL.Query().Has("state_hash") {
		how = StatusWithHash
	}
	s, err := c.Status(r.Context(), how)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, s)
}

func drainNode(c Cluster, w http.ResponseWriter, r *http.Request) error {
	var b struct {
		Node string `json:"node"`
	}
	if err := optionalBody(r, &b); err != nil {
		return err
	}
	if err := c.Drain(r.Context(), b.Node); err != nil {
		return err
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}

func removeNode(c Cluster, w http.ResponseWriter, r *http.Request) error {
	var b struct {
		Node  string `json:"node"`
		Force bool   `json:"force"`
	}
	if err := decodeBody(r, &b); err != nil {
		return err
	}
	if b.Node == "" {
		return conversation.Refuse(conversation.CodeInvalid, "node: the name of a node is needed")
	}
	how := RemoveIfSafe
	if b.Force {
		how = RemoveAnyway
	}
	if err := c.Remove(r.Context(), b.Node, how); err != nil {
		return err
	}
	return noContent(w)
}
