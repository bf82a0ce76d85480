package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/colloquyhq/colloquy/cmd/colloquy/history"
	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/engine"
	"github.com/colloquyhq/colloquy/persistence"
)

// replayCmd is `colloquy replay`.
type replayCmd struct {
	configFlags

	Conversation string   `help:"Show this conversation's state after each of its events, and compare the last with the stored one." placeholder:"ID" xor:"what" required:""`
	Since        days     `help:"Compare what the bot did in the turns of so long, such as 7d or 12h, with what it would do now." placeholder:"TIME" xor:"what" required:""`
	All          bool     `help:"Read every stored conversation again and compare its state with the stored one; exit with status 3 when one differs." xor:"what" required:""`
	Pack         []string `help:"With --since: the packs to compare with, in place of each inbox's own." placeholder:"NAME"`
	Inbox        string   `help:"With --since or --all: only this inbox." placeholder:"ID"`
	Diff         bool     `help:"With --since: also show the turns that would change."`
	Limit        int      `help:"With --diff: how many of them, worse ones first." default:"50"`
	MaxWorse     int      `help:"With --since: exit with status 3 when more turns than this become worse; below zero = any number may." default:"-1"`
	JSON         bool     `help:"Print JSON."`
}

// days is a duration that may be given in days.
type days time.Duration

// UnmarshalText implements [encoding.TextUnmarshaler].
func (d *days) UnmarshalText(text []byte) error {
	s := string(text)
	if n, ok := strings.CutSuffix(s, "d"); ok {
		v, err := strconv.ParseFloat(n, 64)
		if err != nil || v <= 0 || v > 36_500 {
			return fmt.Errorf("%q is no number of days", s)
		}
		*d = days(v * float64(24*time.Hour))
		return nil
	}
	v, err := time.ParseDuration(s)
	if err != nil || v <= 0 {
		return fmt.Errorf("%q is no time such as 7d or 12h", s)
	}
	*d = days(v)
	return nil
}

// Validate implements kong's check of flags.
func (c *replayCmd) Validate() error {
	if c.Conversation != "" && (len(c.Pack) > 0 || c.Inbox != "" || c.Diff || c.MaxWorse >= 0) {
		return errors.New("--pack, --inbox, --diff and --max-worse go with --since")
	}
	if c.All && (len(c.Pack) > 0 || c.Diff || c.MaxWorse >= 0) {
		return errors.New("--pack, --diff and --max-worse go with --since")
	}
	if c.Limit < 0 {
		return errors.New("--limit must not be below zero")
	}
	return nil
}

// Run implements the subcommand.
func (c *replayCmd) Run(t *tool) error {
	var id conversation.ConversationID
	if c.Conversation != "" {
		var err error
		if id, err = conversation.ParseConversationID(c.Conversation); err != nil {
			return &failure{exitUsage, fmt.Errorf("--conversation: %w", err)}
		}
	}
	s, err := c.openStore(t)
	if err != nil {
		return err
	}
	switch {
	case c.Conversation != "":
		err = c.steps(t, s, id)
	case c.All:
		err = c.check(t, s)
	default:
		err = c.compare(t, s)
	}
	return errors.Join(err, s.Close())
}

// stepLine is what --json prints for an event.
type stepLine struct {
	Seq   conversation.Seq    `json:"seq"`
	At    time.Time           `json:"at"`
	Kind  string              `json:"kind"`
	Data  conversation.Event  `json:"data"`
	State *conversation.State `json:"state"`
}

func (c *replayCmd) steps(t *tool, s *persistence.Store, id conversation.ConversationID) error {
	lines := json.NewEncoder(t.stdout)
	lines.SetEscapeHTML(false)
	err := history.Steps(t.ctx, s, id, func(step history.Step) error {
		if c.JSON {
			return lines.Encode(stepLine{step.Entry.Seq, step.Entry.At, step.Entry.Event.Kind(), step.Entry.Event, step.State}) //nolint:musttag // the state as the journal stores it
		}
		_, err := fmt.Fprintf(t.stdout, "%5d  %s  %-28s %s\n", step.Entry.Seq, step.Entry.At.Format(time.RFC3339), step.Entry.Event.Kind(), summary(step.State))
		return err
	})
	switch {
	case errors.Is(err, history.ErrDiffers):
		return &failure{exitCheck, err}
	case err != nil || c.JSON:
		return err
	}
	_, err = fmt.Fprintln(t.stdout, "the last state is the stored one")
	return err
}

// check reads all conversations again.
func (c *replayCmd) check(t *tool, s *persistence.Store) error {
	if err := c.knowsInbox(s); err != nil {
		return err
	}
	r, err := history.Check(t.ctx, s, conversation.InboxID(c.Inbox))
	if err != nil {
		return err
	}
	if c.JSON {
		err = writeJSON(t.stdout, r)
	} else {
		_, err = fmt.Fprintf(t.stdout, "%d conversations with %d events read again in %.1f s; %d give another state than is stored\n", r.Conversations, r.Events, r.Seconds, r.Differ)
		for i := 0; i < len(r.Named) && err == nil; i++ {
			_, err = fmt.Fprintf(t.stdout, "%s: %s\n", r.Named[i].Conversation, r.Named[i].Why)
		}
	}
	if err == nil && r.Differ > 0 {
		return &failure{exitCheck, fmt.Errorf("%d conversations: %w", r.Differ, history.ErrDiffers)}
	}
	return err
}

