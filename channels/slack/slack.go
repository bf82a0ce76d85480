// Package slack is the driver for Slack apps, by the Events API. A direct message
// is a conversation; so is every thread of a channel.
//
// Source: https://docs.slack.dev/apis/events-api/.
package slack

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

const (
	headerTime      = "X-Slack-Request-Timestamp"
	headerSignature = "X-Slack-Signature"
	version         = "v0"
	defaultAPI      = "https://slack.com/api"
	maxText         = 3500 // Slack advises 4,000 characters; some become four
	ackWithin       = 3 * time.Second
	skew            = 5 * time.Minute
)

// The settings of an account.
const (
	settingToken  = "bot_token"
	settingSecret = "signing_secret"
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
func (d *Driver) Kind() conversation.ChannelKind { return conversation.ChannelSlack }

// Limits implements [channels.Driver]: one message a second to a channel.
func (d *Driver) Limits() channels.Limits {
	return channels.Limits{AckWithin: ackWithin, MaxText: maxText, Dialect: channels.DialectChat, Peer: channels.Rate{PerSec: 1, Burst: 3}}
}

// Settings implements [channels.Configurable].
func (d *Driver) Settings() []channels.Setting {
	return []channels.Setting{
		{Name: settingToken, Secret: true, Required: true, Help: "the bot's token, xoxb-…, with the scopes chat:write, files:read and files:write"},
		{Name: settingSecret, Secret: true, Required: true, Help: "signing secret of the app"},
		{Name: settingAPI, Help: "address of the Web API; empty = " + defaultAPI},
	}
}

type delivery struct {
	Type      string          `json:"type"`
	Challenge string          `json:"challenge"`
	Event     json.RawMessage `json:"event"`
	Heard     []struct {
		User string `json:"user_id"`
		Bot  bool   `json:"is_bot"`
	} `json:"authorizations"` // through whom the app heard of it
}

// ownWork reports whether the app's bot did it. A file that it shares comes back
// like a person's.
func (d *delivery) ownWork(user string) bool {
	for _, h := range d.Heard {
		if h.Bot && h.User == user {
			return true
		}
	}
	return false
}

type event struct {
	Type     string          `json:"type"`
	Subtype  string          `json:"subtype"`
	Channel  string          `json:"channel"`
	ChatType string          `json:"channel_type"`
	User     string          `json:"user"`
	Bot      string          `json:"bot_id"`
	Text     string          `json:"text"`
	At       string          `json:"ts"`
	Thread   string          `json:"thread_ts"`
	Files    json.RawMessage `json:"files"`
}

// Receive implements [channels.Driver].
func (d *Driver) Receive(ctx context.Context, r channels.Request, body []byte) ([]channels.Event, channels.Ack, error) {
	a, err := d.Receiving(ctx, r.Account)
	if err != nil {
		return nil, channels.Ack{}, err
	}
	if !signed(a.Value(settingSecret), r, body) {
		return nil, channels.Ack{}, channels.NotSigned()
	}
	var got delivery
	if json.Unmarshal(body, &got) != nil {
		return nil, channels.Ack{}, conversation.Refuse(conversation.CodeBadJSON, "the body is no event")
	}
	if got.Type == "url_verification" {
		return nil, channels.Ack{Answer: channels.Answer{Type: "text/plain", Body: []byte(got.Challenge)}}, nil
	}
	if got.Type != "event_callback" {
		return nil, channels.Ack{}, nil // of interest to others
	}
	e, whole := readEvent(got.Event)
	switch {
	case !e.says() || got.ownWork(e.User):
		return nil, channels.Ack{}, nil
	case !whole:
		return []channels.Event{{Unreadable: got.Event}}, channels.Ack{}, nil
	}
	return e.events(got.Event), channels.Ack{}, nil
}

// readEvent reads an event. It gives the type also where another field is none of ours.
func readEvent(raw json.RawMessage) (e event, whole bool) {
	err := json.Unmarshal(raw, &e)
	return e, err == nil
}

// says reports whether the event is a message. What bots write is left out, our own
// among it; so is what tells about messages and channels.
func (e *event) says() bool {
	about := strings.HasPrefix(e.Subtype, "bot_") || strings.HasPrefix(e.Subtype, "message_") ||
		strings.HasPrefix(e.Subtype, "channel_") || strings.HasPrefix(e.Subtype, "group_")
	return (e.Type == "message" || e.Type == "app_mention") && e.Bot == "" && !about
}

// signed checks v0, and that the delivery is neither old nor early.
func signed(secret string, r channels.Request, body []byte) bool {
	at := r.Header.Get(headerTime)
	n, err := strconv.ParseInt(at, 10, 64)
	if err != nil || secret == "" || r.At.Sub(time.Unix(n, 0)).Abs() > skew {
		return false
	}
	want := version + "=" + hex.EncodeToString(channels.HMAC(secret, version, ":", at, ":", string(body)))
	return channels.Same(want, r.Header.Get(headerSignature))
}

// events translates a message. One that comes twice because it mentions the app is
// known by its time.
func (e *event) events(raw json.RawMessage) []channels.Event {
	if e.User == "" || e.Channel == "" || e.At == "" || len(e.Channel)+1+len(e.At) > conversation.MaxRefBytes {
		if e.Subtype != "" {
			return nil // it tells about something, and nobody wrote it
		}
		return []channels.Event{{Unreadable: raw}}
	}
	text := e.Text
	if _, rest, ok := strings.Cut(text, "> "); ok && e.Type == "app_mention" && strings.HasPrefix(text, "<@") {
		text = rest
	}
	out := channels.Event{
		Peer: e.peer(), Ref: conversation.Ref(e.Channel + "-" + e.At), Metadata: map[string]string{"slack_user": e.User},
		Text: conversation.Text(strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(text)),
	}
	if out.Files = filesOf(e.Files); len(out.Files) > 0 {
		return []channels.Event{out}
	}
	if e.Subtype != "" && e.Subtype != "thread_broadcast" && e.Subtype != "me_message" {
		out.Keep(e.Subtype, raw)
	}
	return []channels.Event{out}
}

// peer names where the answer belongs: a direct message, or a thread of a
// channel, which begins with the message that is in none yet.
func (e *event) peer() string {
	switch {
	case e.Thread != "":
		return e.Channel + "/" + e.Thread
	case e.ChatType == "im":
		return e.Channel
	}
	return e.Channel + "/" + e.At
}

// Send implements [channels.Driver].
func (d *Driver) Send(ctx context.Context, p channels.Part) (string, error) {
	a, err := d.Sending(ctx, p.Inbox)
	if err != nil {
		return "", err
	}
	channel, thread, _ := strings.Cut(p.Peer, "/")
	body := map[string]any{"channel": channel, "text": strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(string(p.Text))}
	if thread != "" {
		body["thread_ts"] = thread
	}
	var posted struct {
		At string `json:"ts"`
	}
	err = d.call(ctx, a, "chat.postMessage", channels.Call{JSON: body}, &posted)
	return posted.At, err
}

// Check implements [channels.Configurable].
func (d *Driver) Check(ctx context.Context, inbox conversation.InboxID) (string, error) {
	a, err := d.Sending(ctx, inbox)
	if err != nil {
		return "", err
	}
	var who struct {
		Team string `json:"team"`
	}
	err = d.call(ctx, a, "auth.test", channels.Call{JSON: map[string]any{}}, &who)
	return who.Team, err
}

func authorization(a channels.Account) http.Header {
	return http.Header{"Authorization": {"Bearer " + a.Value(settingToken)}}
}

// call calls a method of the Web API, with the rest of the call as c has it, and
// reads the answer. Errors: [*channels.SendError].
func (d *Driver) call(ctx context.Context, a channels.Account, method string, c channels.Call, result any) error {
	c.URL, c.Header = a.Address(settingAPI, defaultAPI)+"/"+method, authorization(a)
	reply, err := d.Call(ctx, c)
	if err != nil {
		return err
	}
	var answer struct {
		OK    bool   `json:"ok"`
		Error string `json:"error"`
	}
	if err := reply.JSON(&answer); err != nil {
		return err
	}
	if !answer.OK {
		return failureOf(answer.Error)
	}
	return reply.JSON(result)
}

// failureOf classes the word that the Web API gives for a failure.
func failureOf(word string) *channels.SendError {
	e := &channels.SendError{Class: channels.Permanent, Code: word}
	switch word {
	case "ratelimited", "rate_limited":
		e.Class, e.After = channels.Limited, time.Second
	case "invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", noScope, "ekm_access_denied":
		e.Class, e.Scope = channels.Auth, channels.ScopeAccount
	case "channel_not_found", "is_archived", "not_in_channel", "user_not_found":
		e.Class = channels.Gone
	case "internal_error", "service_unavailable", "request_timeout":
		e.Class = channels.Retry
	case "fatal_error", "": // may have been posted
		e.Class, e.Code = channels.Unknown, "fatal_error"
	}
	if len(e.Code) > 40 {
		e.Code = "unknown_error"
	}
	return e
}
