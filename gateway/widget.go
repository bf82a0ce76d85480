package gateway

import (
	"net/http"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway/wire"
)

// widgetSessionView is a visitor's token with what the widget needs to start.
type widgetSessionView struct {
	Token        string                    `json:"token"`
	ExpiresAt    time.Time                 `json:"expires_at"`
	Contact      conversation.ContactID    `json:"contact"`
	Inbox        conversation.InboxID      `json:"inbox"`
	Conversation *wire.VisitorConversation `json:"conversation,omitempty"`
}

// widgetSession gives a visitor a token. With an old one that is valid, or
// has ended not too long ago, they stay who they were.
func (g *Gateway) widgetSession(w http.ResponseWriter, r *http.Request, _ caller) error {
	var b struct {
		Inbox conversation.InboxID `json:"inbox"`
		Token string               `json:"token"`
		User  *signedUser          `json:"user"` // nil = nobody says who it is
	}
	if err := decodeBody(r, &b); err != nil {
		return err
	}
	in, err := g.widgetInbox(r, string(b.Inbox))
	if err != nil {
		return err
	}
	now := time.Now()
	if wait, ok := g.sessionsByPeer.take(prefixOf(g.peerOf(r)), now); !ok {
		return &conversation.Error{Code: conversation.CodeRateLimited, Detail: "too many sessions from this address", After: wait}
	}
	v := visitorID{inbox: in.ID}
	switch {
	case b.User != nil:
		if v.contact, err = g.signIn(r.Context(), in.ID, b.User, now); err != nil {
			return err
		}
	case b.Token != "":
		// A token of another inbox, or one that is too old, is no reason to
		// leave the visitor without a chat: they begin anew.
		if old, err := g.renewableVisitor(b.Token, now); err == nil && old.inbox == in.ID {
			v.contact = old.contact
		}
	}
	if v.contact.IsZero() {
		v.contact = conversation.NewContactID(now)
	}
	view := widgetSessionView{Contact: v.contact, Inbox: in.ID}
	if view.Token, view.ExpiresAt, err = g.visitorToken(v, now); err != nil {
		return err
	}
	view.ExpiresAt = view.ExpiresAt.UTC()
	if head, ok, err := g.ownConversation(r, &v); err == nil && ok {
		view.Conversation = wire.VisitorHead(head, g.agentName)
	}
	return answer(w, http.StatusCreated, view)
}

// widgetInbox finds the inbox that a page asks for and checks that the page
// may. A request without an origin comes from no page.
func (g *Gateway) widgetInbox(r *http.Request, name string) (conversation.Inbox, error) {
	id, err := conversation.ParseInboxID(name)
	if err != nil {
		return conversation.Inbox{}, err
	}
	in, err := g.opts.Inboxes.Inbox(id)
	if err != nil {
		return in, errNoInbox()
	}
	origin := r.Header.Get("Origin")
	if origin == "" && r.Method == http.MethodGet {
		return in, nil // browsers leave it out of same-origin reads
	}
	if !in.Serves(conversation.ChannelWeb) || !allowsOrigin(&in, origin, origin != "" && g.sameOrigin(r, origin)) {
		return in, conversation.Refuse(conversation.CodeOrigin, "pages of this origin may not use this inbox")
	}
	return in, nil
}

// widgetConfig is what the widget shows before anybody has said anything.
func (g *Gateway) widgetConfig(w http.ResponseWriter, r *http.Request, _ caller) error {
	in, err := g.widgetInbox(r, r.URL.Query().Get("inbox"))
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, struct {
		Inbox        conversation.InboxID `json:"inbox"`
		Name         string               `json:"name"`
		Lang         string               `json:"lang"`
		Bot          bool                 `json:"bot"`
		Feedback     bool                 `json:"feedback"`
		MaxTextBytes int                  `json:"max_text_bytes"`
		Files        *fileLimits          `json:"files,omitempty"` // nil = none are taken
	}{in.ID, in.Name, in.Lang, in.ServesBot(), in.VisitorFeedback, conversation.MaxTextBytes, g.fileLimits()})
}

// ownConversation gives the conversation that a visitor is in, if any.
func (g *Gateway) ownConversation(r *http.Request, v *visitorID) (conversation.Head, bool, error) {
	id, err := g.opts.Contacts.Current(r.Context(), v.key())
	if err != nil || id.IsZero() {
		return conversation.Head{}, false, err
	}
	head, err := g.head(r.Context(), id, 0)
	if conversation.CodeOf(err) == conversation.CodeNotFound {
		return conversation.Head{}, false, nil // it was erased
	}
	return head, err == nil, err
}

func (g *Gateway) widgetConversation(w http.ResponseWriter, r *http.Request, who caller) error {
	head, ok, err := g.ownConversation(r, who.visitor)
	if err != nil {
		return err
	}
	if !ok {
		return errNoConversation()
	}
	return answer(w, http.StatusOK, wire.VisitorHead(head, g.agentName))
}

func (g *Gateway) widgetMessages(w http.ResponseWriter, r *http.Request, who caller) error {
	head, ok, err := g.ownConversation(r, who.visitor)
	if err != nil {
		return err
	}
	if !ok {
		return answer(w, http.StatusOK, newPage[*wire.Message](nil, ""))
	}
	p, err := g.messagePage(r, visitorSide, head)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, p)
}

// widgetPost takes a visitor's message over HTTP, for networks that block
// WebSockets.
func (g *Gateway) widgetPost(w http.ResponseWriter, r *http.Request, who caller) error {
	b, err := postedOf(r)
	if err != nil {
		return err
	}
	v := who.visitor
	files, err := g.visitorFiles(r.Context(), v, b.Attachments)
	if err != nil {
		return err
	}
	receipt, err := g.opts.Conversations.Deliver(r.Context(), conversation.Inbound{
		Inbox: v.inbox, Channel: conversation.ChannelWeb, Contact: v.contact, Ref: b.ClientID, Text: b.Text,
		Attachments: files,
	})
	if err != nil {
		return err
	}
	return answerPosted(w, receipt)
}
