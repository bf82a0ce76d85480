package engine

import (
	"context"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/cluster"
	"github.com/colloquyhq/colloquy/conversation"
)

// kindTurnstile is the kind of the grains that let the sends of an account through
// for all nodes. Their id is the place of the account.
const kindTurnstile = "turnstile"

// turnstileIdle is longer than the longest pause of an account. After it the rate has
// recovered, too.
const turnstileIdle = 10 * time.Minute

// turnstiles is the way to those grains.
type turnstiles struct {
	system  *actor.ActorSystem
	nodes   func() int
	request func(ctx context.Context, id cluster.GrainID, msg any) (any, error)
}

var _ channels.Turnstiles = turnstiles{}

func newTurnstiles(e *Engine) turnstiles {
	return turnstiles{
		system: e.system,
		nodes: func() int {
			if e.gate == nil {
				return 1
			}
			return len(e.gate.View().Members())
		},
		request: func(ctx context.Context, id cluster.GrainID, msg any) (any, error) {
			return e.actors.Request(ctx, id, msg)
		},
	}
}

// kind is the grains' kind.
func (t turnstiles) kind() cluster.Kind {
	return cluster.Kind{
		Name: kindTurnstile, Idle: turnstileIdle, Codec: turnstileCodec(),
		New: func(string) actor.Actor { return &turnstileGrain{system: t.system} },
	}
}

// Nodes implements [channels.Turnstiles].
func (t turnstiles) Nodes() int { return t.nodes() }

// Ask implements [channels.Turnstiles].
func (t turnstiles) Ask(ctx context.Context, kind conversation.ChannelKind, inbox conversation.InboxID, rate channels.Rate, n int) (channels.Pass, error) {
	got, err := t.request(ctx, turnstileOf(kind, inbox), &turnstileAsk{Rate: rate, Sends: n})
	if err != nil {
		return channels.Pass{}, err
	}
	pass, ok := got.(*channels.Pass)
	if !ok {
		return channels.Pass{}, conversation.Refusef(conversation.CodeInternal, "a turnstile answered with %T", got)
	}
	return *pass, nil
}

// Tell implements [channels.Turnstiles].
func (t turnstiles) Tell(ctx context.Context, kind conversation.ChannelKind, inbox conversation.InboxID, v channels.Verdict) error {
	_, err := t.request(ctx, turnstileOf(kind, inbox), &v)
	return err
}

func turnstileOf(kind conversation.ChannelKind, inbox conversation.InboxID) cluster.GrainID {
	return cluster.GrainID{Kind: kindTurnstile, ID: string(kind) + "/" + string(inbox)}
}

// The messages of a turnstile grain, besides [channels.Verdict] and [channels.Pass].
type (
	// turnstileAsk asks for sends at a rate.
	turnstileAsk struct {
		Rate  channels.Rate `json:"rate"`
		Sends int           `json:"sends"`
	}
	// turnstileHeard answers a verdict.
	turnstileHeard struct{}
)

// turnstileCodec gives the codec of turnstile grains.
func turnstileCodec() jsonCodec {
	return jsonCodec{
		func() any { return new(turnstileAsk) },
		func() any { return new(channels.Pass) },
		func() any { return new(channels.Verdict) },
		func() any { return new(turnstileHeard) },
	}
}

// turnstileGrain lets the sends of one account through.
//
// owns: the account's rate and pause · accepts: turnstileAsk, channels.Verdict · emits:
// channels.Pass, turnstileHeard · bound: the mailbox · on panic, on restart and on
// another node: it is open, and the provider's next refusal closes it again.
type turnstileGrain struct {
	system *actor.ActorSystem
	state  channels.Turnstile
}

// Receive implements [actor.Actor].
func (g *turnstileGrain) Receive(ctx actor.Context) {
	var answer any
	switch m := ctx.Message().(type) {
	case *turnstileAsk:
		pass := g.state.Ask(m.Rate, m.Sends, time.Now())
		answer = &pass
	case *channels.Verdict:
		g.state.Told(*m, time.Now())
		answer = &turnstileHeard{}
	}
	if answer != nil && ctx.Sender() != nil {
		g.system.Root.Send(ctx.Sender(), answer)
	}
}
