package slack_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/channels/channeltest"
	"github.com/colloquyhq/colloquy/channels/slack"
)

const (
	download = "https://files.slack.com/files-pri/T123ABC456-F1/download/receipt.pdf"
	upload   = "https://files.slack.com/upload/v1/ABC123"
	info     = "/api/files.info"
	place    = "/api/files.getUploadURLExternal"
	complete = "/api/files.completeUploadExternal"
)

// shared is the recorded shape of a message with files.
func shared(m channeltest.Message, files ...map[string]any) map[string]any {
	e := direct(m)
	e["subtype"], e["files"], e["upload"] = "file_share", files, false
	return e
}

func receipt() map[string]any {
	return map[string]any{
		"id": "F1", "created": 1531763342, "name": "receipt.pdf", "title": "receipt.pdf", "mimetype": "application/pdf", "filetype": "pdf", "size": 43518,
		"mode": "hosted", "is_external": false, "external_type": "", "url_private": strings.Replace(download, "download/", "", 1), "url_private_download": download,
	}
}

func media() *channeltest.Media {
	return &channeltest.Media{
		Name: "receipt.pdf", Answer: serve, Arrived: fileIn,
		Deliver: func(t testing.TB, m channeltest.Message, at time.Time) channeltest.Delivery {
			t.Helper()
			return sign(t, event(t, shared(m, receipt())), at)
		},
	}
}

func serve(t testing.TB, r *http.Request, b, content []byte) (int, []byte) {
	t.Helper()
	at := r.URL.Scheme + "://" + r.URL.Host + r.URL.Path
	want := "Bearer xoxb-1"
	if at == upload {
		want = ""
	}
	if got := r.Header.Get("Authorization"); got != want {
		t.Errorf("%s came with %q", at, got)
	}
	switch {
	case at == download:
		return 200, content
	case r.URL.Path == place:
		if q := r.URL.Query(); q.Get("filename") == "" || q.Get("length") == "" {
			t.Errorf("asked for a place with %s", r.URL.RawQuery)
		}
		return 200, []byte(`{"ok":true,"upload_url":"` + upload + `","file_id":"F9"}`)
	case at == upload:
		return 200, []byte("OK - 24")
	case r.URL.Path == complete:
		return 200, []byte(`{"ok":true,"files":[{"id":"F9","title":"x"}]}`)
	}
	t.Errorf("called %s with %s", r.URL, b)
	return 404, nil
}

// share is what completeUploadExternal is told.
type share struct {
	Channel string `json:"channel_id"`
	Thread  string `json:"thread_ts"`
	Files   []struct {
		ID    string `json:"id"`
		Title string `json:"title"`
	} `json:"files"`
}

func fileIn(t testing.TB, calls []channeltest.Call) (peer, name, content string) {
	t.Helper()
	_, name, kind, content := channeltest.FormFile(t, calls[1], "filename")
	var s share
	if err := json.Unmarshal(calls[2].Body, &s); err != nil || len(s.Files) != 1 || s.Files[0].ID != "F9" || s.Files[0].Title != name || kind != "application/pdf" || s.Thread != "" {
		t.Errorf("uploaded as %s, shared as %s, %v", kind, calls[2].Body, err)
	}
	return s.Channel, name, content
}

func TestFilesThatCome(t *testing.T) {
	now := time.Now()
	m := channeltest.Message{Peer: "D1", Ref: "D1-5.1", Text: "look"}
	foreign := map[string]any{"id": "F2", "title": "Plan", "mimetype": "application/vnd.google-apps.document", "mode": "external", "is_external": true, "url_private": "https://docs.google.com/x"}
	connect := map[string]any{"id": "F3", "mode": "file_access", "file_access": "check_file_info", "created": 0, "timestamp": 0, "user": ""}
	far := receipt()
	far["url_private_download"] = download + "?" + strings.Repeat("x", 3000)
	events, _, err := receive(t, sign(t, event(t, shared(m, receipt(), foreign, connect, far)), now), now)
	if err != nil || len(events) != 1 || events[0].Text != "look" || events[0].Unsupported != "" || len(events[0].Files) != 4 {
		t.Fatalf("Receive = %+v, %v", events, err)
	}
	for i, want := range []channels.File{
		{Name: "receipt.pdf", Type: "application/pdf", Size: 43518, Source: "F1 " + download},
		{Name: "Plan", Type: "application/vnd.google-apps.document"},
		{Source: "F3 "},
		{Name: "receipt.pdf", Type: "application/pdf", Size: 43518, Source: "F1"},
	} {
		if got := events[0].Files[i]; got.Name != want.Name || got.Type != want.Type || got.Size != want.Size || got.Source != want.Source {
			t.Errorf("file %d is %+v, want %+v", i, got, want)
		}
	}
	odd := direct(m)
	odd["subtype"], odd["files"] = "file_share", []any{"F1"}
	if events, _, err := receive(t, sign(t, event(t, odd), now), now); err != nil || len(events) != 1 || events[0].Unsupported != "file_share" || events[0].Text != "look" {
		t.Errorf("files that cannot be read: %+v, %v", events, err)
	}
}

