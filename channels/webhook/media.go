package webhook

import (
	"context"
	"net/http"
	"net/url"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

// maxURL bounds the address of a file that comes in.
const maxURL = 2 << 10

// incoming is a file that a sender has at an address of its own.
type incoming struct {
	URL  string `json:"url"`
	Name string `json:"name"`
	Type string `json:"type"`
}

// outgoing is a file of a message, to be fetched by who gets the event.
type outgoing struct {
	ID   conversation.AttachmentID `json:"id"`
	Name string                    `json:"name"`
	Type string                    `json:"type"`
	Size int64                     `json:"size"`
	URL  string                    `json:"url"` // signed, and good for a while
}

// filesOf translates the files of a message. Errors: class
// [conversation.ErrInvalid] for what is no address of a file.
func filesOf(all []incoming) ([]channels.File, error) {
	var out []channels.File
	for _, f := range all {
		u, err := url.Parse(f.URL)
		if err != nil || len(f.URL) > maxURL || u.Host == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http" {
			return nil, conversation.Refuse(conversation.CodeBadAttachment, "attachments are objects with the url of a file, http or https, without a password in it")
		}
		out = append(out, channels.File{Name: f.Name, Type: f.Type, Source: f.URL})
	}
	return out, nil
}

// Fetch implements [channels.Media]: the source is the address.
func (d *Driver) Fetch(ctx context.Context, _ conversation.InboxID, source string) (channels.Fetched, error) {
	return channels.Open(ctx, d.fetcher, channels.Call{URL: source, Header: http.Header{"User-Agent": {d.agent}}})
}

// SendFile implements [channels.Media]: an event with the address of the file.
func (d *Driver) SendFile(ctx context.Context, p channels.Part) (string, error) {
	if p.File.Link == "" {
		return "", channels.ErrUseLink
	}
	return d.Send(ctx, p)
}

// outgoingOf gives the file that a part is.
func outgoingOf(f *channels.OutFile) []outgoing {
	if f == nil {
		return nil
	}
	return []outgoing{{ID: f.ID, Name: f.Name, Type: f.Type, Size: f.Size, URL: f.Link}}
}
