package slack

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

const (
	sourceGap   = " "
	maxAddress  = 2048 // bytes; an address that is longer is asked for again
	noScope     = "missing_scope"
	modeForeign = "external" // the file lies with another service
)

// file is how Slack describes one. Of those that were shared from another
// organization only the id is there, and files.info says the rest.
//
// Source: https://docs.slack.dev/reference/objects/file-object.
type file struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Title    string `json:"title"`
	Type     string `json:"mimetype"`
	Size     int64  `json:"size"`
	Mode     string `json:"mode"`
	Foreign  bool   `json:"is_external"`
	Access   string `json:"file_access"`
	Private  string `json:"url_private"`
	Download string `json:"url_private_download"`
}

// keptHere reports whether Slack has the bytes.
func (f *file) keptHere() bool { return f.ID != "" && !f.Foreign && f.Mode != modeForeign }

func (f *file) address() string {
	if f.Download != "" {
		return f.Download
	}
	return f.Private
}

// in gives the file as one that rides on a message: what lies with another service
// is shown and not fetched.
func (f *file) in() channels.File {
	out := channels.File{Name: f.Name, Type: f.Type, Size: f.Size}
	if out.Name == "" {
		out.Name = f.Title
	}
	if f.keptHere() {
		out.Source = f.ID
		if at := f.address(); len(at) <= maxAddress && !strings.Contains(at, sourceGap) {
			out.Source += sourceGap + at
		}
	}
	return out
}

// filesOf lists the files of a message; none where they cannot be read, so that
// the message itself is not lost for them.
func filesOf(raw json.RawMessage) []channels.File {
	var list []file
	if len(raw) == 0 || json.Unmarshal(raw, &list) != nil {
		return nil
	}
	var out []channels.File
	for i := range list {
		out = append(out, list[i].in())
	}
	return out
}

// Fetch implements [channels.Media]. The bot's token goes to Slack's hosts only.
func (d *Driver) Fetch(ctx context.Context, inbox conversation.InboxID, source string) (channels.Fetched, error) {
	a, err := d.Sending(ctx, inbox)
	if err != nil {
		return channels.Fetched{}, err
	}
	id, at, _ := strings.Cut(source, sourceGap)
	name := ""
	if at == "" {
		f, err := d.info(ctx, a, id)
		if err != nil {
			return channels.Fetched{}, err
		}
		name, at = f.Name, f.address()
	}
	if !ours(a, at) {
		return channels.Fetched{}, &channels.SendError{Class: channels.Permanent, Code: "foreign_host"}
	}
	got, err := d.FetchCall(ctx, channels.Call{URL: at, Header: authorization(a)})
	if err != nil {
		return got, err
	}
	// To a token without the scope Slack gives its login page, as a success.
	if strings.HasPrefix(got.Type, "text/html") && got.Name == "" {
		_ = got.Body.Close()
		return channels.Fetched{}, failureOf(noScope)
	}
	got.Name = name // else the event said it better
	return got, nil
}

// info asks for what an event left out.
func (d *Driver) info(ctx context.Context, a channels.Account, id string) (file, error) {
	var got struct {
		File file `json:"file"`
	}
	err := d.call(ctx, a, "files.info?"+url.Values{"file": {id}}.Encode(), channels.Call{Method: http.MethodGet}, &got)
	if err == nil && !got.File.keptHere() {
		err = &channels.SendError{Class: channels.Permanent, Code: "file_elsewhere"}
	}
	return got.File, channels.Unseen(err)
}

// ours reports whether an address is Slack's, or where the account's interface is.
func ours(a channels.Account, address string) bool {
	at, err := url.Parse(address)
	if err != nil || at.User != nil {
		return false
	}
	if api, err := url.Parse(a.Value(settingAPI)); err == nil && api.Host != "" && api.Host == at.Host && api.Scheme == at.Scheme {
		return true
	}
	host := at.Hostname()
	for _, theirs := range []string{"slack.com", "slack-gov.com"} {
		if at.Scheme == "https" && at.Port() == "" && (host == theirs || strings.HasSuffix(host, "."+theirs)) {
			return true
		}
	}
	return false
}

// SendFile implements [channels.Media]: Slack says where the bytes go, and shares
// them when they are there. An app that may not write files has them go as links.
//
// Source: https://docs.slack.dev/messaging/working-with-files.
func (d *Driver) SendFile(ctx context.Context, p channels.Part) (string, error) {
	a, err := d.Sending(ctx, p.Inbox)
	if err != nil {
		return "", err
	}
	id, err := d.upload(ctx, a, p.File)
	if err != nil {
		return "", orLink(channels.Unseen(err))
	}
	channel, thread, _ := strings.Cut(p.Peer, "/")
	share := map[string]any{"files": []map[string]string{{"id": id, "title": p.File.Name}}, "channel_id": channel}
	if thread != "" {
		share["thread_ts"] = thread
	}
	return id, orLink(d.call(ctx, a, "files.completeUploadExternal", channels.Call{JSON: share}, &struct{}{}))
}

// upload gives the id of a file that nobody sees yet.
func (d *Driver) upload(ctx context.Context, a channels.Account, f *channels.OutFile) (string, error) {
	form, err := f.Form(ctx, "filename", nil)
	if err != nil {
		return "", err
	}
	var place struct {
		ID      string `json:"file_id"`
		Address string `json:"upload_url"`
	}
	ask := url.Values{"filename": {f.Name}, "length": {strconv.FormatInt(f.Size, 10)}}
	if err := d.call(ctx, a, "files.getUploadURLExternal?"+ask.Encode(), channels.Call{Method: http.MethodGet}, &place); err != nil {
		return "", err
	}
	if place.ID == "" || !ours(a, place.Address) {
		return "", &channels.SendError{Class: channels.Unknown, Code: "answer_unreadable"}
	}
	_, err = d.Call(ctx, channels.Call{URL: place.Address, Form: form}) // which needs no token
	return place.ID, err
}

// orLink gives [channels.ErrUseLink] in place of a failure that says that the file
// is not taken, or that the app may not write any.
func orLink(err error) error {
	var failure *channels.SendError
	if errors.As(err, &failure) {
		switch failure.Code {
		case noScope, "file_upload_size_restricted", "file_uploads_disabled", "file_uploads_except_images_disabled", "storage_limit_reached":
			return channels.ErrUseLink
		}
	}
	return err
}
