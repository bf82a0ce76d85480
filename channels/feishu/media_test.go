package feishu

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/channels/channeltest"
)

const (
	pathImages = "/open-apis/im/v1/images"
	pathFiles  = "/open-apis/im/v1/files"
)

// with is a message of another kind than text.
func with(t testing.TB, m channeltest.Message, kind, content string) channeltest.Delivery {
	t.Helper()
	return sign(t, event(t, m, map[string]any{"message_type": kind, "content": content}), time.Time{})
}

func media() *channeltest.Media {
	return &channeltest.Media{
		Name: "合同.pdf", Answer: serve, Arrived: fileIn,
		Deliver: func(t testing.TB, m channeltest.Message, _ time.Time) channeltest.Delivery {
			t.Helper()
			return with(t, m, "file", `{"file_key":"file_v2_1","file_name":"合同.pdf"}`)
		},
	}
}

func serve(t testing.TB, r *http.Request, b, content []byte) (int, []byte) {
	t.Helper()
	if got := r.Header.Get("Authorization"); got != "Bearer t-1" {
		t.Errorf("%s came with %q", r.URL, got)
	}
	switch {
	case strings.HasSuffix(r.URL.Path, "/resources/file_v2_1"):
		if got := r.URL.RequestURI(); got != pathSend+"/om_5ce6d572455d361153b7cb51000/resources/file_v2_1?type=file" || r.Method != http.MethodGet {
			t.Errorf("%s %s", r.Method, got)
		}
		return 200, content
	case r.URL.Path == pathFiles:
		return 200, []byte(`{"code":0,"msg":"success","data":{"file_key":"file_v2_9"}}`)
	case r.URL.Path == pathSend:
		return 200, []byte(`{"code":0,"msg":"success","data":{"message_id":"om_9"}}`)
	}
	t.Errorf("called %s with %s", r.URL, b)
	return 404, nil
}

// said is a message as it came.
type said struct {
	To      string `json:"receive_id"`
	Type    string `json:"msg_type"`
	Content string `json:"content"`
	UUID    string `json:"uuid"`
}

func fileIn(t testing.TB, calls []channeltest.Call) (peer, name, content string) {
	t.Helper()
	fields, name, kind, content := channeltest.FormFile(t, calls[0], "file")
	if fields["file_type"] != "pdf" || fields["file_name"] != name || kind != "application/pdf" {
		t.Errorf("uploaded as %v, %s", fields, kind)
	}
	var s said
	if err := json.Unmarshal(calls[1].Body, &s); err != nil || s.Type != "file" || s.Content != `{"file_key":"file_v2_9"}` || s.UUID == "" {
		t.Errorf("said %s, %v", calls[1].Body, err)
	}
	return s.To, name, content
}

func TestKindsOfFilesThatCome(t *testing.T) {
	m := channeltest.Message{Peer: "oc_1", Ref: "om_1"}
	for _, c := range []struct{ kind, content, source, typed, name string }{ // no source = no file
		{"image", `{"image_key":"img_1"}`, "om_1 image img_1", "image/jpeg", ""},
		{"file", `{"file_key":"f_1","file_name":"a.pdf"}`, "om_1 file f_1", "", "a.pdf"},
		{"audio", `{"file_key":"f_1","duration":2000}`, "om_1 file f_1", "audio/ogg", ""},
		{"media", `{"file_key":"f_1","image_key":"img_1","file_name":"a.mp4","duration":2000}`, "om_1 file f_1", "video/mp4", "a.mp4"},
		{"sticker", `{"file_key":"f_1"}`, "", "", ""},
		{"image", `{"image_key":""}`, "", "", ""},
		{"image", `{"image_key":"a b"}`, "", "", ""},
		{"file", `{`, "", "", ""},
		{"post", `[]`, "", "", ""},
		{"post", `{"title":"","content":[[]]}`, "", "", ""},
	} {
		events, _, err := receive(t, with(t, m, c.kind, c.content))
		if err != nil || len(events) != 1 {
			t.Errorf("%s: %+v, %v", c.content, events, err)
			continue
		}
		e := events[0]
		if c.source == "" {
			if len(e.Files) != 0 || e.Unsupported != c.kind {
				t.Errorf("%s: %+v", c.content, e)
			}
			continue
		}
		if len(e.Files) != 1 || e.Unsupported != "" || e.Files[0].Source != c.source || e.Files[0].Type != c.typed || e.Files[0].Name != c.name {
			t.Errorf("%s: %+v", c.content, e)
		}
	}
}

