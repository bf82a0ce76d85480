package main

import (
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway"
)

// contactCmd is `colloquy contact`.
type contactCmd struct {
	Erase   contactEraseCmd   `cmd:"" help:"Erase everything of a contact, and of those merged with them. It cannot be undone."`
	Hold    contactHoldCmd    `cmd:"" help:"Keep a contact, or one conversation, from being erased."`
	Release contactReleaseCmd `cmd:"" help:"Lift a hold."`
}

// contactEraseCmd is `colloquy contact erase`.
type contactEraseCmd struct {
	apiFlags

	ID      string `arg:"" help:"Id of the contact (ctc_…)."`
	Confirm string `help:"The id once more; there is no way back." placeholder:"ID"`
}

// Run implements the subcommand.
func (c *contactEraseCmd) Run(t *tool) error {
	id, err := conversation.ParseContactID(c.ID)
	if err != nil {
		return &failure{exitUsage, err}
	}
	if c.Confirm != c.ID {
		return &failure{exitUsage, fmt.Errorf("an erasure cannot be undone: say so by --confirm %s", id)}
	}
	var got gateway.ErasureReport
	err = c.call(t, apiCall{method: "POST", path: "/v1/contacts/" + id.String() + "/erase", body: map[string]string{"confirm": c.Confirm}, answer: &got})
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(t.stdout, got)
	}
	_, err = fmt.Fprintf(t.stdout, "erased: %d contacts, %d conversations, %d files, %d dead letters\n", got.Contacts, got.Conversations, got.Files, got.Letters)
	return err
}

// holdFlags name what a hold stands on.
type holdFlags struct {
	apiFlags

	ID string `arg:"" help:"Id of a contact (ctc_…) or a conversation (cnv_…)."`
}

// path gives the address of the hold.
func (f *holdFlags) path() (string, error) {
	if id, err := conversation.ParseContactID(f.ID); err == nil {
		return "/v1/contacts/" + id.String() + "/hold", nil
	}
	if id, err := conversation.ParseConversationID(f.ID); err == nil {
		return "/v1/conversations/" + id.String() + "/hold", nil
	}
	return "", &failure{exitUsage, errors.New("a hold stands on a contact (ctc_…) or a conversation (cnv_…)")}
}

// contactHoldCmd is `colloquy contact hold`.
type contactHoldCmd struct {
	holdFlags

	Reason string `help:"Why, for whoever sees it."`
}

// Run implements the subcommand.
func (c *contactHoldCmd) Run(t *tool) error {
	path, err := c.path()
	if err != nil {
		return err
	}
	var h conversation.Hold
	if err := c.call(t, apiCall{method: "PUT", path: path, body: map[string]string{"reason": c.Reason}, answer: &h}); err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(t.stdout, h)
	}
	_, err = fmt.Fprintf(t.stdout, "held by %s since %s: %s\n", h.By, h.At.Format(time.RFC3339), oneLine(h.Reason))
	return err
}

// contactReleaseCmd is `colloquy contact release`.
type contactReleaseCmd struct{ holdFlags }

// Run implements the subcommand.
func (c *contactReleaseCmd) Run(t *tool) error {
	path, err := c.path()
	if err != nil {
		return err
	}
	if err := c.call(t, apiCall{method: "DELETE", path: path}); err != nil {
		return err
	}
	_, err = fmt.Fprintln(t.stdout, "released")
	return err
}

// retentionCmd is `colloquy retention`.
type retentionCmd struct {
	apiFlags

	DryRun bool `name:"dry-run" help:"Only count what would be erased."`
}

// Run implements the subcommand.
func (c *retentionCmd) Run(t *tool) error {
	if c.DryRun {
		return c.count(t)
	}
	var got struct {
		Conversations int `json:"conversations"`
	}
	if err := c.call(t, apiCall{method: "POST", path: "/v1/retention/sweep", body: struct{}{}, answer: &got}); err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(t.stdout, got)
	}
	_, err := fmt.Fprintf(t.stdout, "erased: %d conversations\n", got.Conversations)
	return err
}

// count shows what the next sweep would erase.
func (c *retentionCmd) count(t *tool) error {
	var got struct {
		Data []gateway.OverdueRow `json:"data"`
	}
	if err := c.call(t, apiCall{method: "GET", path: "/v1/retention", answer: &got}); err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(t.stdout, got.Data)
	}
	if len(got.Data) == 0 {
		_, err := fmt.Fprintln(t.stdout, "every inbox keeps its conversations for ever")
		return err
	}
	w := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "INBOX\tDONE BEFORE\tTO ERASE\tHELD")
	for _, o := range got.Data {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%d\t%d\n", o.Inbox, o.Before.Format(time.RFC3339), o.Conversations, o.Held)
	}
	return w.Flush()
}
