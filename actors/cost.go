package actors

import (
	"context"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/colloquyhq/colloquy/cluster"
	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/telemetry/cpu"
)

// costQuery asks a conversation what it has cost on the node where it is. The
// answer is a [cpu.Session]. Nothing is loaded for it.
type costQuery struct{}

// Cost says what a conversation has cost in processor time, on the node where it
// is and since that node has been at it.
//
// Errors: class not found when nothing is measured there, or nothing of this
// conversation; class unavailable when that node does not answer.
func (e *Engine) Cost(ctx context.Context, id conversation.ConversationID) (cpu.Session, error) {
	v, err := e.gate.Request(ctx, conversationID(id), &costQuery{})
	if err != nil {
		return cpu.Session{}, err
	}
	s, ok := v.(*cpu.Session)
	if !ok {
		return cpu.Session{}, conversation.Refuse(conversation.CodeInternal, "the conversation gave no cost")
	}
	return *s, nil
}

func (g *grain) onCostQuery(sender *actor.PID) {
	if g.state == nil {
		// It was started for this question only.
		defer g.e.gate.Passivate(cluster.GrainID{Kind: KindConversation, ID: g.id.String()})
	}
	s, ok := g.meter.Session()
	if !ok {
		g.refuse(sender, conversation.Refuse(conversation.CodeNotFound, "nothing is measured of this conversation where it is"))
		return
	}
	if sender != nil {
		g.e.o.System.Root.Send(sender, &s)
	}
}
