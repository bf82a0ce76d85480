// Package wecom is the driver for WeCom's customer service, through which people
// write from WeChat. Deliveries carry no messages: they announce them, and
// sync_msg fetches them from a cursor on.
//
// Source: https://developer.work.weixin.qq.com/document/path/94670.
package wecom

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"net/http"
	"net/url"
	"time"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/channels/wxcrypt"
	"github.com/colloquyhq/colloquy/conversation"
)

const (
	defaultAPI = "https://qyapi.weixin.qq.com"
	maxText    = 2048 // bytes
	syncLimit  = 1000
	// syncEvery is how often it is looked without an announcement, for those that
	// were lost. WeCom limits such looks strictly.
	syncEvery = 10 * time.Minute
	// fromVisitor is the origin of what visitors write; others are events, and what
	// people at WeCom's own desk write.
	fromVisitor = 3
)

// The settings of an account.
const (
	settingCorp   = "corp_id"
	settingSecret = "secret"
	settingToken  = "token"
	settingKey    = "aes_key"
	settingDesk   = "open_kfid"
	settingAPI    = "api_url"
)

// Driver implements [channels.Driver], [channels.Media], [channels.Puller] and
// [channels.Configurable].
type Driver struct{ *channels.Provider }

// New makes a driver.
func New(o channels.ProviderOptions) (*Driver, error) {
	p, err := channels.NewProvider(o)
	return &Driver{p}, err
}

// Kind implements [channels.Driver].
func (d *Driver) Kind() conversation.ChannelKind { return conversation.ChannelWeCom }

// Limits implements [channels.Driver].
func (d *Driver) Limits() channels.Limits {
	return channels.Limits{
		Methods: []string{http.MethodGet, http.MethodPost}, MaxText: maxText, Unit: channels.UnitBytes, Dialect: channels.DialectPlain,
		Account: channels.Rate{PerSec: 20, Burst: 20},
	}
}

// Settings implements [channels.Configurable].
func (d *Driver) Settings() []channels.Setting {
	return []channels.Setting{
		{Name: settingCorp, Required: true, Help: "corp id"},
		{Name: settingSecret, Secret: true, Required: true, Help: "secret of the customer-service application"},
		{Name: settingToken, Secret: true, Required: true, Help: "Token of the callback"},
		{Name: settingKey, Secret: true, Required: true, Help: "EncodingAESKey of the callback"},
		{Name: settingDesk, Required: true, Help: "open_kfid of the customer-service account"},
		{Name: settingAPI, Help: "address of the interface; empty = " + defaultAPI},
	}
}

// Receive implements [channels.Driver].
func (d *Driver) Receive(ctx context.Context, r channels.Request, body []byte) ([]channels.Event, channels.Ack, error) {
	a, err := d.Receiving(ctx, r.Account)
	if err != nil {
		return nil, channels.Ack{}, err
	}
	encrypted := r.Query.Get("echostr") // of the check of the address
	if r.Method != http.MethodGet {
		var envelope struct {
			Encrypt string `xml:"Encrypt"`
		}
		if xml.Unmarshal(body, &envelope) != nil {
			return nil, channels.Ack{}, channels.NotSigned()
		}
		encrypted = envelope.Encrypt
	}
	plain, err := open(a, r, encrypted)
	if err != nil {
		return nil, channels.Ack{}, err
	}
	if r.Method == http.MethodGet {
		return nil, channels.Ack{Answer: channels.Answer{Type: "text/plain", Body: plain}}, nil
	}
	var notice struct {
		Event string `xml:"Event"`
		Token string `xml:"Token"`
		Desk  string `xml:"OpenKfId"`
	}
	if xml.Unmarshal(plain, &notice) != nil {
		return nil, channels.Ack{}, conversation.Refuse(conversation.CodeInvalid, "what was encrypted is not the XML of a notice")
	}
	ack := channels.Ack{Answer: channels.Answer{Type: "text/plain", Body: []byte("success")}}
	if notice.Event == "kf_msg_or_event" && notice.Desk == a.Value(settingDesk) {
		ack.Pull = notice.Token
	}
	return nil, ack, nil
}

// open checks the signature and decrypts.
func open(a channels.Account, r channels.Request, encrypted string) ([]byte, error) {
	q, token := r.Query, a.Value(settingToken)
	if token == "" || encrypted == "" || !wxcrypt.Fresh(q.Get("timestamp"), r.At) ||
		!wxcrypt.Signed(q.Get("msg_signature"), token, q.Get("timestamp"), q.Get("nonce"), encrypted) {
		return nil, channels.NotSigned()
	}
	c, err := wxcrypt.New(a.Value(settingKey), a.Value(settingCorp))
	if err != nil {
		return nil, &conversation.Error{Code: conversation.CodeUnavailable, Detail: "the account's aes_key is wrong", Err: err}
	}
	plain, err := c.Decrypt(encrypted)
	if err != nil {
		return nil, channels.NotSigned()
	}
	return plain, nil
}

