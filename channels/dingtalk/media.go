package dingtalk

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

// What the interface takes, and where files go, which is an older one.
//
// Source: https://open.dingtalk.com/document/orgapp/upload-media-files, and
// …/types-of-messages-sent-by-robots.
const (
	uploadAPI = "https://oapi.dingtalk.com"
	mega      = 1 << 20
	maxImage  = 20 * mega
	maxVoice  = 2 * mega
	maxFile   = 20 * mega
	maxSpoken = 60 * time.Second
)

// content is what stands beside the kind of a message that is not text.
type content struct {
	Code        string  `json:"downloadCode"`
	PictureCode string  `json:"pictureDownloadCode"`
	Name        string  `json:"fileName"`
	Recognition string  `json:"recognition"` // of a voice message
	Pieces      []piece `json:"richText"`
}

// piece is one of a message with text and pictures between each other.
type piece struct {
	Type        string `json:"type"`
	Text        string `json:"text"`
	Code        string `json:"downloadCode"`
	PictureCode string `json:"pictureDownloadCode"`
}

// read gives text and files of a message of a kind; false for one that has
// neither.
func read(kind string, raw json.RawMessage) (text string, files []channels.File, ok bool) {
	var c content
	if len(raw) == 0 || json.Unmarshal(raw, &c) != nil {
		return "", nil, false
	}
	switch kind {
	case "picture":
		files = fileOf(c.Code, c.PictureCode, "image/jpeg", "")
	case "audio":
		text, files = c.Recognition, fileOf(c.Code, "", "audio/amr", "")
	case "video":
		files = fileOf(c.Code, "", "video/mp4", "")
	case "file":
		files = fileOf(c.Code, "", "", c.Name)
	case "richText":
		var b strings.Builder
		for _, p := range c.Pieces {
			b.WriteString(p.Text)
			if p.Type == "picture" {
				files = append(files, fileOf(p.Code, p.PictureCode, "image/jpeg", "")...)
			}
		}
		text = b.String()
	}
	text = strings.TrimSpace(text)
	return text, files, text != "" || len(files) > 0
}

func fileOf(code, otherwise, kind, name string) []channels.File {
	if code == "" {
		code = otherwise
	}
	if code == "" {
		return nil
	}
	return []channels.File{{Name: name, Type: kind, Source: code}}
}

// Fetch implements [channels.Media]: the code of a file leads to an address that is
// good for a while, and to which no token goes.
//
// Source: https://open.dingtalk.com/document/orgapp/download-the-file-content-of-the-robot-receiving-message.
func (d *Driver) Fetch(ctx context.Context, inbox conversation.InboxID, source string) (channels.Fetched, error) {
	a, err := d.Sending(ctx, inbox)
	if err != nil {
		return channels.Fetched{}, err
	}
	token, err := d.SharedToken(ctx, a, d)
	if err != nil {
		return channels.Fetched{}, err
	}
	var at struct {
		URL string `json:"downloadUrl"`
	}
	err = d.call(ctx, channels.Call{
		URL: address(a, "/v1.0/robot/messageFiles/download"), Header: http.Header{headerToken: {token}},
		JSON: map[string]string{"downloadCode": source, "robotCode": robot(a)},
	}, &at)
	if err != nil {
		return channels.Fetched{}, d.Judged(ctx, a, token, channels.Unseen(err))
	}
	got, err := d.FetchCall(ctx, channels.Call{URL: at.URL})
	if channels.ClassOf(err) == channels.Auth { // it is the address that is too old, and the next one is new
		err = &channels.SendError{Class: channels.Retry, Code: "address_refused", Err: err}
	}
	got.Name = "" // the event says it better
	return got, err
}

// SendFile implements [channels.Media]: pictures, voice messages and the documents
// that a robot may send are uploaded, and a message names them.
func (d *Driver) SendFile(ctx context.Context, p channels.Part) (string, error) {
	kind, ending, lasts, err := kindOf(ctx, p.File)
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
	message, what := "sampleFile", map[string]string{"mediaId": id, "fileName": p.File.Name, "fileType": ending}
	switch kind {
	case kindImage:
		message, what = "sampleImageMsg", map[string]string{"photoURL": id}
	case kindVoice:
		message, what = "sampleAudio", map[string]string{"mediaId": id, "duration": strconv.FormatInt(lasts.Milliseconds(), 10)}
	}
	sent, err := d.say(ctx, a, p, message, what)
	return sent, orLink(err)
}

// orLink gives [channels.ErrUseLink] in place of a refusal for good: it is the file
// that is not taken, or that the app may not send.
func orLink(err error) error {
	if channels.ClassOf(err) == channels.Permanent {
		return channels.ErrUseLink
	}
	return err
}

// The kinds of uploads.
const (
	kindImage = "image"
	kindVoice = "voice"
	kindFile  = "file"
)

// kindOf says as what a file goes. Errors: [channels.ErrUseLink] for what a robot
// does not send.
func kindOf(ctx context.Context, f *channels.OutFile) (kind, ending string, lasts time.Duration, err error) {
	switch f.Type {
	case "image/jpeg", "image/png", "image/gif", "image/bmp":
		if f.Size <= maxImage {
			return kindImage, "", 0, nil
		}
	case "audio/amr":
		if f.Size > maxVoice {
			break
		}
		if lasts, err = f.Spoken(ctx); err != nil || lasts > 0 && lasts <= maxSpoken {
			return kindVoice, "", lasts, err
		}
	}
	if ending = documentOf(f.Type); ending != "" && f.Size <= maxFile {
		return kindFile, ending, 0, nil
	}
	return "", "", 0, channels.ErrUseLink
}

// documentOf gives the ending of a document that a robot may send; empty for
// others.
func documentOf(kind string) string {
	switch kind {
	case "application/pdf":
		return "pdf"
	case "application/zip":
		return "zip"
	case "application/vnd.openxmlformats-officedocument.wordprocessingml.document":
		return "docx"
	case "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet":
		return "xlsx"
	}
	return ""
}

// upload gives the name of a file that nobody sees yet.
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
		URL:  a.Address(settingAPI, uploadAPI) + "/media/upload?" + url.Values{"access_token": {token}, "type": {kind}}.Encode(),
		Form: form,
	})
	var uploaded struct {
		Code *int   `json:"errcode"`
		ID   string `json:"media_id"`
	}
	if err == nil {
		err = reply.JSON(&uploaded)
	}
	switch {
	case err != nil:
	case uploaded.Code == nil, *uploaded.Code == 0 && uploaded.ID == "":
		err = &channels.SendError{Class: channels.Unknown, Code: "answer_unreadable"}
	case *uploaded.Code != 0:
		err = failureOf(*uploaded.Code)
	}
	return uploaded.ID, d.Judged(ctx, a, token, err)
}

// failureOf classes an error code of the older interface.
//
// Source: https://open.dingtalk.com/document/orgapp/server-api-error-codes-1.
func failureOf(code int) *channels.SendError {
	e := &channels.SendError{Class: channels.Permanent, Code: "errcode_" + strconv.Itoa(code)}
	switch {
	case code == -1:
		e.Class = channels.Retry
	case code == 40001, code == 40014, code == 41001, code == 42001:
		e.Class, e.Scope = channels.Auth, channels.ScopeAccount
	case code >= 90001 && code <= 90018: // of an interface, an organization or an app
		e.Class, e.Scope, e.After = channels.Limited, channels.ScopeAccount, time.Minute
	}
	return e
}
