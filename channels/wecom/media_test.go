package wecom_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/channels/channeltest"
)

// announced is what sync_msg gives after the notice of the suite.
var announced = fmt.Sprintf(`{"errcode":0,"errmsg":"ok","next_cursor":"1","has_more":0,"msg_list":[%s]}`,
	message("m1", 3, `"msgtype":"file","file":{"media_id":"media-1"}`))

// withMessage has a message with a file, and leaves the rest to the provider.
type withMessage struct{ http.RoundTripper }

func (w withMessage) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Path == "/cgi-bin/kf/sync_msg" {
		return answer(r, announced), nil
	}
	return w.RoundTripper.RoundTrip(r)
}

func media() *channeltest.Media {
	return &channeltest.Media{
		Answer: serve, Arrived: fileIn,
		Deliver: func(t testing.TB, _ channeltest.Message, at time.Time) channeltest.Delivery {
			t.Helper()
			return sign(t, notice(desk), at)
		},
	}
}

func serve(t testing.TB, r *http.Request, b, content []byte) (int, []byte) {
	t.Helper()
	if got := r.URL.Query().Get("access_token"); got != "T1" {
		t.Errorf("%s came with the token %q", r.URL.Path, got)
	}
	switch r.URL.Path {
	case "/cgi-bin/media/get":
		if got := r.URL.Query().Get("media_id"); got != "media-1" || r.Method != http.MethodGet {
			t.Errorf("%s for the file %q", r.Method, got)
		}
		return 200, content
	case "/cgi-bin/media/upload":
		return 200, []byte(`{"errcode":0,"errmsg":"","type":"file","media_id":"up-1","created_at":"1380000000"}`)
	case "/cgi-bin/kf/send_msg":
		return 200, []byte(`{"errcode":0,"errmsg":"ok","msgid":"m9"}`)
	}
	t.Errorf("called %s with %s", r.URL, b)
	return 404, nil
}

// said is a message with a file as it came to send_msg.
type said struct {
	To   string `json:"touser"`
	Desk string `json:"open_kfid"`
	Key  string `json:"msgid"`
	Type string `json:"msgtype"`
}

func fileIn(t testing.TB, calls []channeltest.Call) (peer, name, content string) {
	t.Helper()
	if got := calls[0].Request.URL.Query().Get("type"); got != "file" {
		t.Errorf("uploaded as %s", got)
	}
	_, name, kind, content := channeltest.FormFile(t, calls[0], "media")
	if kind != "application/pdf" {
		t.Errorf("uploaded as %s", kind)
	}
	var s said
	if err := json.Unmarshal(calls[1].Body, &s); err != nil || s.Type != "file" || s.Desk != desk || s.Key == "" || !strings.Contains(string(calls[1].Body), `"file":{"media_id":"up-1"}`) {
		t.Errorf("said %s, %v", calls[1].Body, err)
	}
	return s.To, name, content
}

// What a visitor wrote and cannot be read is kept; what others wrote is not.
func TestUnreadable(t *testing.T) {
	odd := []string{
		`{"msgid":"x1","open_kfid":"` + desk + `","origin":3,"msgtype":"text","text":{"content":"of nobody"}}`,
		`{"msgid":7,"open_kfid":"` + desk + `","external_userid":"v","origin":3,"msgtype":"text","text":{"content":"x"}}`,
		`["x"]`,
	}
	l := &list{t: t, size: 10}
	l.mu.messages = append(slices.Clone(odd), `{"msgid":7,"open_kfid":"`+desk+`","origin":4,"msgtype":"event"}`)
	got, err := driver(t, &withTokens{t: t, RoundTripper: l}).Pull(t.Context(), channels.Pull{Account: inbox})
	if err != nil || len(got.Events) != len(odd) {
		t.Fatalf("Pull = %+v, %v", got.Events, err)
	}
	for i, raw := range odd {
		if string(got.Events[i].Unreadable) != raw {
			t.Errorf("%s: %+v", raw, got.Events[i])
		}
	}
}

