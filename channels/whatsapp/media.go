package whatsapp

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

// media is a file as WhatsApp describes it.
type media struct {
	ID      string `json:"id"`
	Type    string `json:"mime_type"`
	Name    string `json:"filename"`
	Caption string `json:"caption"`
}

// file gives the file of a message, if it has one.
func (m *message) file() *media {
	for _, f := range []*media{m.Image, m.Document, m.Audio, m.Video, m.Sticker} {
		if f != nil && f.ID != "" {
			return f
		}
	}
	return nil
}

// Fetch implements [channels.Media]: the file's id leads to an address that is
// good for five minutes.
func (d *Driver) Fetch(ctx context.Context, inbox conversation.InboxID, source string) (channels.Fetched, error) {
	a, err := d.Sending(ctx, inbox)
	if err != nil {
		return channels.Fetched{}, err
	}
	reply, err := d.Call(ctx, channels.Call{
		Method: http.MethodGet, URL: a.Address(settingAPI, defaultAPI) + "/" + url.PathEscape(source), Header: authorization(a),
	})
	if err != nil {
		return channels.Fetched{}, classify(err, reply.Body)
	}
	var at struct {
		URL string `json:"url"`
	}
	if err := reply.JSON(&at); err != nil {
		return channels.Fetched{}, err
	}
	got, err := d.FetchCall(ctx, channels.Call{URL: at.URL, Header: authorization(a)})
	got.Name = "" // the notification says it better
	return got, err
}

// SendFile implements [channels.Media]: the file is uploaded, and a message names
// it.
func (d *Driver) SendFile(ctx context.Context, p channels.Part) (string, error) {
	kind := kindOf(p.File)
	if kind == "" {
		return "", channels.ErrUseLink
	}
	a, err := d.Sending(ctx, p.Inbox)
	if err != nil {
		return "", err
	}
	form, err := p.File.Form(ctx, "file", map[string]string{"messaging_product": "whatsapp", "type": p.File.Type})
	if err != nil {
		return "", err
	}
	reply, err := d.Call(ctx, channels.Call{URL: address(a) + "/media", Header: authorization(a), Form: form})
	if err != nil {
		return "", channels.Unseen(classify(err, reply.Body))
	}
	var uploaded media
	if err := reply.JSON(&uploaded); err != nil {
		return "", channels.Unseen(err)
	}
	named := map[string]any{"id": uploaded.ID}
	if kind == "document" {
		named["filename"] = p.File.Name
	}
	return d.say(ctx, a, p, kind, named)
}

// kindOf says as what kind of message a file goes; empty when WhatsApp does not
// take it.
//
// Source: https://developers.facebook.com/docs/whatsapp/cloud-api/reference/media.
func kindOf(f *channels.OutFile) string {
	const mega = 1 << 20
	switch {
	case (f.Type == "image/jpeg" || f.Type == "image/png") && f.Size <= 5*mega:
		return "image"
	case (f.Type == "audio/ogg" || f.Type == "audio/mpeg" || f.Type == "audio/mp4" || f.Type == "audio/amr") && f.Size <= 16*mega:
		return "audio"
	case f.Type == "video/mp4" && f.Size <= 16*mega:
		return "video"
	case f.Type == "application/pdf", f.Type == "text/plain", strings.HasPrefix(f.Type, "application/vnd.openxmlformats-officedocument."):
		return "document"
	}
	return ""
}
