package dingtalk_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/channels/channeltest"
	"github.com/colloquyhq/colloquy/channels/dingtalk"
	"github.com/colloquyhq/colloquy/conversation"
)

const (
	secret    = "this is a secret"
	pathToken = "/v1.0/oauth2/accessToken"
	pathOne   = "/v1.0/robot/oToMessages/batchSend"
	pathGroup = "/v1.0/robot/groupMessages/send"
)

func driver(t testing.TB, rt http.RoundTripper) *dingtalk.Driver {
	t.Helper()
	tokens := &channeltest.Calls{Answers: map[string]string{pathToken: `{"accessToken":"t-1","expireIn":7200}`}, Rest: rt}
	d, err := dingtalk.New(channeltest.Options(tokens, map[string]string{"app_key": "dingue4kfzdxbynxxxxxx", "app_secret": secret}))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func sign(_ testing.TB, body []byte, at time.Time) channeltest.Delivery {
	ts := strconv.FormatInt(at.UnixMilli(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write([]byte(ts + "\n" + secret))
	h := http.Header{}
	h.Set("Timestamp", ts)
	h.Set("Sign", base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return channeltest.Delivery{Header: h, Body: body}
}

// body is the recorded shape of a message to the robot.
func body(t testing.TB, m channeltest.Message, more map[string]any) []byte {
	t.Helper()
	v := map[string]any{
		"conversationId": "ciddz7nmHDaX/7Niz+Gb5VVrw==", "chatbotUserId": "$:LWCP_v1:$I3cyfTzrws4nCbY289cXbKCVcdd1wize", "msgId": m.Ref,
		"senderNick": "Jioby", "isAdmin": false, "sessionWebhookExpiredTime": 1612178396066, "createAt": 1612172996026, "conversationType": "1",
		"senderId": "$:LWCP_v1:$deZJcSfMzexC2YK+oLkk1g==", "senderStaffId": m.Peer,
		"sessionWebhook": "https://oapi.dingtalk.com/robot/sendBySession?session=eb18", "msgtype": "text", "text": map[string]any{"content": " " + m.Text},
	}
	if m.Kind != "" {
		v["msgtype"] = m.Kind
		v["content"] = map[string]any{"downloadCode": "mIofN681YE3f/+m+NntqpTpOb"}
		delete(v, "text")
	}
	maps.Copy(v, more)
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func suite() channeltest.Suite {
	return channeltest.Suite{
		New: func(t testing.TB, rt http.RoundTripper) channels.Driver {
			t.Helper()
			return driver(t, rt)
		},
		Markdown: "Now or later (https://example.com/a_b), 2*3*4",
		Account:  channeltest.Inbox, Peer: "manager4220", Ref: func(i int) string { return "msgaKcioIqERkELm2T8TlE9C" + strconv.Itoa(10+i) },
		Features: channeltest.Features{Inbound: true, Clock: true, Unsupported: true, Outbound: true, Timeout: channels.Unknown},
		Pulled:   streamed(),
		Deliver: func(t testing.TB, m []channeltest.Message, at time.Time) channeltest.Delivery {
			t.Helper()
			return sign(t, body(t, m[0], nil), at)
		},
		Sign: sign, SignatureHeaders: []string{"Timestamp", "Sign"},
		Signed: func([]byte) (int, int) { return 0, 0 }, // it covers the time only
		Decode: decode, ClassOf: channels.StatusClass, Taken: `{"processQueryKey":"q1","invalidStaffIdList":[],"flowControlledStaffIdList":[]}`,
		Media: media(),
	}
}

type sent struct {
	Robot string   `json:"robotCode"`
	Users []string `json:"userIds"`
	Chat  string   `json:"openConversationId"`
	Key   string   `json:"msgKey"`
	Param string   `json:"msgParam"`
}

func decode(t testing.TB, r *http.Request, b []byte) channeltest.Sent {
	t.Helper()
	if r.URL.String() != "https://api.dingtalk.com"+pathOne || r.Header.Get("X-Acs-Dingtalk-Access-Token") != "t-1" {
		t.Errorf("called %s with %v", r.URL, r.Header)
	}
	var got sent
	var param struct {
		Content string `json:"content"`
	}
	if err := errors.Join(json.Unmarshal(b, &got), json.Unmarshal([]byte(got.Param), &param)); err != nil || got.Key != "sampleText" || len(got.Users) != 1 {
		t.Fatalf("got %s, %v", b, err)
	}
	return channeltest.Sent{Peer: got.Users[0], Text: param.Content}
}

func TestConformance(t *testing.T) { channeltest.Run(t, suite()) }

func FuzzReceive(f *testing.F) { channeltest.Fuzz(f, suite()) }

// What is written in a group is answered in the group.
func TestGroups(t *testing.T) {
	now := time.Now()
	d := sign(t, body(t, channeltest.Message{Peer: "m1", Ref: "1", Text: "hi"}, map[string]any{"conversationType": "2"}), now)
	events, _, err := driver(t, nil).Receive(t.Context(), channels.Request{Header: d.Header, Account: channeltest.Inbox, At: now}, d.Body)
	if err != nil || len(events) != 1 || events[0].Peer != "group:ciddz7nmHDaX/7Niz+Gb5VVrw==" || events[0].Text != "hi" {
		t.Fatalf("Receive = %+v, %v", events, err)
	}
	calls := &channeltest.Calls{Answers: map[string]string{pathGroup: `{"processQueryKey":"q7"}`}}
	id, err := driver(t, calls).Send(t.Context(), channels.Part{Outbound: conversation.Outbound{Inbox: channeltest.Inbox, Peer: events[0].Peer, Text: "x"}})
	var got sent
	if jsonErr := json.Unmarshal([]byte(calls.Made[0].Body), &got); err != nil || jsonErr != nil || id != "q7" || got.Chat != "ciddz7nmHDaX/7Niz+Gb5VVrw==" || got.Users != nil || got.Robot != "dingue4kfzdxbynxxxxxx" {
		t.Errorf("Send = %q, %v with %s", id, err, calls.Made[0].Body)
	}
	nobody := sign(t, body(t, channeltest.Message{Ref: "1", Text: "hi"}, nil), now)
	if events, _, err := driver(t, nil).Receive(t.Context(), channels.Request{Header: nobody.Header, Account: channeltest.Inbox, At: now}, nobody.Body); err != nil || len(events) != 1 || string(events[0].Unreadable) != string(nobody.Body) {
		t.Errorf("of nobody: %+v, %v", events, err)
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		want   channels.Class
	}{
		{403, `{"code":"Forbidden.AccessDenied.QpsLimitForApi","message":"canary"}`, channels.Limited},
		{400, `{"code":"InvalidAuthentication","message":"canary"}`, channels.Auth},
		{400, `{"code":"staffId.notExisted","message":"canary"}`, channels.Gone},
		{400, `{"code":"miss.param","message":"canary"}`, channels.Permanent},
		{200, `{"processQueryKey":"q","invalidStaffIdList":["m1"]}`, channels.Gone},
		{200, `{"processQueryKey":"q","flowControlledStaffIdList":["m1"]}`, channels.Limited},
		{200, `rubbish`, channels.Unknown},
	} {
		d := driver(t, &channeltest.Calls{Answers: map[string]string{pathOne: c.body}, Status: c.status})
		_, err := d.Send(t.Context(), channels.Part{Outbound: conversation.Outbound{Inbox: channeltest.Inbox, Peer: "m1", Text: "x"}})
		if got := channels.ClassOf(err); got != c.want {
			t.Errorf("%d %s: class %s, want %s", c.status, c.body, got, c.want)
		}
	}
}
