// Package dingtalk is the driver for robots of DingTalk's enterprise apps. What is
// written to the robot comes through a connection that the driver opens (stream
// mode, which needs no public address), or is posted by DingTalk (HTTP mode); the
// answers go out by the robot's interface.
//
// Source: https://open.dingtalk.com/document/orgapp/robot-overview.
package dingtalk

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

const (
	headerTime  = "Timestamp"
	headerSign  = "Sign"
	headerToken = "X-Acs-Dingtalk-Access-Token" //nolint:gosec // the name of a header
	defaultAPI  = "https://api.dingtalk.com"
	maxText     = 6000 // bytes
	skew        = 5 * time.Minute
	groupPrefix = "group:"
	typeGroup   = "2"
)

// The settings of an account.
const (
	settingKey    = "app_key"
	settingSecret = "app_secret"
	settingRobot  = "robot_code"
	settingMode   = "mode"
	settingAPI    = "api_url"

	modeStream = "stream"
)

// Driver implements [channels.Driver], [channels.Media], [channels.Puller] and
// [channels.Configurable].
type Driver struct {
	*channels.Provider

	streams streams
}

// New makes a driver.
func New(o channels.ProviderOptions) (*Driver, error) {
	p, err := channels.NewProvider(o)
	return &Driver{Provider: p}, err
}

// Kind implements [channels.Driver].
func (d *Driver) Kind() conversation.ChannelKind { return conversation.ChannelDingTalk }

// Limits implements [channels.Driver].
func (d *Driver) Limits() channels.Limits {
	return channels.Limits{MaxText: maxText, Unit: channels.UnitBytes, Dialect: channels.DialectPlain, Account: channels.Rate{PerSec: 20, Burst: 20}}
}

// Settings implements [channels.Configurable].
func (d *Driver) Settings() []channels.Setting {
	return []channels.Setting{
		{Name: settingKey, Required: true, Help: "AppKey (Client ID) of the app"},
		{Name: settingSecret, Secret: true, Required: true, Help: "AppSecret (Client Secret) of the app"},
		{Name: settingRobot, Help: "RobotCode; empty = the AppKey"},
		{Name: settingMode, Help: "stream = messages come through a connection of ours, as the app has to be set up for; empty = DingTalk posts them"},
		{Name: settingAPI, Help: "address of the interface; empty = " + defaultAPI},
	}
}

type message struct {
	ID       string `json:"msgId"`
	Type     string `json:"msgtype"`
	ChatType string `json:"conversationType"`
	Chat     string `json:"conversationId"`
	Staff    string `json:"senderStaffId"`
	Name     string `json:"senderNick"`
	Text     struct {
		Content string `json:"content"`
	} `json:"text"`
	Content json.RawMessage `json:"content"` // of all other kinds
}

// Receive implements [channels.Driver]. The signature covers no body, so the
// secrecy of the address is what keeps others out.
func (d *Driver) Receive(ctx context.Context, r channels.Request, body []byte) ([]channels.Event, channels.Ack, error) {
	a, err := d.Receiving(ctx, r.Account)
	if err != nil {
		return nil, channels.Ack{}, err
	}
	if !signed(a.Value(settingSecret), r) {
		return nil, channels.Ack{}, channels.NotSigned()
	}
	events, err := eventsOf(body)
	return events, channels.Ack{}, err
}

// eventsOf translates a message to the robot. One of nobody that could be answered
// is no message.
func eventsOf(body []byte) ([]channels.Event, error) {
	var m message
	if json.Unmarshal(body, &m) != nil {
		return nil, conversation.Refuse(conversation.CodeBadJSON, "the body is no message")
	}
	peer := m.Staff
	if m.ChatType == typeGroup && m.Chat != "" {
		peer = groupPrefix + m.Chat
	}
	if peer == "" || m.ID == "" || len(m.ID) > conversation.MaxRefBytes {
		return []channels.Event{{Unreadable: body}}, nil
	}
	e := channels.Event{Peer: peer, Ref: conversation.Ref(m.ID), Text: conversation.Text(strings.TrimSpace(m.Text.Content))}
	if m.Name != "" {
		e.Metadata = map[string]string{"name": m.Name}
	}
	if m.Type == "text" {
		return []channels.Event{e}, nil
	}
	text, files, ok := read(m.Type, m.Content)
	if ok {
		e.Text, e.Files = conversation.Text(text), files
		return []channels.Event{e}, nil
	}
	e.Keep(m.Type, body)
	if m.Type == "" {
		e.Unsupported = "unknown"
	}
	return []channels.Event{e}, nil
}

