//go:build !race

// These tests start protoactor's remote on several nodes of one process. Each
// start sets a variable of gRPC's logging package, and the library's member list
// reads its block list without a lock: races of theirs, which the detector would
// report as ours. Everything else of this package runs under it.
//
// What bites in the actor library, and the tests that show that it does not bite
// here, in this file or beside it:
//
//	an unknown type ends the process        TestUnknownTypeEndsAStreamNotTheProcess
//	a large burst resets the stream         TestBurstOverTheLibrarysLimitLosesNothing
//	messages to the dead vanish             TestMessagesToTheDeadAreAskedAgainElsewhere, TestLostAnswerIsRepeatedNotRun,
//	                                        TestPassivationLosesNothing
//	a dead address holds the writer up      TestMessagesToTheDeadAreAskedAgainElsewhere
//	a silent peer is never noticed          TestHalfOpenConnectionIsNoticed
//	the queue for a peer has no bound       TestSlowPeerBoundsWhatWaits
//	each stop looks through all grains      TestHundredThousandGrainsStopFast
//	the hash puts half of all on one node   TestOwnersAreSpreadAndStable
//	nobody checks who owns a grain          TestJoinMovesGrainsOnceAndFailsNoRequest, TestDrainMovesGrainsOnceAndFailsNoRequest
//	a frozen node goes on when it thaws     TestFrozenMemberIsVotedOutAndLearnsIt
//	a kind that nobody hosts hangs          TestProtoactorsOwnCallsFindTheSameGrains
//	a future's timeout becomes everybody's  TestProtoactorsOwnCallsFindTheSameGrains
//	tries are used up in microseconds       TestAskGivesUpAtItsDeadline
//	data races                              the rest of this package, under the detector
//	a restart at the same address           TestRestartOnTheSameAddressReplacesTheRunBefore
//	logs print messages                     TestLogsHoldNoMessages
//	whoever reaches the port is heard       TestStrangersDoNotReachActors
//	a taken port ends the process           TestTakenPortsAreTold
//
// These do not apply: the library's own placement with its fixed timeout and its
// cache of PIDs, its provider that evicts a member after one failed poll, and the
// gossip library's network of channels are not used; and PIDs, which remember the
// process that they were resolved to, are never shared between two systems.

package cluster_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	protocluster "github.com/asynkron/protoactor-go/cluster"
	protoremote "github.com/asynkron/protoactor-go/remote"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/colloquyhq/colloquy/cluster"
	"github.com/colloquyhq/colloquy/cluster/clustertest"
	"github.com/colloquyhq/colloquy/conversation"
)

// stranger opens a stream to a node's grains with somebody else's certificate or
// without encryption, and says whether anything was answered.
func stranger(t *testing.T, address string, dial grpc.DialOption) error {
	t.Helper()
	conn, err := grpc.NewClient(address, dial)
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	stream, err := protoremote.NewRemotingClient(conn).Receive(ctx)
	if err != nil {
		return err
	}
	err = stream.Send(&protoremote.RemoteMessage{MessageType: &protoremote.RemoteMessage_ConnectRequest{
		ConnectRequest: &protoremote.ConnectRequest{ConnectionType: &protoremote.ConnectRequest_ServerConnection{
			ServerConnection: &protoremote.ServerConnection{SystemId: "x", Address: "127.0.0.1:1"},
		}},
	}})
	if err != nil {
		return err
	}
	_, err = stream.Recv()
	return err
}

func TestStrangersDoNotReachActors(t *testing.T) {
	t.Parallel()
	n := clustertest.New(t, clustertest.Options{Kinds: adders(newTally(), 0, nil), Carrier: clustertest.Library})
	a := n.Start("a")[0]
	// A stranger takes whatever the node shows it, so that it is the node who refuses.
	shows := func(key, name string) credentials.TransportCredentials {
		c, err := cluster.PeerTLS(key, name)
		if err != nil {
			t.Fatal(err)
		}
		c.VerifyConnection = nil
		return credentials.NewTLS(c)
	}
	if err := stranger(t, a.Node.GrainsAddress(), grpc.WithTransportCredentials(shows(n.Key(), "colloquy"))); err != nil {
		t.Fatalf("a node of the cluster is not answered, the test shows nothing: %v", err)
	}
	for name, creds := range map[string]credentials.TransportCredentials{
		"without a certificate":            credentials.NewTLS(&tls.Config{InsecureSkipVerify: true}),
		"without encryption":               insecure.NewCredentials(),
		"with the key of another cluster":  shows(cluster.NewKey(), "colloquy"),
		"of another cluster with this key": shows(n.Key(), "another"),
	} {
		if err := stranger(t, a.Node.GrainsAddress(), grpc.WithTransportCredentials(creds)); err == nil {
			t.Errorf("%s: was answered", name)
		}
	}
}

