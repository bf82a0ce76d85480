package wechat_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/channels/channeltest"
	"github.com/colloquyhq/colloquy/channels/wechat"
	"github.com/colloquyhq/colloquy/channels/wxcrypt"
	"github.com/colloquyhq/colloquy/conversation"
)

// The account of the provider's sample program.
const (
	inbox  = "shop"
	appID  = "wx2c2769f8efd9abc2"
	token  = "spamtest"
	aesKey = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
)

func plain() map[string]string {
	return map[string]string{"app_id": appID, "app_secret": "appsecret", "token": token}
}

func safe() map[string]string {
	v := plain()
	v["aes_key"] = aesKey
	return v
}

func driver(t testing.TB, rt http.RoundTripper, values map[string]string) *wechat.Driver {
	t.Helper()
	d, err := wechat.New(channels.ProviderOptions{
		Client: &http.Client{Transport: rt},
		Accounts: func(_ context.Context, id conversation.InboxID) (channels.Account, error) {
			if id != inbox {
				return channels.Account{}, conversation.Refuse(conversation.CodeNotFound, "no such inbox")
			}
			return channels.NewAccount("1", values), nil
		},
	})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return d
}

// withTokens hands out access tokens and leaves the rest to the provider.
type withTokens struct {
	http.RoundTripper

	asked []string // what was asked for tokens
}

func (w *withTokens) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Path != "/cgi-bin/stable_token" {
		return w.RoundTripper.RoundTrip(r)
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	w.asked = append(w.asked, string(b))
	return answer(r, fmt.Sprintf(`{"access_token":"T%d","expires_in":7200}`, len(w.asked))), nil
}

func answer(r *http.Request, body string) *http.Response {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}
}

func query(at time.Time, encrypted string) url.Values {
	ts := strconv.FormatInt(at.Unix(), 10)
	q := url.Values{"timestamp": {ts}, "nonce": {"1320562132"}, "signature": {wxcrypt.Signature(token, ts, "1320562132")}}
	if encrypted != "" {
		q.Set("encrypt_type", "aes")
		q.Set("msg_signature", wxcrypt.Signature(token, ts, "1320562132", encrypted))
	}
	return q
}

// message is the recorded shape of a message.
func message(m channeltest.Message) []byte {
	var b bytes.Buffer
	kind := m.Kind
	if kind == "" {
		kind = "text"
	}
	_, _ = fmt.Fprintf(&b, "<xml><ToUserName><![CDATA[gh_10f6c3c3ac5a]]></ToUserName>\n<FromUserName><![CDATA[%s]]></FromUserName>\n"+
		"<CreateTime>1409735668</CreateTime>\n<MsgType><![CDATA[%s]]></MsgType>\n", m.Peer, kind)
	if m.Kind == "" {
		_, _ = fmt.Fprintf(&b, "<Content><![CDATA[%s]]></Content>\n", m.Text)
	}
	_, _ = fmt.Fprintf(&b, "<MsgId>%s</MsgId>\n</xml>", m.Ref)
	return b.Bytes()
}

func signPlain(_ testing.TB, body []byte, at time.Time) channeltest.Delivery {
	return channeltest.Delivery{Query: query(at, ""), Body: body}
}

func signSafe(t testing.TB, body []byte, at time.Time) channeltest.Delivery {
	t.Helper()
	c, err := wxcrypt.New(aesKey, appID)
	if err != nil {
		t.Fatal(err)
	}
	encrypted := c.Encrypt(body)
	return channeltest.Delivery{
		Query: query(at, encrypted),
		Body:  []byte("<xml><ToUserName><![CDATA[gh_10f6c3c3ac5a]]></ToUserName><Encrypt><![CDATA[" + encrypted + "]]></Encrypt></xml>"),
	}
}

func suite(values map[string]string, sign func(testing.TB, []byte, time.Time) channeltest.Delivery) channeltest.Suite {
	return channeltest.Suite{
		New: func(t testing.TB, rt http.RoundTripper) channels.Driver {
			t.Helper()
			return driver(t, &withTokens{RoundTripper: rt}, values)
		},
		Markdown: "Now or later (https://example.com/a_b), 2*3*4",
		Account:  inbox, Peer: "oyORnuP8q7ou2gfYjqLzSIWZf0rs", Ref: func(i int) string { return strconv.Itoa(60547685900 + i) },
		Features: channeltest.Features{Inbound: true, Clock: true, Unsupported: true, Outbound: true, Timeout: channels.Unknown},
		Deliver: func(t testing.TB, m []channeltest.Message, at time.Time) channeltest.Delivery {
			t.Helper()
			return sign(t, message(m[0]), at)
		},
		Sign: sign, SignatureQuery: []string{"signature", "timestamp", "nonce"},
		Signed: func(body []byte) (int, int) { // in plain mode none
			from, to := bytes.Index(body, []byte("<Encrypt><![CDATA[")), bytes.Index(body, []byte("]]></Encrypt>"))
			if from < 0 {
				return 0, 0
			}
			return from + len("<Encrypt><![CDATA["), to
		},
		Decode: decode, ClassOf: channels.StatusClass, Taken: `{"errcode":0,"errmsg":"ok"}`, Media: media(sign),
	}
}

