package wechat_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/channels/channeltest"
)

// media is how files come and go: what the interface does not take as a message,
// such as a document, goes as a link.
func media(sign func(testing.TB, []byte, time.Time) channeltest.Delivery) *channeltest.Media {
	return &channeltest.Media{
		Links: true, Answer: serve,
		Deliver: func(t testing.TB, m channeltest.Message, at time.Time) channeltest.Delivery {
			t.Helper()
			m.Kind = "image"
			return sign(t, picture(m, "http://mmbiz.qpic.cn/mmbiz_jpg/x/0"), at)
		},
		Arrived: func(t testing.TB, calls []channeltest.Call) (string, string, string) {
			t.Helper()
			sent := decode(t, calls[0].Request, calls[0].Body)
			return sent.Peer, "", sent.Text
		},
	}
}

// picture is the recorded shape of a message with a picture.
func picture(m channeltest.Message, address string) []byte {
	return bytes.Replace(message(m), []byte("<MsgId>"), []byte("<PicUrl><![CDATA["+address+"]]></PicUrl>\n<MediaId><![CDATA[media-1]]></MediaId>\n<MsgId>"), 1)
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
	case "/cgi-bin/message/custom/send":
		return 200, []byte(`{"errcode":0,"errmsg":"ok"}`)
	}
	t.Errorf("called %s with %s", r.URL, b)
	return 404, nil
}

const (
	api     = "api.weixin.qq.com"
	getPath = api + "/cgi-bin/media/get"
)

func TestKindsOfFilesThatCome(t *testing.T) {
	now := time.Now()
	body := func(kind, more string) []byte {
		return []byte("<xml><FromUserName>o1</FromUserName><MsgType>" + kind + "</MsgType>" + more + "<MsgId>1</MsgId></xml>")
	}
	for _, c := range []struct{ kind, more, source, typed, text string }{
		{"image", "<MediaId>m1</MediaId><PicUrl>http://mmbiz.qpic.cn/a</PicUrl>", "m1 http://mmbiz.qpic.cn/a", "image/jpeg", ""},
		{"image", "<MediaId>m1</MediaId><PicUrl>javascript:x</PicUrl>", "m1", "image/jpeg", ""},
		{"image", "<PicUrl>http://mmbiz.qpic.cn/a</PicUrl>", " http://mmbiz.qpic.cn/a", "image/jpeg", ""},
		{"voice", "<MediaId>m1</MediaId><Format>amr</Format><Recognition>腾讯</Recognition>", "m1", "audio/amr", "腾讯"},
		{"video", "<MediaId>m1</MediaId><ThumbMediaId>t1</ThumbMediaId>", "m1", "video/mp4", ""},
		{"shortvideo", "<MediaId>m1</MediaId><ThumbMediaId>t1</ThumbMediaId>", "m1", "video/mp4", ""},
	} {
		events, _, err := receive(t, plain(), signPlain(t, body(c.kind, c.more), now), now)
		if err != nil || len(events) != 1 || len(events[0].Files) != 1 {
			t.Errorf("%s: %+v, %v", c.kind, events, err)
			continue
		}
		e, f := events[0], events[0].Files[0]
		if f.Source != c.source || f.Type != c.typed || string(e.Text) != c.text || e.Unsupported != "" || e.Ref != "1" {
			t.Errorf("%s: %+v with %+v, text %q", c.kind, e, f, string(e.Text))
		}
	}
	for _, kind := range []string{"location", "link", "file"} {
		if events, _, err := receive(t, plain(), signPlain(t, body(kind, "<FileKey>x</FileKey>"), now), now); err != nil || len(events[0].Files) != 0 || events[0].Unsupported != kind {
			t.Errorf("%s: %+v, %v", kind, events, err)
		}
	}
}

