package cluster

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	protocluster "github.com/asynkron/protoactor-go/cluster"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/colloquyhq/colloquy/conversation"
)

// ProtoCodec carries any protobuf message that both nodes know.
type ProtoCodec struct{}

var _ Codec = ProtoCodec{}

// Encode implements [Codec].
func (ProtoCodec) Encode(msg any) ([]byte, error) {
	m, ok := msg.(proto.Message)
	if !ok {
		return nil, conversation.Refusef(conversation.CodeInvalid, "a %T is no protobuf message", msg)
	}
	wrapped, err := anypb.New(m)
	if err != nil {
		return nil, conversation.Refusef(conversation.CodeInvalid, "a %T cannot be encoded", msg)
	}
	return proto.Marshal(wrapped)
}

// Decode implements [Codec].
func (ProtoCodec) Decode(data []byte) (any, error) {
	var wrapped anypb.Any
	if err := proto.Unmarshal(data, &wrapped); err != nil {
		return nil, conversation.Refuse(conversation.CodeInvalid, "the message is not protobuf")
	}
	msg, err := wrapped.UnmarshalNew()
	if err != nil {
		return nil, conversation.Refuse(conversation.CodeInvalid, "this node does not know the message's type")
	}
	return msg, nil
}

// propsOf makes what all grains of a kind are started with.
func (g *Gate) propsOf(h *hosting, workers actor.Dispatcher) *actor.Props {
	if h.Props == nil {
		options := []actor.PropsOption{actor.WithDispatcher(workers)}
		if h.Meter != nil {
			options = append(options, actor.WithMailbox(h.metered()))
		}
		return actor.PropsFromProducer(func() actor.Actor { return &hosted{gate: g, kind: h} }, options...)
	}
	return h.Props.Clone(
		actor.WithOnInit(func(ctx actor.Context) {
			id := h.grainOf(ctx.Self().Id) // the shard is locked
			protocluster.SetClusterIdentity(ctx, protocluster.NewClusterIdentity(id.ID, id.Kind))
		}),
		actor.WithReceiverMiddleware(func(next actor.ReceiverFunc) actor.ReceiverFunc {
			return func(ctx actor.ReceiverContext, envelope *actor.MessageEnvelope) { g.observe(h, next, ctx, envelope) }
		}),
	)
}

// observe keeps the books of a grain whose actor is not ours.
func (g *Gate) observe(h *hosting, next actor.ReceiverFunc, ctx actor.ReceiverContext, envelope *actor.MessageEnvelope) {
	switch envelope.Message.(type) {
	case *actor.Stopped:
		defer g.stopped(g.cellOf(h, ctx.Self().Id))
	case actor.SystemMessage, actor.AutoReceiveMessage, *Passivate, Internal:
	default:
		defer g.cellOf(h, ctx.Self().Id).inflight.Add(-1)
	}
	next(ctx, envelope)
}

// lookup answers protoactor's questions about places: its Cluster.Request and
// its PIDs lead to the same grains as the gate.
type lookup struct{ node *Node }

var (
	_ protocluster.IdentityLookup = (*lookup)(nil)
	_ protocluster.Context        = (*lookup)(nil)
)

// The library's calls have these limits.
const (
	locateTries = 8
	locatePause = 50 * time.Millisecond
)

func (l *lookup) context(*protocluster.Cluster) protocluster.Context { return l }

// Setup implements [protocluster.IdentityLookup].
func (*lookup) Setup(*protocluster.Cluster, []string, bool) {}

// Shutdown implements [protocluster.IdentityLookup].
func (*lookup) Shutdown() {}

// RemovePid implements [protocluster.IdentityLookup].
func (*lookup) RemovePid(*protocluster.ClusterIdentity, *actor.PID) {}

// Get implements [protocluster.IdentityLookup]. The actor behind the PID is the
// grain's present activation; messages that are sent to it pass the gate by.
func (l *lookup) Get(ci *protocluster.ClusterIdentity) *actor.PID {
	id := GrainID{Kind: ci.GetKind(), ID: ci.GetIdentity()}
	for range locateTries {
		g := l.node.gate.Load()
		if g == nil {
			return nil
		}
		pid, err := g.locate(id)
		if err == nil {
			return pid
		}
		if !errors.Is(err, conversation.ErrUnavailable) {
			return nil
		}
		<-time.After(locatePause)
	}
	return nil
}

// locate activates a grain wherever it lives.
func (g *Gate) locate(id GrainID) (*actor.PID, error) {
	owner, ok := g.view.Load().Owner(id)
	if !ok {
		return nil, conversation.Refuse(conversation.CodeUnavailable, "no node takes grains")
	}
	if owner.ID == g.view.Load().Self() {
		return g.locateHere(id)
	}
	type outcome struct {
		name string
		err  error
	}
	c := make(chan outcome, 1)
	g.askNode(owner.ID, frame{op: opLocate, kind: id.Kind, id: id.ID}, func(answer any, err error) {
		name, _ := answer.([]byte)
		c <- outcome{string(name), err}
	})
	o := <-c // each ask ends with its deadline
	if o.err != nil {
		return nil, o.err
	}
	return actor.NewPID(owner.Grains, strings.Clone(o.name)), nil
}

// Request implements [protocluster.Context].
func (l *lookup) Request(identity, kind string, message any, opts ...protocluster.GrainCallOption) (any, error) {
	g := l.node.gate.Load()
	if g == nil {
		return nil, conversation.Refuse(conversation.CodeUnavailable, "the node hosts no grains yet")
	}
	c := protocluster.GrainCallConfig{Timeout: requestTimeout}
	for _, o := range opts {
		o(&c)
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.Timeout)
	defer cancel()
	return g.Request(ctx, GrainID{Kind: kind, ID: identity}, message)
}

// RequestFuture implements [protocluster.Context]. What goes wrong comes as the
// answer, which is an error then.
func (l *lookup) RequestFuture(identity, kind string, message any, opts ...protocluster.GrainCallOption) (*actor.Future, error) {
	c := protocluster.GrainCallConfig{Timeout: requestTimeout}
	for _, o := range opts {
		o(&c)
	}
	system := l.node.o.System
	future := actor.NewFuture(system, c.Timeout)
	go func() {
		answer, err := l.Request(identity, kind, message, opts...)
		if err != nil {
			answer = err
		}
		system.Root.Send(future.PID(), answer)
	}()
	return future, nil
}
