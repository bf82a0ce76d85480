package gateway

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway/wire"
)

// frameBody bounds a frame that comes over HTTP, as Limits.VisitorFrameBytes
// does for those that come by a socket.
const frameBody = 32 << 10

// widgetFrame takes one frame of a visitor over HTTP and answers with the frame
// that a socket would have brought, which for a refusal is an error. It belongs
// to no stream: any node can take it.
func (g *Gateway) widgetFrame(w http.ResponseWriter, r *http.Request, who caller) error {
	body, err := readBody(r)
	if err != nil {
		return err
	}
	status := http.StatusOK
	out, ref, err := g.obeyBytes(r.Context(), who.visitor, body)
	if err != nil {
		refusal := &wire.Error{Ref: ref, Problem: g.problem(err, requestIDOf(w))}
		out, status = refusal, refusal.Problem.Status
	}
	if out == nil {
		return noContent(w)
	}
	b, err := wire.Encode(nil, out)
	if err != nil {
		return err
	}
	g.metrics.frameOut(out.Type())
	return answerBytes(w, status, b)
}

// obeyBytes acts on what came and gives the answer, and the ref to refuse it by.
func (g *Gateway) obeyBytes(ctx context.Context, v *visitorID, body []byte) (out wire.ServerFrame, ref string, err error) {
	frame, err := wire.Decode(body)
	if err != nil {
		g.metrics.frameIn("invalid")
		return nil, frameRef(err), err
	}
	g.metrics.frameIn(frame.Type())
	out, err = g.obeyInTurn(ctx, v, frame)
	return out, frame.Reference(), err
}

// frameRef is the ref of a frame that could not be read, as far as it could be.
func frameRef(err error) string {
	var fe *wire.FrameError
	if errors.As(err, &fe) {
		return fe.Ref
	}
	return ""
}

// obeyInTurn is obeyVisitor within the limits of a socket.
func (g *Gateway) obeyInTurn(ctx context.Context, v *visitorID, frame wire.ClientFrame) (wire.ServerFrame, error) {
	if wait, ok := g.framesByContact.take(v.key(), time.Now()); !ok {
		return nil, &conversation.Error{Code: conversation.CodeRateLimited, Detail: "too many frames in a short time", After: wait}
	}
	place := g.postsByContact.enter(v.key(), g.limits.InFlight)
	if place == nil {
		return nil, conversation.Refusef(conversation.CodeOverloaded, "%d frames of this visitor wait for their answer", g.limits.InFlight)
	}
	defer g.postsByContact.leave(place)
	return g.obeyVisitor(ctx, v, frame)
}

// obeyVisitor acts on a frame and gives the one that answers it, or nil.
func (g *Gateway) obeyVisitor(ctx context.Context, v *visitorID, frame wire.ClientFrame) (wire.ServerFrame, error) {
	switch f := frame.(type) {
	case *wire.Send:
		return g.takeMessage(ctx, v, f)
	case *wire.Read:
		return g.visitorDo(ctx, v, f.Ref, f.Conversation, conversation.MarkRead{By: conversation.PartyVisitor, UpTo: f.Seq})
	case *wire.Delivered:
		return g.visitorDo(ctx, v, f.Ref, f.Conversation, conversation.MarkDelivered{UpTo: f.Seq})
	case *wire.Handover:
		return g.visitorDo(ctx, v, f.Ref, f.Conversation, conversation.RequestHandover{Reason: conversation.HandoverAsked, Detail: f.Detail})
	case *wire.Typing:
		head, err := g.visitorHead(ctx, v, f.Conversation)
		if err == nil {
			g.tell(TypingChange{Conversation: head.ID, Inbox: v.inbox, Contact: v.contact, From: conversation.PartyVisitor, On: f.On}, nil)
		}
		return nil, err
	case *wire.Ping:
		return &wire.Pong{Ref: f.Ref}, nil
	case *wire.Hello, *wire.Note, *wire.Claim, *wire.Assign, *wire.Resolve, *wire.Reopen, *wire.Snooze,
		*wire.Subscribe, *wire.Unsubscribe, *wire.SetPresence:
	}
	return nil, conversation.Refuse(conversation.CodeForbidden, frame.Type()+" cannot come this way")
}

func (g *Gateway) takeMessage(ctx context.Context, v *visitorID, f *wire.Send) (wire.ServerFrame, error) {
	if !f.Conversation.IsZero() {
		if _, err := g.visitorHead(ctx, v, f.Conversation); err != nil {
			return nil, err
		}
	}
	if err := checkSaid(f.Text, len(f.Attachments)); err != nil {
		return nil, err
	}
	files, err := g.visitorFiles(ctx, v, f.Attachments)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	r, err := g.opts.Conversations.Deliver(ctx, conversation.Inbound{
		Inbox: v.inbox, Channel: conversation.ChannelWeb, Contact: v.contact, Ref: f.ClientID, Text: f.Text,
		Attachments: files,
	})
	if err != nil {
		return nil, err
	}
	g.metrics.ackTime.Observe(time.Since(began).Seconds())
	return ackOf(f.ClientID, r), nil
}

// visitorDo hands in a command for a conversation of the visitor's; the zero id
// means the one they are in.
func (g *Gateway) visitorDo(ctx context.Context, v *visitorID, ref string, id conversation.ConversationID, cmd conversation.Command) (wire.ServerFrame, error) {
	head, err := g.visitorHead(ctx, v, id)
	if err != nil {
		return nil, err
	}
	r, err := g.opts.Conversations.Do(ctx, head.ID, cmd)
	if err != nil || ref == "" {
		return nil, err
	}
	return &wire.Done{Ref: ref, Conversation: head.ID, Version: r.Version, Status: wire.VisitorStatus(r.Status)}, nil
}

// visitorHead finds a conversation of the visitor's. Unknown and foreign ones
// are the same error.
func (g *Gateway) visitorHead(ctx context.Context, v *visitorID, id conversation.ConversationID) (conversation.Head, error) {
	if id.IsZero() {
		current, err := g.opts.Contacts.Current(ctx, v.key())
		if err != nil {
			return conversation.Head{}, err
		}
		id = current
	}
	if id.IsZero() {
		return conversation.Head{}, errNoConversation()
	}
	head, err := g.head(ctx, id, 0)
	if err != nil {
		return conversation.Head{}, hideReason(err)
	}
	if head.Inbox != v.inbox || head.Contact != v.contact {
		return conversation.Head{}, errNoConversation()
	}
	return head, nil
}
