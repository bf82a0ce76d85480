package wechat

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

// What the interface takes.
//
// Source: https://developers.weixin.qq.com/doc/offiaccount/en/Asset_Management/New_temporary_materials.html.
const (
	mega       = 1 << 20
	maxImage   = 10 * mega
	maxVoice   = 2 * mega
	maxVideo   = 10 * mega
	maxSpoken  = 60 * time.Second
	kindImage  = "image"
	kindVoice  = "voice"
	kindVideo  = "video"
	kindShort  = "shortvideo"
	sourceGap  = " "
	uploadPath = "/cgi-bin/media/upload"
)

// files gives the file of a message. Its Source is the name that media/get knows
// for three days, and for a picture also the address under which anybody finds it.
func (m *message) files() []channels.File {
	if m.Media == "" && m.Picture == "" {
		return nil
	}
	f := channels.File{Source: m.Media}
	switch m.Type {
	case kindImage:
		f.Type = "image/jpeg"
		if strings.HasPrefix(m.Picture, "http") && !strings.ContainsAny(m.Picture, " \t\r\n") {
			f.Source += sourceGap + m.Picture
		}
	case kindVoice:
		f.Type = "audio/" + strings.ToLower(m.Format)
	case kindVideo, kindShort:
		f.Type = "video/mp4"
	}
	if f.Source == "" {
		return nil
	}
	return []channels.File{f}
}

// Fetch implements [channels.Media]. A picture that the interface does not give,
// as to accounts that are not verified, is fetched from where the visitor's own
// program shows it; no token goes there.
func (d *Driver) Fetch(ctx context.Context, inbox conversation.InboxID, source string) (channels.Fetched, error) {
	a, err := d.Sending(ctx, inbox)
	if err != nil {
		return channels.Fetched{}, err
	}
	id, picture, _ := strings.Cut(source, sourceGap)
	got, err := channels.Fetched{}, error(noMedia())
	if id != "" {
		got, err = d.mediaGet(ctx, a, id)
	}
	if channels.ClassOf(err) == channels.Permanent && picture != "" {
		got, err = d.FetchCall(ctx, channels.Call{URL: picture})
		got.Name = ""
	}
	return got, err
}

func noMedia() *channels.SendError {
	return &channels.SendError{Class: channels.Permanent, Code: "no_media_id"}
}

// mediaGet asks for a file by its name. What the interface refuses it says in
// JSON, with the status of a success; for films it may say where they are.
func (d *Driver) mediaGet(ctx context.Context, a channels.Account, id string) (channels.Fetched, error) {
	token, err := d.SharedToken(ctx, a, d)
	if err != nil {
		return channels.Fetched{}, err
	}
	got, err := d.FetchCall(ctx, channels.Call{URL: a.Address(settingAPI, defaultAPI) + "/cgi-bin/media/get?" +
		url.Values{"access_token": {token}, "media_id": {id}}.Encode()})
	if err != nil {
		return got, err
	}
	said, err := got.Instead()
	got.Name = "" // the media id with an ending
	if err != nil || said == nil {
		return got, err
	}
	var answer struct {
		result

		Film string `json:"video_url"`
	}
	if json.Unmarshal(said, &answer) != nil {
		return channels.Fetched{}, &channels.SendError{Class: channels.Retry, Code: "answer_unreadable"}
	}
	switch failure := answer.failure(); {
	case failure != nil:
		return channels.Fetched{}, d.Judged(ctx, a, token, failure)
	case answer.Film != "":
		return d.FetchCall(ctx, channels.Call{Method: http.MethodGet, URL: answer.Film})
	}
	return channels.Fetched{}, noMedia()
}

// SendFile implements [channels.Media]: the file is uploaded, and a message of the
// customer-service interface names it. It never rides on an answer.
func (d *Driver) SendFile(ctx context.Context, p channels.Part) (string, error) {
	kind, err := kindOf(ctx, p.File)
	if err != nil {
		return "", err
	}
	a, err := d.Sending(ctx, p.Inbox)
	if err != nil {
		return "", err
	}
	id, err := d.upload(ctx, a, kind, p.File)
	if err != nil {
		return "", channels.Unseen(err)
	}
	named := map[string]string{"media_id": id}
	if kind == kindVideo {
		// The interface wants a picture for it, and takes the film's own name.
		named["thumb_media_id"], named["title"] = id, p.File.Name
	}
	return "", d.say(ctx, a, p.Peer, kind, named)
}

// upload gives the file's name at WeChat, where it is kept for three days.
func (d *Driver) upload(ctx context.Context, a channels.Account, kind string, f *channels.OutFile) (string, error) {
	token, err := d.SharedToken(ctx, a, d)
	if err != nil {
		return "", err
	}
	form, err := f.Form(ctx, "media", nil)
	if err != nil {
		return "", err
	}
	reply, err := d.Call(ctx, channels.Call{
		URL:  a.Address(settingAPI, defaultAPI) + uploadPath + "?" + url.Values{"access_token": {token}, "type": {kind}}.Encode(),
		Form: form,
	})
	if err != nil {
		return "", err
	}
	var answer struct {
		result

		ID string `json:"media_id"`
	}
	if err := reply.JSON(&answer); err != nil {
		return "", err
	}
	switch failure := answer.failure(); {
	case answer.refusesFile():
		return "", channels.ErrUseLink
	case failure != nil:
		return "", d.Judged(ctx, a, token, failure)
	case answer.ID == "":
		return "", &channels.SendError{Class: channels.Unknown, Code: "answer_unreadable"}
	}
	return answer.ID, nil
}

// refusesFile reports whether it was the file that was not taken: its kind, its
// size or its length. A link to it may go then.
func (r result) refusesFile() bool {
	switch r.Code {
	case 40004, 40005, 40006, 40007, 40009, 40010, 40011, 45001, 45007:
		return true
	}
	return false
}

// kindOf says as what kind of message a file goes. Errors: [channels.ErrUseLink]
// for what WeChat does not take.
func kindOf(ctx context.Context, f *channels.OutFile) (string, error) {
	switch f.Type {
	case "image/jpeg", "image/png", "image/gif":
		if f.Size <= maxImage {
			return kindImage, nil
		}
	case "video/mp4":
		if f.Size <= maxVideo {
			return kindVideo, nil
		}
	case "audio/amr", "audio/mpeg":
		if f.Size > maxVoice {
			break
		}
		lasts, err := f.Spoken(ctx)
		if err != nil {
			return "", err
		}
		if lasts > 0 && lasts <= maxSpoken {
			return kindVoice, nil
		}
	}
	return "", channels.ErrUseLink
}
