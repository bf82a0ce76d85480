package dingtalk_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/channels/channeltest"
)

const (
	pathDownload = "/v1.0/robot/messageFiles/download"
	fileHost     = "down-cdn.dingtalk.com"
	uploadHost   = "oapi.dingtalk.com"
)

// with is a message of another kind than text.
func with(t testing.TB, m channeltest.Message, kind string, content any, at time.Time) channeltest.Delivery {
	t.Helper()
	m.Kind = kind
	return sign(t, body(t, m, map[string]any{"content": content}), at)
}

func media() *channeltest.Media {
	return &channeltest.Media{
		Name: "合同.pdf", Answer: serve, Arrived: fileIn,
		Deliver: func(t testing.TB, m channeltest.Message, at time.Time) channeltest.Delivery {
			t.Helper()
			return with(t, m, "file", map[string]any{"spaceId": "1", "fileId": "2", "fileName": "合同.pdf", "downloadCode": "code-1"}, at)
		},
	}
}

func serve(t testing.TB, r *http.Request, b, content []byte) (int, []byte) {
	t.Helper()
	token := r.Header.Get("X-Acs-Dingtalk-Access-Token") + r.URL.Query().Get("access_token")
	if want := map[bool]string{true: "", false: "t-1"}[r.URL.Host == fileHost]; token != want {
		t.Errorf("%s came with the token %q", r.URL, token)
	}
	switch {
	case r.URL.Path == pathDownload:
		if string(b) != `{"downloadCode":"code-1","robotCode":"dingue4kfzdxbynxxxxxx"}` {
			t.Errorf("asked for %s", b)
		}
		return 200, []byte(`{"downloadUrl":"https://` + fileHost + `/a?Expires=1&Signature=x"}`)
	case r.URL.Host == fileHost:
		return 200, content
	case r.URL.Host == uploadHost:
		return 200, []byte(`{"errcode":0,"errmsg":"ok","media_id":"@lAz9","created_at":1605863153573,"type":"file"}`)
	case r.URL.Path == pathOne:
		return 200, []byte(`{"processQueryKey":"q9"}`)
	}
	t.Errorf("called %s with %s", r.URL, b)
	return 404, nil
}

func fileIn(t testing.TB, calls []channeltest.Call) (peer, name, content string) {
	t.Helper()
	if got := calls[0].Request.URL.String(); got != "https://"+uploadHost+"/media/upload?access_token=t-1&type=file" {
		t.Errorf("uploaded to %s", got)
	}
	_, name, kind, content := channeltest.FormFile(t, calls[0], "media")
	var s sent
	param := map[string]string{}
	if err := errors.Join(json.Unmarshal(calls[1].Body, &s), json.Unmarshal([]byte(s.Param), &param)); err != nil {
		t.Fatal(err)
	}
	if kind != "application/pdf" || s.Key != "sampleFile" || param["mediaId"] != "@lAz9" || param["fileType"] != "pdf" || param["fileName"] != name {
		t.Errorf("uploaded as %s, said %s", kind, calls[1].Body)
	}
	return s.Users[0], name, content
}

