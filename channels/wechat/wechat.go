// Package wechat is the driver for WeChat Official Accounts, in plain and in safe
// mode. The bot's reply rides on the answer to the delivery when it is ready
// within five seconds, which costs no quota and is the only way for accounts that
// are not verified; everything else goes out by the customer-service interface.
//
// Source: https://developers.weixin.qq.com/doc/offiaccount/en/.
package wechat

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

const (
	defaultAPI = "https://api.weixin.qq.com"
	maxText    = 2048            // bytes
	ackWithin  = 5 * time.Second // after which WeChat repeats, three times in all
	replyWait  = 4 * time.Second
)

// The settings of an account.
const (
	settingAppID   = "app_id"
	settingSecret  = "app_secret"
	settingToken   = "token"
	settingKey     = "aes_key"
	settingPassive = "passive"
	settingAPI     = "api_url"
	off            = "off"
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
func (d *Driver) Kind() conversation.ChannelKind { return conversation.ChannelWeChat }

// Limits implements [channels.Driver].
func (d *Driver) Limits() channels.Limits {
	return channels.Limits{
		Methods: []string{http.MethodGet, http.MethodPost}, AckWithin: ackWithin,
		MaxText: maxText, Unit: channels.UnitBytes, Dialect: channels.DialectPlain,
		Account: channels.Rate{PerSec: 50, Burst: 50},
	}
}

// Settings implements [channels.Configurable].
func (d *Driver) Settings() []channels.Setting {
	return []channels.Setting{
		{Name: settingAppID, Required: true, Help: "AppID of the Official Account"},
		{Name: settingToken, Secret: true, Required: true, Help: "Token of the server configuration"},
		{Name: settingSecret, Secret: true, Help: "AppSecret; empty = only replies that ride on an answer are sent"},
		{Name: settingKey, Secret: true, Help: "EncodingAESKey, when messages are encrypted (safe mode); empty = plain mode"},
		{Name: settingPassive, Help: "off = the bot's reply never rides on an answer; it then costs quota"},
		{Name: settingAPI, Help: "address of the interface; empty = " + defaultAPI},
	}
}

// Send implements [channels.Driver] by the customer-service interface.
func (d *Driver) Send(ctx context.Context, p channels.Part) (string, error) {
	a, err := d.Sending(ctx, p.Inbox)
	if err != nil {
		return "", err
	}
	return "", d.say(ctx, a, p.Peer, "text", map[string]string{"content": string(p.Text)})
}

// say sends a message of a kind. Errors: [channels.ErrUseLink] when it is the file
// that is not taken, else [*channels.SendError].
func (d *Driver) say(ctx context.Context, a channels.Account, peer, kind string, what map[string]string) error {
	token, err := d.SharedToken(ctx, a, d)
	if err != nil {
		return err
	}
	var answer result
	path := "/cgi-bin/message/custom/send?access_token=" + url.QueryEscape(token)
	if err := d.call(ctx, a, path, map[string]any{"touser": peer, "msgtype": kind, kind: what}, &answer); err != nil {
		return err
	}
	switch failure := answer.failure(); {
	case failure == nil:
		return nil
	case kind != "text" && answer.refusesFile():
		return channels.ErrUseLink
	default:
		return d.Judged(ctx, a, token, failure)
	}
}

// Check implements [channels.Configurable].
func (d *Driver) Check(ctx context.Context, inbox conversation.InboxID) (string, error) {
	a, err := d.Sending(ctx, inbox)
	if err != nil {
		return "", err
	}
	_, err = d.SharedToken(ctx, a, d)
	return a.Value(settingAppID), err
}

// FetchToken implements [channels.TokenSource] by stable_token, which gives
// everybody the same one as long as it is valid and nobody forces another, unlike
// token, with which nodes would end each other's.
func (d *Driver) FetchToken(ctx context.Context, a channels.Account, force channels.TokenForce) (string, time.Duration, error) {
	if a.Value(settingSecret) == "" {
		return "", 0, &channels.SendError{Class: channels.Permanent, Scope: channels.ScopeAccount, Code: "no_app_secret"}
	}
	var answer struct {
		result

		Token   string `json:"access_token"`
		Seconds int64  `json:"expires_in"`
	}
	err := d.call(ctx, a, "/cgi-bin/stable_token", map[string]any{
		"grant_type": "client_credential", "appid": a.Value(settingAppID), "secret": a.Value(settingSecret), "force_refresh": bool(force),
	}, &answer)
	switch failure := answer.failure(); {
	case err != nil:
		return "", 0, err
	case failure != nil:
		return "", 0, failure
	case answer.Token == "":
		return "", 0, &channels.SendError{Class: channels.Retry, Code: "no_token"}
	}
	return answer.Token, channels.TokenLife(answer.Seconds), nil
}

func (d *Driver) call(ctx context.Context, a channels.Account, path string, body, answer any) error {
	reply, err := d.Call(ctx, channels.Call{URL: a.Address(settingAPI, defaultAPI) + path, JSON: body})
	if err != nil {
		return err
	}
	return reply.JSON(answer)
}

// result is how the interface says what became of a call.
type result struct {
	Code int `json:"errcode"`
}

// failure classes an error code; nil is success.
//
// Source: https://developers.weixin.qq.com/doc/oplatform/Return_codes/Return_code_descriptions_new.html.
func (r result) failure() *channels.SendError {
	e := &channels.SendError{Class: channels.Permanent, Code: "errcode_" + strconv.Itoa(r.Code)}
	switch r.Code {
	case 0:
		return nil
	case -1:
		e.Class = channels.Retry
	case 40001, 40014, 42001, 40013, 40125, 40164, 40243, 41001, 50004, 50007:
		e.Class, e.Scope = channels.Auth, channels.ScopeAccount
	case 45009: // the day's quota
		e.Class, e.Scope, e.After = channels.Limited, channels.ScopeAccount, time.Hour
	case 45011:
		e.Class, e.Scope, e.After = channels.Limited, channels.ScopeAccount, time.Minute
	case 45015, 45047: // 48 hours are over, or the messages that they allow
		e.Class = channels.WindowClosed
	case 40003, 43004, 46004:
		e.Class = channels.Gone
	case 48001, 48004:
		e.Scope = channels.ScopeAccount
	}
	return e
}
