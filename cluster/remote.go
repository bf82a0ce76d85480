package cluster

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	protocluster "github.com/asynkron/protoactor-go/cluster"
	protoremote "github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/colloquyhq/colloquy/conversation"
)

// The settings of protoactor's remote. The library sends up to writerBatch of
// our batches in one gRPC message, and one that is over the receiver's limit
// would reset the stream and lose everything that waits: writerBatch times
// maxBatchBytes has to stay below maxReceiveBytes.
const (
	gateName        = "colloquy-gate"
	writerBatch     = 16
	writerQueue     = 4096 // initial ring; the library's default takes 16 MB a peer
	maxReceiveBytes = 64 << 20
	remoteStart     = 30 * time.Second
	connectTimeout  = 2 * time.Second
)

// remote carries batches over protoactor's remote: one gRPC stream to each peer,
// with certificates of the cluster on both ends, and one type of message for
// everything. The library's own gossip is off: it dies of a type that it does not
// know, and its member list only follows ours.
//
// owns: the connections that it has opened · bound: the gate's window for each
// peer · how it ends: Stop.
type remote struct {
	node *Node
	o    CarrierOptions

	cluster *protocluster.Cluster
	started chan error
	once    sync.Once
	mu      struct {
		sync.Mutex
		serves  bool // the library has started
		stopped bool
		gates   map[string]*actor.PID // by address; a PID caches its process
		conns   map[net.Conn]string
	}
}

var (
	_ Carrier                      = (*remote)(nil)
	_ protocluster.ClusterProvider = (*remote)(nil)
	_ actor.Process                = arrivals{}
)

func newRemote(n *Node, o CarrierOptions) *remote {
	r := &remote{node: n, o: o, started: make(chan error, 2)}
	r.mu.gates = map[string]*actor.PID{}
	r.mu.conns = map[net.Conn]string{}
	return r
}

// Start implements [Carrier]. The library's StartMember sleeps a second after
// everything is done, and panics when the port is taken; nobody waits for the
// former here, and the latter becomes an error.
func (r *remote) Start() (string, error) {
	system := r.node.o.System
	config, err := r.config()
	if err != nil {
		return "", err
	}
	system.ProcessRegistry.Add(arrivals{r.o.Receive}, gateName)
	r.cluster = protocluster.New(system, config)
	system.EventStream.Subscribe(func(event any) {
		if e, ok := event.(*protoremote.EndpointTerminatedEvent); ok {
			r.o.Broken(e.Address)
		}
	})
	go func() {
		defer func() {
			if p := recover(); p != nil {
				r.started <- fmt.Errorf("listen for grains: %v", p)
			}
		}()
		r.cluster.StartMember()
	}()
	select {
	case err = <-r.started:
	case <-time.After(remoteStart):
		err = errors.New("listen for grains: the actor library does not start")
	}
	if err != nil {
		return "", err
	}
	bound, err := net.ResolveTCPAddr("tcp", system.Address())
	if err != nil {
		return "", fmt.Errorf("read the address of the grains: %w", err)
	}
	// PIDs carry this address. Nobody has one yet.
	system.ProcessRegistry.Address = r.o.Advertise(bound)
	return system.Address(), nil
}

func (r *remote) config() (*protocluster.Config, error) {
	host, p, err := net.SplitHostPort(r.o.Listen)
	if err != nil {
		return nil, &conversation.Error{Code: conversation.CodeInvalid, Detail: "the grains need a host:port", Err: err}
	}
	port, err := strconv.Atoi(p)
	if err != nil {
		return nil, &conversation.Error{Code: conversation.CodeInvalid, Detail: "the grains' port is no number", Err: err}
	}
	creds := credentials.NewTLS(r.node.creds.config())
	alive := keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 3 * time.Second, PermitWithoutStream: true}
	config := protoremote.Configure(host, port,
		protoremote.WithEndpointWriterBatchSize(writerBatch),
		protoremote.WithEndpointWriterQueueSize(writerQueue),
		protoremote.WithServerOptions(
			grpc.Creds(creds), grpc.MaxRecvMsgSize(maxReceiveBytes), grpc.StreamInterceptor(r.recover),
			grpc.ConnectionTimeout(linkHandshake),
			grpc.KeepaliveParams(keepalive.ServerParameters{Time: 10 * time.Second, Timeout: 3 * time.Second}),
			grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		),
		protoremote.WithDialOptions(
			grpc.WithTransportCredentials(creds), grpc.WithKeepaliveParams(alive), grpc.WithContextDialer(r.dial),
			grpc.WithNoProxy(), grpc.WithDisableServiceConfig(),
			grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.DefaultConfig, MinConnectTimeout: connectTimeout}),
		),
	)
	config.MaxRetryCount = 1
	lookup := &lookup{node: r.node}
	c := protocluster.Configure(r.node.o.Name, r, lookup, config, protocluster.WithClusterContextProducer(lookup.context))
	// The library's gossip would hold everybody for expired at its second turn.
	// Never is as long as a duration can say.
	c.GossipInterval, c.HeartbeatExpiration = math.MaxInt64, math.MaxInt64
	return c, nil
}

