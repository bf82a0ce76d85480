// Package line is the driver for LINE Official Accounts. The first message after
// a visitor's own goes out by its reply token, which costs nothing; others are
// pushed, with a key by which LINE drops repetitions.
//
// Source: https://developers.line.biz/en/reference/messaging-api/.
package line

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

const (
	headerSignature = "X-Line-Signature"
	headerRetry     = "X-Line-Retry-Key"
	defaultAPI      = "https://api.line.me"
	maxText         = 5000 // UTF-16 units
	maxLabel        = 20   // characters
	replyWithin     = 50 * time.Second
)

// The settings of an account.
const (
	settingToken  = "channel_access_token"
	settingSecret = "channel_secret"
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
func (d *Driver) Kind() conversation.ChannelKind { return conversation.ChannelLine }

// Limits implements [channels.Driver].
func (d *Driver) Limits() channels.Limits {
	return channels.Limits{
		MaxText: maxText, Unit: channels.UnitUTF16, Dialect: channels.DialectPlain, Buttons: conversation.MaxButtons, Idempotent: true, ReplyWithin: replyWithin,
		Account: channels.Rate{PerSec: 100, Burst: 100},
	}
}

// Settings implements [channels.Configurable].
func (d *Driver) Settings() []channels.Setting {
	return []channels.Setting{
		{Name: settingToken, Secret: true, Required: true, Help: "long-lived channel access token"},
		{Name: settingSecret, Secret: true, Required: true, Help: "channel secret"},
		{Name: settingAPI, Help: "address of the Messaging API; empty = " + defaultAPI},
	}
}

type event struct {
	Type       string          `json:"type"`
	ID         string          `json:"webhookEventId"`
	Mode       string          `json:"mode"`
	ReplyToken string          `json:"replyToken"`
	Message    json.RawMessage `json:"message"`
	Postback   struct {
		Data string `json:"data"`
	} `json:"postback"`
	Source struct {
		User  string `json:"userId"`
		Group string `json:"groupId"`
		Room  string `json:"roomId"`
	} `json:"source"`
}

// Receive implements [channels.Driver].
func (d *Driver) Receive(ctx context.Context, r channels.Request, body []byte) ([]channels.Event, channels.Ack, error) {
	a, err := d.Receiving(ctx, r.Account)
	if err != nil {
		return nil, channels.Ack{}, err
	}
	secret := a.Value(settingSecret)
	want := base64.StdEncoding.EncodeToString(channels.HMAC(secret, string(body)))
	if secret == "" || !channels.Same(want, r.Header.Get(headerSignature)) {
		return nil, channels.Ack{}, channels.NotSigned()
	}
	var got struct {
		Events []json.RawMessage `json:"events"`
	}
	if json.Unmarshal(body, &got) != nil {
		return nil, channels.Ack{}, conversation.Refuse(conversation.CodeBadJSON, "the body is no list of events")
	}
	var out []channels.Event
	for _, raw := range got.Events {
		var in event
		if json.Unmarshal(raw, &in) != nil {
			out = append(out, channels.Event{Unreadable: raw})
		} else if e, ok := in.event(raw); ok {
			out = append(out, e)
		}
	}
	return out, channels.Ack{}, nil
}

// event translates a message; false for what says nothing, such as a new
// follower, and for what another program of the account's answers.
func (e *event) event(raw json.RawMessage) (channels.Event, bool) {
	peer := e.Source.User
	for _, s := range []string{e.Source.Group, e.Source.Room} {
		if s != "" {
			peer = s
		}
	}
	var m struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	said := e.Type == "message" || e.Type == "postback" && e.Postback.Data != ""
	if e.Mode == "standby" || !said {
		return channels.Event{}, false
	}
	if peer == "" || len(e.ID) > conversation.MaxRefBytes || e.Type == "message" && json.Unmarshal(e.Message, &m) != nil {
		return channels.Event{Unreadable: raw}, true
	}
	out := channels.Event{Peer: peer, Ref: conversation.Ref(e.ID), ReplyTo: e.ReplyToken}
	switch {
	case e.Type == "postback": // a press on a menu
		out.Text = conversation.Text(e.Postback.Data)
	case m.Type == "text":
		out.Text = conversation.Text(m.Text)
	default:
		if out.Files = fileOf(e.Message); len(out.Files) == 0 {
			out.Keep(m.Type, e.Message)
		}
	}
	return out, true
}

// Send implements [channels.Driver].
func (d *Driver) Send(ctx context.Context, p channels.Part) (string, error) {
	a, err := d.Sending(ctx, p.Inbox)
	if err != nil {
		return "", err
	}
	message := map[string]any{"type": "text", "text": string(p.Text)}
	if len(p.Buttons) > 0 {
		message["quickReply"] = map[string]any{"items": quickReplies(p.Buttons)}
	}
	return d.say(ctx, a, p, message)
}

// say sends a message as a reply where that costs nothing, and else pushes it.
func (d *Driver) say(ctx context.Context, a channels.Account, p channels.Part, message map[string]any) (string, error) {
	if p.ReplyTo != "" {
		id, err := d.post(ctx, a, "reply", "", map[string]any{"replyToken": p.ReplyTo, "messages": []any{message}})
		var e *channels.SendError
		switch {
		case !errors.As(err, &e):
			return id, err
		case e.Class == channels.Unknown: // a reply has no key
			e.Once = true
			return "", e
		case e.Class != channels.Permanent:
			return "", e
		}
		// The token is too old or used: what could not be a reply is pushed.
	}
	return d.post(ctx, a, "push", retryKey(p.Key), map[string]any{"to": p.Peer, "messages": []any{message}})
}

func quickReplies(buttons []conversation.Button) []any {
	items := make([]any, len(buttons))
	for i, b := range buttons {
		label := []rune(b.Label)
		items[i] = map[string]any{"type": "action", "action": map[string]string{
			"type": "message", "label": string(label[:min(len(label), maxLabel)]), "text": b.Text,
		}}
	}
	return items
}

// retryKey makes the UUID that a part has at every attempt.
func retryKey(key string) string {
	s := sha256.Sum256([]byte(key))
	s[6], s[8] = s[6]&0x0f|0x40, s[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", s[:4], s[4:6], s[6:8], s[8:10], s[10:16])
}

// post sends a message and gives LINE's name for it. Errors: [*channels.SendError].
func (d *Driver) post(ctx context.Context, a channels.Account, way, key string, body any) (string, error) {
	header := http.Header{"Authorization": {"Bearer " + a.Value(settingToken)}}
	if key != "" {
		header.Set(headerRetry, key)
	}
	reply, err := d.Call(ctx, channels.Call{URL: address(a, "message/"+way), JSON: body, Header: header})
	if reply.Status == http.StatusConflict { // taken before, with this key
		err = nil
	}
	if err != nil {
		return "", classify(err, reply.Body)
	}
	return sentID(reply.Body), nil
}

// sentID finds LINE's name for a message; that it was taken, the status says.
func sentID(body []byte) string {
	var answer struct {
		Sent []struct {
			ID string `json:"id"`
		} `json:"sentMessages"`
	}
	if json.Unmarshal(body, &answer) != nil || len(answer.Sent) == 0 {
		return ""
	}
	return answer.Sent[0].ID
}

func address(a channels.Account, path string) string {
	return a.Address(settingAPI, defaultAPI) + "/v2/bot/" + path
}

// classify tells the month's quota, which does not come back soon, from a rate.
func classify(err error, body []byte) error {
	var e *channels.SendError
	var answer struct {
		Message string `json:"message"`
	}
	if errors.As(err, &e) && e.Class == channels.Limited && json.Unmarshal(body, &answer) == nil {
		e.Scope = channels.ScopeAccount
		if strings.Contains(answer.Message, "monthly limit") {
			e.Code, e.After = "monthly_limit", time.Hour
		}
	}
	return err
}

// Check implements [channels.Configurable].
func (d *Driver) Check(ctx context.Context, inbox conversation.InboxID) (string, error) {
	a, err := d.Sending(ctx, inbox)
	if err != nil {
		return "", err
	}
	reply, err := d.Call(ctx, channels.Call{
		Method: http.MethodGet, URL: address(a, "info"), Header: http.Header{"Authorization": {"Bearer " + a.Value(settingToken)}},
	})
	var info struct {
		Name string `json:"displayName"`
	}
	if err == nil {
		err = reply.JSON(&info)
	}
	return info.Name, err
}
