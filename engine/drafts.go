package engine

import (
	"cmp"
	"context"
	"strings"

	"github.com/colloquyhq/colloquy/assist"
	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway"
	"github.com/colloquyhq/colloquy/intent"
)

// drafts shows conversations to a model, without what it must not see, and gives
// what it writes. It implements [gateway.Drafts].
type drafts struct {
	client   *assist.Client
	model    string
	messages int
	inboxes  interface {
		Inbox(id conversation.InboxID) (conversation.Inbox, error)
	}
	library *intent.Library
}

// Draft implements [gateway.Drafts].
func (d *drafts) Draft(ctx context.Context, s *conversation.State) (gateway.Draft, error) {
	in, err := d.inboxes.Inbox(s.Inbox)
	if err != nil {
		return gateway.Draft{}, err
	}
	p, err := d.prompt(ctx, s, &in)
	if err != nil {
		return gateway.Draft{}, err
	}
	text, err := d.client.Draft(ctx, p)
	return gateway.Draft{Text: conversation.Text(text), Model: d.model}, err
}

// prompt gathers what the model is shown: public messages with every marked value
// masked, and what the pack says about the matter. A text that cannot be masked is
// not shown; notes never are.
func (d *drafts) prompt(ctx context.Context, s *conversation.State, in *conversation.Inbox) (assist.Prompt, error) {
	packs := in.Packs
	if len(packs) == 0 {
		packs = []string{"common"} // it knows phone numbers and the like
	}
	p := assist.Prompt{Lang: cmp.Or(s.Dialogue.Lang, in.Lang)}
	for i := len(s.Recent) - 1; i >= 0 && len(p.Messages) < d.messages; i-- {
		m := &s.Recent[i]
		if m.Note {
			continue
		}
		text, err := d.library.Mask(ctx, packs, m.Plain())
		if err != nil {
			return p, err
		}
		if text != "" {
			p.Messages = append([]assist.Message{{From: m.From, Text: text}}, p.Messages...)
		}
	}
	id := s.Dialogue.Intent
	if id == "" && s.Handover != nil {
		id = s.Handover.Intent
	}
	if book, ok := d.library.Playbook(in.Packs, id, p.Lang); ok {
		p.Title, p.Facts = book.Title, fillVariables(book.Answer, book.Variables, in.Vars)
	}
	return p, nil
}

// fillVariables puts the operator's values into an answer, the inbox's above the
// pack's. Slots stay as they are: they are the visitor's.
func fillVariables(text string, pack, inbox map[string]string) string {
	var pairs []string
	for _, vars := range []map[string]string{inbox, pack} { // the first pair that fits is taken
		for name, value := range vars {
			if value != "" {
				pairs = append(pairs, "{"+name+"}", value)
			}
		}
	}
	return strings.NewReplacer(pairs...).Replace(text)
}
