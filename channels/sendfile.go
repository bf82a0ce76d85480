package channels

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// linkLife is how long the link to a file is good that a visitor gets instead of
// the file, or that a provider fetches it by.
const linkLife = 7 * 24 * time.Hour

// outFiles gives the files of a message with the ways to their bytes.
func (c *Channel) outFiles(o conversation.Outbound) []OutFile {
	if len(o.Attachments) == 0 {
		return nil
	}
	out := make([]OutFile, len(o.Attachments))
	for i := range out {
		a := o.Attachments[i]
		out[i].Attachment = a
		if c.shared.files == nil {
			continue
		}
		out[i].Open = func(ctx context.Context) (io.ReadSeeker, error) { return c.shared.files.Open(ctx, &a) }
		out[i].Link = c.shared.files.Link(a.ID, time.Now(), linkLife)
	}
	return out
}

// withLinks puts links below a text, one for each file. Without a public address
// there are none, and the message is not sent: an agent must learn that the
// visitor cannot have the files.
func withLinks(text conversation.Text, files []OutFile) (conversation.Text, *SendError) {
	var b strings.Builder
	b.WriteString(string(text))
	for i := range files {
		if files[i].Link == "" {
			return "", errNoLink()
		}
		if b.Len() > 0 {
			b.WriteString("\n")
		}
		b.WriteString(files[i].Name + ": " + files[i].Link)
	}
	return conversation.Text(b.String()), nil
}

func errNoLink() *SendError {
	return &SendError{Class: Permanent, Scope: ScopeAccount, Code: "no_public_url"}
}

// carry makes the call that a part needs. A file that the provider does not carry
// goes as a link.
func (c *Channel) carry(ctx context.Context, p Part) (string, error) {
	m, carries := c.driver.(Media)
	if p.File == nil || !carries {
		return c.driver.Send(ctx, p)
	}
	if p.File.Open == nil {
		return "", &SendError{Class: Permanent, Code: "no_files_here"}
	}
	id, err := m.SendFile(ctx, p)
	if !errors.Is(err, ErrUseLink) {
		return id, err
	}
	text, failure := withLinks("", []OutFile{*p.File})
	if failure != nil {
		return "", failure
	}
	p.Text, p.File = text, nil
	return c.driver.Send(ctx, p)
}

// Unseen classes the failure of a step that the visitor does not see, such as an
// upload: a second one does no harm, whatever became of the first.
func Unseen(err error) error {
	if failure := classified(err); failure != nil && failure.Class == Unknown {
		return &SendError{Class: Retry, Scope: failure.Scope, Code: "upload", Err: err}
	}
	return err
}

// Spoken says how long a file in AMR, MP3 or Opus plays; zero when that cannot be said, so
// that it is not sent as a voice message of unknown length. Errors: [*SendError]
// when the bytes cannot be read now.
func (f *OutFile) Spoken(ctx context.Context) (time.Duration, error) {
	content, err := f.Open(ctx)
	if err == nil {
		var lasts time.Duration
		if lasts, err = spokenOf(f.Type, content); err == nil {
			return lasts, nil
		}
	}
	return 0, &SendError{Class: Retry, Code: "file_unreadable", Err: err}
}