func TestPosts(t *testing.T) {
	const content = `{"title":"Broken","content":[
		[{"tag":"at","user_id":"@_user_1","user_name":"Bot"},{"tag":"text","text":" see "},{"tag":"a","href":"https://a.example/1","text":"order"},{"tag":"emotion","emoji_type":"SMILE"}],
		[{"tag":"img","image_key":"img_1"},{"tag":"a","href":"https://b.example","text":"https://b.example"}],
		[{"tag":"media","file_key":"f_1","image_key":"img_2"},{"tag":"hr"}]]}`
	events, _, err := receive(t, with(t, channeltest.Message{Peer: "oc_1", Ref: "om_1"}, "post", content))
	if err != nil || len(events) != 1 || len(events[0].Files) != 2 || events[0].Unsupported != "" {
		t.Fatalf("Receive = %+v, %v", events, err)
	}
	e := events[0]
	if want := "Broken\n@Bot see order (https://a.example/1)[SMILE]\nhttps://b.example"; string(e.Text) != want {
		t.Errorf("text %q, want %q", string(e.Text), want)
	}
	if e.Files[0].Source != "om_1 image img_1" || e.Files[1].Source != "om_1 file f_1" {
		t.Errorf("files %+v", e.Files)
	}
}

// by is a driver that has its token.
func by(t *testing.T, s *channeltest.Script) (*Driver, *channeltest.Calls) {
	t.Helper()
	calls := &channeltest.Calls{Answers: map[string]string{pathToken: tokens}, Rest: s}
	return driver(t, calls), calls
}

func TestFilesAreFetched(t *testing.T) {
	const refused = `{"code":99991663,"msg":"Invalid access token for authorization"}`
	said := map[string]string{"Content-Type": "application/json; charset=utf-8"}
	for _, c := range []struct {
		name   string
		answer channeltest.Answer
		want   string
		class  channels.Class
	}{
		{"bytes", channeltest.Answer{Header: map[string]string{"Content-Type": "image/png", "Content-Disposition": `attachment; filename="x"`}, Body: "png"}, "png", ""},
		{"a file of JSON", channeltest.Answer{Header: map[string]string{"Content-Disposition": `attachment; filename="x"`}, Body: refused}, refused, ""},
		{"a file of JSON without a name", channeltest.Answer{Header: said, Body: `{"code":7,"orders":[]}`}, `{"code":7,"orders":[]}`, ""},
		{"token", channeltest.Answer{Status: 400, Header: said, Body: refused}, "", channels.Auth},
		{"no scope", channeltest.Answer{Status: 400, Header: said, Body: `{"code":99991672,"msg":"canary"}`}, "", channels.Auth},
		{"not in the message", channeltest.Answer{Status: 400, Header: said, Body: `{"code":234003,"msg":"File not in msg."}`}, "", channels.Permanent},
		{"too large", channeltest.Answer{Status: 400, Header: said, Body: `{"code":234037,"msg":"canary"}`}, "", channels.Permanent},
		{"too often", channeltest.Answer{Status: 400, Header: said, Body: `{"code":99991400,"msg":"canary"}`}, "", channels.Limited},
		{"refused as a success", channeltest.Answer{Header: said, Body: refused}, "", channels.Auth},
		{"a short file", channeltest.Answer{Header: said, Body: `{}`}, `{}`, ""},
		{"busy", channeltest.Answer{Status: 500, Body: "busy"}, "", channels.Retry},
	} {
		d, calls := by(t, &channeltest.Script{Answers: []channeltest.Answer{c.answer, {Body: "again"}}})
		got, err := d.Fetch(t.Context(), channeltest.Inbox, "om_1 image img_1")
		if channels.ClassOf(err) != c.class {
			t.Errorf("%s: %v, want class %q", c.name, err, c.class)
		}
		if err == nil {
			if b, err := io.ReadAll(got.Body); err != nil || string(b) != c.want || got.Name != "" {
				t.Errorf("%s: fetched %q called %q, %v", c.name, b, got.Name, err)
			}
		}
		if _, err := d.Fetch(t.Context(), channeltest.Inbox, "om_1 image img_1"); err != nil || (len(calls.Made) == 2) != (c.class == channels.Auth) {
			t.Errorf("%s: %v and %d tokens at the second attempt", c.name, err, len(calls.Made))
		}
	}
	if _, err := driver(t, nil).Fetch(t.Context(), channeltest.Inbox, "om_1"); channels.ClassOf(err) != channels.Permanent {
		t.Errorf("half a source: %v", err)
	}
}

// opus is an Ogg file with one second of sound.
func opus() string {
	page := func(granule uint64) string {
		return "OggS\x00\x02" + string(binary.LittleEndian.AppendUint64(nil, granule)) + strings.Repeat("\x00", 12) + "\x01\x13"
	}
	return page(0) + "OpusHead\x01\x01\x00\x00\x80\xbb\x00\x00\x00\x00\x00" + page(48_000)
}

