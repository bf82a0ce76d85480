package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/colloquyhq/colloquy/cluster"
	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway"
	"github.com/colloquyhq/colloquy/persistence"
)

// The operators' way between nodes: HTTP over the link.
const (
	// OperatorProtocol is what it is called on the link.
	OperatorProtocol = "operator"
	// SetUpPath makes a first admin possible; see [SetUp].
	SetUpPath = "/v1/setup"
	// BackupPath has the node copy its journal to a folder of its machine.
	BackupPath = "/v1/backup"

	selfPath     = "/self"
	askTimeout   = 2 * time.Second
	hashTimeout  = 60 * time.Second
	workTimeout  = 10 * time.Minute // of a backup
	maxAnswer    = 1 << 20
	maxOperators = 16 << 10 // of a request's body
)

// operator is this node and its peers as [gateway.Cluster].
type operator struct{ e *Engine }

// Status implements [gateway.Cluster].
func (o operator) Status(ctx context.Context, how gateway.StatusDetail) (gateway.ClusterStatus, error) {
	e := o.e
	id := e.store.Identity()
	out := gateway.ClusterStatus{Cluster: id.Cluster, Self: id.Node, Name: e.config.Cluster.Name}
	servers, err := e.store.Servers(ctx)
	if err != nil {
		return out, err
	}
	told := o.askAll(ctx, how)
	for _, s := range servers {
		n, ok := told[s.Node]
		if !ok {
			n = gateway.NodeStatus{State: gateway.NodeAbsent, Problem: "it does not answer"}
		}
		delete(told, s.Node)
		if s.Reachable { // who asks the leader too knows more than the node itself
			n.LagEntries = s.Lag
		}
		n.Node, n.Link, n.Voter, n.Leader = s.Node, s.Address, s.Voter, s.Leader
		out.Nodes = append(out.Nodes, n)
	}
	for node, n := range told { // known to the gossip and not yet to the journal
		n.Node = node
		out.Nodes = append(out.Nodes, n)
	}
	sum(&out)
	return out, nil
}

