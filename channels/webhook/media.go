package webhook

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

// maxURL bounds the address of a file that comes in.
const maxURL = 2 << 10

// Link is a file that a sender has at an address of its own.
type Link struct {
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

// Files translates the files of a message. Errors: class
// [conversation.ErrInvalid] for what is no address of a file.
func Files(all []Link) ([]channels.File, error) {
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

// Fetch implements [channels.Media]: the source is the address. The address is
// the sender's word, so one that leads into a private network is not asked again.
func (d *Driver) Fetch(ctx context.Context, _ conversation.InboxID, source string) (channels.Fetched, error) {
	got, err := channels.Open(ctx, d.fetcher, channels.Call{URL: source, Header: http.Header{"User-Agent": {d.agent}}})
	if errors.Is(err, channels.ErrAddressRefused) {
		return got, &channels.SendError{Class: channels.Permanent, Code: "address_refused", Err: err}
	}
	return got, err
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
