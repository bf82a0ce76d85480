package telegram

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"path"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

// file is how Telegram describes what a visitor sent.
type file struct {
	ID   string `json:"file_id"`
	Name string `json:"file_name"`
	Type string `json:"mime_type"`
	Size int64  `json:"file_size"`
}

// attached is the part of a message that holds files.
type attached struct {
	Photo     []file `json:"photo"` // the same picture in several sizes, the largest last
	Document  *file  `json:"document"`
	Audio     *file  `json:"audio"`
	Voice     *file  `json:"voice"`
	Video     *file  `json:"video"`
	VideoNote *file  `json:"video_note"`
}

// filesOf lists the files of a message. An animation stands under document, too.
func filesOf(raw json.RawMessage) []channels.File {
	var a attached
	if json.Unmarshal(raw, &a) != nil {
		return nil
	}
	var out []channels.File
	add := func(f *file, kind string) {
		if f == nil || f.ID == "" {
			return
		}
		if f.Type != "" {
			kind = f.Type
		}
		out = append(out, channels.File{Name: f.Name, Type: kind, Size: f.Size, Source: f.ID})
	}
	if n := len(a.Photo); n > 0 {
		add(&a.Photo[n-1], "image/jpeg")
	}
	add(a.Document, "")
	add(a.Audio, "audio/mpeg")
	add(a.Voice, "audio/ogg")
	add(a.Video, "video/mp4")
	add(a.VideoNote, "video/mp4")
	return out
}

// Fetch implements [channels.Media]: the file's id leads to its path.
func (d *Driver) Fetch(ctx context.Context, inbox conversation.InboxID, source string) (channels.Fetched, error) {
	a, err := d.Sending(ctx, inbox)
	if err != nil {
		return channels.Fetched{}, err
	}
	var f struct {
		Path string `json:"file_path"`
	}
	if err := d.call(ctx, a, "getFile", channels.Call{JSON: map[string]string{"file_id": source}}, &f); err != nil {
		return channels.Fetched{}, err
	}
	// A path that climbs, or leads elsewhere, would go out with the token.
	if f.Path == "" || path.Clean("/"+f.Path) != "/"+f.Path {
		return channels.Fetched{}, &channels.SendError{Class: channels.Permanent, Code: "no_file_path"}
	}
	address := a.Address(settingAPI, defaultAPI) + "/file/bot" + url.PathEscape(a.Value(settingToken)) + "/" + (&url.URL{Path: f.Path}).EscapedPath()
	got, err := d.FetchCall(ctx, channels.Call{Method: http.MethodGet, URL: address})
	got.Name, got.Type = "", "" // it says application/octet-stream of everything
	return got, err
}

// SendFile implements [channels.Media]. Pictures of the usual kinds go as photos,
// everything else as documents.
func (d *Driver) SendFile(ctx context.Context, p channels.Part) (string, error) {
	a, err := d.Sending(ctx, p.Inbox)
	if err != nil {
		return "", err
	}
	method, field := "sendDocument", "document"
	if t := p.File.Type; (t == "image/jpeg" || t == "image/png") && p.File.Size <= maxPhoto {
		method, field = "sendPhoto", "photo"
	}
	form, err := p.File.Form(ctx, field, map[string]string{"chat_id": p.Peer})
	if err != nil {
		return "", err
	}
	return d.said(ctx, a, method, channels.Call{Form: form})
}

// maxPhoto is what sendPhoto takes; larger pictures are documents.
const maxPhoto = 10 << 20