func TestFilesAreFetched(t *testing.T) {
	named := map[string]string{"Content-Type": "text/plain", "Content-Disposition": `attachment; filename="media-1.json"`}
	expired := channeltest.Answer{Header: map[string]string{"Content-Type": "application/json; encoding=utf-8"}, Body: `{"errcode":40007,"errmsg":"invalid media_id hint: [x]"}`}
	for _, c := range []struct {
		name, source string
		answers      []channeltest.Answer
		paths, want  string
		class        channels.Class
	}{
		{"bytes", "media-1", []channeltest.Answer{{Header: map[string]string{"Content-Type": "image/jpeg"}, Body: "\xff\xd8\xff"}}, getPath, "\xff\xd8\xff", ""},
		{"a file that looks like an answer", "media-1", []channeltest.Answer{{Header: named, Body: `{"errcode":40007}`}}, getPath, `{"errcode":40007}`, ""},
		{"expired", "media-1", []channeltest.Answer{expired}, getPath, "", channels.Permanent},
		{"expired, shown elsewhere", "media-1 http://mmbiz.qpic.cn/a", []channeltest.Answer{expired, {Body: "jpg"}}, getPath + " mmbiz.qpic.cn/a", "jpg", ""},
		{"shown elsewhere only", " http://mmbiz.qpic.cn/a", []channeltest.Answer{{Body: "jpg"}}, "mmbiz.qpic.cn/a", "jpg", ""},
		{"nowhere", "media-1 http://mmbiz.qpic.cn/a", []channeltest.Answer{expired, {Status: 404}}, getPath + " mmbiz.qpic.cn/a", "", channels.Permanent},
		{"busy", "media-1 http://mmbiz.qpic.cn/a", []channeltest.Answer{{Body: `{"errcode":-1,"errmsg":"system error"}`}}, getPath, "", channels.Retry},
		{"day's quota", "media-1", []channeltest.Answer{{Body: `{"errcode":45009}`}}, getPath, "", channels.Limited},
		{"token", "media-1", []channeltest.Answer{{Body: `{"errcode":42001}`}}, getPath, "", channels.Auth},
		{"a film elsewhere", "media-1", []channeltest.Answer{{Body: `{"video_url":"http://vweixinp.tc.qq.com/f"}`}, {Body: "mp4"}}, getPath + " vweixinp.tc.qq.com/f", "mp4", ""},
		{"rubbish", "media-1", []channeltest.Answer{{Body: `{"errcode":"x"}`}}, getPath, "", channels.Retry},
		{"nothing", "media-1", []channeltest.Answer{{Body: `{}`}}, getPath, "", channels.Permanent},
		{"status", "media-1", []channeltest.Answer{{Status: 502}}, getPath, "", channels.Retry},
	} {
		s := &channeltest.Script{Answers: c.answers}
		got, err := driver(t, &withTokens{RoundTripper: s}, plain()).Fetch(t.Context(), inbox, c.source)
		if channels.ClassOf(err) != c.class || s.Where() != c.paths {
			t.Errorf("%s: %v by %s, want class %q by %s", c.name, err, s.Where(), c.class, c.paths)
		}
		if err != nil {
			continue
		}
		b, err := io.ReadAll(got.Body)
		if err != nil || string(b) != c.want || got.Name != "" {
			t.Errorf("%s: fetched %q called %q, %v", c.name, b, got.Name, err)
		}
		for _, call := range s.Made {
			if token := call.Request.URL.Query().Get("access_token"); (token != "") != (call.Request.URL.Host == api) {
				t.Errorf("%s: %s got the token %q", c.name, call.Request.URL.Host, token)
			}
		}
	}
}

// Without a secret there is no token, and pictures are fetched all the same.
func TestPicturesOfAccountsWithoutASecret(t *testing.T) {
	values := plain()
	delete(values, "app_secret")
	s := &channeltest.Script{Answers: []channeltest.Answer{{Body: "jpg"}}}
	if _, err := driver(t, s, values).Fetch(t.Context(), inbox, "media-1 http://mmbiz.qpic.cn/a"); err != nil || s.Where() != "mmbiz.qpic.cn/a" {
		t.Errorf("Fetch = %v after %s", err, s.Where())
	}
	if _, err := driver(t, s, values).Fetch(t.Context(), inbox, "media-1"); channels.ClassOf(err) != channels.Permanent {
		t.Errorf("of voice: %v", err)
	}
}

// A token that is refused is got anew by force, for files as for texts.
func TestRefusedTokenIsRenewedForFiles(t *testing.T) {
	s := &channeltest.Script{Answers: []channeltest.Answer{{Body: `{"errcode":40001}`}, {Body: "jpg"}, {Body: `{"errcode":42001}`}, {Body: `{"media_id":"up"}`}, {Body: `{"errcode":0}`}}}
	w := &withTokens{RoundTripper: s}
	d := driver(t, w, plain())
	if _, err := d.Fetch(t.Context(), inbox, "media-1"); channels.ClassOf(err) != channels.Auth {
		t.Fatalf("Fetch = %v", err)
	}
	if _, err := d.Fetch(t.Context(), inbox, "media-1"); err != nil {
		t.Fatalf("Fetch = %v", err)
	}
	p := channeltest.FilePart("o1", "a.png", "image/png", "png", 0)
	if _, err := d.SendFile(t.Context(), p); channels.ClassOf(err) != channels.Auth {
		t.Fatalf("SendFile = %v", err)
	}
	if _, err := d.SendFile(t.Context(), p); err != nil {
		t.Fatalf("SendFile = %v", err)
	}
	if len(w.asked) != 3 || !strings.Contains(w.asked[1], `"force_refresh":true`) {
		t.Errorf("asked for tokens with %s", w.asked)
	}
}

