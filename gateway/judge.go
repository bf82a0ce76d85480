package gateway

import (
	"net/http"

	"github.com/colloquyhq/colloquy/conversation"
)

// verdict is the body of a judgement of one of the bot's messages.
type verdict struct {
	Seq     conversation.Seq     `json:"seq"`
	Verdict conversation.Verdict `json:"verdict"`
	Intent  string               `json:"intent"` // agents only
}

// judge takes an agent's verdict on a message of the bot.
func (g *Gateway) judge(w http.ResponseWriter, r *http.Request, who caller) error {
	var b verdict
	return g.command(w, r, who, &b, func(h conversation.Head) (conversation.Command, error) {
		if err := g.checkIntent(h.Inbox, b.Intent); err != nil {
			return nil, err
		}
		return conversation.JudgeAnswer{
			By: conversation.PartyAgent, Agent: who.agent.agent.ID, Answer: b.Seq, Verdict: b.Verdict, Intent: b.Intent,
		}, nil
	})
}

// checkIntent refuses intents that the packs of an inbox do not have, where it is
// known what they have.
func (g *Gateway) checkIntent(inbox conversation.InboxID, intent string) error {
	if intent == "" || g.opts.Learning == nil {
		return nil
	}
	in, err := g.opts.Inboxes.Inbox(inbox)
	if err != nil {
		return errNoInbox()
	}
	for _, n := range g.opts.Learning.Intents(in, in.Lang) {
		if n.Intent == intent {
			return nil
		}
	}
	return conversation.Refusef(conversation.CodeInvalid, "the packs of inbox %s have no intent %q", inbox, intent)
}

// widgetJudge takes the visitor's verdict, where the inbox asks for it.
func (g *Gateway) widgetJudge(w http.ResponseWriter, r *http.Request, who caller) error {
	var b struct {
		Seq     conversation.Seq     `json:"seq"`
		Verdict conversation.Verdict `json:"verdict"`
	}
	if err := decodeBody(r, &b); err != nil {
		return err
	}
	in, err := g.opts.Inboxes.Inbox(who.visitor.inbox)
	if err != nil {
		return errNoInbox()
	}
	if !in.VisitorFeedback {
		return conversation.Refuse(conversation.CodeForbidden, "this inbox does not ask its visitors whether answers are right")
	}
	head, ok, err := g.ownConversation(r, who.visitor)
	if err != nil {
		return err
	}
	if !ok {
		return errNoConversation()
	}
	_, err = g.opts.Conversations.Do(r.Context(), head.ID, conversation.JudgeAnswer{
		By: conversation.PartyVisitor, Answer: b.Seq, Verdict: b.Verdict,
	})
	if err != nil {
		return hideReason(err)
	}
	return answer(w, http.StatusOK, struct {
		Seq     conversation.Seq     `json:"seq"`
		Verdict conversation.Verdict `json:"verdict"`
	}{b.Seq, b.Verdict})
}
