package wecom_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/channels/channeltest"
	"github.com/colloquyhq/colloquy/channels/wecom"
	"github.com/colloquyhq/colloquy/channels/wxcrypt"
	"github.com/colloquyhq/colloquy/conversation"
)

// The account of the provider's sample program.
const (
	inbox  = "shop"
	corp   = "wx5823bf96d3bd56c7"
	token  = "QDG6eK"
	aesKey = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"
	desk   = "wkxxxxxx"
	echo   = "P9nAzCzyDtyTWESHep1vC5X9xho/qYX3Zpb4yKa9SKld1DsH3Iyt3tP3zNdtp+4RPcs8TgAE7OaBO+FZXvnaqQ=="
)

func driver(t testing.TB, rt http.RoundTripper) *wecom.Driver {
	t.Helper()
	d, err := wecom.New(channels.ProviderOptions{
		Client: &http.Client{Transport: rt},
		Accounts: func(_ context.Context, id conversation.InboxID) (channels.Account, error) {
			if id != inbox {
				return channels.Account{}, conversation.Refuse(conversation.CodeNotFound, "no such inbox")
			}
			return channels.NewAccount("1", map[string]string{
				"corp_id": corp, "secret": "s3cret", "token": token, "aes_key": aesKey, "open_kfid": desk,
			}), nil
		},
	})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return d
}

func answer(r *http.Request, body string) *http.Response {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}
}

// withTokens hands out access tokens and leaves the rest to the provider.
type withTokens struct {
	http.RoundTripper

	t testing.TB
	n int
}

func (w *withTokens) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Path != "/cgi-bin/gettoken" {
		return w.RoundTripper.RoundTrip(r)
	}
	if got := r.Method + " " + r.URL.RawQuery; got != "GET corpid="+corp+"&corpsecret=s3cret" {
		w.t.Errorf("asked for a token with %s", got)
	}
	w.n++
	return answer(r, fmt.Sprintf(`{"errcode":0,"errmsg":"ok","access_token":"T%d","expires_in":7200}`, w.n)), nil
}

func sign(t testing.TB, body []byte, at time.Time) channeltest.Delivery {
	t.Helper()
	c, err := wxcrypt.New(aesKey, corp)
	if err != nil {
		t.Fatal(err)
	}
	encrypted, ts := c.Encrypt(body), strconv.FormatInt(at.Unix(), 10)
	return channeltest.Delivery{
		Query: url.Values{"timestamp": {ts}, "nonce": {"263014780"}, "msg_signature": {wxcrypt.Signature(token, ts, "263014780", encrypted)}},
		Body:  []byte("<xml><ToUserName><![CDATA[" + corp + "]]></ToUserName><Encrypt><![CDATA[" + encrypted + "]]></Encrypt><AgentID><![CDATA[218]]></AgentID></xml>"),
	}
}

func suite() channeltest.Suite {
	return channeltest.Suite{
		New: func(t testing.TB, rt http.RoundTripper) channels.Driver {
			t.Helper()
			return driver(t, &withTokens{t: t, RoundTripper: withMessage{rt}})
		},
		Markdown: "Now or later (https://example.com/a_b), 2*3*4",
		Account:  inbox, Peer: "wmxxxxxx", Ref: func(i int) string { return "m" + strconv.Itoa(i) },
		// Deliveries carry no messages, but have them fetched.
		Features: channeltest.Features{Outbound: true, Timeout: channels.Unknown},
		Pulled: &channeltest.Pulled{Provider: messagesFor, New: func(t testing.TB, rt http.RoundTripper) channels.Driver {
			t.Helper()
			return driver(t, &withTokens{t: t, RoundTripper: rt})
		}},
		Sign: sign, Decode: decode, ClassOf: channels.StatusClass, Taken: `{"errcode":0,"errmsg":"ok","msgid":"m1"}`, Media: media(),
	}
}

func decode(t testing.TB, r *http.Request, b []byte) channeltest.Sent {
	t.Helper()
	if got := r.URL.String(); got != "https://qyapi.weixin.qq.com/cgi-bin/kf/send_msg?access_token=T1" {
		t.Errorf("called %s", got)
	}
	var got struct {
		To   string `json:"touser"`
		Desk string `json:"open_kfid"`
		ID   string `json:"msgid"`
		Type string `json:"msgtype"`
		Text struct {
			Content string `json:"content"`
		} `json:"text"`
	}
	if err := json.Unmarshal(b, &got); err != nil || got.Type != "text" || got.Desk != desk || !regexp.MustCompile(`^[0-9A-Za-z_-]{1,32}$`).MatchString(got.ID) {
		t.Fatalf("got %s, %v", b, err)
	}
	return channeltest.Sent{Peer: got.To, Text: got.Text.Content}
}

func TestConformance(t *testing.T) { channeltest.Run(t, suite()) }

func FuzzReceive(f *testing.F) { channeltest.Fuzz(f, suite()) }

