package gateway

import (
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/colloquyhq/colloquy/conversation"
)

// posted is the body of a message or note.
type posted struct {
	Text        conversation.Text           `json:"text"`
	ClientID    conversation.Ref            `json:"client_id"`
	Attachments []conversation.AttachmentID `json:"attachments"` // handed in before
}

// messageReceipt answers a message.
type messageReceipt struct {
	Conversation conversation.ConversationID `json:"conversation_id"`
	MessageID    string                      `json:"message_id"`
	Seq          conversation.Seq            `json:"seq"`
	At           time.Time                   `json:"at"`
}

// commandReceipt answers any other command.
type commandReceipt struct {
	Conversation conversation.ConversationID `json:"conversation_id"`
	Version      conversation.Seq            `json:"version"`
	Status       conversation.Status         `json:"status"`
}

// postedOf reads a message; the header Idempotency-Key stands in for
// client_id.
func postedOf(r *http.Request) (posted, error) {
	var b posted
	if err := decodeBody(r, &b); err != nil {
		return b, err
	}
	if err := checkSaid(b.Text, len(b.Attachments)); err != nil {
		return b, err
	}
	if len(b.ClientID) > conversation.MaxRefBytes {
		return b, conversation.Refusef(conversation.CodeBadRef, "client_id has at most %d bytes", conversation.MaxRefBytes)
	}
	if b.ClientID == "" {
		key, err := idempotencyKey(r)
		b.ClientID = key
		return b, err
	}
	return b, nil
}

func (g *Gateway) postMessage(w http.ResponseWriter, r *http.Request, who caller) error {
	return g.post(w, r, who, func(b posted, id conversation.ConversationID) (conversation.Command, error) {
		me := who.agent.agent.ID
		files, err := g.agentFiles(r.Context(), me, id, b.Attachments)
		return conversation.ReplyAsAgent{Agent: me, Ref: b.ClientID, Text: b.Text, Attachments: files}, err
	})
}

func (g *Gateway) postNote(w http.ResponseWriter, r *http.Request, who caller) error {
	return g.post(w, r, who, func(b posted, _ conversation.ConversationID) (conversation.Command, error) {
		if len(b.Attachments) > 0 {
			return nil, conversation.Refuse(conversation.CodeBadAttachment, "notes carry no files")
		}
		return conversation.AddNote{Agent: who.agent.agent.ID, Ref: b.ClientID, Text: b.Text}, nil
	})
}

func (g *Gateway) post(w http.ResponseWriter, r *http.Request, who caller, compose func(posted, conversation.ConversationID) (conversation.Command, error)) error {
	head, err := g.pathConversation(r, who)
	if err != nil {
		return err
	}
	b, err := postedOf(r)
	if err != nil {
		return err
	}
	cmd, err := compose(b, head.ID)
	if err != nil {
		return err
	}
	receipt, err := g.opts.Conversations.Do(r.Context(), head.ID, cmd)
	if err != nil {
		return err
	}
	receipt.Conversation = head.ID
	return answerPosted(w, receipt)
}

// answerPosted gives the same body for a message and its repetition; the
// header tells them apart.
func answerPosted(w http.ResponseWriter, receipt conversation.Receipt) error {
	if receipt.Duplicate {
		w.Header().Set(headerReplayed, "true")
	}
	return answer(w, http.StatusCreated, messageReceipt{
		Conversation: receipt.Conversation, MessageID: conversation.MessageID(receipt.Conversation, receipt.Seq),
		Seq: receipt.Seq, At: receipt.At,
	})
}

// command reads body into b, composes the command and answers.
func (g *Gateway) command(w http.ResponseWriter, r *http.Request, who caller, b any, compose func(conversation.Head) (conversation.Command, error)) error {
	head, err := g.pathConversation(r, who)
	if err != nil {
		return err
	}
	if err := checkMatch(r, uint64(head.Version)); err != nil {
		return err
	}
	if err := optionalBody(r, b); err != nil {
		return err
	}
	cmd, err := compose(head)
	if err != nil {
		return err
	}
	receipt, err := g.opts.Conversations.Do(r.Context(), head.ID, cmd)
	if err != nil {
		return err
	}
	return g.answerCommand(w, head, receipt)
}

func (g *Gateway) answerCommand(w http.ResponseWriter, head conversation.Head, receipt conversation.Receipt) error {
	w.Header().Set("ETag", etagOf(uint64(receipt.Version)))
	return answer(w, http.StatusOK, commandReceipt{Conversation: head.ID, Version: receipt.Version, Status: receipt.Status})
}

// always makes a command that depends on nothing.
func always(cmd conversation.Command) func(conversation.Head) (conversation.Command, error) {
	return func(conversation.Head) (conversation.Command, error) { return cmd, nil }
}

type emptyBody struct{}

func (g *Gateway) claim(w http.ResponseWriter, r *http.Request, who caller) error {
	return g.command(w, r, who, &emptyBody{}, always(conversation.Claim{Agent: who.agent.agent.ID}))
}

func (g *Gateway) reopen(w http.ResponseWriter, r *http.Request, who caller) error {
	return g.command(w, r, who, &emptyBody{}, always(conversation.Reopen{By: who.agent.agent.ID}))
}

func (g *Gateway) closeConversation(w http.ResponseWriter, r *http.Request, who caller) error {
	return g.command(w, r, who, &emptyBody{}, always(conversation.Close{By: who.agent.agent.ID}))
}

func (g *Gateway) wake(w http.ResponseWriter, r *http.Request, who caller) error {
	return g.command(w, r, who, &emptyBody{}, always(conversation.Wake{By: who.agent.agent.ID}))
}

