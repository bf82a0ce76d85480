// Package feishu is the driver for custom apps of Feishu and Lark, by the event
// subscription over HTTP.
//
// Source: https://open.feishu.cn/document/server-docs/event-subscription-guide/overview.
package feishu

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

const (
	defaultAPI = "https://open.feishu.cn"
	ackWithin  = 3 * time.Second
	maxKey     = 50
)

// The settings of an account.
const (
	settingAppID  = "app_id"
	settingSecret = "app_secret"
	settingToken  = "verification_token"
	settingKey    = "encrypt_key"
	settingAPI    = "api_url"
)

// Driver implements [channels.Driver], [channels.Media] and
// [channels.Configurable].
type Driver struct{ *channels.Provider }

// New makes a driver.
func New(o channels.ProviderOptions) (*Driver, error) {
	p, err := channels.NewProvider(o)
	return &Driver{p}, err
}

// Kind implements [channels.Driver].
func (d *Driver) Kind() conversation.ChannelKind { return conversation.ChannelFeishu }

// Limits implements [channels.Driver]: 50 messages a second from an app, five to
// a chat. Repetitions are dropped by their key for an hour.
func (d *Driver) Limits() channels.Limits {
	return channels.Limits{
		AckWithin: ackWithin, MaxText: conversation.MaxTextBytes, Unit: channels.UnitBytes, Dialect: channels.DialectPlain, Idempotent: true,
		Account: channels.Rate{PerSec: 16, Burst: 50}, Peer: channels.Rate{PerSec: 5, Burst: 5},
	}
}

// Settings implements [channels.Configurable].
func (d *Driver) Settings() []channels.Setting {
	return []channels.Setting{
		{Name: settingAppID, Required: true, Help: "App ID"},
		{Name: settingSecret, Secret: true, Required: true, Help: "App Secret"},
		{Name: settingToken, Secret: true, Required: true, Help: "Verification Token of the event subscription"},
		{Name: settingKey, Secret: true, Required: true, Help: "Encrypt Key of the event subscription; without it deliveries are not signed"},
		{Name: settingAPI, Help: "address of the interface, such as https://open.larksuite.com; empty = " + defaultAPI},
	}
}

// Send implements [channels.Driver].
func (d *Driver) Send(ctx context.Context, p channels.Part) (string, error) {
	a, err := d.Sending(ctx, p.Inbox)
	if err != nil {
		return "", err
	}
	return d.say(ctx, a, p, "text", map[string]string{"text": escape(string(p.Text))})
}

// say sends a message of a kind and gives Feishu's name for it.
func (d *Driver) say(ctx context.Context, a channels.Account, p channels.Part, kind string, what map[string]string) (string, error) {
	token, err := d.SharedToken(ctx, a, d)
	if err != nil {
		return "", err
	}
	content, err := channels.EncodeJSON(what)
	if err != nil {
		return "", &channels.SendError{Class: channels.Permanent, Code: "not_encodable"}
	}
	var sent struct {
		Data struct {
			ID string `json:"message_id"`
		} `json:"data"`
	}
	err = d.call(ctx, channels.Call{
		URL: address(a, "/im/v1/messages?receive_id_type=chat_id"), Header: authorization(token),
		JSON: map[string]string{"receive_id": p.Peer, "msg_type": kind, "content": string(content), "uuid": p.Key[:min(len(p.Key), maxKey)]},
	}, &sent)
	return sent.Data.ID, d.Judged(ctx, a, token, err)
}

// escape keeps what a visitor or agent wrote from mentioning everybody.
func escape(text string) string { return strings.ReplaceAll(text, "<at ", "< at ") }

// Check implements [channels.Configurable].
func (d *Driver) Check(ctx context.Context, inbox conversation.InboxID) (string, error) {
	a, err := d.Sending(ctx, inbox)
	if err != nil {
		return "", err
	}
	_, err = d.SharedToken(ctx, a, d)
	return a.Value(settingAppID), err
}

// FetchToken implements [channels.TokenSource]. Feishu gives everybody the same one
// as long as it lives for another half hour, and none by force.
func (d *Driver) FetchToken(ctx context.Context, a channels.Account, _ channels.TokenForce) (string, time.Duration, error) {
	var got struct {
		Token   string `json:"tenant_access_token"`
		Seconds int64  `json:"expire"`
	}
	err := d.call(ctx, channels.Call{
		URL:  address(a, "/auth/v3/tenant_access_token/internal"),
		JSON: map[string]string{"app_id": a.Value(settingAppID), "app_secret": a.Value(settingSecret)},
	}, &got)
	return got.Token, channels.TokenLife(got.Seconds), err
}

func address(a channels.Account, path string) string {
	return a.Address(settingAPI, defaultAPI) + "/open-apis" + path
}

// call makes a call and reads the code in its answer, which also failures have.
// Errors: [*channels.SendError].
func (d *Driver) call(ctx context.Context, c channels.Call, result any) error {
	reply, err := d.Call(ctx, c)
	var answer struct {
		Code *int `json:"code"`
	}
	var failure *channels.SendError
	readable := json.Unmarshal(reply.Body, &answer) == nil && answer.Code != nil
	switch {
	case errors.As(err, &failure):
		if readable && *answer.Code != 0 {
			classify(failure, *answer.Code)
		}
		return failure
	case !readable:
		return &channels.SendError{Class: channels.Unknown, Code: "answer_unreadable"}
	case *answer.Code != 0:
		failure = &channels.SendError{Class: channels.Permanent}
		classify(failure, *answer.Code)
		return failure
	}
	return reply.JSON(result)
}

const (
	codePrefix   = "code_"
	noPermission = "99991672" // the app has not the scope that the call needs
)

// classify says what an error code means; one that is not known leaves the class
// that the status has.
//
// Source: https://open.feishu.cn/document/server-docs/im-v1/message/create, error codes.
func classify(e *channels.SendError, code int) {
	e.Code = codePrefix + strconv.Itoa(code)
	switch code {
	case 99991661, 99991663, 99991664, 99991668, 99991671, 99991672, 10003, 10014, 234002:
		e.Class, e.Scope = channels.Auth, channels.ScopeAccount
	case 99991400, 11232:
		e.Class, e.Scope = channels.Limited, channels.ScopeAccount
	case 230020:
		e.Class = channels.Limited
	case 230002, 230013, 232009: // not in the chat, not visible to the person, no such chat
		e.Class = channels.Gone
	}
}