// askAll gives what each live node says of itself, by the name on its disk.
func (o operator) askAll(ctx context.Context, how gateway.StatusDetail) map[string]gateway.NodeStatus {
	self := o.self(ctx, how)
	out := map[string]gateway.NodeStatus{self.Node: self}
	if o.e.node == nil {
		return out
	}
	timeout, path := askTimeout, selfPath
	if how == gateway.StatusWithHash {
		timeout, path = hashTimeout, selfPath+"?state_hash"
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var all sync.WaitGroup
	var mu sync.Mutex
	for _, m := range o.e.node.View().Members() {
		if m.Journal == "" || m.Journal == self.Node {
			continue
		}
		all.Go(func() {
			var n gateway.NodeStatus
			if err := o.call(ctx, Call{Address: m.Address, Method: http.MethodGet, Path: path, Answer: &n}); err != nil {
				n = gateway.NodeStatus{State: gateway.NodeAbsent, Problem: "it does not answer: " + err.Error()}
			}
			n.Run, n.Node = string(m.ID), m.Journal
			mu.Lock()
			defer mu.Unlock()
			out[m.Journal] = n
		})
	}
	all.Wait()
	return out
}

// self is what this node says of itself.
func (o operator) self(ctx context.Context, how gateway.StatusDetail) gateway.NodeStatus {
	e := o.e
	h := e.store.Health(ctx)
	n := gateway.NodeStatus{
		Node: e.store.Identity().Node, State: gateway.NodeJoining, Version: e.opts.Version, Address: e.Addr(), Started: e.started,
		AppliedIndex: h.Applied, LagEntries: h.Lag, Grains: e.gate.Counts(), Sockets: e.gateway.Sockets(),
		UnderReplicatedBytes: uint64(max(h.UnderReplicatedBytes, 0)),
		DiskFree:             h.DiskFreeBytes, FsyncP99: float64(h.FsyncP99) / float64(time.Millisecond),
	}
	if e.node != nil {
		n.Run = string(e.node.ID())
	}
	select {
	case <-e.ready:
		n.State = gateway.NodeServing
	default:
	}
	if e.draining.Load() || e.stopping.Load() {
		n.State = gateway.NodeDraining
	}
	if how == gateway.StatusWithHash {
		h, err := e.store.StateHash(ctx)
		if err != nil {
			n.Problem = err.Error()
		} else {
			n.AppliedIndex, n.StateHash = h.Index, h.Sum
		}
	}
	var bad []string
	for _, r := range e.health.Run(ctx) {
		if r.Err != nil {
			bad = append(bad, r.Name+": "+r.Err.Error())
		}
	}
	if n.Problem == "" {
		n.Problem = strings.Join(bad, "; ")
	}
	return n
}

// sum fills in what follows from the nodes.
func sum(s *gateway.ClusterStatus) {
	slices.SortFunc(s.Nodes, func(a, b gateway.NodeStatus) int { return strings.Compare(a.Node, b.Node) })
	for i := range s.Nodes {
		n := &s.Nodes[i]
		if n.Leader {
			s.Leader, s.UnderReplicatedBytes = n.Node, n.UnderReplicatedBytes
		}
		if n.Voter {
			s.Voters++
			if n.State != gateway.NodeAbsent {
				s.LiveVoters++
			}
		}
	}
	s.Quorum = s.Leader != "" && 2*s.LiveVoters > s.Voters
}

// Drain implements [gateway.Cluster].
func (o operator) Drain(ctx context.Context, node string) error {
	e := o.e
	if e.node == nil {
		return conversation.Refuse(conversation.CodeConflict, "this node is alone and has nobody to give anything to")
	}
	if node != "" && node != e.store.Identity().Node {
		m, err := o.member(node)
		if err != nil {
			return err
		}
		return o.call(ctx, Call{Address: m.Address, Method: http.MethodPost, Path: drainPath, Body: struct{}{}})
	}
	others := 0
	for _, m := range e.node.View().Members() {
		if m.ID != e.node.ID() && m.Serving && !m.Draining {
			others++
		}
	}
	if others == 0 {
		return conversation.Refuse(conversation.CodeConflict, "no other node could take over")
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.config.ShutdownGrace)
		defer cancel()
		e.Drain(ctx)
	}()
	return nil
}

// member finds a live node by the name on its disk.
func (o operator) member(node string) (cluster.Member, error) {
	for _, m := range o.e.node.View().Members() {
		if m.Journal == node {
			return m, nil
		}
	}
	return cluster.Member{}, conversation.Refusef(conversation.CodeNotFound, "no node %s is there", node)
}

// Remove implements [gateway.Cluster].
func (o operator) Remove(ctx context.Context, node string, how gateway.Removal) error {
	mode := persistence.RemoveSilent
	if how == gateway.RemoveAnyway {
		mode = persistence.RemoveAny
	}
	err := o.e.store.RemoveServer(ctx, node, mode)
	if r := (*persistence.RefusedError)(nil); errors.As(err, &r) {
		return &conversation.Error{Code: conversation.CodeConflict, Detail: r.Reason, Err: err}
	}
	return err
}

const drainPath = "/v1/cluster/drain"

// call speaks HTTP with a peer over the link.
func (o operator) call(ctx context.Context, c Call) error {
	return CallOperator(ctx, o.e.node.Link(), c)
}

// LinkDialer opens streams between nodes; package cluster has two.
type LinkDialer interface {
	Dial(ctx context.Context, address, protocol string) (net.Conn, error)
}

// Call says whom to call, and for what.
type Call struct {
	Address, Method, Path string

	Body   any // sent as JSON; nil = nothing
	Answer any // what the answer's JSON is read into; nil = it is not read
}

// CallOperator makes one call to the operators' side of a node over its link.
// Errors: those of the link; what the
// node refuses, with its code.
func CallOperator(ctx context.Context, link LinkDialer, o Call) error {
	var content io.Reader = http.NoBody
	if o.Body != nil {
		raw, err := json.Marshal(o.Body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, o.Method, "http://node"+o.Path, content)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return link.Dial(ctx, o.Address, OperatorProtocol)
		},
	}}
	res, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("ask node at %s: %w", o.Address, err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("ask node at %s: %w", o.Address, err)
	}
	if res.StatusCode/100 != 2 {
		return refusal(res.StatusCode, raw)
	}
	if o.Answer == nil {
		return nil
	}
	if err := json.Unmarshal(raw, o.Answer); err != nil {
		return fmt.Errorf("answer of node at %s: %w", o.Address, err)
	}
	return nil
}

