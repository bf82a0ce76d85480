package gateway

import (
	"context"
	"log/slog"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/colloquyhq/colloquy/conversation"
)

// Privacy erases people, and keeps what must not be erased.
type Privacy interface {
	// EraseContact erases everything of a contact and of those merged with them.
	// Erasing what is erased changes nothing.
	//
	// Errors: the code [conversation.CodeHeld] where a hold stands on any of it.
	EraseContact(ctx context.Context, id conversation.ContactID, by conversation.AgentID) (ErasureReport, error)
	// Hold gives the hold that stands on a contact or a conversation by itself, by
	// its id as it is written. It is read from memory.
	Hold(id string) (conversation.Hold, bool)
	// PutHold has a hold stand; one that stands already stays as it is.
	PutHold(ctx context.Context, id string, h conversation.Hold) error
	// DropHold lifts a hold; where none stands nothing changes.
	DropHold(ctx context.Context, id string) error
	// Overdue counts the conversations whose time is over.
	Overdue(ctx context.Context) ([]OverdueRow, error)
	// SweepOverdue erases them now and gives how many.
	SweepOverdue(ctx context.Context) (int, error)
}

// ErasureReport says what an erasure came to.
type ErasureReport struct {
	Contacts      int `json:"contacts"`
	Conversations int `json:"conversations"` // that were there until now
	Files         int `json:"files"`
	Letters       int `json:"dead_letters"`
}

// OverdueRow counts the conversations of an inbox whose time is over.
type OverdueRow struct {
	Inbox         conversation.InboxID `json:"inbox_id"`
	Before        time.Time            `json:"before"` // their last activity was
	Conversations int                  `json:"conversations"`
	Held          int                  `json:"held"` // that would go, but for a hold
}

// withPrivacy is a handler that needs the one who erases.
func withPrivacy(h handler) handler {
	return needing(func(o *Options) bool { return o.Privacy != nil && o.Book != nil }, conversation.Refuse(conversation.CodeUnavailable, "this server erases nothing"), h)
}

// eraseContact erases a person. The body repeats the id, because there is no way
// back.
func (g *Gateway) eraseContact(w http.ResponseWriter, r *http.Request, who caller) error {
	id, err := g.pathContact(r, who)
	if err != nil {
		return err
	}
	var b struct {
		Confirm string `json:"confirm"`
	}
	if err := decodeBody(r, &b); err != nil {
		return err
	}
	if b.Confirm != id.String() {
		return &conversation.Error{
			Code: conversation.CodeInvalid, Detail: "confirm does not hold the contact's id", Hint: "an erasure cannot be undone, so its body repeats the id of the path",
		}
	}
	for _, member := range g.opts.Book.MergedContacts(id) {
		if _, err := g.findContact(r.Context(), member, who); err != nil {
			return &conversation.Error{
				Code: conversation.CodeForbidden, Detail: "the contact was merged with one of an inbox that is not yours", Hint: "split them, or ask an admin of all inboxes",
			}
		}
	}
	report, err := g.opts.Privacy.EraseContact(r.Context(), id, who.agent.agent.ID)
	g.log.Info("contact erased", slog.String("contact_id", id.String()), slog.String("agent_id", string(who.agent.agent.ID)),
		slog.Int("conversations", report.Conversations), slog.Int("files", report.Files), slog.String("code", string(codeOf(err))))
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, report)
}

// codeOf is the code of an error; empty for none.
func codeOf(err error) conversation.Code {
	if err == nil {
		return ""
	}
	return conversation.CodeOf(err)
}

// holdOf reads the words of a hold.
func holdOf(r *http.Request, who caller) (conversation.Hold, error) {
	var b struct {
		Reason string `json:"reason"`
	}
	h := conversation.Hold{By: who.agent.agent.ID, At: time.Now().UTC().Truncate(time.Millisecond)}
	if err := decodeBody(r, &b); err != nil {
		return h, err
	}
	if len(b.Reason) > conversation.MaxHoldReason || !utf8.ValidString(b.Reason) {
		return h, conversation.Refusef(conversation.CodeTooLarge, "reason has at most %d bytes of UTF-8", conversation.MaxHoldReason)
	}
	h.Reason = b.Reason
	return h, nil
}

func (g *Gateway) holdContact(w http.ResponseWriter, r *http.Request, who caller) error {
	id, err := g.pathContact(r, who)
	if err != nil {
		return err
	}
	return g.putHold(w, r, who, id.String())
}

func (g *Gateway) releaseContact(w http.ResponseWriter, r *http.Request, who caller) error {
	id, err := g.pathContact(r, who)
	if err != nil {
		return err
	}
	return g.dropHold(w, r, who, id.String())
}

func (g *Gateway) holdConversation(w http.ResponseWriter, r *http.Request, who caller) error {
	head, err := g.pathConversation(r, who)
	if err != nil {
		return err
	}
	return g.putHold(w, r, who, head.ID.String())
}

func (g *Gateway) releaseConversation(w http.ResponseWriter, r *http.Request, who caller) error {
	head, err := g.pathConversation(r, who)
	if err != nil {
		return err
	}
	return g.dropHold(w, r, who, head.ID.String())
}

// putHold answers with the hold that stands.
func (g *Gateway) putHold(w http.ResponseWriter, r *http.Request, who caller, on string) error {
	h, err := holdOf(r, who)
	if err != nil {
		return err
	}
	if err := g.opts.Privacy.PutHold(r.Context(), on, h); err != nil {
		return err
	}
	if stands, ok := g.opts.Privacy.Hold(on); ok {
		h = stands
	}
	g.log.Info("hold put", slog.String("on", on), slog.String("agent_id", string(who.agent.agent.ID)))
	return answer(w, http.StatusOK, h)
}

func (g *Gateway) dropHold(w http.ResponseWriter, r *http.Request, who caller, on string) error {
	if err := g.opts.Privacy.DropHold(r.Context(), on); err != nil {
		return err
	}
	g.log.Info("hold lifted", slog.String("on", on), slog.String("agent_id", string(who.agent.agent.ID)))
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// hold gives the hold that stands on any of some things, the first that does.
func (g *Gateway) hold(on ...string) *conversation.Hold {
	if g.opts.Privacy == nil {
		return nil
	}
	for _, id := range on {
		if h, ok := g.opts.Privacy.Hold(id); ok {
			return &h
		}
	}
	return nil
}

// showOverdue counts what the next sweep erases.
func (g *Gateway) showOverdue(w http.ResponseWriter, r *http.Request, _ caller) error {
	rows, err := g.opts.Privacy.Overdue(r.Context())
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, newPage(rows, ""))
}

// sweepOverdue erases now what the next sweep would.
func (g *Gateway) sweepOverdue(w http.ResponseWriter, r *http.Request, who caller) error {
	if err := decodeBody(r, &struct{}{}); err != nil {
		return err
	}
	n, err := g.opts.Privacy.SweepOverdue(r.Context())
	g.log.Info("overdue conversations erased", slog.Int("conversations", n), slog.String("agent_id", string(who.agent.agent.ID)))
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, struct {
		Conversations int `json:"conversations"`
	}{n})
}