func decode(t testing.TB, r *http.Request, b []byte) channeltest.Sent {
	t.Helper()
	if got := r.URL.String(); got != "https://api.weixin.qq.com/cgi-bin/message/custom/send?access_token=T1" {
		t.Errorf("called %s", got)
	}
	var got struct {
		To   string `json:"touser"`
		Type string `json:"msgtype"`
		Text struct {
			Content string `json:"content"`
		} `json:"text"`
	}
	if err := json.Unmarshal(b, &got); err != nil || got.Type != "text" {
		t.Fatalf("got %s, %v", b, err)
	}
	if bytes.Contains(b, []byte(`\u003c`)) {
		t.Error("< is escaped, which WeChat shows as it is")
	}
	return channeltest.Sent{Peer: got.To, Text: got.Text.Content}
}

func TestConformancePlain(t *testing.T) { channeltest.Run(t, suite(plain(), signPlain)) }

func TestConformanceSafe(t *testing.T) {
	s := suite(safe(), signSafe)
	s.SignatureQuery = append(s.SignatureQuery, "msg_signature")
	channeltest.Run(t, s)
}

func FuzzReceivePlain(f *testing.F) { channeltest.Fuzz(f, suite(plain(), signPlain)) }

func FuzzReceiveSafe(f *testing.F) { channeltest.Fuzz(f, suite(safe(), signSafe)) }

// receive makes a delivery to the driver alone.
func receive(t *testing.T, values map[string]string, d channeltest.Delivery, at time.Time) ([]channels.Event, channels.Ack, error) {
	t.Helper()
	method := d.Method
	if method == "" {
		method = http.MethodPost
	}
	return driver(t, nil, values).Receive(t.Context(), channels.Request{Method: method, Query: d.Query, Account: inbox, At: at}, d.Body)
}

// The sample message of the provider's own program.
func TestVector(t *testing.T) {
	at := time.Unix(1409735669, 0)
	const encrypted = "hyzAe4OzmOMbd6TvGdIOO6uBmdJoD0Fk53REIHvxYtJlE2B655HuD0m8KUePWB3+LrPXo87wzQ1QLvbeUgmBM4x6F8PGHQHFVAFmOD2LdJF9FrXpbUAh0B5GIItb52sn896wVsMSHGuPE328HnRGBcrS7C41IzDWyWNlZkyyXwon8T332jisa+h6tEDYsVticbSnyU8dKOIbgU6ux5VTjg3yt+WGzjlpKn6NPhRjpA912xMezR4kw6KWwMrCVKSVCZciVGCgavjIQ6X8tCOp3yZbGpy0VxpAe+77TszTfRd5RJSVO/HTnifJpXgCSUdUue1v6h0EIBYYI1BD1DlD+C0CR8e6OewpusjZ4uBl9FyJvnhvQl+q5rv1ixrcpCumEPo5MJSgM9ehVsNPfUM669WuMyVWQLCzpu9GhglF2PE="
	q := query(at, "")
	q.Set("msg_signature", "5d197aaffba7e9b25a30732f161a50dee96bd5fa")
	body := "<xml><ToUserName><![CDATA[gh_10f6c3c3ac5a]]></ToUserName><Encrypt><![CDATA[" + encrypted + "]]></Encrypt></xml>"
	events, _, err := receive(t, safe(), channeltest.Delivery{Query: q, Body: []byte(body)}, at)
	if err != nil || len(events) != 1 {
		t.Fatalf("Receive = %v, %v", events, err)
	}
	if e := events[0]; e.Peer != "oyORnuP8q7ou2gfYjqLzSIWZf0rs" || e.Ref != "6054768590064713728" || e.Text != "abcdteT" {
		t.Errorf("Receive = %+v, text %q", e, string(e.Text))
	}
}

