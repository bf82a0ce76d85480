package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"text/tabwriter"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// deadLettersCmd is `colloquy channel deadletters`.
type deadLettersCmd struct {
	List      deadListCmd      `cmd:"" default:"withargs" help:"List them, newest first."`
	Show      deadShowCmd      `cmd:"" help:"Show one with all it holds."`
	Redeliver deadRedeliverCmd `cmd:"" help:"Have one tried again, the way that it should have gone."`
	Drop      deadDropCmd      `cmd:"" help:"Let one go."`
}

// deadListCmd is `colloquy channel deadletters list`.
type deadListCmd struct {
	apiFlags

	Inbox string `help:"Only those of this inbox."`
	Limit int    `help:"At most so many." default:"50"`
}

// Run implements the subcommand.
func (c *deadListCmd) Run(t *tool) error {
	q := url.Values{"limit": {fmt.Sprint(c.Limit)}}
	if c.Inbox != "" {
		q.Set("inbox", c.Inbox)
	}
	var got struct {
		Data []conversation.DeadLetter `json:"data"`
	}
	if err := c.call(t, apiCall{method: "GET", path: "/v1/dead_letters?" + q.Encode(), answer: &got}); err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(t.stdout, got.Data)
	}
	w := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "ID\tINBOX\tCHANNEL\tWAY\tWHEN\tREASON")
	for i := range got.Data {
		l := &got.Data[i]
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", l.ID, l.Inbox, l.Channel, l.Direction, ago(l.At), l.Reason)
	}
	return w.Flush()
}

// deadLetterFlags name a dead letter.
type deadLetterFlags struct {
	apiFlags

	ID string `arg:"" help:"Id of the dead letter, as the list gives it."`
}

func (f *deadLetterFlags) path() string { return "/v1/dead_letters/" + url.PathEscape(f.ID) }

// deadShowCmd is `colloquy channel deadletters show`.
type deadShowCmd struct{ deadLetterFlags }

// Run implements the subcommand.
func (c *deadShowCmd) Run(t *tool) error {
	var l conversation.DeadLetter
	if err := c.call(t, apiCall{method: "GET", path: c.path(), answer: &l}); err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(t.stdout, l)
	}
	return printLetter(t.stdout, &l)
}

// printLetter writes a letter for a person. What came from outside is quoted, so
// that it cannot steer the terminal.
func printLetter(out io.Writer, l *conversation.DeadLetter) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name string, value any) { _, _ = fmt.Fprintf(w, "%s\t%v\n", name, value) }
	row("inbox", l.Inbox)
	row("channel", l.Channel)
	row("way", l.Direction)
	row("at", l.At.Format(time.RFC3339))
	row("reason", l.Reason)
	if d := l.Delivery; d != nil {
		row("request", fmt.Sprintf("%s ?%q", d.Method, d.Query))
		row("body", fmt.Sprintf("%q", d.Body))
		if d.Cut {
			row("", "cut: it was longer, and cannot be tried again")
		}
	}
	if l.Event != nil {
		row("event", fmt.Sprintf("%q", string(l.Event)))
	}
	if m := l.Message; m != nil {
		b, err := json.Marshal(m)
		if err != nil {
			return err
		}
		row("message", fmt.Sprintf("%q", b))
	}
	return w.Flush()
}

// deadRedeliverCmd is `colloquy channel deadletters redeliver`.
type deadRedeliverCmd struct{ deadLetterFlags }

// Run implements the subcommand.
func (c *deadRedeliverCmd) Run(t *tool) error {
	if err := c.call(t, apiCall{method: "POST", path: c.path() + "/redeliver"}); err != nil {
		return err
	}
	_, err := fmt.Fprintln(t.stdout, "taken: a message from outside is stored, one of ours is on its way")
	return err
}

// deadDropCmd is `colloquy channel deadletters drop`.
type deadDropCmd struct{ deadLetterFlags }

// Run implements the subcommand.
func (c *deadDropCmd) Run(t *tool) error {
	if err := c.call(t, apiCall{method: "DELETE", path: c.path()}); err != nil {
		return err
	}
	_, err := fmt.Fprintln(t.stdout, "dropped")
	return err
}