func TestUnknownTypeEndsAStreamNotTheProcess(t *testing.T) {
	t.Parallel()
	n := clustertest.New(t, clustertest.Options{Kinds: adders(newTally(), 0, nil), Carrier: clustertest.Library})
	ms := n.Start("a", "b")
	// Through a's own remote, a type that b cannot know.
	target := actor.NewPID(ms[1].Node.GrainsAddress(), "colloquy-gate")
	ms[0].System.Root.Send(target, newUnknownMessage())
	id := grain(t, ms[1], "adder", "u")
	for i := range 3 {
		if v, err := ms[0].Gate.Request(t.Context(), id, count{fmt.Sprint(i)}); err != nil {
			t.Fatalf("after an unknown type: %v, %v", v, err)
		}
	}
	// Garbage in the right type is refused as well.
	ms[0].System.Root.Send(target, wrapperspb.Bytes([]byte("garbage")))
	if v, err := ms[0].Gate.Request(t.Context(), id, count{"after"}); err != nil {
		t.Fatalf("after garbage: %v, %v", v, err)
	}
}

func TestBurstOverTheLibrarysLimitLosesNothing(t *testing.T) {
	t.Parallel()
	books := newTally()
	kinds := func(machine string) []cluster.Kind {
		k := adders(books, 0, nil)(machine)
		k[0].Mailbox = 1 << 20
		return k
	}
	n := clustertest.New(t, clustertest.Options{Kinds: kinds, Carrier: clustertest.Library})
	ms := n.Start("a", "b")
	id := grain(t, ms[1], "adder", "burst")
	const messages = 20_000
	text := strings.Repeat("x", 8<<10)
	for range messages {
		for ms[0].Gate.Tell(id, count{text}, nil) != nil {
			<-time.After(time.Millisecond) // the window is full: that is the point
		}
	}
	n.Await("all messages have come", func() bool {
		books.mu.Lock()
		defer books.mu.Unlock()
		return books.counts[id.ID] == messages
	})
}

func TestSlowPeerBoundsWhatWaits(t *testing.T) {
	t.Parallel()
	n := clustertest.New(t, clustertest.Options{Kinds: adders(newTally(), 0, nil)})
	ms := n.Start("a", "b") // alone, a may not put b out
	id := grain(t, ms[1], "adder", "w")
	if _, err := ms[0].Gate.Request(t.Context(), id, where{}); err != nil {
		t.Fatal(err)
	}
	n.Freeze("b")
	defer n.Heal()
	text := strings.Repeat("x", 64<<10)
	var refused error
	sent := 0
	for ; sent < 2_000 && refused == nil; sent++ {
		refused = ms[0].Gate.Tell(id, count{text}, nil)
	}
	if !errors.Is(refused, conversation.ErrOverloaded) {
		t.Errorf("%d megabytes wait for a peer that reads nothing: %v", sent>>4, refused)
	}
	t.Logf("refused after %d messages of 64 KiB", sent)
}

func TestHundredThousandGrainsStopFast(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes a hundred megabytes")
	}
	books := newTally()
	n := clustertest.New(t, clustertest.Options{Kinds: adders(books, 0, nil)})
	a := n.Start("a")[0]
	const grains = 100_000
	start := time.Now()
	for i := range grains {
		if err := a.Gate.Tell(cluster.GrainID{Kind: "hermit", ID: fmt.Sprint(i)}, where{}, nil); err != nil {
			t.Fatal(err)
		}
	}
	started := time.Since(start)
	began := time.Now()
	if err := a.Gate.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	t.Logf("%d grains started in %v and stopped in %v", grains, started, took)
	// The library's placement looks through all grains for each that stops: 22.8 s,
	// thirty times as long as it takes to start them.
	if took > 15*started+5*time.Second {
		t.Errorf("%d grains took %v to stop and %v to start", grains, took, started)
	}
}

