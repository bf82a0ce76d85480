package email

import (
	"context"
	"errors"
	"fmt"
	"io"

	gomail "github.com/emersion/go-message/mail"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

// maxEnclosed bounds the files of one mail; most servers take 25 MiB, and the
// encoding adds a third. The files beyond go as links.
const maxEnclosed = 18 << 20

// enclosed is a file that is sent with a letter.
type enclosed struct {
	name, media string
	body        io.ReadSeeker
}

// enclose opens the files of a letter, before anything is said to the server.
// Errors: [*channels.SendError].
func (l *letter) enclose(ctx context.Context, files []channels.OutFile) error {
	for _, f := range files {
		if f.Open == nil || f.State != conversation.AttachmentStored {
			return &channels.SendError{Class: channels.Permanent, Code: "file_not_kept"}
		}
		body, err := f.Open(ctx)
		if errors.Is(err, conversation.ErrNotFound) {
			return &channels.SendError{Class: channels.Permanent, Code: "file_gone", Err: err}
		}
		if err != nil {
			return notReadable(err)
		}
		l.files = append(l.files, enclosed{name: oneLine(f.Name, maxNameSize), media: f.Type, body: body})
	}
	return nil
}

// writeWithFiles writes the letter as parts: the text, if there is one, and the
// files.
func (l *letter) writeWithFiles(w io.Writer, h gomail.Header) error {
	parts, err := gomail.CreateWriter(w, h)
	if err != nil {
		return fmt.Errorf("write the header: %w", err)
	}
	if l.out.Text != "" {
		text, err := parts.CreateSingleInline(textHeader())
		if err != nil {
			return fmt.Errorf("begin the text: %w", err)
		}
		if err := l.writeText(text); err != nil {
			return err
		}
	}
	for _, f := range l.files {
		if err := f.write(parts); err != nil {
			return err
		}
	}
	if err := parts.Close(); err != nil {
		return fmt.Errorf("end the mail: %w", err)
	}
	return nil
}

func (f *enclosed) write(to *gomail.Writer) error {
	var h gomail.AttachmentHeader
	media := f.media
	if media == "" {
		media = "application/octet-stream"
	}
	h.SetContentType(media, nil)
	h.SetFilename(f.name)
	h.Set("Content-Transfer-Encoding", "base64")
	part, err := to.CreateAttachment(h)
	if err != nil {
		return fmt.Errorf("begin a file: %w", err)
	}
	if _, err := io.Copy(part, f.body); err != nil {
		return fmt.Errorf("write a file: %w", err)
	}
	if err := part.Close(); err != nil {
		return fmt.Errorf("end a file: %w", err)
	}
	return nil
}