func TestKindsOfFilesThatCome(t *testing.T) {
	for _, c := range []struct{ more, typed, source, unsupported string }{
		{`"msgtype":"image","image":{"media_id":"m1"}`, "image/jpeg", "m1", ""},
		{`"msgtype":"voice","voice":{"media_id":"m1"}`, "audio/amr", "m1", ""},
		{`"msgtype":"video","video":{"media_id":"m1"}`, "video/mp4", "m1", ""},
		{`"msgtype":"file","file":{"media_id":"m1"}`, "", "m1", ""},
		{`"msgtype":"image","image":{"media_id":""}`, "", "", "image"},
		{`"msgtype":"image","file":{"media_id":"m1"}`, "", "", "image"},
		{`"msgtype":"location","location":{"latitude":1}`, "", "", "location"},
	} {
		l := &list{t: t, size: 10}
		l.mu.messages = []string{message("x1", 3, c.more)}
		got, err := driver(t, &withTokens{t: t, RoundTripper: l}).Pull(t.Context(), channels.Pull{Account: inbox})
		if err != nil || len(got.Events) != 1 || got.Events[0].Unsupported != c.unsupported {
			t.Errorf("%s: %+v, %v", c.more, got.Events, err)
			continue
		}
		f := got.Events[0].Files
		if c.source == "" && len(f) > 0 || c.source != "" && (len(f) != 1 || f[0].Source != c.source || f[0].Type != c.typed) {
			t.Errorf("%s: files %+v", c.more, f)
		}
	}
}

func TestFilesAreFetched(t *testing.T) {
	named := func(name string) map[string]string {
		return map[string]string{"Content-Disposition": `attachment; filename="` + name + `"`}
	}
	for _, c := range []struct {
		name   string
		answer channeltest.Answer
		want   string
		called string
		class  channels.Class
	}{
		{"a picture", channeltest.Answer{Header: named("media-1.jpg"), Body: "jpg"}, "jpg", "", ""},
		{"a file has its name", channeltest.Answer{Header: named("合同.pdf"), Body: "%PDF"}, "%PDF", "合同.pdf", ""},
		{"a file that looks like an answer", channeltest.Answer{Header: named("a.json"), Body: `{"errcode":40007}`}, `{"errcode":40007}`, "a.json", ""},
		{"expired", channeltest.Answer{Body: `{"errcode":40007,"errmsg":"invalid media_id"}`}, "", "", channels.Permanent},
		{"busy", channeltest.Answer{Body: `{"errcode":-1}`}, "", "", channels.Retry},
		{"too often", channeltest.Answer{Body: `{"errcode":45009}`}, "", "", channels.Limited},
		{"token", channeltest.Answer{Body: `{"errcode":42001}`}, "", "", channels.Auth},
		{"nothing", channeltest.Answer{Body: `{"errcode":0}`}, "", "", channels.Permanent},
		{"rubbish", channeltest.Answer{Body: `{}`}, "", "", channels.Retry},
		{"status", channeltest.Answer{Status: 502}, "", "", channels.Retry},
	} {
		s := &channeltest.Script{Answers: []channeltest.Answer{c.answer, {Body: "again"}}}
		w := &withTokens{t: t, RoundTripper: s}
		d := driver(t, w)
		got, err := d.Fetch(t.Context(), inbox, "media-1")
		if channels.ClassOf(err) != c.class {
			t.Errorf("%s: %v, want class %q", c.name, err, c.class)
		}
		if err == nil {
			if b, err := io.ReadAll(got.Body); err != nil || string(b) != c.want || got.Name != c.called {
				t.Errorf("%s: fetched %q called %q, %v", c.name, b, got.Name, err)
			}
		}
		if _, err := d.Fetch(t.Context(), inbox, "media-1"); err != nil || (w.n == 2) != (c.class == channels.Auth) {
			t.Errorf("%s: %v and %d tokens at the second attempt", c.name, err, w.n)
		}
	}
}

