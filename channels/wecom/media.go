package wecom

import (
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

// What the interface takes. What is too large for its kind may still be a file.
//
// Source: https://developer.work.weixin.qq.com/document/path/90253.
const (
	mega      = 1 << 20
	maxImage  = 10 * mega
	maxVoice  = 2 * mega
	maxVideo  = 10 * mega
	maxFile   = 20 * mega
	minFile   = 6 // bytes
	maxSpoken = 60 * time.Second
	kindImage = "image"
	kindVoice = "voice"
	kindVideo = "video"
	kindFile  = "file"
)

// media is a file by the name that media/get knows for three days.
type media struct {
	ID string `json:"media_id"`
}

// enclosed is the part of a message that holds its file.
type enclosed struct {
	Image *media `json:"image"`
	Voice *media `json:"voice"`
	Video *media `json:"video"`
	File  *media `json:"file"`
}

// files gives the file of a message of a kind.
func (e *enclosed) files(kind string) []channels.File {
	var of *media
	var typed string
	switch kind {
	case kindImage:
		of, typed = e.Image, "image/jpeg"
	case kindVoice:
		of, typed = e.Voice, "audio/amr"
	case kindVideo:
		of, typed = e.Video, "video/mp4"
	case kindFile:
		of = e.File
	}
	if of == nil || of.ID == "" {
		return nil
	}
	return []channels.File{{Type: typed, Source: of.ID}}
}

// Fetch implements [channels.Media]. What the interface refuses it says in JSON,
// with the status of a success.
func (d *Driver) Fetch(ctx context.Context, inbox conversation.InboxID, source string) (channels.Fetched, error) {
	a, err := d.Sending(ctx, inbox)
	if err != nil {
		return channels.Fetched{}, err
	}
	token, err := d.SharedToken(ctx, a, d)
	if err != nil {
		return channels.Fetched{}, err
	}
	got, err := d.FetchCall(ctx, channels.Call{URL: address(a, "media/get", url.Values{"access_token": {token}, "media_id": {source}})})
	if err != nil {
		return got, err
	}
	said, err := got.Instead()
	if err != nil {
		return channels.Fetched{}, err
	}
	if said != nil {
		err := read(channels.Reply{Body: said}, &struct{}{})
		if err == nil { // neither a file nor a failure
			err = &channels.SendError{Class: channels.Permanent, Code: "no_file"}
		}
		return channels.Fetched{}, d.Judged(ctx, a, token, channels.Unseen(err))
	}
	if strings.HasPrefix(got.Name, source) { // which WeCom made up
		got.Name = ""
	}
	return got, nil
}

// SendFile implements [channels.Media]: the file is uploaded, and a message names
// it.
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
		return "", orLink(channels.Unseen(err))
	}
	sent, err := d.say(ctx, a, p, kind, map[string]string{"media_id": id})
	return sent, orLink(err)
}

// upload gives the file's name at WeCom, where it is kept for three days.
func (d *Driver) upload(ctx context.Context, a channels.Account, kind string, f *channels.OutFile) (string, error) {
	token, err := d.SharedToken(ctx, a, d)
	if err != nil {
		return "", err
	}
	form, err := f.Form(ctx, "media", nil)
	if err != nil {
		return "", err
	}
	reply, err := d.Call(ctx, channels.Call{URL: address(a, "media/upload", url.Values{"access_token": {token}, "type": {kind}}), Form: form})
	var uploaded media
	if err == nil {
		err = read(reply, &uploaded)
	}
	if err == nil && uploaded.ID == "" {
		err = &channels.SendError{Class: channels.Unknown, Code: "answer_unreadable"}
	}
	return uploaded.ID, d.Judged(ctx, a, token, err)
}

// kindOf says as what kind of message a file goes. Errors: [channels.ErrUseLink]
// for what WeCom does not take.
func kindOf(ctx context.Context, f *channels.OutFile) (string, error) {
	switch {
	case f.Size < minFile || f.Size > maxFile:
		return "", channels.ErrUseLink
	case (f.Type == "image/jpeg" || f.Type == "image/png") && f.Size <= maxImage:
		return kindImage, nil
	case f.Type == "video/mp4" && f.Size <= maxVideo:
		return kindVideo, nil
	case f.Type == "audio/amr" && f.Size <= maxVoice:
		lasts, err := f.Spoken(ctx)
		if err != nil {
			return "", err
		}
		if lasts > 0 && lasts <= maxSpoken {
			return kindVoice, nil
		}
	}
	return kindFile, nil
}