// knowsInbox refuses an --inbox that there is not.
func (c *replayCmd) knowsInbox(s *persistence.Store) error {
	if c.Inbox == "" {
		return nil
	}
	if _, err := s.Inbox(conversation.InboxID(c.Inbox)); err != nil {
		return &failure{exitUsage, fmt.Errorf("--inbox: %w", err)}
	}
	return nil
}

// summary says in a line where a conversation is.
func summary(s *conversation.State) string {
	parts := []string{string(s.Status)}
	add := func(format, value string) {
		if value != "" {
			parts = append(parts, fmt.Sprintf(format, value))
		}
	}
	add("agent %s", string(s.Assignee))
	add("about %s", s.Dialogue.Intent)
	add("asked for %s", s.Dialogue.Ask)
	if s.Handover != nil {
		add("handed over: %s", string(s.Handover.Reason))
	}
	return strings.Join(parts, ", ")
}

func (c *replayCmd) compare(t *tool, s *persistence.Store) error {
	report, err := c.diff(t, s)
	if err != nil {
		return err
	}
	if c.JSON {
		err = writeJSON(t.stdout, report)
	} else {
		err = c.print(t, report)
	}
	if worse := report.Changes[history.Worse]; err == nil && c.MaxWorse >= 0 && worse > c.MaxWorse {
		return &failure{exitCheck, fmt.Errorf("%d turns become worse, at most %d may", worse, c.MaxWorse)}
	}
	return err
}

func (c *replayCmd) diff(t *tool, s *persistence.Store) (*history.Report, error) {
	library, err := c.library(t)
	if err != nil {
		return nil, err
	}
	packs := [][]string{c.Pack}
	if c.Pack == nil {
		packs = packsOf(s, conversation.InboxID(c.Inbox))
	}
	for _, p := range packs {
		if err := library.Prepare(t.ctx, p); err != nil {
			return nil, err
		}
	}
	o := history.Options{Since: time.Now().Add(-time.Duration(c.Since)).UTC(), Inbox: conversation.InboxID(c.Inbox), Packs: c.Pack}
	if c.Diff {
		o.Rows = c.Limit
	}
	if err := c.knowsInbox(s); err != nil {
		return nil, err
	}
	return history.Diff(t.ctx, s, engine.NewRehearsal(library), o)
}

// packsOf gives the packs of the inboxes that have some.
func packsOf(s *persistence.Store, only conversation.InboxID) [][]string {
	var out [][]string
	for _, in := range s.Inboxes() {
		if len(in.Packs) > 0 && (only == "" || only == in.ID) {
			out = append(out, in.Packs)
		}
	}
	return out
}

func (c *replayCmd) print(t *tool, r *history.Report) error {
	share := func(n int) float64 { return 100 * float64(n) / float64(max(r.Turns, 1)) }
	_, err := fmt.Fprintf(t.stdout, "%d conversations since %s, %d turns compared, %d left out (own behaviors, inboxes that are gone)\n"+
		"answered by the bot itself: %d (%.1f %%), now %d (%.1f %%)\n"+
		"same %d, better %d, worse %d, unclear %d\n",
		r.Conversations, r.Since.Format(time.RFC3339), r.Turns, r.Skipped, r.Answered, share(r.Answered), r.WouldAnswer, share(r.WouldAnswer),
		r.Changes[history.Same], r.Changes[history.Better], r.Changes[history.Worse], r.Changes[history.Unclear])
	for i := 0; i < len(r.Rows) && err == nil; i++ {
		err = printRow(t, &r.Rows[i])
	}
	if err == nil && c.Diff && r.Left > 0 {
		_, err = fmt.Fprintf(t.stdout, "\n%d more turns would change\n", r.Left)
	}
	return err
}

func printRow(t *tool, row *history.Row) error {
	why := ""
	if row.Why != "" {
		why = " (" + row.Why + ")"
	}
	_, err := fmt.Fprintf(t.stdout, "\n%s%s  %s seq %d\n  %s\n", row.Change, why, row.Conversation, row.Seq, opening(row.Text))
	for _, side := range []struct {
		name string
		v    *history.Verdict
	}{{"was", &row.Old}, {"now", &row.New}} {
		if err == nil {
			_, err = fmt.Fprintf(t.stdout, "  %s  %-11s %s %.2f  %s\n", side.name, side.v.Kind, side.v.Intent, side.v.Confidence, opening(side.v.Text))
		}
	}
	return err
}

// opening shows the beginning of a text, on one line.
func opening(s string) string {
	const most = 100
	r := []rune(oneLine(s))
	if len(r) > most {
		return string(r[:most]) + "…"
	}
	return string(r)
}
