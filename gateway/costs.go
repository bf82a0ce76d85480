package gateway

import (
	"context"
	"net/http"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/telemetry/cpu"
)

// Costs says what conversations cost.
type Costs interface {
	// Cost gives the processor time of a conversation on the node where it is.
	// Errors: class [conversation.ErrNotFound] when nothing is measured of it.
	Cost(ctx context.Context, id conversation.ConversationID) (cpu.Session, error)
}

func (g *Gateway) showCost(w http.ResponseWriter, r *http.Request, who caller) error {
	head, err := g.pathConversation(r, who)
	if err != nil {
		return err
	}
	if g.opts.Costs == nil {
		return conversation.Refuse(conversation.CodeUnavailable, "this node does not measure what conversations cost")
	}
	cost, err := g.opts.Costs.Cost(r.Context(), head.ID)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, cost)
}
