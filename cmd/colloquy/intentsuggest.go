package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// intentSuggestCmd is `colloquy intent suggest`.
type intentSuggestCmd struct {
	apiFlags

	Inbox    string `help:"The inbox." required:"" placeholder:"ID"`
	Approve  string `help:"Take this suggestion's texts into the inbox's packs, as questions of --intent." placeholder:"ID" xor:"what"`
	Dismiss  string `help:"Take this suggestion off the list for good." placeholder:"ID" xor:"what"`
	Intent   string `help:"The intent that gets the texts; a new one needs --title and --answer." placeholder:"NAME"`
	Title    string `help:"Title of a new intent." placeholder:"TEXT"`
	Answer   string `help:"Answer of a new intent." placeholder:"TEXT"`
	Lang     string `help:"Language of title, answer and texts; default: that of the texts." placeholder:"LANG"`
	NotTaken bool   `help:"Make the texts counter-examples of the intent that was wrong."`
}

// Run implements the subcommand.
func (c *intentSuggestCmd) Run(t *tool) error {
	switch {
	case c.Approve != "" && c.Intent == "" && !c.NotTaken:
		return &failure{exitUsage, errors.New("--approve needs --intent, or --not-taken")}
	case c.Approve == "" && (c.Intent != "" || c.Title != "" || c.Answer != "" || c.NotTaken):
		return &failure{exitUsage, errors.New("--intent, --title, --answer and --not-taken belong to --approve")}
	case c.Approve != "":
		body := struct {
			conversation.Acceptance

			Inbox string `json:"inbox_id"`
		}{conversation.Acceptance{Intent: c.Intent, Title: c.Title, Answer: c.Answer, Lang: c.Lang, NotTaken: c.NotTaken}, c.Inbox}
		return c.settle(t, c.Approve, "accept", body, "is in the packs now, which train again")
	case c.Dismiss != "":
		return c.settle(t, c.Dismiss, "dismiss", map[string]string{"inbox_id": c.Inbox}, "is off the list")
	}
	return c.list(t)
}

func (c *intentSuggestCmd) settle(t *tool, id, what string, body any, said string) error {
	if err := c.call(t, apiCall{method: "POST", path: "/v1/intent/suggestions/" + url.PathEscape(id) + "/" + what, body: body}); err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(t.stdout, map[string]string{"id": id, "done": what})
	}
	_, err := fmt.Fprintln(t.stdout, id, said)
	return err
}

func (c *intentSuggestCmd) list(t *tool) error {
	var got struct {
		Data     []conversation.Suggestion `json:"data"`
		Editable bool                      `json:"editable"`
	}
	if err := c.call(t, apiCall{method: "GET", path: "/v1/intent/suggestions?" + url.Values{"inbox": {c.Inbox}}.Encode(), answer: &got}); err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(t.stdout, got)
	}
	if len(got.Data) == 0 {
		_, err := fmt.Fprintln(t.stdout, "Nothing was asked in", c.Inbox, "that had no right answer.")
		return err
	}
	for i := range got.Data {
		if err := printSuggestion(t, &got.Data[i]); err != nil {
			return err
		}
	}
	how := "\nNext: colloquy intent suggest --inbox " + c.Inbox + " --approve ID --intent NAME, or --dismiss ID"
	if !got.Editable {
		how = "\nThe node's packs are files only; add the questions there."
	}
	_, err := fmt.Fprintln(t.stdout, how)
	return err
}

func printSuggestion(t *tool, s *conversation.Suggestion) error {
	var why []string
	for _, reason := range slices.Sorted(maps.Keys(s.Reasons)) {
		why = append(why, fmt.Sprintf("%s %d", strings.ReplaceAll(string(reason), "_", " "), s.Reasons[reason]))
	}
	_, err := fmt.Fprintf(t.stdout, "%s  %d visitors, %d texts, %s (%s), newest %s\n", s.ID, s.Visitors, s.Texts,
		cmp.Or(s.Lang, "no language"), strings.Join(why, ", "), s.Newest.UTC().Format(time.DateTime))
	for _, text := range s.Examples {
		_, _ = fmt.Fprintf(t.stdout, "    %s\n", oneLine(string(text)))
	}
	var near []string
	for _, n := range s.Nearest {
		near = append(near, fmt.Sprintf("%s %.2f", n.Intent, n.Confidence))
	}
	for _, row := range [][2]string{{"near", strings.Join(near, ", ")}, {"was taken for", s.Taken}, {"agents say it is", s.Right}, {"agents answered", string(s.Answer)}} {
		if row[1] != "" {
			_, _ = fmt.Fprintf(t.stdout, "    → %s: %s\n", row[0], oneLine(row[1]))
		}
	}
	return err
}
