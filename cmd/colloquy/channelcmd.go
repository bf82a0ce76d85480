package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/colloquyhq/colloquy/gateway"
)

// channelCmd is `colloquy channel`.
type channelCmd struct {
	Kinds channelKindsCmd `cmd:"" help:"List the providers and what an account with each consists of."`
	Add   channelAddCmd   `cmd:"" help:"Give an inbox an account with a provider, or change it, and test it."`
	Test  channelTestCmd  `cmd:"" help:"Ask the provider whether an account works."`
	List  channelListCmd  `cmd:"" help:"List the accounts and how they are."`

	Pause  channelPauseCmd  `cmd:"" help:"Stop an account: it takes nothing and sends nothing until it is resumed, also after a restart."`
	Resume channelResumeCmd `cmd:"" help:"Let a paused account go on."`

	Deadletters deadLettersCmd `cmd:"" help:"What could not be understood, or not be delivered for good."`
}

// channelKindsCmd is `colloquy channel kinds`.
type channelKindsCmd struct{ apiFlags }

// Run implements the subcommand.
func (c *channelKindsCmd) Run(t *tool) error {
	var got struct {
		Data []gateway.AccountKind `json:"data"`
	}
	if err := c.call(t, apiCall{method: "GET", path: "/v1/channel_kinds", answer: &got}); err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(t.stdout, got.Data)
	}
	w := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
	for _, k := range got.Data {
		_, _ = fmt.Fprintln(w, k.Kind)
		for _, s := range k.Settings {
			var marks []string
			if s.Required {
				marks = append(marks, "needed")
			}
			if s.Secret {
				marks = append(marks, "secret")
			}
			_, _ = fmt.Fprintf(w, "  %s\t%s\t%s\n", s.Name, strings.Join(marks, ", "), s.Help)
		}
	}
	return w.Flush()
}

// channelAddCmd is `colloquy channel add`.
type channelAddCmd struct {
	apiFlags

	Kind    string   `arg:"" help:"Kind of the provider, such as telegram."`
	Inbox   string   `help:"Inbox that the account belongs to." required:""`
	Setting []string `help:"A setting of the account; @ before a file's name, or - for standard input, keeps a secret out of the command line." placeholder:"NAME=VALUE" sep:"none"`
	NoTest  bool     `help:"Do not ask the provider afterwards."`
}

// Run implements the subcommand.
func (c *channelAddCmd) Run(t *tool) error {
	settings := make(map[string]string, len(c.Setting))
	for _, pair := range c.Setting {
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			return &failure{exitUsage, errors.New("--setting: write NAME=VALUE")}
		}
		value, err := readValue(value)
		if err != nil {
			return &failure{exitUsage, fmt.Errorf("--setting %s: %w", name, err)}
		}
		settings[name] = value
	}
	var v gateway.AccountView
	path := accountPath(c.Inbox, c.Kind)
	if err := c.call(t, apiCall{method: "PUT", path: path, body: map[string]any{"settings": settings}, answer: &v}); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(t.stdout, "stored; the provider delivers to https://<your public host>%s\n", v.Path); err != nil {
		return err
	}
	if c.NoTest {
		return nil
	}
	return c.test(t, path)
}

// readValue gives a value as it stands there, or from where it says. Line ends
// after it are not part of it.
func readValue(value string) (string, error) {
	var raw []byte
	var err error
	name, isFile := strings.CutPrefix(value, "@")
	switch {
	case isFile:
		raw, err = os.ReadFile(name) //nolint:gosec // its user names it
	case value == "-":
		raw, err = io.ReadAll(io.LimitReader(os.Stdin, maxAnswerBytes))
	default:
		return value, nil
	}
	return strings.TrimRight(string(raw), "\r\n"), err
}

// channelTestCmd is `colloquy channel test`.
type channelTestCmd struct{ channelNameFlags }

// Run implements the subcommand.
func (c *channelTestCmd) Run(t *tool) error { return c.test(t, accountPath(c.Inbox, c.Kind)) }

func accountPath(inbox, kind string) string { return "/v1/inboxes/" + inbox + "/channels/" + kind }

// test asks the provider about an account.
func (f *apiFlags) test(t *tool, path string) error {
	var res gateway.AccountTest
	if err := f.call(t, apiCall{method: "POST", path: path + "/test", answer: &res}); err != nil {
		return err
	}
	if !res.OK {
		return &failure{exitCheck, fmt.Errorf("the provider does not answer as it should: %s", res.Error)}
	}
	_, err := fmt.Fprintf(t.stdout, "works: the provider knows it as %s\n", res.Name)
	return err
}

// channelPauseCmd is `colloquy channel pause`.
type channelPauseCmd struct{ channelNameFlags }

// Run implements the subcommand.
func (c *channelPauseCmd) Run(t *tool) error { return c.do(t, "pause", "paused") }

// channelResumeCmd is `colloquy channel resume`.
type channelResumeCmd struct{ channelNameFlags }

// Run implements the subcommand.
func (c *channelResumeCmd) Run(t *tool) error { return c.do(t, "resume", "resumed") }

// channelNameFlags name an account.
type channelNameFlags struct {
	apiFlags

	Kind  string `arg:"" help:"Kind of the provider, such as telegram."`
	Inbox string `help:"Inbox that the account belongs to." required:""`
}

// do tells the server to do something with the account, and says what it did.
func (f *channelNameFlags) do(t *tool, verb, done string) error {
	var v gateway.AccountView
	if err := f.call(t, apiCall{method: "POST", path: accountPath(f.Inbox, f.Kind) + "/" + verb, answer: &v}); err != nil {
		return err
	}
	_, err := fmt.Fprintf(t.stdout, "%s of inbox %s is %s\n", v.Kind, v.Inbox, done)
	return err
}

// channelListCmd is `colloquy channel list`.
type channelListCmd struct{ apiFlags }

// Run implements the subcommand.
func (c *channelListCmd) Run(t *tool) error {
	var got struct {
		Data []gateway.AccountView `json:"data"`
	}
	if err := c.call(t, apiCall{method: "GET", path: "/v1/channels", answer: &got}); err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(t.stdout, got.Data)
	}
	w := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "INBOX\tCHANNEL\tLAST IN\tLAST OUT\tSETTINGS\tNOTE")
	for i := range got.Data {
		a := &got.Data[i]
		names := slices.Sorted(slices.Values(append(slices.Collect(maps.Keys(a.Settings)), a.Secrets...)))
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", a.Inbox, a.Kind, ago(a.Health.LastIn), ago(a.Health.LastOut), strings.Join(names, " "), note(a))
	}
	return w.Flush()
}

// note says in a word how an account is, as the node that was asked has seen it.
func note(a *gateway.AccountView) string {
	switch h := &a.Health; {
	case a.Problem != "":
		return a.Problem
	case a.Paused:
		return "paused by an admin"
	case h.Broken:
		return "credentials refused: " + h.Error
	case h.PausedTo.After(time.Now()):
		return "provider keeps failing, tried again in " + in(h.PausedTo) + ": " + h.Error
	case h.LimitedTo.After(time.Now()):
		return "provider asked to wait " + in(h.LimitedTo)
	case h.Error != "":
		return h.Error
	case h.Pulling:
		return "fetching"
	}
	return "-"
}

// ago writes a time as its distance from now.
func ago(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return time.Since(t).Round(time.Second).String() + " ago"
}

// in writes a time to come as its distance from now.
func in(t time.Time) string { return time.Until(t).Round(time.Second).String() }
