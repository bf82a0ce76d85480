package gateway

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway/wire"
)

const (
	defaultPage    = 50
	maxPage        = 200
	maxCursorBytes = 512
	// maxListReads bounds how long a filter that hardly ever fits may look.
	maxListReads = 20
	// maxPageReads bounds how far back a page of messages is looked for among
	// entries that are none.
	maxPageReads = 20
)

// page is the envelope of every list.
type page[T any] struct {
	Data []T      `json:"data"`
	Meta pageMeta `json:"meta"`
}

type pageMeta struct {
	HasMore    bool   `json:"has_more"`
	NextCursor string `json:"next_cursor,omitempty"`
}

func newPage[T any](data []T, next string) page[T] {
	if data == nil {
		data = []T{}
	}
	return page[T]{Data: data, Meta: pageMeta{HasMore: next != "", NextCursor: next}}
}

// conversationView is a conversation in full.
type conversationView struct {
	wire.Summary
	Handover    *conversation.Handover      `json:"handover,omitempty"`
	Previous    conversation.ConversationID `json:"previous,omitzero"`
	ReadVisitor conversation.Seq            `json:"read_visitor,omitempty"`
	ReadAgent   conversation.Seq            `json:"read_agent,omitempty"`
	Delivered   conversation.Seq            `json:"delivered,omitempty"`
	ResolvedAt  string                      `json:"resolved_at,omitempty"`
	Slots       map[string]string           `json:"slots,omitempty"`
	ReplyWindow *conversation.ReplyWindow   `json:"reply_window,omitempty"` // of channels whose provider has one
	Hold        *conversation.Hold          `json:"hold,omitempty"`         // on this conversation, or on its contact: it is not erased
}

func (g *Gateway) summary(h conversation.Head) wire.Summary {
	return wire.Summary{Head: h, AssigneeName: g.agentName(h.Assignee)}
}

// pathConversation gives the conversation that a path names, if the agent may
// see it.
func (g *Gateway) pathConversation(r *http.Request, who caller) (conversation.Head, error) {
	id, err := conversation.ParseConversationID(r.PathValue("id"))
	if err != nil {
		return conversation.Head{}, err
	}
	head, err := g.head(r.Context(), id, 0)
	if err != nil {
		return conversation.Head{}, hideReason(err)
	}
	if !who.agent.agent.MaySee(head.Inbox) {
		return conversation.Head{}, errNoConversation()
	}
	return head, nil
}

// hideReason makes every "not found" the same, whatever was not found.
func hideReason(err error) error {
	if conversation.CodeOf(err) == conversation.CodeNotFound {
		return errNoConversation()
	}
	return err
}

func (g *Gateway) showConversation(w http.ResponseWriter, r *http.Request, who caller) error {
	head, err := g.pathConversation(r, who)
	if err != nil {
		return err
	}
	tag := etagOf(uint64(head.Version))
	w.Header().Set("ETag", tag)
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	s, err := g.opts.Journal.Load(r.Context(), head.ID)
	if err != nil {
		return err
	}
	v := conversationView{
		Summary: g.summary(head), Handover: s.Handover, Previous: s.Previous, ReadVisitor: s.ReadVisitor,
		ReadAgent: s.ReadAgent, Delivered: s.Delivered, Slots: s.Dialogue.Slots,
		ReplyWindow: s.ReplyWindow(time.Now()), Hold: g.hold(head.ID.String(), head.Contact.String()),
	}
	if !s.ResolvedAt.IsZero() {
		v.ResolvedAt = s.ResolvedAt.UTC().Format(timeFormat)
	}
	return answer(w, http.StatusOK, v)
}

const timeFormat = "2006-01-02T15:04:05.999Z07:00"

func etagOf(version uint64) string { return `"` + strconv.FormatUint(version, 10) + `"` }

// checkMatch honors If-Match: the caller saw a version, and it still stands.
func checkMatch(r *http.Request, version uint64) error {
	want := r.Header.Get("If-Match")
	if want == "" || want == "*" || strings.TrimPrefix(want, "W/") == etagOf(version) {
		return nil
	}
	return &statusError{
		status: http.StatusPreconditionFailed,
		err:    conversation.Refusef(conversation.CodeVersionMismatch, "the version is %d now", version),
	}
}

// filter is what a list can be narrowed by.
type filter struct {
	query    ListQuery
	assignee *conversation.AgentID
	queue    conversation.QueueState
}

func (f *filter) fits(h *conversation.Head) bool {
	return (f.assignee == nil || *f.assignee == h.Assignee) && (f.queue == "" || f.queue == h.Queue)
}