func TestKindsOfFilesThatCome(t *testing.T) {
	now := time.Now()
	m := channeltest.Message{Peer: "m1", Ref: "1"}
	for _, c := range []struct {
		kind    string
		content any
		text    string
		files   []channels.File
	}{
		{"picture", map[string]any{"downloadCode": "c1", "pictureDownloadCode": "p1"}, "", []channels.File{{Type: "image/jpeg", Source: "c1"}}},
		{"picture", map[string]any{"pictureDownloadCode": "p1"}, "", []channels.File{{Type: "image/jpeg", Source: "p1"}}},
		{"audio", map[string]any{"downloadCode": "c1", "duration": 4000, "recognition": "钉钉"}, "钉钉", []channels.File{{Type: "audio/amr", Source: "c1"}}},
		{"video", map[string]any{"downloadCode": "c1", "duration": "4", "videoType": "mp4"}, "", []channels.File{{Type: "video/mp4", Source: "c1"}}},
		{"file", map[string]any{"downloadCode": "c1", "fileName": "a.pdf"}, "", []channels.File{{Name: "a.pdf", Source: "c1"}}},
		{"richText", map[string]any{"richText": []any{
			map[string]any{"text": "\nlook at "},
			map[string]any{"type": "picture", "downloadCode": "c1"},
			map[string]any{"text": "this"},
			map[string]any{"type": "picture", "pictureDownloadCode": "p2"},
			map[string]any{"type": "at", "userId": "x"},
		}}, "look at this", []channels.File{{Type: "image/jpeg", Source: "c1"}, {Type: "image/jpeg", Source: "p2"}}},
		{"richText", map[string]any{"richText": []any{map[string]any{"text": "only words"}}}, "only words", nil},
	} {
		d := with(t, m, c.kind, c.content, now)
		events, _, err := driver(t, nil).Receive(t.Context(), channels.Request{Header: d.Header, Account: channeltest.Inbox, At: now}, d.Body)
		if err != nil || len(events) != 1 || events[0].Unsupported != "" || string(events[0].Text) != c.text || len(events[0].Files) != len(c.files) {
			t.Errorf("%s: %+v, %v", c.kind, events, err)
			continue
		}
		for i, want := range c.files {
			if got := events[0].Files[i]; got.Name != want.Name || got.Type != want.Type || got.Source != want.Source {
				t.Errorf("%s: file %d is %+v, want %+v", c.kind, i, got, want)
			}
		}
	}
	for _, odd := range []struct {
		kind    string
		content any
	}{{"picture", map[string]any{}}, {"picture", "text"}, {"file", nil}, {"richText", map[string]any{"richText": "x"}}, {"unknownMsgType", map[string]any{"downloadCode": "c"}}} {
		d := with(t, m, odd.kind, odd.content, now)
		events, _, err := driver(t, nil).Receive(t.Context(), channels.Request{Header: d.Header, Account: channeltest.Inbox, At: now}, d.Body)
		if err != nil || len(events) != 1 || events[0].Unsupported != odd.kind || len(events[0].Files) != 0 {
			t.Errorf("%s with %v: %+v, %v", odd.kind, odd.content, events, err)
		}
	}
}

func TestFilesAreFetched(t *testing.T) {
	found := channeltest.Answer{Body: `{"downloadUrl":"http://` + fileHost + `/a?Expires=1"}`}
	for _, c := range []struct {
		name    string
		answers []channeltest.Answer
		class   channels.Class
	}{
		{"bytes", []channeltest.Answer{found, {Header: map[string]string{"Content-Type": "application/octet-stream"}, Body: "png"}}, ""},
		{"expired", []channeltest.Answer{{Status: 400, Body: `{"code":"invalidParameter.downloadCode.expired","message":"canary"}`}}, channels.Permanent},
		{"token", []channeltest.Answer{{Status: 400, Body: `{"code":"InvalidAuthentication","message":"canary"}`}}, channels.Auth},
		{"too often", []channeltest.Answer{{Status: 403, Body: `{"code":"Forbidden.AccessDenied.QpsLimitForApi","message":"canary"}`}}, channels.Limited},
		{"unclear", []channeltest.Answer{{Body: "rubbish"}}, channels.Retry},
		{"no address", []channeltest.Answer{{Body: `{}`}}, channels.Permanent},
		{"address is too old", []channeltest.Answer{found, {Status: 403, Body: "<Error><Code>AccessDenied</Code></Error>"}}, channels.Retry},
		{"gone", []channeltest.Answer{found, {Status: 404}}, channels.Permanent},
	} {
		s := &channeltest.Script{Answers: c.answers}
		got, err := driver(t, s).Fetch(t.Context(), channeltest.Inbox, "code-1")
		if channels.ClassOf(err) != c.class || len(s.Made) != len(c.answers) {
			t.Errorf("%s: %v after %s, want class %q", c.name, err, s.Where(), c.class)
		}
		if err != nil {
			continue
		}
		if b, err := io.ReadAll(got.Body); err != nil || string(b) != "png" {
			t.Errorf("%s: fetched %q, %v", c.name, b, err)
		}
	}
}