func TestKindsOfFilesThatGo(t *testing.T) {
	const mega = 1 << 20
	for _, c := range []struct {
		p    channels.Part
		kind string // empty = a link
	}{
		{channeltest.FilePart("wm", "a", "image/png", "picture", 0), "image"},
		{channeltest.FilePart("wm", "a", "image/jpeg", "picture", 0), "image"},
		{channeltest.FilePart("wm", "a", "image/gif", "picture", 0), "file"},
		{channeltest.FilePart("wm", "a", "audio/amr", channeltest.AMR(60*50), 0), "voice"},
		{channeltest.FilePart("wm", "a", "audio/amr", channeltest.AMR(60*50+1), 0), "file"},
		{channeltest.FilePart("wm", "a", "audio/amr", "not said", 0), "file"},
		{channeltest.FilePart("wm", "a", "audio/mpeg", "music...", 0), "file"},
		{channeltest.FilePart("wm", "a", "video/mp4", "film...", 0), "video"},
		{channeltest.FilePart("wm", "a", "text/plain", "letters", 0), "file"},
		{channeltest.FilePart("wm", "a", "text/plain", "short", 0), ""},
		{channeltest.FilePart("wm", "a", "application/pdf", "", 20*mega+1), ""},
		{channeltest.FilePart("wm", "a", "image/png", "", 20*mega+1), ""},
	} {
		s := &channeltest.Script{Answers: []channeltest.Answer{{Body: `{"errcode":0,"media_id":"up-1"}`}, {Body: `{"errcode":0,"msgid":"m9"}`}}}
		_, err := driver(t, &withTokens{t: t, RoundTripper: s}).SendFile(t.Context(), c.p)
		if c.kind == "" {
			if !errors.Is(err, channels.ErrUseLink) || len(s.Made) != 0 {
				t.Errorf("%s of %d bytes: %v", c.p.File.Type, c.p.File.Size, err)
			}
			continue
		}
		if err != nil || s.Made[0].Request.URL.Query().Get("type") != c.kind {
			t.Errorf("%s of %d bytes: %v by %s", c.p.File.Type, c.p.File.Size, err, s.Made[0].Request.URL)
			continue
		}
		var got said
		if err := json.Unmarshal(s.Made[1].Body, &got); err != nil || got.Type != c.kind || !strings.Contains(string(s.Made[1].Body), `"`+c.kind+`":{"media_id":"up-1"}`) {
			t.Errorf("%s: said %s", c.p.File.Type, s.Made[1].Body)
		}
	}
	for _, typed := range []string{"image/png", "video/mp4"} { // too large for their kind, but files
		p := channeltest.FilePart("wm", "a", typed, strings.Repeat("x", 10*mega+1), 0)
		s := &channeltest.Script{Answers: []channeltest.Answer{{Body: `{"errcode":0,"media_id":"up-1"}`}, {Body: `{"errcode":0,"msgid":"m9"}`}}}
		if _, err := driver(t, &withTokens{t: t, RoundTripper: s}).SendFile(t.Context(), p); err != nil || s.Made[0].Request.URL.Query().Get("type") != "file" {
			t.Errorf("a large %s: %v", typed, err)
		}
	}
}

// A failed upload is worth another try; a message that may have been sent is not.
func TestFilesThatFail(t *testing.T) {
	uploaded := channeltest.Answer{Body: `{"errcode":0,"media_id":"up-1"}`}
	for _, c := range []struct {
		name    string
		answers []channeltest.Answer
		want    channels.Class
		link    bool
	}{
		{"upload is unclear", []channeltest.Answer{{Status: 504}}, channels.Retry, false},
		{"upload is cut", []channeltest.Answer{{Body: `{"media_`}}, channels.Retry, false},
		{"upload says nothing", []channeltest.Answer{{Body: `{"errcode":0}`}}, channels.Retry, false},
		{"file is refused", []channeltest.Answer{{Body: `{"errcode":40005}`}}, "", true},
		{"token", []channeltest.Answer{{Body: `{"errcode":40014}`}}, channels.Auth, false},
		{"message is unclear", []channeltest.Answer{uploaded, {Status: 504}}, channels.Unknown, false},
		{"window is over", []channeltest.Answer{uploaded, {Body: `{"errcode":95001}`}}, channels.WindowClosed, false},
		{"name is refused", []channeltest.Answer{uploaded, {Body: `{"errcode":40007}`}}, "", true},
	} {
		d := driver(t, &withTokens{t: t, RoundTripper: &channeltest.Script{Answers: c.answers}})
		_, err := d.SendFile(t.Context(), channeltest.FilePart("wm", "a", "image/png", "picture", 0))
		if c.link != errors.Is(err, channels.ErrUseLink) || !c.link && channels.ClassOf(err) != c.want {
			t.Errorf("%s: %v, want class %q, link %t", c.name, err, c.want, c.link)
		}
	}
}

// FuzzPull: whatever stands in a list of messages, what can be read of it is given,
// and nothing without a sender and a name.
func FuzzPull(f *testing.F) {
	f.Add(message("m1", 3, `"msgtype":"text","text":{"content":"x"}`))
	f.Add(message("m1", 3, `"msgtype":"file","file":{"media_id":"media-1"}`))
	f.Add(message("m1", 3, `"msgtype":"image","image":null`))
	f.Fuzz(func(t *testing.T, m string) {
		if !json.Valid([]byte(m)) {
			t.Skip("the answer as a whole is refused")
		}
		s := &channeltest.Script{Answers: []channeltest.Answer{{Body: `{"errcode":0,"msg_list":[` + m + `]}`}}}
		got, err := driver(t, &withTokens{t: t, RoundTripper: s}).Pull(t.Context(), channels.Pull{Account: inbox})
		if err != nil {
			t.Fatalf("Pull: %v", err)
		}
		for _, e := range got.Events {
			if e.Peer == "" || e.Ref == "" || len(e.Files) > 0 && e.Files[0].Source == "" {
				t.Errorf("Pull = %+v", e)
			}
		}
	})
}