func (g *Gateway) listConversations(w http.ResponseWriter, r *http.Request, who caller) error {
	f, err := g.filterOf(r, who)
	if err != nil {
		return err
	}
	var out []wire.Summary
	next := ""
	if f.query.Inboxes != nil || len(who.agent.agent.Inboxes) == 0 {
		out, next, err = g.collect(r.Context(), f, who)
	}
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, newPage(out, next))
}

// collect reads pages until enough rows fit. Each read asks for no more than
// what is missing, so that its cursor is the cursor of the answer.
func (g *Gateway) collect(ctx context.Context, f filter, who caller) ([]wire.Summary, string, error) {
	want := f.query.Limit
	var out []wire.Summary
	for range maxListReads {
		f.query.Limit = want - len(out)
		heads, next, err := g.opts.Journal.List(ctx, f.query)
		if err != nil {
			return nil, "", err
		}
		for i := range heads {
			if f.fits(&heads[i]) && who.agent.agent.MaySee(heads[i].Inbox) {
				out = append(out, g.summary(heads[i]))
			}
		}
		if f.query.Cursor = next; next == "" || len(out) >= want {
			break
		}
	}
	return out, f.query.Cursor, nil
}

func (g *Gateway) filterOf(r *http.Request, who caller) (filter, error) {
	q := r.URL.Query()
	var f filter
	var err error
	if f.query.Limit, err = limitOf(r); err != nil {
		return f, err
	}
	if f.query.Cursor = q.Get("cursor"); len(f.query.Cursor) > maxCursorBytes {
		return f, conversation.Refuse(conversation.CodeInvalid, "the cursor is not one of ours")
	}
	for _, s := range listOf(q["status"]) {
		if !slices.Contains(conversation.Statuses(), conversation.Status(s)) {
			return f, conversation.Refusef(conversation.CodeInvalid, "status %q is not known", s)
		}
		f.query.Status = append(f.query.Status, conversation.Status(s))
	}
	if f.query.Inboxes, err = g.inboxesFor(listOf(q["inbox_id"]), who); err != nil {
		return f, err
	}
	switch s := conversation.QueueState(q.Get("queue")); s {
	case "", conversation.QueueNone, conversation.QueueQueued, conversation.QueueAssigned:
		f.queue = s
	default:
		return f, conversation.Refuse(conversation.CodeInvalid, "queue is none, queued or assigned")
	}
	if q.Has("assignee_id") {
		id := conversation.AgentID(q.Get("assignee_id"))
		switch id {
		case "me":
			id = who.agent.agent.ID
		case "none":
			id = ""
		default:
			if _, err := conversation.ParseAgentID(string(id)); err != nil {
				return f, err
			}
		}
		f.assignee = &id
	}
	return f, nil
}

// inboxesFor narrows the asked inboxes to those the agent works in. Asking for
// none means all of them.
func (g *Gateway) inboxesFor(asked []string, who caller) ([]conversation.InboxID, error) {
	a := &who.agent.agent
	if len(asked) == 0 {
		return slices.Clone(a.Inboxes), nil
	}
	out := make([]conversation.InboxID, 0, len(asked))
	for _, s := range asked {
		id, err := conversation.ParseInboxID(s)
		if err != nil {
			return nil, err
		}
		if !a.MaySee(id) {
			return nil, errNoInbox()
		}
		if _, err := g.opts.Inboxes.Inbox(id); err != nil {
			return nil, errNoInbox()
		}
		out = append(out, id)
	}
	return out, nil
}

func errNoInbox() error {
	return conversation.Refuse(conversation.CodeNotFound, "there is no such inbox")
}

// listOf takes ?a=1&a=2 and ?a=1,2 alike.
func listOf(values []string) []string {
	var out []string
	for _, v := range values {
		for s := range strings.SplitSeq(v, ",") {
			if s = strings.TrimSpace(s); s != "" {
				out = append(out, s)
			}
		}
	}
	return out
}

