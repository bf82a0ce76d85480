package feishu

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

// What the interface takes.
//
// Source: https://open.feishu.cn/document/server-docs/im-v1/image/create and …/file/create.
const (
	mega      = 1 << 20
	maxImage  = 10 * mega
	maxFile   = 30 * mega
	typeImage = "image"
	typeFile  = "file"
	typeAudio = "audio"
	typeMedia = "media" // a film
	typePost  = "post"
)

// enclosed is what the content of a message says about its file.
type enclosed struct {
	Image string `json:"image_key"` // of a film it is the cover
	File  string `json:"file_key"`
	Name  string `json:"file_name"`
}

// files gives the file of a message of a kind. Its Source is all that Feishu wants
// to know: the message, as what it is kept, and the key.
func (e *enclosed) files(message, kind string) []channels.File {
	key, kept, f := e.File, typeFile, channels.File{Name: e.Name}
	switch kind {
	case typeImage:
		key, kept, f.Type = e.Image, typeImage, "image/jpeg"
	case typeAudio:
		f.Type = "audio/ogg"
	case typeMedia:
		f.Type = "video/mp4"
	case typeFile:
	default: // a sticker cannot be fetched
		return nil
	}
	if key == "" || strings.Contains(message+key, " ") {
		return nil
	}
	f.Source = strings.Join([]string{message, kept, key}, " ")
	return []channels.File{f}
}

// Fetch implements [channels.Media].
//
// Source: https://open.feishu.cn/document/server-docs/im-v1/message/get-2.
func (d *Driver) Fetch(ctx context.Context, inbox conversation.InboxID, source string) (channels.Fetched, error) {
	a, err := d.Sending(ctx, inbox)
	if err != nil {
		return channels.Fetched{}, err
	}
	of := strings.Split(source, " ")
	if len(of) != 3 {
		return channels.Fetched{}, &channels.SendError{Class: channels.Permanent, Code: "no_file_key"}
	}
	token, err := d.SharedToken(ctx, a, d)
	if err != nil {
		return channels.Fetched{}, err
	}
	got, err := d.FetchCall(ctx, channels.Call{
		URL:    address(a, "/im/v1/messages/"+url.PathEscape(of[0])+"/resources/"+url.PathEscape(of[2])+"?type="+url.QueryEscape(of[1])),
		Header: authorization(token),
	})
	if err != nil {
		return channels.Fetched{}, d.Judged(ctx, a, token, withCode(err, got.Said))
	}
	if err := refusal(&got); err != nil {
		return channels.Fetched{}, d.Judged(ctx, a, token, err)
	}
	got.Name = "" // the event says it better
	return got, nil
}

// refusal gives what stands in a file's place, if that is a refusal. JSON that is
// none is a file that the visitor sent.
func refusal(got *channels.Fetched) error {
	said, err := got.Instead()
	if err != nil || said == nil {
		return err
	}
	var answer struct {
		Code int     `json:"code"`
		Why  *string `json:"msg"`
	}
	if json.Unmarshal(said, &answer) == nil && answer.Code != 0 && answer.Why != nil {
		failure := &channels.SendError{Class: channels.Permanent}
		classify(failure, answer.Code)
		return failure
	}
	got.Body = io.NopCloser(bytes.NewReader(said))
	return nil
}

// withCode makes more of a failure by the code that stands beside it.
func withCode(err error, said []byte) error {
	var failure *channels.SendError
	var answer struct {
		Code int `json:"code"`
	}
	if errors.As(err, &failure) && json.Unmarshal(said, &answer) == nil && answer.Code != 0 {
		classify(failure, answer.Code)
	}
	return err
}

// SendFile implements [channels.Media]: the file is uploaded, and a message has its
// key.
func (d *Driver) SendFile(ctx context.Context, p channels.Part) (string, error) {
	plan, err := planOf(ctx, p.File)
	if err != nil {
		return "", err
	}
	a, err := d.Sending(ctx, p.Inbox)
	if err != nil {
		return "", err
	}
	key, err := d.upload(ctx, a, plan, p.File)
	if err != nil {
		return "", orLink(channels.Unseen(err))
	}
	return d.say(ctx, a, p, plan.message, map[string]string{plan.key: key})
}

// plan is how a file goes.
type plan struct {
	message string // kind of the message
	path    string // of the upload
	field   string // of the form that has the file
	fields  map[string]string
	key     string // what the name of the file is called
}

// planOf says how a file goes. Errors: [channels.ErrUseLink] for what Feishu does
// not take.
func planOf(ctx context.Context, f *channels.OutFile) (plan, error) {
	if f.Size > maxFile {
		return plan{}, channels.ErrUseLink
	}
	if isPicture(f.Type) && f.Size <= maxImage {
		return plan{message: typeImage, path: "/im/v1/images", field: "image", fields: map[string]string{"image_type": "message"}, key: "image_key"}, nil
	}
	out := plan{message: typeFile, path: "/im/v1/files", field: "file", fields: map[string]string{"file_name": f.Name}, key: "file_key"}
	switch f.Type {
	case "audio/ogg": // a voice message is one in Opus
		lasts, err := f.Spoken(ctx)
		if err != nil {
			return plan{}, err
		}
		out.fields["file_type"] = "stream"
		if lasts > 0 {
			out.message, out.fields["file_type"], out.fields["duration"] = typeAudio, "opus", strconv.FormatInt(lasts.Milliseconds(), 10)
		}
	case "video/mp4":
		out.message, out.fields["file_type"] = typeMedia, "mp4"
	default:
		out.fields["file_type"] = documentOf(f.Type)
	}
	return out, nil
}

func isPicture(kind string) bool {
	switch kind {
	case "image/jpeg", "image/png", "image/webp", "image/gif", "image/bmp", "image/tiff", "image/heic":
		return true
	}
	return false
}

// documentOf gives Feishu's word for a kind of document.
func documentOf(kind string) string {
	switch {
	case kind == "application/pdf":
		return "pdf"
	case strings.HasSuffix(kind, ".wordprocessingml.document"):
		return "doc"
	case strings.HasSuffix(kind, ".spreadsheetml.sheet"):
		return "xls"
	case strings.HasSuffix(kind, ".presentationml.presentation"):
		return "ppt"
	}
	return "stream"
}

// upload gives the key of a file that nobody sees yet.
func (d *Driver) upload(ctx context.Context, a channels.Account, to plan, f *channels.OutFile) (string, error) {
	token, err := d.SharedToken(ctx, a, d)
	if err != nil {
		return "", err
	}
	form, err := f.Form(ctx, to.field, to.fields)
	if err != nil {
		return "", err
	}
	var uploaded struct {
		Data map[string]string `json:"data"`
	}
	err = d.call(ctx, channels.Call{URL: address(a, to.path), Header: authorization(token), Form: form}, &uploaded)
	if err == nil && uploaded.Data[to.key] == "" {
		err = &channels.SendError{Class: channels.Unknown, Code: "answer_unreadable"}
	}
	return uploaded.Data[to.key], d.Judged(ctx, a, token, err)
}

// orLink gives [channels.ErrUseLink] in place of a failure that says that the file
// is not taken, or that the app may not upload any.
//
// Source: the error codes of the two pages above.
func orLink(err error) error {
	var failure *channels.SendError
	if errors.As(err, &failure) {
		switch failure.Code {
		case codePrefix + noPermission, codePrefix + "234006", codePrefix + "234010", codePrefix + "234011", codePrefix + "234039":
			return channels.ErrUseLink
		}
	}
	return err
}

func authorization(token string) http.Header {
	return http.Header{"Authorization": {"Bearer " + token}}
}