// recover keeps a panic in the library's decoder, such as for a type that it
// does not know, from ending the process: it ends the stream.
func (r *remote) recover(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) (err error) {
	defer func() {
		if p := recover(); p != nil {
			r.node.metrics.remoteErrors.WithLabelValues("panic").Inc()
			r.node.log.Error("stream of a peer ended by a panic", "err", describe(p), "stack", string(debug.Stack()))
			err = status.Error(codes.InvalidArgument, "not understood")
		}
	}()
	return handle(srv, stream)
}

// dial opens the connections of the library, so that they can be ended when
// their peer is no member any more.
func (r *remote) dial(ctx context.Context, address string) (net.Conn, error) {
	conn, err := r.node.o.Dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		r.node.metrics.remoteErrors.WithLabelValues("dial").Inc()
		// The library sleeps two seconds before it tells of this.
		r.o.Broken(address)
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.stopped {
		_ = conn.Close()
		return nil, net.ErrClosed
	}
	held := &heldConn{Conn: conn, remote: r}
	r.mu.conns[held] = address
	return held, nil
}

// heldConn is a connection that takes itself off the books.
type heldConn struct {
	net.Conn

	remote *remote
}

// Close implements [net.Conn].
func (c *heldConn) Close() error {
	c.remote.mu.Lock()
	delete(c.remote.mu.conns, c)
	c.remote.mu.Unlock()
	return c.Conn.Close()
}

// Send implements [Carrier].
func (r *remote) Send(address string, frame []byte) {
	r.mu.Lock()
	pid := r.mu.gates[address]
	if pid == nil && !r.mu.stopped {
		pid = actor.NewPID(address, gateName)
		r.mu.gates[address] = pid
	}
	r.mu.Unlock()
	if pid != nil {
		r.node.o.System.Root.Send(pid, wrapperspb.Bytes(frame))
	}
}

// Forget implements [Carrier].
func (r *remote) Forget(address string) {
	r.mu.Lock()
	delete(r.mu.gates, address)
	r.mu.Unlock()
	r.hangUp(func(to string) bool { return to == address })
}

func (r *remote) hangUp(to func(address string) bool) {
	r.mu.Lock()
	var conns []net.Conn
	for conn, address := range r.mu.conns {
		if to(address) {
			conns = append(conns, conn)
		}
	}
	r.mu.Unlock()
	for _, conn := range conns {
		_ = conn.Close()
	}
}

// Stop implements [Carrier]. The library's graceful stop waits ten seconds for
// streams that do not end; the gate has drained before, so nothing is lost.
func (r *remote) Stop() {
	r.once.Do(func() {
		r.mu.Lock()
		r.mu.stopped = true
		serves := r.mu.serves
		clear(r.mu.gates)
		r.mu.Unlock()
		if serves { // or the library would shut down a server that it has not made
			r.cluster.Remote.Shutdown(false)
			// Its loop would hold on to the actor system, and with it to everything.
			r.cluster.Gossip.Shutdown()
		}
		r.hangUp(func(string) bool { return true })
	})
}

// StartMember implements [protocluster.ClusterProvider].
func (r *remote) StartMember(c *protocluster.Cluster) error {
	r.node.OnView(func(_, now *View) { r.follow(c, now) })
	r.mu.Lock()
	r.mu.serves = true
	r.mu.Unlock()
	r.started <- nil
	return nil
}

// StartClient implements [protocluster.ClusterProvider].
func (r *remote) StartClient(*protocluster.Cluster) error {
	return errors.New("a node of this cluster is a member")
}

// Shutdown implements [protocluster.ClusterProvider].
func (r *remote) Shutdown(bool) error { return nil }

// follow tells the library's member list what the view is.
func (r *remote) follow(c *protocluster.Cluster, now *View) {
	kinds := c.GetClusterKinds()
	members := make(protocluster.Members, 0, len(now.Members()))
	for _, m := range now.Members() {
		host, p, err := net.SplitHostPort(m.Grains)
		if err != nil {
			continue
		}
		port, err := strconv.ParseInt(p, 10, 32)
		if err != nil {
			continue
		}
		members = append(members, &protocluster.Member{Id: string(m.ID), Host: host, Port: int32(port), Kinds: kinds})
	}
	c.MemberList.UpdateClusterTopology(members)
}

// arrivals is the process that peers send their batches to. It runs on the
// goroutine of the peer's stream.
type arrivals struct{ receive func(frame []byte) }

// SendUserMessage implements [actor.Process].
func (a arrivals) SendUserMessage(_ *actor.PID, message any) {
	if frame, ok := actor.UnwrapEnvelopeMessage(message).(*wrapperspb.BytesValue); ok {
		a.receive(frame.GetValue())
	}
}

// SendSystemMessage implements [actor.Process].
func (arrivals) SendSystemMessage(*actor.PID, any) {}

// Stop implements [actor.Process].
func (arrivals) Stop(*actor.PID) {}