func TestKindsOfFilesThatGo(t *testing.T) {
	for _, c := range []struct {
		typed, content string
		size           int64
		path, file     string // of the upload; no path = a link
		message        string
	}{
		{"image/png", "png", 0, pathImages, "", "image"},
		{"image/heic", "heic", 0, pathImages, "", "image"},
		{"image/svg+xml", "<svg", 0, pathFiles, "stream", "file"},
		{"audio/ogg", opus(), 0, pathFiles, "opus", "audio"},
		{"audio/ogg", "OggS and Vorbis", 0, pathFiles, "stream", "file"},
		{"video/mp4", "mp4", 0, pathFiles, "mp4", "media"},
		{"application/pdf", "%PDF", 0, pathFiles, "pdf", "file"},
		{"application/vnd.openxmlformats-officedocument.wordprocessingml.document", "PK", 0, pathFiles, "doc", "file"},
		{"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "PK", 0, pathFiles, "xls", "file"},
		{"application/vnd.openxmlformats-officedocument.presentationml.presentation", "PK", 0, pathFiles, "ppt", "file"},
		{"text/plain", "text", 0, pathFiles, "stream", "file"},
		{"image/png", strings.Repeat("x", 10<<20+1), 0, pathFiles, "stream", "file"},
		{"application/pdf", "", 30<<20 + 1, "", "", ""},
		{"image/png", "", 30<<20 + 1, "", "", ""},
	} {
		s := &channeltest.Script{Answers: []channeltest.Answer{
			{Body: `{"code":0,"data":{"file_key":"k_1","image_key":"k_1"}}`}, {Body: `{"code":0,"data":{"message_id":"om_9"}}`},
		}}
		d, _ := by(t, s)
		id, err := d.SendFile(t.Context(), channeltest.FilePart("oc_1", "a", c.typed, c.content, c.size))
		if c.path == "" {
			if !errors.Is(err, channels.ErrUseLink) || len(s.Made) != 0 {
				t.Errorf("%s of %d bytes: %v", c.typed, c.size, err)
			}
			continue
		}
		if err != nil || id != "om_9" || s.Made[0].Request.URL.Path != c.path {
			t.Errorf("%s: %q, %v by %s", c.typed, id, err, s.Where())
			continue
		}
		field, key, extra := "file", "file_key", "file_type"
		if c.path == pathImages {
			field, key, extra, c.file = "image", "image_key", "image_type", "message"
		}
		fields, _, _, content := channeltest.FormFile(t, s.Made[0], field)
		if content != c.content || fields[extra] != c.file || c.file == "opus" && fields["duration"] != "1000" {
			t.Errorf("%s: uploaded %d bytes with %v", c.typed, len(content), fields)
		}
		var got said
		if err := json.Unmarshal(s.Made[1].Body, &got); err != nil || got.Type != c.message || got.Content != `{"`+key+`":"k_1"}` || got.UUID != "msg_1-2-f1" {
			t.Errorf("%s: said %s", c.typed, s.Made[1].Body)
		}
	}
}

// A failed upload is worth another try; a message that may have been sent is one
// that Feishu drops when it comes again.
func TestFilesThatFail(t *testing.T) {
	uploaded := channeltest.Answer{Body: `{"code":0,"data":{"image_key":"k_1"}}`}
	code := func(code int) channeltest.Answer {
		return channeltest.Answer{Status: 400, Body: `{"code":` + strconv.Itoa(code) + `,"msg":"canary"}`}
	}
	for _, c := range []struct {
		name    string
		answers []channeltest.Answer
		want    channels.Class
		link    bool
	}{
		{"no scope", []channeltest.Answer{code(99991672)}, "", true},
		{"no picture", []channeltest.Answer{code(234011)}, "", true},
		{"too large", []channeltest.Answer{code(234006)}, "", true},
		{"token", []channeltest.Answer{code(99991663)}, channels.Auth, false},
		{"upload is unclear", []channeltest.Answer{{Status: 504}}, channels.Retry, false},
		{"upload says nothing", []channeltest.Answer{{Body: `{"code":0,"data":{}}`}}, channels.Retry, false},
		{"message is unclear", []channeltest.Answer{uploaded, {Status: 504}}, channels.Unknown, false},
		{"not in the chat", []channeltest.Answer{uploaded, code(230002)}, channels.Gone, false},
	} {
		d, _ := by(t, &channeltest.Script{Answers: c.answers})
		_, err := d.SendFile(t.Context(), channeltest.FilePart("oc_1", "a.png", "image/png", "png", 0))
		if c.link != errors.Is(err, channels.ErrUseLink) || !c.link && channels.ClassOf(err) != c.want {
			t.Errorf("%s: %v, want class %q, link %t", c.name, err, c.want, c.link)
		}
	}
}

func FuzzContent(f *testing.F) {
	for _, kind := range []string{"text", "post", "image", "file", "media", "sticker"} {
		f.Add(kind, `{"text":"x","image_key":"i","file_key":"f","file_name":"n","title":"t","content":[[{"tag":"img","image_key":"i"},{"tag":"text","text":"x"}]]}`)
	}
	f.Fuzz(func(t *testing.T, kind, content string) {
		m := message{ID: "om_1", Type: kind, Content: content}
		text, files, ok := m.read()
		if !ok && (text != "" && kind == "text" || len(files) > 0) {
			t.Errorf("%s: %q and %d files are left out", kind, text, len(files))
		}
		for _, f := range files {
			if of := strings.Split(f.Source, " "); len(of) != 3 || of[0] != "om_1" || of[2] == "" {
				t.Errorf("%s: the source is %q", kind, f.Source)
			}
		}
	})
}