// refusal makes an error of a problem document.
func refusal(status int, raw []byte) error {
	var p struct {
		Code   conversation.Code `json:"code"`
		Title  string            `json:"title"`
		Detail string            `json:"detail"`
	}
	if json.Unmarshal(raw, &p) != nil || p.Code == "" {
		return fmt.Errorf("the node answers %d", status)
	}
	if p.Detail == "" {
		p.Detail = p.Title
	}
	return &conversation.Error{Code: p.Code, Detail: p.Detail}
}

// serveOperators answers on the link: to peers, and to operators' tools that
// have the cluster key.
func (e *Engine) serveOperators(ctx context.Context) error {
	listener, err := e.node.Link().Listen(OperatorProtocol)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	routes := e.gateway.Operators()
	mux.Handle("/v1/cluster", routes)
	mux.Handle("/v1/cluster/", routes)
	mux.HandleFunc("GET "+selfPath, func(w http.ResponseWriter, r *http.Request) {
		how := gateway.StatusPlain
		if r.URL.Query().Has("state_hash") {
			how = gateway.StatusWithHash
		}
		writeJSON(w, operator{e}.self(r.Context(), how))
	})
	mux.HandleFunc("POST "+SetUpPath, serveCall(func(ctx context.Context, ask setUpAsk) (any, error) {
		return SetUp(ctx, e.store, ask.Inbox)
	}))
	mux.HandleFunc("POST "+BackupPath, serveCall(func(ctx context.Context, ask backupAsk) (any, error) {
		if !filepath.IsAbs(ask.To) {
			return nil, conversation.Refuse(conversation.CodeInvalid, "to: an absolute path on the node's machine is needed")
		}
		return struct{}{}, e.store.Backup(ctx, ask.To)
	}))
	e.serveTraces(mux)
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: opsHeaderTime, ReadTimeout: askTimeout, WriteTimeout: workTimeout}
	return serveHTTP(ctx, srv, opsCloseTime, func() error { return srv.Serve(unwrapped{listener}) })
}

// unwrapped hides from the HTTP server that its connections are TLS: it would
// judge them by the name of the protocol, which is the link's and not its own.
type unwrapped struct{ net.Listener }

// Accept implements [net.Listener].
func (u unwrapped) Accept() (net.Conn, error) {
	c, err := u.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return struct{ net.Conn }{c}, nil
}

// serveStatus shows the nodes to whoever can reach the operations listener.
func (e *Engine) serveStatus(w http.ResponseWriter, r *http.Request) {
	if !e.opened.Load() {
		http.Error(w, *e.opening.Load(), http.StatusServiceUnavailable)
		return
	}
	s, err := operator{e}.Status(r.Context(), gateway.StatusPlain)
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	writeJSON(w, s)
}

type (
	setUpAsk struct {
		Inbox string `json:"inbox"`
	}
	backupAsk struct {
		To string `json:"to"`
	}
)

// serveCall makes a handler of what reads JSON and gives JSON.
func serveCall[T any](do func(context.Context, T) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var ask T
		raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxOperators))
		if err == nil && json.Unmarshal(raw, &ask) != nil {
			err = conversation.Refuse(conversation.CodeBadJSON, "the body is not what this call takes")
		}
		var answer any
		if err == nil {
			answer, err = do(r.Context(), ask)
		}
		if err != nil {
			row := conversation.CodeOf(err).Row()
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(row.Status)
			writeJSON(w, map[string]any{"code": row.Code, "title": row.Means, "detail": detail(err)})
			return
		}
		writeJSON(w, answer)
	}
}

// writeJSON answers; the peer may be gone, and there is nobody to tell.
func writeJSON(w http.ResponseWriter, v any) {
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/json")
	}
	_ = json.NewEncoder(w).Encode(v)
}