func TestKindsOfFilesThatGo(t *testing.T) {
	for _, c := range []struct {
		typed, content string
		size           int64
		upload         string // empty = a link
		key, param     string
	}{
		{"image/png", "png", 0, "image", "sampleImageMsg", `{"photoURL":"@m1"}`},
		{"audio/amr", channeltest.AMR(150), 0, "voice", "sampleAudio", `{"duration":"3000","mediaId":"@m1"}`},
		{"application/pdf", "%PDF", 0, "file", "sampleFile", `{"fileName":"a","fileType":"pdf","mediaId":"@m1"}`},
		{"application/vnd.openxmlformats-officedocument.wordprocessingml.document", "PK", 0, "file", "sampleFile", `{"fileName":"a","fileType":"docx","mediaId":"@m1"}`},
		{"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "PK", 0, "file", "sampleFile", `{"fileName":"a","fileType":"xlsx","mediaId":"@m1"}`},
		{typed: "image/webp", content: "webp"},
		{typed: "video/mp4", content: "mp4"}, // wants a picture for it
		{typed: "audio/mpeg", content: "mp3"},
		{typed: "text/plain", content: "text"},
		{typed: "image/png", size: 20<<20 + 1},
		{typed: "application/pdf", size: 20<<20 + 1},
		{typed: "audio/amr", content: channeltest.AMR(60*50 + 1)},
		{typed: "audio/amr", content: "not said"},
		{typed: "audio/amr", size: 2<<20 + 1},
	} {
		s := &channeltest.Script{Answers: []channeltest.Answer{{Body: `{"errcode":0,"media_id":"@m1"}`}, {Body: `{"processQueryKey":"q9"}`}}}
		id, err := driver(t, s).SendFile(t.Context(), channeltest.FilePart("group:g1", "a", c.typed, c.content, c.size))
		if c.upload == "" {
			if !errors.Is(err, channels.ErrUseLink) || len(s.Made) != 0 {
				t.Errorf("%s of %d bytes: %v", c.typed, c.size, err)
			}
			continue
		}
		if err != nil || id != "q9" || s.Made[0].Request.URL.Query().Get("type") != c.upload || s.Made[1].Request.URL.Path != pathGroup {
			t.Errorf("%s: %q, %v by %s", c.typed, id, err, s.Where())
			continue
		}
		var got sent
		if err := json.Unmarshal(s.Made[1].Body, &got); err != nil || got.Chat != "g1" || got.Key != c.key || got.Param != c.param {
			t.Errorf("%s: said %s", c.typed, s.Made[1].Body)
		}
	}
}

// A failed upload is worth another try, or a link; a message that may have been
// sent is neither.
func TestFilesThatFail(t *testing.T) {
	uploaded := channeltest.Answer{Body: `{"errcode":0,"media_id":"@m1"}`}
	for _, c := range []struct {
		name    string
		answers []channeltest.Answer
		want    channels.Class
		link    bool
	}{
		{"file is refused", []channeltest.Answer{{Body: `{"errcode":40004,"errmsg":"不合法的媒体文件类型"}`}}, "", true},
		{"not allowed", []channeltest.Answer{{Body: `{"errcode":88,"sub_code":"60011"}`}}, "", true},
		{"token", []channeltest.Answer{{Body: `{"errcode":40014}`}}, channels.Auth, false},
		{"busy", []channeltest.Answer{{Body: `{"errcode":-1}`}}, channels.Retry, false},
		{"too often", []channeltest.Answer{{Body: `{"errcode":90018}`}}, channels.Limited, false},
		{"upload is unclear", []channeltest.Answer{{Status: 504}}, channels.Retry, false},
		{"upload says nothing", []channeltest.Answer{{Body: `{"errcode":0}`}}, channels.Retry, false},
		{"upload is no answer", []channeltest.Answer{{Body: `{}`}}, channels.Retry, false},
		{"message is unclear", []channeltest.Answer{uploaded, {Status: 504}}, channels.Unknown, false},
		{"message is refused", []channeltest.Answer{uploaded, {Status: 400, Body: `{"code":"invalidParameter.msgParam"}`}}, "", true},
		{"nobody", []channeltest.Answer{uploaded, {Body: `{"processQueryKey":"q","invalidStaffIdList":["m1"]}`}}, channels.Gone, false},
	} {
		s := &channeltest.Script{Answers: c.answers}
		_, err := driver(t, s).SendFile(t.Context(), channeltest.FilePart("m1", "a.png", "image/png", "png", 0))
		if c.link != errors.Is(err, channels.ErrUseLink) || !c.link && channels.ClassOf(err) != c.want || len(s.Made) != len(c.answers) {
			t.Errorf("%s: %v after %s, want class %q, link %t", c.name, err, s.Where(), c.want, c.link)
		}
	}
}