func limitOf(r *http.Request) (int, error) {
	s := r.URL.Query().Get("limit")
	if s == "" {
		return defaultPage, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > maxPage {
		return 0, conversation.Refusef(conversation.CodeInvalid, "limit is a number from 1 to %d", maxPage)
	}
	return n, nil
}

func seqParam(r *http.Request, name string) (conversation.Seq, bool, error) {
	s := r.URL.Query().Get(name)
	if s == "" {
		return 0, false, nil
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, false, conversation.Refusef(conversation.CodeInvalid, "%s is a whole number", name)
	}
	return conversation.Seq(n), true, nil
}

// listEvents gives the raw log.
func (g *Gateway) listEvents(w http.ResponseWriter, r *http.Request, who caller) error {
	head, err := g.pathConversation(r, who)
	if err != nil {
		return err
	}
	limit, err := limitOf(r)
	if err != nil {
		return err
	}
	after, _, err := seqParam(r, "after_seq")
	if err != nil {
		return err
	}
	entries, err := g.opts.Journal.Entries(r.Context(), head.ID, after, limit)
	if err != nil {
		return err
	}
	out := make([]*wire.Event, len(entries))
	for i, e := range entries {
		out[i] = wire.AgentEvent(head.ID, e, g.agentName)
	}
	p := newPage(out, "")
	p.Meta.HasMore = len(entries) == limit && entries[len(entries)-1].Seq < head.Version
	return answer(w, http.StatusOK, p)
}

// listMessages gives a page of messages, oldest first: those after a seq,
// those before one, or the newest.
func (g *Gateway) listMessages(w http.ResponseWriter, r *http.Request, who caller) error {
	head, err := g.pathConversation(r, who)
	if err != nil {
		return err
	}
	p, err := g.messagePage(r, agentSide, head)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, p)
}

func (g *Gateway) messagePage(r *http.Request, s side, head conversation.Head) (page[*wire.Message], error) {
	var none page[*wire.Message]
	limit, err := limitOf(r)
	if err != nil {
		return none, err
	}
	after, forward, err := seqParam(r, "after_seq")
	if err != nil {
		return none, err
	}
	before, backward, err := seqParam(r, "before_seq")
	switch {
	case err != nil:
		return none, err
	case forward && backward:
		return none, conversation.Refuse(conversation.CodeInvalid, "either after_seq or before_seq")
	case forward:
		return g.messagesAfter(r.Context(), s, head, span{at: after, limit: limit})
	case !backward || before > head.Version+1:
		before = head.Version + 1
	}
	return g.messagesBefore(r.Context(), s, head, span{at: before, limit: limit})
}

// span is where a page begins and how long it is.
type span struct {
	at    conversation.Seq
	limit int
}

func (g *Gateway) messagesAfter(ctx context.Context, s side, head conversation.Head, sp span) (page[*wire.Message], error) {
	var out []*wire.Message
	more := false
	for range maxPageReads {
		entries, err := g.opts.Journal.Entries(ctx, head.ID, sp.at, maxPage)
		if err != nil {
			return page[*wire.Message]{}, err
		}
		out = append(out, g.messagesOf(s, head.ID, entries)...)
		if more = len(out) > sp.limit; more || len(entries) < maxPage {
			break
		}
		sp.at = entries[len(entries)-1].Seq
	}
	p := newPage(out[:min(len(out), sp.limit)], "")
	p.Meta.HasMore = more
	return p, nil
}

func (g *Gateway) messagesBefore(ctx context.Context, s side, head conversation.Head, sp span) (page[*wire.Message], error) {
	var out []*wire.Message
	end := sp.at
	for range maxPageReads {
		if end <= 1 || len(out) > sp.limit {
			break
		}
		start := conversation.Seq(0)
		if end-1 > maxPage {
			start = end - 1 - maxPage
		}
		entries, err := g.opts.Journal.Entries(ctx, head.ID, start, int(end-1-start)) //nolint:gosec // at most maxPage
		if err != nil {
			return page[*wire.Message]{}, err
		}
		out = append(g.messagesOf(s, head.ID, entries), out...)
		end = start + 1
	}
	more := len(out) > sp.limit || end > 1
	p := newPage(out[max(0, len(out)-sp.limit):], "")
	p.Meta.HasMore = more
	return p, nil
}

// messagesOf picks the messages that a side may see out of entries, each with
// the fate that these entries tell.
func (g *Gateway) messagesOf(s side, id conversation.ConversationID, entries []conversation.Entry) []*wire.Message {
	var out []*wire.Message
	for _, e := range entries {
		if sent, ok := e.Event.(conversation.MessageSent); ok {
			for _, m := range out {
				if m.Seq == sent.Message {
					m.Delivery = sent.Result
				}
			}
			continue
		}
		if ev, ok := e.Event.(conversation.AttachmentChanged); ok {
			settleAttachment(out, &ev)
			continue
		}
		ev, ok := g.hub.view(s, id, e)
		if !ok {
			continue
		}
		if m, ok := ev.Data.(*wire.Message); ok {
			out = append(out, m)
		}
	}
	return out
}

// settleAttachment puts an attachment in the place of the pending one.
func settleAttachment(messages []*wire.Message, ev *conversation.AttachmentChanged) {
	for _, m := range messages {
		if m.Seq != ev.Message {
			continue
		}
		for i := range m.Attachments {
			if m.Attachments[i].ID == ev.Attachment.ID {
				m.Attachments[i] = wire.AttachmentOf(&ev.Attachment)
			}
		}
	}
}