// greeter is an actor in protoactor's own style.
type greeter struct{ machine string }

func (g *greeter) Receive(ctx actor.Context) {
	if m, ok := ctx.Message().(*wrapperspb.StringValue); ok {
		if c, ok := ctx.(actor.ExtensionContext); ok {
			ctx.Respond(wrapperspb.String(protocluster.GetClusterIdentity(c).Identity + "@" + g.machine + ":" + m.GetValue()))
		}
	}
}

// errorOf gives the error that an answer is; nil when it is none.
func errorOf(answer any) error {
	err, _ := answer.(error)
	return err
}

// textOf gives the text of an answer.
func textOf(t *testing.T, answer any) string {
	t.Helper()
	m, ok := answer.(*wrapperspb.StringValue)
	if !ok {
		t.Fatalf("the answer is a %T", answer)
	}
	return m.GetValue()
}

func TestProtoactorsOwnCallsFindTheSameGrains(t *testing.T) {
	t.Parallel()
	n := clustertest.New(t, clustertest.Options{Carrier: clustertest.Library, Kinds: func(machine string) []cluster.Kind {
		return []cluster.Kind{{Name: "greeter", Props: actor.PropsFromProducer(func() actor.Actor { return &greeter{machine} })}}
	}})
	ms := n.Start("a", "b")
	seen := map[string]bool{}
	for i := range 20 {
		id := fmt.Sprint("g", i)
		var want string
		for _, m := range ms {
			c := protocluster.GetCluster(m.System)
			got, err := c.Request(id, "greeter", wrapperspb.String("hello"), protocluster.WithTimeout(clustertest.Patience))
			if err != nil {
				t.Fatal(err)
			}
			said := textOf(t, got)
			if want == "" {
				want = said
			}
			if said != want || !strings.HasPrefix(said, id+"@") {
				t.Errorf("%s hears %q, want %q", m.Name, said, want)
			}
			pid := c.Get(id, "greeter")
			if pid == nil {
				t.Fatalf("%s finds no PID for %s", m.Name, id)
			}
			answer, err := m.System.Root.RequestFuture(pid, wrapperspb.String("hello"), clustertest.Patience).Result()
			if err != nil || textOf(t, answer) != want {
				t.Errorf("by PID: %v, %v, want %q", answer, err, want)
			}
			later, err := c.RequestFuture(id, "greeter", wrapperspb.String("hello"), protocluster.WithTimeout(clustertest.Patience))
			if err != nil {
				t.Fatal(err)
			}
			if answer, err := later.Result(); err != nil || textOf(t, answer) != want {
				t.Errorf("by a future: %v, %v, want %q", answer, err, want)
			}
		}
		seen[strings.TrimSuffix(want[strings.Index(want, "@")+1:], ":hello")] = true
	}
	if len(seen) != 2 {
		t.Errorf("grains live at %v, want at both nodes", seen)
	}
	if _, err := protocluster.GetCluster(ms[0].System).Request("x", "nobody", wrapperspb.String("hello"), protocluster.WithTimeout(time.Second)); err == nil {
		t.Error("a kind that nobody hosts was asked")
	}
	c := protocluster.GetCluster(ms[0].System)
	later, err := c.RequestFuture("x", "nobody", wrapperspb.String("hello"), protocluster.WithTimeout(clustertest.Patience))
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := later.Result(); !errors.Is(errorOf(answer), conversation.ErrNotFound) {
		t.Errorf("a kind that nobody hosts, by a future: %v, %v, want class not found", answer, err)
	}
	// The library's own calls would take a call's timeout for everybody's.
	if got := protocluster.DefaultGrainCallConfig(c).Timeout; got == clustertest.Patience {
		t.Errorf("the default timeout is %v now, which was that of one call", got)
	}
}