// What the bot shares comes back as a message of a person, but for its name.
func TestOwnFilesAreLeftOut(t *testing.T) {
	now := time.Now()
	for user, want := range map[string]int{"U0BOT": 0, "U0ADMIN": 1} {
		inner := shared(channeltest.Message{Peer: "D1", Ref: "D1-5.1"}, receipt())
		inner["user"] = user
		b, err := json.Marshal(map[string]any{
			"type": "event_callback", "event": inner, "authorizations": []any{
				map[string]any{"team_id": "T1", "user_id": "U0BOT", "is_bot": true}, map[string]any{"team_id": "T1", "user_id": "U0ADMIN", "is_bot": false},
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		if events, _, err := receive(t, sign(t, b, now), now); err != nil || len(events) != want {
			t.Errorf("of %s: %+v, %v", user, events, err)
		}
	}
}

func TestFilesAreFetched(t *testing.T) {
	html := map[string]string{"Content-Type": "text/html; charset=utf-8"}
	for _, c := range []struct {
		name, source string
		answers      []channeltest.Answer
		want         string
		class        channels.Class
	}{
		{"bytes", "F1 " + download, []channeltest.Answer{{Body: "%PDF"}}, "%PDF", ""},
		{"an HTML file", "F1 " + download, []channeltest.Answer{
			{Header: map[string]string{"Content-Type": "text/html", "Content-Disposition": `attachment; filename="a.html"`}, Body: "<html>"},
		}, "<html>", ""},
		{"the login page", "F1 " + download, []channeltest.Answer{{Header: html, Body: "<!DOCTYPE html>"}}, "", channels.Auth},
		{"deleted", "F1 " + download, []channeltest.Answer{{Status: 404}}, "", channels.Permanent},
		{"busy", "F1 " + download, []channeltest.Answer{{Status: 503}}, "", channels.Retry},
		{"asked for", "F3 ", []channeltest.Answer{{Body: `{"ok":true,"file":{"id":"F3","name":"b.pdf","url_private_download":"` + download + `"}}`}, {Body: "%PDF"}}, "%PDF", ""},
		{"not there", "F3 ", []channeltest.Answer{{Body: `{"ok":false,"error":"file_not_found"}`}}, "", channels.Permanent},
		{"not allowed", "F3", []channeltest.Answer{{Body: `{"ok":false,"error":"missing_scope","needed":"files:read"}`}}, "", channels.Auth},
		{"too often", "F3", []channeltest.Answer{{Status: 429, Header: map[string]string{"Retry-After": "30"}}}, "", channels.Limited},
		{"unclear", "F3", []channeltest.Answer{{Body: "rubbish"}}, "", channels.Retry},
		{"elsewhere", "F3", []channeltest.Answer{{Body: `{"ok":true,"file":{"id":"F3","is_external":true,"url_private":"https://docs.google.com/x"}}`}}, "", channels.Permanent},
	} {
		s := &channeltest.Script{Answers: c.answers}
		got, err := driver(t, s).Fetch(t.Context(), channeltest.Inbox, c.source)
		if channels.ClassOf(err) != c.class || len(s.Made) != len(c.answers) {
			t.Errorf("%s: %v after %s, want class %q", c.name, err, s.Where(), c.class)
		}
		if err != nil {
			continue
		}
		if b, err := io.ReadAll(got.Body); err != nil || string(b) != c.want {
			t.Errorf("%s: fetched %q, %v", c.name, b, err)
		}
		if asked := len(s.Made) == 2; asked != (got.Name == "b.pdf") || asked && s.Made[0].Request.URL.String() != "https://slack.com"+info+"?file=F3" {
			t.Errorf("%s: called %q after %s", c.name, got.Name, s.Where())
		}
	}
}

// The token goes to Slack, and to where the account has its interface.
func TestTokenGoesToSlackOnly(t *testing.T) {
	for _, at := range []string{
		"https://files.slack.com.example.com/x", "https://example.com/files.slack.com", "http://files.slack.com/x", "https://notslack.com/x",
		"https://u@files.slack.com/x", "https://files.slack.com:8443/x", "//files.slack.com/x", "file:///etc/passwd", "https://proxy.example/x", "%",
	} {
		s := &channeltest.Script{}
		if _, err := driver(t, s).Fetch(t.Context(), channeltest.Inbox, "F1 "+at); channels.ClassOf(err) != channels.Permanent || len(s.Made) != 0 {
			t.Errorf("%s: %v after %s", at, err, s.Where())
		}
	}
	s := &channeltest.Script{Answers: []channeltest.Answer{{Body: "x"}}}
	d, err := slack.New(channeltest.Options(s, map[string]string{"bot_token": "xoxb-1", "signing_secret": secret, "api_url": "https://proxy.example/api"}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Fetch(t.Context(), channeltest.Inbox, "F1 https://proxy.example/x"); err != nil {
		t.Errorf("through a proxy: %v", err)
	}
}

func TestFilesGoIntoTheThread(t *testing.T) {
	s := &channeltest.Script{Answers: []channeltest.Answer{{Body: `{"ok":true,"upload_url":"` + upload + `","file_id":"F9"}`}, {Body: "OK - 3"}, {Body: `{"ok":true}`}}}
	id, err := driver(t, s).SendFile(t.Context(), channeltest.FilePart("C1/5.1", "a b&c.png", "image/png", "png", 0))
	if err != nil || id != "F9" {
		t.Fatalf("SendFile = %q, %v", id, err)
	}
	if got := s.Made[0].Request.URL.String(); got != "https://slack.com"+place+"?filename=a+b%26c.png&length=3" {
		t.Errorf("asked %s", got)
	}
	if got := string(s.Made[2].Body); got != `{"channel_id":"C1","files":[{"id":"F9","title":"a b&c.png"}],"thread_ts":"5.1"}` {
		t.Errorf("shared %s", got)
	}
}

// Slack's own client asks the same of Slack when it shares a file.
func TestSlacksClientSharesFilesTheSameWay(t *testing.T) {
	const name, content = "a b&c.txt", "some words"
	s := &channeltest.Script{Answers: []channeltest.Answer{{Body: `{"ok":true,"upload_url":"` + upload + `","file_id":"F9"}`}, {Body: "OK"}, {Body: `{"ok":true}`}}}
	if _, err := driver(t, s).SendFile(t.Context(), channeltest.FilePart("C1/5.1", name, "text/plain", content, 0)); err != nil {
		t.Fatal(err)
	}
	ask, share := s.Made[0].Request.URL, s.Made[2]
	var ours []string
	for _, call := range [][]any{
		{ask.Path, map[string]any{"filename": ask.Query().Get("filename"), "length": ask.Query().Get("length")}},
		{"upload", map[string]any{"has": strings.Contains(string(s.Made[1].Body), content)}},
		{share.Request.URL.Path, json.RawMessage(share.Body)},
	} {
		b, err := channels.EncodeJSON(call)
		if err != nil {
			t.Fatal(err)
		}
		ours = append(ours, string(b))
	}
	theirs := channeltest.Node(t, "slackfiles.mjs", name, content, "C1", "5.1")
	if !slices.Equal(ours, theirs) {
		t.Errorf("we ask\n%s\nSlack's client asks\n%s", strings.Join(ours, "\n"), strings.Join(theirs, "\n"))
	}
}

// Until it is shared nobody sees a file, so that all before it may be done again;
// what an app may not do at all goes as a link.
func TestFilesThatFail(t *testing.T) {
	given, taken := channeltest.Answer{Body: `{"ok":true,"upload_url":"` + upload + `","file_id":"F9"}`}, channeltest.Answer{Body: "OK - 3"}
	for _, c := range []struct {
		name    string
		answers []channeltest.Answer
		want    channels.Class
		link    bool
	}{
		{"no scope", []channeltest.Answer{{Body: `{"ok":false,"error":"missing_scope","needed":"files:write","provided":"chat:write"}`}}, "", true},
		{"no files here", []channeltest.Answer{{Body: `{"ok":false,"error":"file_uploads_disabled"}`}}, "", true},
		{"wrong token", []channeltest.Answer{{Body: `{"ok":false,"error":"invalid_auth"}`}}, channels.Auth, false},
		{"place is unclear", []channeltest.Answer{{Status: 502}}, channels.Retry, false},
		{"place elsewhere", []channeltest.Answer{{Body: `{"ok":true,"upload_url":"https://example.com/x","file_id":"F9"}`}}, channels.Retry, false},
		{"upload is unclear", []channeltest.Answer{given, {Status: 502}}, channels.Retry, false},
		{"upload is refused", []channeltest.Answer{given, {Status: 400}}, channels.Permanent, false},
		{"share is unclear", []channeltest.Answer{given, taken, {Status: 502}}, channels.Unknown, false},
		{"no such channel", []channeltest.Answer{given, taken, {Body: `{"ok":false,"error":"channel_not_found"}`}}, channels.Gone, false},
		{"share is too fast", []channeltest.Answer{given, taken, {Status: 429}}, channels.Limited, false},
	} {
		s := &channeltest.Script{Answers: c.answers}
		_, err := driver(t, s).SendFile(t.Context(), channeltest.FilePart("C1", "a.png", "image/png", "png", 0))
		if c.link != errors.Is(err, channels.ErrUseLink) || !c.link && channels.ClassOf(err) != c.want || len(s.Made) != len(c.answers) {
			t.Errorf("%s: %v after %s, want class %q, link %t", c.name, err, s.Where(), c.want, c.link)
		}
	}
}
