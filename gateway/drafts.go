package gateway

import (
	"context"
	"net/http"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// Drafts writes drafts of replies. It sends nothing: what it gives goes to the
// agent who asked, who may send it, change it, or leave it.
type Drafts interface {
	// Draft drafts a reply to the newest message of a conversation. It neither
	// changes nor keeps s.
	Draft(ctx context.Context, s *conversation.State) (Draft, error)
}

// Draft is the text of a reply that nobody has sent.
type Draft struct {
	Text  conversation.Text `json:"text"`
	Model string            `json:"model"`
}

// draft asks for one. There is no command in it: a draft leaves no trace in the
// conversation.
func (g *Gateway) draft(w http.ResponseWriter, r *http.Request, who caller) error {
	head, err := g.pathConversation(r, who)
	if err != nil {
		return err
	}
	if err := optionalBody(r, &emptyBody{}); err != nil {
		return err
	}
	if g.opts.Drafts == nil {
		return &conversation.Error{Code: conversation.CodeUnavailable, Detail: "this server drafts nothing", Hint: "an operator can set assist.url"}
	}
	if head.Status == conversation.StatusClosed {
		return conversation.Refuse(conversation.CodeConversationClosed, "nobody can reply any more")
	}
	if wait, ok := g.draftsByAgent.take(who.agent.agent.ID, time.Now()); !ok {
		return &conversation.Error{Code: conversation.CodeRateLimited, Detail: "too many drafts", After: wait}
	}
	s, err := g.opts.Journal.Load(r.Context(), head.ID)
	if err != nil {
		return err
	}
	d, err := g.opts.Drafts.Draft(r.Context(), s)
	if err != nil {
		return err
	}
	if err := checkText(d.Text); err != nil {
		return &conversation.Error{Code: conversation.CodeUnavailable, Detail: "the draft is no text of a message", Err: err}
	}
	return answer(w, http.StatusOK, d)
}