// A port that somebody else has is an error of the one who wants it, whichever of
// the three it is, and not the end of the process.
func TestTakenPortsAreTold(t *testing.T) {
	t.Parallel()
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	there, free := cluster.Endpoint{Listen: taken.Addr().String()}, cluster.Endpoint{Listen: "127.0.0.1:0"}
	for name, ports := range map[string][3]cluster.Endpoint{
		"gossip": {there, free, free}, "links": {free, there, free}, "grains": {free, free, there},
	} {
		quiet := slog.New(slog.DiscardHandler)
		n, err := cluster.Open(cluster.NodeOptions{
			System: cluster.NewSystem(quiet), Key: cluster.NewKey(), Gossip: ports[0], Link: ports[1], Grains: ports[2],
			Logger: quiet, Registerer: prometheus.NewRegistry(), Version: "1.0.0",
		})
		if err == nil {
			_ = n.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "listen for "+name) {
			t.Errorf("the port of the %s is taken: %v", name, err)
		}
	}
}

// secretLog looks for what people wrote in everything that is logged.
type secretLog struct {
	mu    sync.Mutex
	lines int
	found []string
}

func (s *secretLog) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines++
	if strings.Contains(string(b), "my-password") {
		s.found = append(s.found, string(b))
	}
	return len(b), nil
}

var _ io.Writer = (*secretLog)(nil)

func TestLogsHoldNoMessages(t *testing.T) {
	t.Parallel()
	logged := &secretLog{}
	n := clustertest.New(t, clustertest.Options{
		Kinds: adders(newTally(), 0, nil), Carrier: clustertest.Library,
		Logger: slog.New(slog.NewTextHandler(logged, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	ms := n.Start("a", "b", "c")
	id := grain(t, ms[1], "adder", "l")
	for range 20 {
		if _, err := ms[0].Gate.Request(t.Context(), id, count{"my-password"}); err != nil {
			t.Fatal(err)
		}
	}
	// To nobody, to an actor that is gone, in a kind of message that cannot travel,
	// and on a connection that breaks.
	ms[0].System.Root.Send(actor.NewPID(ms[1].Node.GrainsAddress(), "nobody"), wrapperspb.String("my-password"))
	ms[0].System.Root.Send(actor.NewPID(ms[1].Node.GrainsAddress(), "nobody"), "my-password")
	ms[0].System.Root.Send(ms[0].System.NewLocalPID("nobody"), wrapperspb.String("my-password"))
	ms[1].Kill()
	for range 20 {
		_ = ms[0].Gate.Tell(id, count{"my-password"}, nil)
		_, _ = ms[0].Gate.Request(t.Context(), id, count{"my-password"})
	}
	logged.mu.Lock()
	defer logged.mu.Unlock()
	if logged.lines == 0 {
		t.Error("nothing was logged, the test shows nothing")
	}
	for _, l := range logged.found[:min(len(logged.found), 5)] {
		t.Errorf("logged: %s", l)
	}
}

// A dead address costs nobody the answer, though the library sleeps for two
// seconds before it says that nobody is there.
func TestMessagesToTheDeadAreAskedAgainElsewhere(t *testing.T) {
	t.Parallel()
	n := clustertest.New(t, clustertest.Options{Kinds: adders(newTally(), 0, nil), Carrier: clustertest.Library})
	ms := n.Start("a", "b", "c")
	ids := make([]cluster.GrainID, 0, 500)
	for i := 0; len(ids) < cap(ids); i++ {
		if id := (cluster.GrainID{Kind: "adder", ID: fmt.Sprint("d", i)}); !ms[0].Gate.Owns(id) {
			ids = append(ids, id)
		}
	}
	var failed, left atomic.Int64
	left.Store(int64(len(ids)))
	began := time.Now()
	for i, id := range ids {
		if i == len(ids)/2 {
			go ms[2].Kill()
		}
		ms[0].Gate.Ask(id, count{"x"}, time.Now().Add(clustertest.Patience), func(_ any, err error) {
			if err != nil {
				failed.Add(1)
			}
			left.Add(-1)
		})
	}
	n.Await("all are answered", func() bool { return left.Load() == 0 })
	t.Logf("%d requests while a node dies: %v", len(ids), time.Since(began))
	if failed.Load() > 0 {
		t.Errorf("%d of %d requests failed", failed.Load(), len(ids))
	}
}