// The check of the address in the provider's sample program.
func TestAddressIsVerified(t *testing.T) {
	q := url.Values{"msg_signature": {"5c45ff5e21c57e6ad56bac8758b79b1d9ac89fd3"}, "timestamp": {"1409659589"}, "nonce": {"263014780"}, "echostr": {echo}}
	r := channels.Request{Method: http.MethodGet, Query: q, Account: inbox, At: time.Unix(1409659600, 0)}
	_, ack, err := driver(t, nil).Receive(t.Context(), r, nil)
	if err != nil || string(ack.Body) != "1616140317555161061" {
		t.Errorf("Receive = %s, %v", ack.Body, err)
	}
	r.At = r.At.Add(time.Hour)
	if _, _, err := driver(t, nil).Receive(t.Context(), r, nil); !errors.Is(err, conversation.ErrUnauthenticated) {
		t.Errorf("an hour later: %v, want unauthenticated", err)
	}
}

func notice(desk string) []byte {
	return []byte("<xml><ToUserName><![CDATA[" + corp + "]]></ToUserName><CreateTime>1348831860</CreateTime><MsgType><![CDATA[event]]></MsgType>" +
		"<Event><![CDATA[kf_msg_or_event]]></Event><Token><![CDATA[ENCApHxnGDNAVNY4AaSJKj4Tb5mwsEMzxhFmHVGcra996NR]]></Token>" +
		"<OpenKfId><![CDATA[" + desk + "]]></OpenKfId></xml>")
}

func TestNoBitOfANoticeMayChange(t *testing.T) {
	now := time.Now()
	good := sign(t, notice(desk), now)
	receive := func(q url.Values, body []byte) error {
		_, _, err := driver(t, nil).Receive(t.Context(), channels.Request{Method: http.MethodPost, Query: q, Account: inbox, At: now}, body)
		return err
	}
	if err := receive(good.Query, good.Body); err != nil {
		t.Fatalf("Receive: %v", err)
	}
	for name := range good.Query {
		for i := range len(good.Query.Get(name)) * 8 {
			v := []byte(good.Query.Get(name))
			v[i/8] ^= 1 << (i % 8)
			q := url.Values{}
			for k := range good.Query {
				q.Set(k, good.Query.Get(k))
			}
			q.Set(name, string(v))
			if err := receive(q, good.Body); !errors.Is(err, conversation.ErrUnauthenticated) {
				t.Errorf("%s with bit %d flipped: %v", name, i, err)
			}
		}
	}
	from, to := strings.Index(string(good.Body), "<Encrypt>")+18, strings.Index(string(good.Body), "]]></Encrypt>")
	for i := from * 8; i < to*8; i++ {
		b := []byte(string(good.Body))
		b[i/8] ^= 1 << (i % 8)
		if err := receive(good.Query, b); !errors.Is(err, conversation.ErrUnauthenticated) {
			t.Errorf("body with bit %d flipped: %v", i, err)
		}
	}
	if _, ack, err := driver(t, nil).Receive(t.Context(), channels.Request{Method: http.MethodPost, Query: sign(t, notice("wkother"), now).Query, Account: inbox, At: now},
		sign(t, notice("wkother"), now).Body); err == nil && ack.Pull != "" {
		t.Error("a notice for another desk is followed")
	}
}

// list is a provider with messages; the cursor counts them.
type list struct {
	t    testing.TB
	size int // of an answer

	mu struct {
		sync.Mutex
		messages []string
		hints    []string
	}
}

