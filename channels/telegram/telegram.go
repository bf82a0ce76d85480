// Package telegram is the driver for Telegram bots. Updates come in by webhook
// when the account has a secret token, and are fetched by getUpdates otherwise,
// which needs no public address.
//
// Source: https://core.telegram.org/bots/api.
package telegram

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

const (
	headerSecret = "X-Telegram-Bot-Api-Secret-Token" //nolint:gosec // the name of a header
	defaultAPI   = "https://api.telegram.org"
	maxText      = 4096 // UTF-16 units
)

// The settings of an account.
const (
	settingToken  = "token"
	settingSecret = "secret_token"
	settingAPI    = "api_url"
)

// Driver implements [channels.Driver], [channels.Puller], [channels.Media] and
// [channels.Configurable].
type Driver struct{ *channels.Provider }

// New makes a driver.
func New(o channels.ProviderOptions) (*Driver, error) {
	p, err := channels.NewProvider(o)
	return &Driver{p}, err
}

// Kind implements [channels.Driver].
func (d *Driver) Kind() conversation.ChannelKind { return conversation.ChannelTelegram }

// Limits implements [channels.Driver]: 30 messages a second in all, one a second
// to a chat with short bursts.
func (d *Driver) Limits() channels.Limits {
	return channels.Limits{
		MaxText: maxText, Unit: channels.UnitUTF16, Buttons: conversation.MaxButtons,
		Account: channels.Rate{PerSec: 30, Burst: 30}, Peer: channels.Rate{PerSec: 1, Burst: 3},
	}
}

// Settings implements [channels.Configurable].
func (d *Driver) Settings() []channels.Setting {
	return []channels.Setting{
		{Name: settingToken, Secret: true, Required: true, Help: "the bot's token from @BotFather"},
		{Name: settingSecret, Secret: true, Help: "secret_token that setWebhook was called with; empty = updates are fetched by getUpdates"},
		{Name: settingAPI, Help: "address of your own Bot API server; empty = " + defaultAPI},
	}
}

// Receive implements [channels.Driver].
func (d *Driver) Receive(ctx context.Context, r channels.Request, body []byte) ([]channels.Event, channels.Ack, error) {
	a, err := d.Receiving(ctx, r.Account)
	if err != nil {
		return nil, channels.Ack{}, err
	}
	if !channels.Same(a.Value(settingSecret), r.Header.Get(headerSecret)) {
		return nil, channels.Ack{}, channels.NotSigned()
	}
	var u update
	if json.Unmarshal(body, &u) != nil {
		return nil, channels.Ack{}, conversation.Refuse(conversation.CodeBadJSON, "the body is no update")
	}
	return u.events(), channels.Ack{}, nil
}

// Send implements [channels.Driver]. Buttons become keys of the visitor's
// keyboard, which write what stands on them. Markdown becomes entities, of which
// none can be refused, as a wrong mark of Telegram's own Markdown is.
func (d *Driver) Send(ctx context.Context, p channels.Part) (string, error) {
	a, err := d.Sending(ctx, p.Inbox)
	if err != nil {
		return "", err
	}
	text, entities := entitiesOf(string(p.Text))
	body := map[string]any{"chat_id": json.Number(p.Peer), "text": text}
	if len(entities) > 0 {
		body["entities"] = entities
	}
	if len(p.Buttons) > 0 {
		keys := make([][]map[string]string, len(p.Buttons))
		for i, b := range p.Buttons {
			keys[i] = []map[string]string{{"text": b.Label}}
		}
		body["reply_markup"] = map[string]any{"keyboard": keys, "one_time_keyboard": true, "resize_keyboard": true}
	}
	return d.said(ctx, a, "sendMessage", channels.Call{JSON: body})
}

// said calls a method that sends, and gives Telegram's name for the message.
func (d *Driver) said(ctx context.Context, a channels.Account, method string, c channels.Call) (string, error) {
	var sent struct {
		ID int64 `json:"message_id"`
	}
	if err := d.call(ctx, a, method, c, &sent); err != nil {
		return "", err
	}
	return strconv.FormatInt(sent.ID, 10), nil
}

// Check implements [channels.Configurable].
func (d *Driver) Check(ctx context.Context, inbox conversation.InboxID) (string, error) {
	a, err := d.Sending(ctx, inbox)
	if err != nil {
		return "", err
	}
	var me struct {
		Name string `json:"username"`
	}
	err = d.call(ctx, a, "getMe", channels.Call{}, &me)
	return "@" + me.Name, err
}

// call calls a method of the Bot API, with the rest of the call as c has it. Errors:
// [*channels.SendError].
func (d *Driver) call(ctx context.Context, a channels.Account, method string, c channels.Call, result any) error {
	c.URL = a.Address(settingAPI, defaultAPI) + "/bot" + url.PathEscape(a.Value(settingToken)) + "/" + method
	reply, err := d.Call(ctx, c)
	var answer struct {
		OK          bool            `json:"ok"`
		Result      json.RawMessage `json:"result"`
		Description string          `json:"description"`
		Parameters  struct {
			RetryAfter int64 `json:"retry_after"`
		} `json:"parameters"`
	}
	failure := (*channels.SendError)(nil)
	if errors.As(err, &failure) {
		_ = json.Unmarshal(reply.Body, &answer) // what says nothing changes nothing
		if s := answer.Parameters.RetryAfter; s > 0 {
			failure.After = time.Duration(min(s, int64(24*time.Hour/time.Second))) * time.Second
		}
		return classify(failure, reply.Status, answer.Description)
	}
	if err := reply.JSON(&answer); err != nil {
		return err
	}
	if !answer.OK || json.Unmarshal(answer.Result, result) != nil {
		return &channels.SendError{Class: channels.Unknown, Code: "answer_unreadable"}
	}
	return nil
}

// classify says what Telegram means by a status.
func classify(e *channels.SendError, status int, description string) *channels.SendError {
	switch {
	case status == http.StatusNotFound, status == http.StatusUnauthorized: // of a token that is none
		e.Class, e.Scope = channels.Auth, channels.ScopeAccount
	case status == http.StatusForbidden, strings.Contains(description, "chat not found"):
		e.Class, e.Scope = channels.Gone, channels.ScopePeer // blocked, kicked, deleted
	case status == http.StatusConflict: // somebody else calls getUpdates
		e.Class = channels.Retry
	}
	return e
}
