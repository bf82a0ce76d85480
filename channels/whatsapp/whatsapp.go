// Package whatsapp is the driver for WhatsApp's Cloud API. What becomes of
// messages comes back as receipts, by the key that each message carries.
//
// Source: https://developers.facebook.com/docs/whatsapp/cloud-api.
package whatsapp

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

const (
	headerSignature = "X-Hub-Signature-256"
	defaultAPI      = "https://graph.facebook.com/v23.0"
	maxText         = 4096 // characters
)

// The settings of an account.
const (
	settingToken  = "access_token"
	settingSecret = "app_secret"
	settingVerify = "verify_token"
	settingNumber = "phone_number_id"
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
func (d *Driver) Kind() conversation.ChannelKind { return conversation.ChannelWhatsApp }

// Limits implements [channels.Driver]: 80 messages a second from a number, and
// one in six seconds to a person, with bursts.
func (d *Driver) Limits() channels.Limits {
	return channels.Limits{
		Methods: []string{http.MethodGet, http.MethodPost}, MaxBody: 3 << 20, MaxText: maxText, Dialect: channels.DialectChat,
		Account: channels.Rate{PerSec: 80, Burst: 80}, Peer: channels.Rate{PerSec: 1.0 / 6, Burst: 45},
	}
}

// Settings implements [channels.Configurable].
func (d *Driver) Settings() []channels.Setting {
	return []channels.Setting{
		{Name: settingToken, Secret: true, Required: true, Help: "access token of a system user"},
		{Name: settingSecret, Secret: true, Required: true, Help: "app secret, which deliveries are signed with"},
		{Name: settingVerify, Secret: true, Required: true, Help: "verify token that the webhook was configured with"},
		{Name: settingNumber, Required: true, Help: "id of the phone number, not the number itself"},
		{Name: settingAPI, Help: "address of the Graph API with its version; empty = " + defaultAPI},
	}
}

// Receive implements [channels.Driver].
func (d *Driver) Receive(ctx context.Context, r channels.Request, body []byte) ([]channels.Event, channels.Ack, error) {
	a, err := d.Receiving(ctx, r.Account)
	if err != nil {
		return nil, channels.Ack{}, err
	}
	if r.Method == http.MethodGet { // the webhook is being configured
		if r.Query.Get("hub.mode") != "subscribe" || !channels.Same(a.Value(settingVerify), r.Query.Get("hub.verify_token")) {
			return nil, channels.Ack{}, channels.NotSigned()
		}
		return nil, channels.Ack{Answer: channels.Answer{Type: "text/plain", Body: []byte(r.Query.Get("hub.challenge"))}}, nil
	}
	secret := a.Value(settingSecret)
	want := "sha256=" + hex.EncodeToString(channels.HMAC(secret, string(body)))
	if secret == "" || !channels.Same(want, r.Header.Get(headerSignature)) {
		return nil, channels.Ack{}, channels.NotSigned()
	}
	events, elsewhere, err := parse(body, a.Value(settingNumber))
	return events, channels.Ack{Elsewhere: elsewhere}, err
}

// Send implements [channels.Driver].
func (d *Driver) Send(ctx context.Context, p channels.Part) (string, error) {
	a, err := d.Sending(ctx, p.Inbox)
	if err != nil {
		return "", err
	}
	return d.say(ctx, a, p, "text", map[string]any{"body": string(p.Text), "preview_url": false})
}

// say sends a message of a kind and gives WhatsApp's name for it.
func (d *Driver) say(ctx context.Context, a channels.Account, p channels.Part, kind string, what map[string]any) (string, error) {
	reply, err := d.Call(ctx, channels.Call{
		URL: address(a) + "/messages", Header: authorization(a),
		JSON: map[string]any{
			"messaging_product": "whatsapp", "recipient_type": "individual", "to": p.Peer, "type": kind, kind: what,
			"biz_opaque_callback_data": p.Key, // comes back with what became of the message
		},
	})
	if err != nil {
		return "", classify(err, reply.Body)
	}
	var answer struct {
		Messages []struct {
			ID string `json:"id"`
		} `json:"messages"`
	}
	if err := reply.JSON(&answer); err != nil {
		return "", err
	}
	if len(answer.Messages) == 0 {
		return "", &channels.SendError{Class: channels.Unknown, Code: "answer_unreadable"}
	}
	return answer.Messages[0].ID, nil
}

// Check implements [channels.Configurable].
func (d *Driver) Check(ctx context.Context, inbox conversation.InboxID) (string, error) {
	a, err := d.Sending(ctx, inbox)
	if err != nil {
		return "", err
	}
	reply, err := d.Call(ctx, channels.Call{Method: http.MethodGet, URL: address(a), Header: authorization(a)})
	if err != nil {
		return "", classify(err, reply.Body)
	}
	var number struct {
		Shown string `json:"display_phone_number"`
	}
	err = reply.JSON(&number)
	return number.Shown, err
}

func address(a channels.Account) string {
	return a.Address(settingAPI, defaultAPI) + "/" + a.Value(settingNumber)
}

func authorization(a channels.Account) http.Header {
	return http.Header{"Authorization": {"Bearer " + a.Value(settingToken)}}
}

// classify reads the error code that comes with a failure.
func classify(err error, body []byte) error {
	var e *channels.SendError
	var answer struct {
		Error struct {
			Code int `json:"code"`
		} `json:"error"`
	}
	if errors.As(err, &e) && json.Unmarshal(body, &answer) == nil && answer.Error.Code != 0 {
		e.Class, e.Scope = classOf(answer.Error.Code)
		e.Code = "code_" + strconv.Itoa(answer.Error.Code)
	}
	return err
}

// classOf says what an error code means.
//
// Source: https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes.
func classOf(code int) (channels.Class, channels.Scope) {
	switch code {
	case 3, 10, 190, 368, 131005, 131031, 131042, 133010:
		return channels.Auth, channels.ScopeAccount
	case 4, 80007, 130429, 131048:
		return channels.Limited, channels.ScopeAccount
	case 131056: // to this person
		return channels.Limited, channels.ScopePeer
	case 131047:
		return channels.WindowClosed, channels.ScopePeer
	case 131021, 131026:
		return channels.Gone, channels.ScopePeer
	case 1, 2, 131016, 131057:
		return channels.Retry, channels.ScopeAccount
	case 131000:
		return channels.Retry, channels.ScopePeer
	}
	if code >= 200 && code <= 299 {
		return channels.Auth, channels.ScopeAccount
	}
	return channels.Permanent, channels.ScopePeer
}