func (g *Gateway) returnToBot(w http.ResponseWriter, r *http.Request, who caller) error {
	return g.command(w, r, who, &emptyBody{}, always(conversation.ReturnToBot{By: who.agent.agent.ID}))
}

func (g *Gateway) assign(w http.ResponseWriter, r *http.Request, who caller) error {
	var b struct {
		To conversation.AgentID `json:"to"`
	}
	return g.command(w, r, who, &b, func(h conversation.Head) (conversation.Command, error) {
		if err := g.checkAssignee(b.To, h.Inbox); err != nil {
			return nil, err
		}
		return conversation.Assign{To: b.To, By: who.agent.agent.ID}, nil
	})
}

// checkAssignee refuses agents who do not exist or do not work in the inbox.
func (g *Gateway) checkAssignee(to conversation.AgentID, inbox conversation.InboxID) error {
	if _, err := conversation.ParseAgentID(string(to)); err != nil {
		return err
	}
	a, err := g.opts.Agents.Agent(to)
	if err != nil || !a.MaySee(inbox) {
		return conversation.Refuse(conversation.CodeNotFound, "there is no such agent in this inbox")
	}
	return nil
}

func (g *Gateway) unassign(w http.ResponseWriter, r *http.Request, who caller) error {
	var b struct {
		Reason string `json:"reason"`
	}
	return g.command(w, r, who, &b, func(conversation.Head) (conversation.Command, error) {
		return conversation.Unassign{By: who.agent.agent.ID, Reason: b.Reason}, checkReason(b.Reason)
	})
}

func (g *Gateway) resolve(w http.ResponseWriter, r *http.Request, who caller) error {
	var b struct {
		Reason string `json:"reason"`
	}
	return g.command(w, r, who, &b, func(conversation.Head) (conversation.Command, error) {
		return conversation.Resolve{By: who.agent.agent.ID, Reason: b.Reason}, checkReason(b.Reason)
	})
}

func (g *Gateway) handover(w http.ResponseWriter, r *http.Request, who caller) error {
	var b struct {
		Detail string `json:"detail"`
	}
	return g.command(w, r, who, &b, func(conversation.Head) (conversation.Command, error) {
		cmd := conversation.RequestHandover{Reason: conversation.HandoverByAgent, Detail: b.Detail, By: who.agent.agent.ID}
		return cmd, checkReason(b.Detail)
	})
}

func (g *Gateway) snooze(w http.ResponseWriter, r *http.Request, who caller) error {
	var b struct {
		Until time.Time `json:"until"`
	}
	return g.command(w, r, who, &b, func(conversation.Head) (conversation.Command, error) {
		if !b.Until.IsZero() && !b.Until.After(time.Now()) {
			return nil, conversation.Refuse(conversation.CodeBadTime, "until is in the past")
		}
		return conversation.Snooze{By: who.agent.agent.ID, Until: b.Until.UTC()}, nil
	})
}

func (g *Gateway) markRead(w http.ResponseWriter, r *http.Request, who caller) error {
	var b struct {
		Seq conversation.Seq `json:"seq"`
	}
	return g.command(w, r, who, &b, func(h conversation.Head) (conversation.Command, error) {
		if b.Seq == 0 {
			b.Seq = h.Version
		}
		return conversation.MarkRead{By: conversation.PartyAgent, Agent: who.agent.agent.ID, UpTo: b.Seq}, nil
	})
}

// putTags replaces the tags: what is new is added, what is missing removed.
func (g *Gateway) putTags(w http.ResponseWriter, r *http.Request, who caller) error {
	var b struct {
		Tags []string `json:"tags"`
	}
	return g.command(w, r, who, &b, func(h conversation.Head) (conversation.Command, error) {
		if len(b.Tags) > conversation.MaxTags {
			return nil, conversation.Refusef(conversation.CodeBadTag, "%d tags, the limit is %d", len(b.Tags), conversation.MaxTags)
		}
		for i, t := range b.Tags {
			b.Tags[i] = strings.TrimSpace(t)
			if b.Tags[i] == "" || len(b.Tags[i]) > conversation.MaxTagBytes || !utf8.ValidString(t) {
				return nil, conversation.Refusef(conversation.CodeBadTag, "a tag has 1 to %d bytes", conversation.MaxTagBytes)
			}
		}
		missingFrom := func(have []string) func(string) bool {
			return func(t string) bool { return slices.Contains(have, t) }
		}
		return conversation.ChangeTags{
			By:     who.agent.agent.ID,
			Add:    slices.DeleteFunc(slices.Clone(b.Tags), missingFrom(h.Tags)),
			Remove: slices.DeleteFunc(slices.Clone(h.Tags), missingFrom(b.Tags)),
		}, nil
	})
}

func (g *Gateway) patchPriority(w http.ResponseWriter, r *http.Request, who caller) error {
	var b struct {
		Priority conversation.Priority `json:"priority"`
	}
	return g.command(w, r, who, &b, func(conversation.Head) (conversation.Command, error) {
		if b.Priority == "" || b.Priority.Rank() < 0 {
			return nil, conversation.Refuse(conversation.CodeBadPriority, "priority is none, low, medium, high or urgent")
		}
		return conversation.ChangePriority{By: who.agent.agent.ID, To: b.Priority}, nil
	})
}

const maxReasonBytes = 256

func checkReason(s string) error {
	if len(s) > maxReasonBytes {
		return conversation.Refusef(conversation.CodeTooLarge, "the reason has at most %d bytes", maxReasonBytes)
	}
	return nil
}