func TestAddressIsVerified(t *testing.T) {
	now := time.Now()
	q := query(now, "")
	q.Set("echostr", "5448455673471530827")
	events, ack, err := receive(t, plain(), channeltest.Delivery{Method: http.MethodGet, Query: q}, now)
	if err != nil || len(events) != 0 || string(ack.Body) != "5448455673471530827" || ack.Type != "text/plain" {
		t.Errorf("Receive = %v, %+v, %v", events, ack, err)
	}
	q.Set("signature", strings.Repeat("0", 40))
	if _, _, err := receive(t, plain(), channeltest.Delivery{Method: http.MethodGet, Query: q}, now); !errors.Is(err, conversation.ErrUnauthenticated) {
		t.Errorf("Receive error = %v, want unauthenticated", err)
	}
}

// The bot's reply rides on the answer: from the account to the visitor, sealed
// in safe mode.
func TestReplyRidesOnTheAnswer(t *testing.T) {
	now := time.Now()
	m := channeltest.Message{Peer: "openid-1", Ref: "1", Text: "hi"}
	replied := []channels.Outcome{{Receipt: conversation.Receipt{Replies: []conversation.Message{
		{Text: "a < b ]]> **你好**"}, {Text: "Which?", Buttons: []conversation.Button{{Label: "One", Text: "one"}}},
	}}}}
	type reply struct {
		To      string `xml:"ToUserName"`
		From    string `xml:"FromUserName"`
		Type    string `xml:"MsgType"`
		Content string `xml:"Content"`
		Encrypt string
		Sign    string `xml:"MsgSignature"`
		Time    string `xml:"TimeStamp"`
		Nonce   string
	}
	want := reply{To: "openid-1", From: "gh_10f6c3c3ac5a", Type: "text", Content: "a < b ]]> 你好\nWhich?\n• One"}
	read := func(b []byte) (r reply) {
		t.Helper()
		if err := xml.Unmarshal(b, &r); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		return r
	}

	_, ack, err := receive(t, plain(), signPlain(t, message(m), now), now)
	if err != nil || ack.Wait <= 0 || ack.Wait >= 5*time.Second {
		t.Fatalf("Receive = %+v, %v", ack, err)
	}
	if got := read(ack.Compose(replied).Body); got != want {
		t.Errorf("the answer is %+v, want %+v", got, want)
	}
	if got := ack.Compose([]channels.Outcome{{}}); string(got.Body) != "success" {
		t.Errorf("without a reply the answer is %s", got.Body)
	}
	long := []channels.Outcome{{Receipt: conversation.Receipt{Replies: []conversation.Message{{Text: conversation.Text(strings.Repeat("长", 3000))}}}}}
	if got := read(ack.Compose(long).Body).Content; len(got) > 2048 || len(got) < 2000 {
		t.Errorf("a long reply has %d bytes", len(got))
	}

	_, ack, err = receive(t, safe(), signSafe(t, message(m), now), now)
	if err != nil {
		t.Fatal(err)
	}
	sealed := read(ack.Compose(replied).Body)
	if !wxcrypt.Signed(sealed.Sign, token, sealed.Time, sealed.Nonce, sealed.Encrypt) {
		t.Errorf("the answer %+v is not signed", sealed)
	}
	c, err := wxcrypt.New(aesKey, appID)
	if err != nil {
		t.Fatal(err)
	}
	b, err := c.Decrypt(sealed.Encrypt)
	if err != nil || read(b) != want {
		t.Errorf("the answer holds %s, %v", b, err)
	}

	off := plain()
	off["passive"] = "off"
	if _, ack, err := receive(t, off, signPlain(t, message(m), now), now); err != nil || ack.Wait != 0 || ack.Compose != nil {
		t.Errorf("with passive off: %+v, %v", ack, err)
	}
}

