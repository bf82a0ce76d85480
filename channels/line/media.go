package line

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

// dataAPI is where the content of messages is.
const dataAPI = "https://api-data.line.me"

// maxImage is the largest picture that LINE fetches.
const maxImage = 10 << 20

// fileOf gives the file of a message, whose id leads to its content. What lies
// elsewhere, such as a sticker, has none.
func fileOf(raw json.RawMessage) []channels.File {
	var m struct {
		ID       string `json:"id"`
		Type     string `json:"type"`
		Name     string `json:"fileName"`
		Size     int64  `json:"fileSize"`
		Provider struct {
			Type string `json:"type"`
		} `json:"contentProvider"`
	}
	if json.Unmarshal(raw, &m) != nil || m.ID == "" || m.Provider.Type == "external" {
		return nil
	}
	kind := ""
	switch m.Type {
	case "image":
		kind = "image/jpeg"
	case "video":
		kind = "video/mp4"
	case "audio":
		kind = "audio/mp4"
	case "file":
	default:
		return nil
	}
	return []channels.File{{Name: m.Name, Type: kind, Size: m.Size, Source: m.ID}}
}

// Fetch implements [channels.Media]. An account with an address of its own for
// the interface has the content there as well.
func (d *Driver) Fetch(ctx context.Context, inbox conversation.InboxID, source string) (channels.Fetched, error) {
	a, err := d.Sending(ctx, inbox)
	if err != nil {
		return channels.Fetched{}, err
	}
	return d.FetchCall(ctx, channels.Call{
		URL:    a.Address(settingAPI, dataAPI) + "/v2/bot/message/" + url.PathEscape(source) + "/content",
		Header: http.Header{"Authorization": {"Bearer " + a.Value(settingToken)}},
	})
}

// SendFile implements [channels.Media]: LINE fetches pictures by itself, from
// https only, and carries nothing else that a bot could send.
func (d *Driver) SendFile(ctx context.Context, p channels.Part) (string, error) {
	f := p.File
	if f.Type != "image/jpeg" && f.Type != "image/png" || f.Size > maxImage || !strings.HasPrefix(f.Link, "https://") {
		return "", channels.ErrUseLink
	}
	a, err := d.Sending(ctx, p.Inbox)
	if err != nil {
		return "", err
	}
	return d.say(ctx, a, p, map[string]any{"type": "image", "originalContentUrl": f.Link, "previewImageUrl": f.Link})
}