func TestFilesAreSent(t *testing.T) {
	for _, c := range []struct{ name, typed, content, kind string }{
		{"订单.png", "image/png", "png", "image"},
		{"a.jpg", "image/jpeg", "jpg", "image"},
		{"a.gif", "image/gif", "gif", "image"},
		{"a.mp4", "video/mp4", "mp4", "video"},
		{"a.amr", "audio/amr", channeltest.AMR(50), "voice"},
	} {
		s := &channeltest.Script{Answers: []channeltest.Answer{{Body: fmt.Sprintf(`{"type":%q,"media_id":"up-1","created_at":123456789}`, c.kind)}, {Body: `{"errcode":0,"errmsg":"ok"}`}}}
		_, err := driver(t, &withTokens{RoundTripper: s}, plain()).SendFile(t.Context(), channeltest.FilePart("o1", c.name, c.typed, c.content, 0))
		if err != nil || len(s.Made) != 2 {
			t.Errorf("%s: %v with %d calls", c.name, err, len(s.Made))
			continue
		}
		if got := s.Made[0].Request.URL.RequestURI(); got != "/cgi-bin/media/upload?access_token=T1&type="+c.kind {
			t.Errorf("%s: uploaded to %s", c.name, got)
		}
		if _, name, typed, content := channeltest.FormFile(t, s.Made[0], "media"); name != c.name || typed != c.typed || content != c.content {
			t.Errorf("%s: uploaded %q, %q, %q", c.name, name, typed, content)
		}
		var said map[string]any
		if err := json.Unmarshal(s.Made[1].Body, &said); err != nil {
			t.Fatal(err)
		}
		what, _ := said[c.kind].(map[string]any)
		if said["touser"] != "o1" || said["msgtype"] != c.kind || what["media_id"] != "up-1" {
			t.Errorf("%s: said %s", c.name, s.Made[1].Body)
		}
	}
}

// What WeChat does not take is known before it is asked.
func TestFilesThatGoAsLinks(t *testing.T) {
	for _, c := range []struct {
		typed, content string
		size           int64
	}{
		{"image/png", "", 10<<20 + 1},
		{"image/webp", "", 1},
		{"video/quicktime", "", 1},
		{"video/mp4", "", 10<<20 + 1},
		{"application/pdf", "", 1},
		{"audio/amr", channeltest.AMR(1), 2<<20 + 1},
		{"audio/amr", channeltest.AMR(60*50 + 1), 0},
		{"audio/amr", "no recording", 0},
		{"audio/mpeg", "no recording", 0},
	} {
		if _, err := driver(t, nil, plain()).SendFile(t.Context(), channeltest.FilePart("o1", "a", c.typed, c.content, c.size)); !errors.Is(err, channels.ErrUseLink) {
			t.Errorf("%s of %d bytes: %v", c.typed, c.size, err)
		}
	}
}

// A failed upload is worth another try; a message that may have been sent is not.
func TestFilesThatFail(t *testing.T) {
	uploaded := channeltest.Answer{Body: `{"media_id":"up-1"}`}
	for _, c := range []struct {
		name    string
		answers []channeltest.Answer
		want    channels.Class
		link    bool
	}{
		{"upload is unclear", []channeltest.Answer{{Status: 504}}, channels.Retry, false},
		{"upload is cut", []channeltest.Answer{{Body: `{"media_`}}, channels.Retry, false},
		{"upload says nothing", []channeltest.Answer{{Body: `{}`}}, channels.Retry, false},
		{"file is refused", []channeltest.Answer{{Body: `{"errcode":40005,"errmsg":"invalid file type"}`}}, "", true},
		{"file is too large", []channeltest.Answer{{Body: `{"errcode":45001}`}}, "", true},
		{"quota", []channeltest.Answer{{Body: `{"errcode":45009}`}}, channels.Limited, false},
		{"message is unclear", []channeltest.Answer{uploaded, {Status: 504}}, channels.Unknown, false},
		{"window is over", []channeltest.Answer{uploaded, {Body: `{"errcode":45015}`}}, channels.WindowClosed, false},
		{"quota of messages", []channeltest.Answer{uploaded, {Body: `{"errcode":45047}`}}, channels.WindowClosed, false},
		{"name is refused", []channeltest.Answer{uploaded, {Body: `{"errcode":40007}`}}, "", true},
	} {
		s := &channeltest.Script{Answers: c.answers}
		_, err := driver(t, &withTokens{RoundTripper: s}, plain()).SendFile(t.Context(), channeltest.FilePart("o1", "a.png", "image/png", "png", 0))
		if c.link != errors.Is(err, channels.ErrUseLink) || !c.link && channels.ClassOf(err) != c.want {
			t.Errorf("%s: %v, want class %q, link %t", c.name, err, c.want, c.link)
		}
	}
}
