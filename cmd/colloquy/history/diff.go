package history

import (
	"context"
	"time"

	"github.com/colloquyhq/colloquy/actors"
	"github.com/colloquyhq/colloquy/conversation"
)

// Bot says what it would do. [actors.Rehearsal] is the one.
type Bot interface {
	Verdict(ctx context.Context, inbox *conversation.Inbox, s *conversation.State, m *conversation.Message) (actors.Verdict, error)
}

// Options choose what is compared.
type Options struct {
	Since time.Time
	Inbox conversation.InboxID // empty = all
	Packs []string             // in place of the inboxes' own; nil = these
	Rows  int                  // how many changed turns are kept for the report
}

// Change says what another outcome of a turn is worth.
type Change string

// The changes.
const (
	Same    Change = "same"
	Better  Change = "better"
	Worse   Change = "worse"
	Unclear Change = "unclear" // changed, and nothing that people did says whether for better
)

// Row is a turn whose outcome would change.
type Row struct {
	Conversation conversation.ConversationID `json:"conversation_id"`
	Seq          conversation.Seq            `json:"seq"`
	At           time.Time                   `json:"at"`
	Inbox        conversation.InboxID        `json:"inbox_id"`
	Text         string                      `json:"text"`
	Old          Verdict                     `json:"old"`
	New          Verdict                     `json:"new"`
	Change       Change                      `json:"change"`
	Why          string                      `json:"why,omitempty"`
}

// Report is what a comparison comes to.
type Report struct {
	Since         time.Time      `json:"since"`
	Conversations int            `json:"conversations"`
	Turns         int            `json:"turns"`    // that were compared
	Skipped       int            `json:"skipped"`  // decided by behaviors of the operator's own, or of inboxes that are gone
	Answered      int            `json:"answered"` // by the bot itself, as it was
	WouldAnswer   int            `json:"would_answer"`
	Changes       map[Change]int `json:"changes"`
	Rows          []Row          `json:"rows"` // worse first, then better, then unclear; newest first in each
	Left          int            `json:"left"` // changed turns that are not among the rows
}

// Diff plays the turns of stored conversations through another bot. Each turn is
// met in the state in which it really was, so that one that goes another way
// does not change those after it.
func Diff(ctx context.Context, j Journal, bot Bot, o Options) (*Report, error) {
	d := &differ{journal: j, bot: bot, o: o, report: &Report{Since: o.Since, Changes: map[Change]int{}}, rows: map[Change][]Row{}}
	if err := each(ctx, j, o.Inbox, o.Since, func(h *conversation.Head, list []conversation.Entry) error { return d.conversation(ctx, h, list) }); err != nil {
		return nil, err
	}
	d.finish()
	return d.report, nil
}

type differ struct {
	journal Journal
	bot     Bot
	o       Options
	report  *Report
	rows    map[Change][]Row
}

func (d *differ) conversation(ctx context.Context, h *conversation.Head, list []conversation.Entry) error {
	d.report.Conversations++
	inbox, err := d.journal.Inbox(h.Inbox)
	gone := err != nil
	if d.o.Packs != nil {
		inbox.Packs = d.o.Packs
	}
	state := &conversation.State{ID: h.ID}
	for i, e := range list {
		if done, ok := e.Event.(conversation.TurnCompleted); ok && !e.At.Before(d.o.Since) {
			if err := d.turn(ctx, &inbox, state, done.Turn, list[i:], gone); err != nil {
				return err
			}
		}
		state.Apply(e)
		state.ID = h.ID
	}
	return nil
}

// turn compares one turn, whose events are at the front of rest.
func (d *differ) turn( //nolint:revive // gone belongs to the inbox
	ctx context.Context, inbox *conversation.Inbox, s *conversation.State, seq conversation.Seq, rest []conversation.Entry, gone bool,
) error {
	m, ok := s.MessageAt(seq)
	old := stored(rest)
	if !ok || gone || old.Kind == Unknown {
		d.report.Skipped++
		return nil
	}
	made, err := d.bot.Verdict(ctx, inbox, s, &m)
	if err != nil {
		return err
	}
	t := turn{message: m, old: old, after: rest[1:]}
	now := verdictOf(&made)
	row := Row{
		Conversation: s.ID, Seq: seq, At: rest[0].At, Inbox: s.Inbox, Text: string(m.Text), Old: old, New: now,
	}
	row.Change, row.Why = t.weigh(&now)
	d.count(&row)
	return nil
}

func (d *differ) count(row *Row) {
	r := d.report
	r.Turns++
	if row.Old.Kind == Answered {
		r.Answered++
	}
	if row.New.Kind == Answered {
		r.WouldAnswer++
	}
	r.Changes[row.Change]++
	if row.Change == Same {
		return
	}
	if len(d.rows[row.Change]) >= d.o.Rows {
		r.Left++
		return
	}
	d.rows[row.Change] = append(d.rows[row.Change], *row)
}

func (d *differ) finish() {
	for _, c := range []Change{Worse, Better, Unclear} {
		take := min(len(d.rows[c]), d.o.Rows-len(d.report.Rows))
		d.report.Rows = append(d.report.Rows, d.rows[c][:take]...)
		d.report.Left += len(d.rows[c]) - take
	}
}

// weigh says what another outcome is worth, by what people did about the old one.
func (t *turn) weigh(now *Verdict) (Change, string) {
	if t.old.same(now) {
		return Same, ""
	}
	known := t.judge()
	answers := now.Kind == Answered
	switch {
	case known.wrong && known.intent != "" && answers && now.Intent == known.intent:
		return Better, known.why + ", and this is what was asked"
	case known.wrong && answers && (known.intent != "" || now.Intent == t.old.Intent):
		return Unclear, known.why + ", and this is not what was asked either"
	case known.wrong && !answers && t.old.Kind == Answered:
		return Better, known.why + ", and it would not be said"
	case known.right:
		return Worse, known.why
	}
	return Unclear, known.why
}