func TestEvents(t *testing.T) {
	now := time.Now()
	event := func(name, key string) channeltest.Delivery {
		return signPlain(t, []byte("<xml><ToUserName>gh</ToUserName><FromUserName>o1</FromUserName><CreateTime>123456789</CreateTime>"+
			"<MsgType>event</MsgType><Event>"+name+"</Event><EventKey>"+key+"</EventKey></xml>"), now)
	}
	for _, name := range []string{"subscribe", "unsubscribe", "LOCATION", "VIEW", "TEMPLATESENDJOBFINISH"} {
		if events, ack, err := receive(t, plain(), event(name, "x"), now); err != nil || len(events) != 0 || string(ack.Body) != "success" {
			t.Errorf("%s: %v, %s, %v, want no event and success", name, events, ack.Body, err)
		}
	}
	one, _, err := receive(t, plain(), event("CLICK", "prices"), now)
	if err != nil || len(one) != 1 || one[0].Text != "prices" || one[0].Ref == "" {
		t.Fatalf("a press on the menu gives %+v, %v", one, err)
	}
	again, _, _ := receive(t, plain(), event("CLICK", "prices"), now)
	other, _, _ := receive(t, plain(), event("CLICK", "hours"), now)
	if again[0].Ref != one[0].Ref || other[0].Ref == one[0].Ref {
		t.Errorf("refs %q, %q repeated, %q of another", one[0].Ref, again[0].Ref, other[0].Ref)
	}
	nobody := signPlain(t, []byte("<xml><MsgType>text</MsgType><Content>hello</Content><MsgId>1</MsgId></xml>"), now)
	got, ack, err := receive(t, plain(), nobody, now)
	if err != nil || len(got) != 1 || ack.Compose != nil {
		t.Fatalf("a message of nobody gives %+v, %v", got, err)
	}
	var kept string
	if err := json.Unmarshal(got[0].Unreadable, &kept); err != nil || kept != string(nobody.Body) {
		t.Errorf("of a message of nobody %s is kept, %v", got[0].Unreadable, err)
	}
	voice := signPlain(t, []byte("<xml><FromUserName>o1</FromUserName><MsgType>voice</MsgType><Recognition>腾讯</Recognition><MsgId>1</MsgId></xml>"), now)
	if e, _, err := receive(t, plain(), voice, now); err != nil || e[0].Text != "腾讯" || e[0].Unsupported != "voice" || e[0].Metadata[channels.MetadataRaw] == "" {
		t.Errorf("a voice message gives %+v, %v", e, err)
	}
}

// scripted answers sends one after the other.
type scripted struct {
	answers []string
	tokens  []string // that came
}

func (s *scripted) RoundTrip(r *http.Request) (*http.Response, error) {
	s.tokens = append(s.tokens, r.URL.Query().Get("access_token"))
	a := s.answers[0]
	s.answers = s.answers[1:]
	return answer(r, a), nil
}

func send(t *testing.T, d *wechat.Driver) *channels.SendError {
	t.Helper()
	_, err := d.Send(t.Context(), channels.Part{Outbound: conversation.Outbound{Inbox: inbox, Peer: "o1", Text: "x"}})
	if err == nil {
		return nil
	}
	var e *channels.SendError
	if !errors.As(err, &e) {
		t.Fatalf("Send error = %v", err)
	}
	return e
}

// The codes are those of the provider's tables.
func TestErrorCodes(t *testing.T) {
	for code, want := range map[int]channels.Class{
		-1: channels.Retry, 40001: channels.Auth, 42001: channels.Auth, 40014: channels.Auth, 45009: channels.Limited, 45011: channels.Limited,
		45015: channels.WindowClosed, 45047: channels.WindowClosed, 40003: channels.Gone, 43004: channels.Gone, 48001: channels.Permanent,
		45002: channels.Permanent, 99999: channels.Permanent,
	} {
		s := &scripted{answers: []string{fmt.Sprintf(`{"errcode":%d,"errmsg":"canary"}`, code)}}
		if got := send(t, driver(t, &withTokens{RoundTripper: s}, plain())); got == nil || got.Class != want || got.Code != "errcode_"+strconv.Itoa(code) {
			t.Errorf("code %d: %+v, want class %s", code, got, want)
		}
	}
}

// A token is kept, and when it is refused the next one is got by force.
func TestTokens(t *testing.T) {
	s := &scripted{answers: []string{`{"errcode":0}`, `{"errcode":40001}`, `{"errcode":0}`}}
	w := &withTokens{RoundTripper: s}
	d := driver(t, w, plain())
	for i, want := range []channels.Class{"", channels.Auth, ""} {
		if got := send(t, d); (got == nil) != (want == "") || got != nil && got.Class != want {
			t.Errorf("send %d: %+v, want %q", i, got, want)
		}
	}
	if got := strings.Join(s.tokens, ","); got != "T1,T1,T2" {
		t.Errorf("sent with the tokens %s, want the first twice and then the second", got)
	}
	const asked = `{"appid":"wx2c2769f8efd9abc2","force_refresh":%t,"grant_type":"client_credential","secret":"appsecret"}`
	if want := []string{fmt.Sprintf(asked, false), fmt.Sprintf(asked, true)}; strings.Join(w.asked, "\n") != strings.Join(want, "\n") {
		t.Errorf("asked for tokens with %s, want %s", w.asked, want)
	}
	none := plain()
	delete(none, "app_secret")
	if got := send(t, driver(t, s, none)); got == nil || got.Code != "no_app_secret" || got.Class != channels.Permanent {
		t.Errorf("without a secret: %+v", got)
	}
}