func (l *list) RoundTrip(r *http.Request) (*http.Response, error) {
	var ask struct {
		Cursor string `json:"cursor"`
		Token  string `json:"token"`
		Limit  int    `json:"limit"`
		Desk   string `json:"open_kfid"`
	}
	if err := json.NewDecoder(r.Body).Decode(&ask); err != nil || ask.Limit != 1000 || ask.Desk != desk || r.URL.Path != "/cgi-bin/kf/sync_msg" {
		l.t.Errorf("%s with %+v, %v", r.URL.Path, ask, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.hints = append(l.mu.hints, ask.Token)
	from, _ := strconv.Atoi(ask.Cursor)
	to := min(from+l.size, len(l.mu.messages))
	more := 0
	if to < len(l.mu.messages) {
		more = 1
	}
	return answer(r, fmt.Sprintf(`{"errcode":0,"errmsg":"ok","next_cursor":"%d","has_more":%d,"msg_list":[%s]}`,
		to, more, strings.Join(l.mu.messages[from:to], ","))), nil
}

func messagesFor(t testing.TB, messages []channeltest.Message) http.RoundTripper {
	t.Helper()
	l := &list{t: t, size: 50}
	for _, m := range messages {
		what := fmt.Sprintf(`"msgtype":"text","text":{"content":%q}`, m.Text)
		if m.Kind != "" {
			what = fmt.Sprintf(`"msgtype":%q,%q:{}`, m.Kind, m.Kind)
		}
		l.mu.messages = append(l.mu.messages, message(m.Ref, 3, what))
	}
	return l
}

func message(id string, origin int, more string) string {
	return fmt.Sprintf(`{"msgid":%q,"open_kfid":%q,"external_userid":"wmxxxxxx","send_time":1615478585,"origin":%d,%s}`, id, desk, origin, more)
}

// Notices that come together have everything fetched that is there, in order and
// once, before they are answered; the next one goes on from there.
func TestNoticesHaveMessagesFetched(t *testing.T) {
	l := &list{t: t, size: 2}
	l.mu.messages = []string{
		message("m1", 3, `"msgtype":"text","text":{"content":"hello world"}`),
		message("e1", 4, `"msgtype":"event","event":{"event_type":"enter_session"}`),
		message("d1", 5, `"msgtype":"text","text":{"content":"from the desk"}`),
		message("m2", 3, `"msgtype":"location","location":{"latitude":23.106021881103516,"longitude":113.320503234863,"name":"广州国际媒体港"}`),
		`{"msgid":"x","open_kfid":"wkother","external_userid":"wm","origin":3,"msgtype":"text","text":{"content":"to another desk"}}`,
		message("m3", 3, `"msgtype":"text","text":{"content":"are you there"}`),
	}
	d := driver(t, &withTokens{t: t, RoundTripper: l})
	var mu sync.Mutex
	var stored []conversation.Inbound
	seen := map[conversation.Ref]bool{}
	registry, err := channels.NewRegistry(channels.Options{
		Drivers: map[conversation.ChannelKind]channels.Driver{d.Kind(): d},
		Inbox:   func(id conversation.InboxID) (conversation.Inbox, error) { return conversation.Inbox{ID: id}, nil },
		Deliver: func(_ context.Context, in conversation.Inbound) (conversation.Receipt, error) {
			mu.Lock()
			defer mu.Unlock()
			if !seen[in.Ref] {
				stored = append(stored, in)
			}
			seen[in.Ref] = true
			return conversation.Receipt{Seq: 1}, nil
		},
		Contact: func(conversation.InboxID, conversation.ChannelKind, string) conversation.ContactID {
			return conversation.ContactID{1}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	c, ok := registry.For(d.Kind(), inbox)
	if !ok {
		t.Fatal("For found nothing")
	}
	announce := func() {
		n := sign(t, notice(desk), time.Now())
		rec := httptest.NewRecorder()
		c.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/in?"+n.Query.Encode(), strings.NewReader(string(n.Body))))
		if rec.Code != http.StatusOK || rec.Body.String() != "success" {
			t.Errorf("status %d: %s", rec.Code, rec.Body)
		}
	}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(announce)
	}
	wg.Wait()
	var texts []string
	for _, in := range stored {
		texts = append(texts, string(in.Ref)+"="+string(in.Text))
	}
	if got := strings.Join(texts, " | "); got != "m1=hello world | m2=[location] | m3=are you there" {
		t.Errorf("stored %s", got)
	}
	if stored[1].Metadata[channels.MetadataUnsupported] != "location" || !strings.Contains(stored[1].Metadata[channels.MetadataRaw], "23.106021881103516") {
		t.Errorf("a place is kept as %v", stored[1].Metadata)
	}
	l.mu.Lock()
	if l.mu.hints[0] != "ENCApHxnGDNAVNY4AaSJKj4Tb5mwsEMzxhFmHVGcra996NR" {
		t.Errorf("fetched with the token %q", l.mu.hints[0])
	}
	l.mu.messages = append(l.mu.messages, message("m4", 3, `"msgtype":"text","text":{"content":"thanks"}`))
	l.mu.Unlock()
	announce()
	if len(stored) != 4 || stored[3].Text != "thanks" {
		t.Errorf("%d messages stored after the next notice, want 4", len(stored))
	}
}

type fixed string

func (f fixed) RoundTrip(r *http.Request) (*http.Response, error) { return answer(r, string(f)), nil }

func TestErrorCodes(t *testing.T) {
	for code, want := range map[string]channels.Class{
		`{"errcode":-1}`: channels.Retry, `{"errcode":42001}`: channels.Auth, `{"errcode":60020}`: channels.Auth, `{"errcode":45009}`: channels.Limited,
		`{"errcode":95001}`: channels.WindowClosed, `{"errcode":95002}`: channels.WindowClosed, `{"errcode":40003}`: channels.Gone,
		`{"errcode":95018}`: channels.Permanent, `{}`: channels.Unknown, `{"errcode":0,"msgid":5}`: channels.Unknown,
	} {
		d := driver(t, &withTokens{t: t, RoundTripper: fixed(code)})
		_, err := d.Send(t.Context(), channels.Part{Outbound: conversation.Outbound{Inbox: inbox, Peer: "wm", Text: "x"}})
		if got := channels.ClassOf(err); got != want {
			t.Errorf("%s: class %s, want %s", code, got, want)
		}
	}
	refused := driver(t, fixed(`{"errcode":40001,"errmsg":"invalid credential"}`))
	if _, err := refused.Check(t.Context(), inbox); channels.ClassOf(err) != channels.Auth {
		t.Errorf("Check with a wrong secret = %v", err)
	}
}