// Pull implements [channels.Puller].
func (d *Driver) Pull(ctx context.Context, p channels.Pull) (channels.Pulled, error) {
	a, err := d.Sending(ctx, p.Account)
	if err != nil {
		return channels.Pulled{}, err
	}
	ask := map[string]any{"cursor": string(p.Cursor), "limit": syncLimit, "open_kfid": a.Value(settingDesk)}
	if p.Hint != "" {
		ask["token"] = p.Hint
	}
	var got struct {
		Next string            `json:"next_cursor"`
		More int               `json:"has_more"`
		List []json.RawMessage `json:"msg_list"`
	}
	if err := d.call(ctx, a, "kf/sync_msg", ask, &got); err != nil {
		return channels.Pulled{}, err
	}
	out := channels.Pulled{More: got.More != 0, Wait: syncEvery}
	if got.Next != "" {
		out.Cursor = []byte(got.Next)
	}
	for _, raw := range got.List {
		if e, ok := event(raw, a.Value(settingDesk)); ok {
			out.Events = append(out.Events, e)
		}
	}
	return out, nil
}

// event translates a message; false for what no visitor wrote here.
func event(raw json.RawMessage, desk string) (channels.Event, bool) {
	var m struct {
		ID      string `json:"msgid"`
		Desk    string `json:"open_kfid"`
		Visitor string `json:"external_userid"`
		Origin  int    `json:"origin"`
		Type    string `json:"msgtype"`
		Text    struct {
			Content string `json:"content"`
		} `json:"text"`
		enclosed
	}
	bad := json.Unmarshal(raw, &m) != nil // what could be read of it is there all the same
	known := !bad || m.Origin != 0 && m.Desk != ""
	switch {
	case known && (m.Origin != fromVisitor || m.Desk != desk):
		return channels.Event{}, false
	case bad || m.Visitor == "" || m.ID == "":
		return channels.Event{Unreadable: raw}, true
	}
	e := channels.Event{Peer: m.Visitor, Ref: conversation.Ref(m.ID), Text: conversation.Text(m.Text.Content)}
	if e.Files = m.files(m.Type); m.Type != "text" && len(e.Files) == 0 {
		e.Keep(m.Type, raw)
	}
	return e, true
}

// Send implements [channels.Driver].
func (d *Driver) Send(ctx context.Context, p channels.Part) (string, error) {
	a, err := d.Sending(ctx, p.Inbox)
	if err != nil {
		return "", err
	}
	return d.say(ctx, a, p, "text", map[string]string{"content": string(p.Text)})
}

// say sends a message of a kind. The id that we give it is the same at every
// attempt; whether WeCom drops a repetition by it is not documented, so that is not
// relied upon.
func (d *Driver) say(ctx context.Context, a channels.Account, p channels.Part, kind string, what map[string]string) (string, error) {
	sum := sha256.Sum256([]byte(p.Key))
	var sent struct {
		ID string `json:"msgid"`
	}
	err := d.call(ctx, a, "kf/send_msg", map[string]any{
		"touser": p.Peer, "open_kfid": a.Value(settingDesk), "msgid": hex.EncodeToString(sum[:16]), "msgtype": kind, kind: what,
	}, &sent)
	return sent.ID, err
}

// Check implements [channels.Configurable].
func (d *Driver) Check(ctx context.Context, inbox conversation.InboxID) (string, error) {
	a, err := d.Sending(ctx, inbox)
	if err != nil {
		return "", err
	}
	_, err = d.SharedToken(ctx, a, d)
	return a.Value(settingDesk), err
}

// FetchToken implements [channels.TokenSource]. WeCom gives everybody the same one
// as long as it is valid, and none by force.
func (d *Driver) FetchToken(ctx context.Context, a channels.Account, _ channels.TokenForce) (string, time.Duration, error) {
	var got struct {
		Token   string `json:"access_token"`
		Seconds int64  `json:"expires_in"`
	}
	q := url.Values{"corpid": {a.Value(settingCorp)}, "corpsecret": {a.Value(settingSecret)}}
	reply, err := d.Call(ctx, channels.Call{Method: http.MethodGet, URL: address(a, "gettoken", q)})
	if err == nil {
		err = read(reply, &got)
	}
	return got.Token, channels.TokenLife(got.Seconds), err
}

func address(a channels.Account, method string, q url.Values) string {
	return a.Address(settingAPI, defaultAPI) + "/cgi-bin/" + method + "?" + q.Encode()
}

// call calls a method that needs the access token. Errors: [*channels.SendError].
func (d *Driver) call(ctx context.Context, a channels.Account, method string, body, result any) error {
	token, err := d.SharedToken(ctx, a, d)
	if err != nil {
		return err
	}
	reply, err := d.Call(ctx, channels.Call{URL: address(a, method, url.Values{"access_token": {token}}), JSON: body})
	if err == nil {
		err = read(reply, result)
	}
	return d.Judged(ctx, a, token, err)
}
