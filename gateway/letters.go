package gateway

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/colloquyhq/colloquy/conversation"
)

// DeadLetters is what could not be understood, or not be delivered for good.
type DeadLetters interface {
	// List gives a page, newest first; empty inbox = all inboxes.
	List(ctx context.Context, inbox conversation.InboxID, cursor string, limit int) (letters []conversation.DeadLetter, next string, err error)
	// Show gives a letter with all it holds but secrets. Errors: class
	// [conversation.ErrNotFound].
	Show(ctx context.Context, id string) (conversation.DeadLetter, error)
	// Redeliver takes a letter the way it should have gone, and drops it when that
	// is durable. Errors: class [conversation.ErrNotFound]; why it cannot go now
	// either.
	Redeliver(ctx context.Context, id string, by conversation.AgentID) error
	// Drop lets a letter go. Errors: class [conversation.ErrNotFound].
	Drop(ctx context.Context, id string) error
}

// withLetters is a handler that needs the dead letters.
func withLetters(h handler) handler {
	return needing(func(o *Options) bool { return o.Letters != nil }, conversation.Refuse(conversation.CodeUnavailable, "this server keeps no dead letters"), h)
}

// listLetters leaves out what the letters hold, which may be much.
func (g *Gateway) listLetters(w http.ResponseWriter, r *http.Request, who caller) error {
	q := r.URL.Query()
	limit, err := limitOf(r)
	if err != nil {
		return err
	}
	letters, next, err := g.opts.Letters.List(r.Context(), conversation.InboxID(q.Get("inbox")), q.Get("cursor"), limit)
	if err != nil {
		return err
	}
	var out []conversation.DeadLetter
	for i := range letters {
		l := letters[i]
		l.Delivery, l.Event, l.Message = nil, nil, nil
		if who.agent.agent.MaySee(l.Inbox) {
			out = append(out, l)
		}
	}
	return answer(w, http.StatusOK, newPage(out, next))
}

// pathLetter gives the letter that a path names, if the admin works in its inbox.
func (g *Gateway) pathLetter(r *http.Request, who caller) (conversation.DeadLetter, error) {
	l, err := g.opts.Letters.Show(r.Context(), r.PathValue("letter"))
	if err == nil && !who.agent.agent.MaySee(l.Inbox) {
		err = conversation.ErrNotFound
	}
	if conversation.CodeOf(err) == conversation.CodeNotFound {
		err = conversation.Refuse(conversation.CodeNotFound, "there is no such dead letter, or it was taken")
	}
	return l, err
}

func (g *Gateway) showLetter(w http.ResponseWriter, r *http.Request, who caller) error {
	l, err := g.pathLetter(r, who)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, l)
}

func (g *Gateway) redeliverLetter(w http.ResponseWriter, r *http.Request, who caller) error {
	l, err := g.pathLetter(r, who)
	if err != nil {
		return err
	}
	by := who.agent.agent.ID
	if err := g.opts.Letters.Redeliver(r.Context(), l.ID, by); err != nil {
		return err
	}
	g.logLetter("dead letter redelivered", &l, by)
	return noContent(w)
}

func (g *Gateway) dropLetter(w http.ResponseWriter, r *http.Request, who caller) error {
	l, err := g.pathLetter(r, who)
	if err != nil {
		return err
	}
	if err := g.opts.Letters.Drop(r.Context(), l.ID); err != nil {
		return err
	}
	g.logLetter("dead letter dropped", &l, who.agent.agent.ID)
	return noContent(w)
}

// logLetter says who did what with a letter.
func (g *Gateway) logLetter(what string, l *conversation.DeadLetter, by conversation.AgentID) {
	g.log.Info(what, slog.String("letter", l.ID), slog.String("inbox", string(l.Inbox)), //nolint:sloglint // one of two
		slog.String("channel", string(l.Channel)), slog.String("agent_id", string(by)))
}
