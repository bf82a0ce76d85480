package gateway

import (
	"context"
	"net/http"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// Shadows remembers what an intent engine that answers nobody made of the newest
// turns. Reads are from memory.
type Shadows interface {
	// Shadows gives turns, newest first, and what they add up to.
	Shadows(q ShadowQuery) ([]ShadowTurn, ShadowTotals)
}

// ShadowQuery chooses turns.
type ShadowQuery struct {
	Conversation conversation.ConversationID // zero = all
	Inbox        conversation.InboxID        // empty = all
	Differs      bool                        // only turns that the two took differently
	May          func(conversation.InboxID) bool
	Limit        int
}

// ShadowTurn is a visitor's message, what the engine that answers made of it, and
// what the other one would have.
type ShadowTurn struct {
	Conversation conversation.ConversationID `json:"conversation_id"`
	Seq          conversation.Seq            `json:"seq"`
	Inbox        conversation.InboxID        `json:"inbox_id"`
	At           time.Time                   `json:"at"`
	Text         conversation.Text           `json:"text"`             // of the visitor; long ones are cut
	Silent       bool                        `json:"silent,omitempty"` // own was not said: the bot is silent here
	Own          ShadowVerdict               `json:"own"`              // of the engine that answers
	Other        *ShadowVerdict              `json:"other,omitempty"`  // of the shadow
	Same         bool                        `json:"same,omitempty"`   // both come to the same
	Failed       bool                        `json:"failed,omitempty"` // the shadow was asked and gave nothing

	// Outcome is what agents and visitors made of it since; it is given when asked
	// for, and where there is a sign.
	Outcome *conversation.TurnOutcome `json:"outcome,omitempty"`
}

// ShadowVerdict is what an engine's prediction comes to.
type ShadowVerdict struct {
	Action     conversation.Action         `json:"action"`
	Intent     string                      `json:"intent,omitempty"`
	Confidence float32                     `json:"confidence,omitempty"`
	Reason     conversation.HandoverReason `json:"reason,omitempty"`
	Model      string                      `json:"model,omitempty"`
	Behavior   string                      `json:"behavior,omitempty"` // answers in the packs' place; it was not run
	Text       string                      `json:"text,omitempty"`     // is said, or would be; long ones are cut
}

// ShadowTotals adds up what was asked for, within what is remembered.
type ShadowTotals struct {
	Shadow   string    `json:"shadow,omitempty"` // the backend that is compared; empty = none
	Since    time.Time `json:"since,omitzero"`   // of the oldest turn that is remembered
	Turns    int       `json:"turns"`
	Compared int       `json:"compared"`
	Same     int       `json:"same"`
	Failed   int       `json:"failed"`
	Silent   int       `json:"silent"`

	// Of those compared: how many each engine would have answered by itself.
	OwnAnswers   int `json:"own_answers"`
	OtherAnswers int `json:"other_answers"`
}

// listShadows is for admins: it shows what visitors of many conversations wrote.
func (g *Gateway) listShadows(w http.ResponseWriter, r *http.Request, who caller) error {
	if g.opts.Shadows == nil {
		return conversation.Refuse(conversation.CodeUnavailable, "this server compares no intent engines")
	}
	v := r.URL.Query()
	q := ShadowQuery{Differs: v.Get("differs") == "true", May: who.agent.agent.MaySee}
	var err error
	if q.Limit, err = limitOf(r); err != nil {
		return err
	}
	if s := v.Get("conversation_id"); s != "" {
		if q.Conversation, err = conversation.ParseConversationID(s); err != nil {
			return err
		}
	}
	if s := v.Get("inbox_id"); s != "" {
		if q.Inbox, err = conversation.ParseInboxID(s); err != nil {
			return err
		}
	}
	turns, totals := g.opts.Shadows.Shadows(q)
	if v.Get("outcomes") == "true" && g.opts.Learning != nil {
		if err := g.outcomes(r.Context(), turns); err != nil {
			return err
		}
	}
	return answer(w, http.StatusOK, struct {
		page[ShadowTurn]

		Totals ShadowTotals `json:"totals"`
	}{newPage(turns, ""), totals})
}

// outcomes adds what conversations have shown since.
func (g *Gateway) outcomes(ctx context.Context, turns []ShadowTurn) error {
	for i := range turns {
		o, err := g.opts.Learning.Outcome(ctx, turns[i].Conversation, turns[i].Seq)
		if err != nil {
			return err
		}
		if o.Weight > 0 {
			turns[i].Outcome = &o
		}
	}
	return nil
}
