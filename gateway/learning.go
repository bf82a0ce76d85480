package gateway

import (
	"cmp"
	"net/http"

	"github.com/colloquyhq/colloquy/conversation"
)

const (
	maxAcceptTexts  = 64
	maxAcceptAnswer = 4 << 10
)

// learningInbox finds the inbox that a request is about.
func (g *Gateway) learningInbox(id string, who caller) (conversation.Inbox, error) {
	if g.opts.Learning == nil {
		return conversation.Inbox{}, errNoPacks()
	}
	inbox, err := conversation.ParseInboxID(id)
	if err != nil {
		return conversation.Inbox{}, err
	}
	in, err := g.opts.Inboxes.Inbox(inbox)
	if err != nil || !who.agent.agent.MaySee(inbox) {
		return in, errNoInbox()
	}
	return in, nil
}

// intentState says whether an inbox's bot answers by itself, and why.
func (g *Gateway) intentState(w http.ResponseWriter, r *http.Request, who caller) error {
	in, err := g.learningInbox(r.PathValue("inbox"), who)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, g.opts.Learning.State(in))
}

// listInboxIntents lists what an inbox's packs know, for whoever names the right one.
func (g *Gateway) listInboxIntents(w http.ResponseWriter, r *http.Request, who caller) error {
	in, err := g.learningInbox(r.PathValue("inbox"), who)
	if err != nil {
		return err
	}
	lang := cmp.Or(r.URL.Query().Get("lang"), in.Lang)
	return answer(w, http.StatusOK, newPage(g.opts.Learning.Intents(in, lang), ""))
}

// listSuggestions lists what visitors of an inbox asked without a right answer.
func (g *Gateway) listSuggestions(w http.ResponseWriter, r *http.Request, who caller) error {
	in, err := g.learningInbox(r.URL.Query().Get("inbox"), who)
	if err != nil {
		return err
	}
	all, err := g.opts.Learning.Suggestions(r.Context(), in)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, struct {
		page[conversation.Suggestion]

		Editable bool `json:"editable"`
	}{newPage(all, ""), g.opts.Learning.Editable()})
}

func (g *Gateway) acceptSuggestion(w http.ResponseWriter, r *http.Request, who caller) error {
	var b struct {
		conversation.Acceptance

		Inbox conversation.InboxID `json:"inbox_id"`
	}
	if err := decodeBody(r, &b); err != nil {
		return err
	}
	in, err := g.learningInbox(string(b.Inbox), who)
	if err != nil {
		return err
	}
	if len(b.Texts) > maxAcceptTexts || len(b.Intent)+len(b.Title) > maxReasonBytes || len(b.Answer) > maxAcceptAnswer {
		return conversation.Refuse(conversation.CodeTooLarge, "too many texts, or a name, title or answer that is too long")
	}
	if b.Lang != "" && b.Lang != "zh" && b.Lang != "en" {
		return conversation.Refuse(conversation.CodeInvalid, "lang is en or zh")
	}
	if err := g.opts.Learning.Accept(r.Context(), in, r.PathValue("suggestion"), who.agent.agent.ID, b.Acceptance); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (g *Gateway) dismissSuggestion(w http.ResponseWriter, r *http.Request, who caller) error {
	var b struct {
		Inbox conversation.InboxID `json:"inbox_id"`
	}
	if err := decodeBody(r, &b); err != nil {
		return err
	}
	in, err := g.learningInbox(string(b.Inbox), who)
	if err != nil {
		return err
	}
	if err := g.opts.Learning.Dismiss(r.Context(), in, r.PathValue("suggestion")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