// signed checks the signature over the time, and that this is neither old nor
// early.
func signed(secret string, r channels.Request) bool {
	at := r.Header.Get(headerTime)
	ms, err := strconv.ParseInt(at, 10, 64)
	if err != nil || secret == "" || r.At.Sub(time.UnixMilli(ms)).Abs() > skew {
		return false
	}
	return channels.Same(base64.StdEncoding.EncodeToString(channels.HMAC(secret, at, "\n", secret)), r.Header.Get(headerSign))
}

// Send implements [channels.Driver].
func (d *Driver) Send(ctx context.Context, p channels.Part) (string, error) {
	a, err := d.Sending(ctx, p.Inbox)
	if err != nil {
		return "", err
	}
	return d.say(ctx, a, p, "sampleText", map[string]string{"content": string(p.Text)})
}

// say sends a message of a kind and gives DingTalk's name for it.
func (d *Driver) say(ctx context.Context, a channels.Account, p channels.Part, kind string, what map[string]string) (string, error) {
	token, err := d.SharedToken(ctx, a, d)
	if err != nil {
		return "", err
	}
	param, err := channels.EncodeJSON(what)
	if err != nil {
		return "", &channels.SendError{Class: channels.Permanent, Code: "not_encodable"}
	}
	path, body := "/v1.0/robot/oToMessages/batchSend", map[string]any{
		"robotCode": robot(a), "msgKey": kind, "msgParam": string(param),
	}
	if chat, ok := strings.CutPrefix(p.Peer, groupPrefix); ok {
		path, body["openConversationId"] = "/v1.0/robot/groupMessages/send", chat
	} else {
		body["userIds"] = []string{p.Peer}
	}
	var sent struct {
		ID      string   `json:"processQueryKey"`
		Unknown []string `json:"invalidStaffIdList"`
		Slow    []string `json:"flowControlledStaffIdList"`
	}
	err = d.call(ctx, channels.Call{URL: address(a, path), JSON: body, Header: http.Header{headerToken: {token}}}, &sent)
	switch {
	case err != nil:
		return "", d.Judged(ctx, a, token, err)
	case len(sent.Unknown) > 0:
		return "", &channels.SendError{Class: channels.Gone, Code: "invalid_staff_id"}
	case len(sent.Slow) > 0:
		return "", &channels.SendError{Class: channels.Limited, Code: "flow_controlled"}
	}
	return sent.ID, nil
}

func robot(a channels.Account) string { return a.Or(settingRobot, a.Value(settingKey)) }

// Check implements [channels.Configurable].
func (d *Driver) Check(ctx context.Context, inbox conversation.InboxID) (string, error) {
	a, err := d.Sending(ctx, inbox)
	if err != nil {
		return "", err
	}
	if m := a.Value(settingMode); m != "" && m != modeStream {
		return "", &channels.SendError{Class: channels.Permanent, Scope: channels.ScopeAccount, Code: "bad_mode"}
	}
	_, err = d.SharedToken(ctx, a, d)
	return robot(a), err
}

// FetchToken implements [channels.TokenSource]. DingTalk gives everybody the same
// one as long as it is valid, and none by force.
func (d *Driver) FetchToken(ctx context.Context, a channels.Account, _ channels.TokenForce) (string, time.Duration, error) {
	var got struct {
		Token   string `json:"accessToken"`
		Seconds int64  `json:"expireIn"`
	}
	body := map[string]string{"appKey": a.Value(settingKey), "appSecret": a.Value(settingSecret)}
	err := d.call(ctx, channels.Call{URL: address(a, "/v1.0/oauth2/accessToken"), JSON: body}, &got)
	return got.Token, channels.TokenLife(got.Seconds), err
}

func address(a channels.Account, path string) string {
	return a.Address(settingAPI, defaultAPI) + path
}

// call makes a call. Errors: [*channels.SendError].
func (d *Driver) call(ctx context.Context, c channels.Call, result any) error {
	reply, err := d.Call(ctx, c)
	if err != nil {
		return classify(err, reply.Body)
	}
	return reply.JSON(result)
}

// classify reads the word that a failure comes with, where the status is not
// enough: 403 stands for both a limit and a credential.
func classify(err error, body []byte) error {
	var e *channels.SendError
	var answer struct {
		Code string `json:"code"`
	}
	if !errors.As(err, &e) || json.Unmarshal(body, &answer) != nil {
		return err
	}
	switch code := strings.ToLower(answer.Code); {
	case strings.Contains(code, "qpslimit"), strings.Contains(code, "throttling"):
		e.Class, e.Scope, e.Code = channels.Limited, channels.ScopeAccount, "throttled"
	case strings.Contains(code, "invalidauthentication"), strings.Contains(code, "invalidclientidorsecret"):
		e.Class, e.Scope, e.Code = channels.Auth, channels.ScopeAccount, "invalid_authentication"
	case strings.Contains(code, "staffid.notexisted"):
		e.Class, e.Code = channels.Gone, "invalid_staff_id"
	}
	return e
}
