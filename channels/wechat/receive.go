package wechat

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"net/http"
	"strconv"
	"strings"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/channels/wxcrypt"
	"github.com/colloquyhq/colloquy/conversation"
)

// message is what WeChat delivers. In safe mode Encrypt holds another one.
type message struct {
	To          string `xml:"ToUserName"`
	From        string `xml:"FromUserName"`
	Created     string `xml:"CreateTime"`
	Type        string `xml:"MsgType"`
	ID          string `xml:"MsgId"`
	Content     string `xml:"Content"`
	Recognition string `xml:"Recognition"` // of a voice message, if the account has it
	Media       string `xml:"MediaId"`
	Picture     string `xml:"PicUrl"`
	Format      string `xml:"Format"` // of a voice message
	Event       string `xml:"Event"`
	EventKey    string `xml:"EventKey"`
	Encrypt     string `xml:"Encrypt"`
}

// Receive implements [channels.Driver]. In plain mode the signature covers no
// body, so there the secrecy of the address is what keeps others out.
func (d *Driver) Receive(ctx context.Context, r channels.Request, body []byte) ([]channels.Event, channels.Ack, error) {
	a, err := d.Receiving(ctx, r.Account)
	if err != nil {
		return nil, channels.Ack{}, err
	}
	q, token := r.Query, a.Value(settingToken)
	timestamp, nonce := q.Get("timestamp"), q.Get("nonce")
	if token == "" || !wxcrypt.Fresh(timestamp, r.At) || !wxcrypt.Signed(q.Get("signature"), token, timestamp, nonce) {
		return nil, channels.Ack{}, channels.NotSigned()
	}
	if r.Method == http.MethodGet { // the address is being configured
		return nil, channels.Ack{Answer: channels.Answer{Type: "text/plain", Body: []byte(q.Get("echostr"))}}, nil
	}
	seal := func(b []byte) ([]byte, error) { return b, nil }
	if key := a.Value(settingKey); key != "" {
		c, err := wxcrypt.New(key, a.Value(settingAppID))
		if err != nil {
			return nil, channels.Ack{}, &conversation.Error{Code: conversation.CodeUnavailable, Detail: "the account's aes_key is wrong", Err: err}
		}
		if body, err = open(c, token, r, body); err != nil {
			return nil, channels.Ack{}, err
		}
		seal = func(b []byte) ([]byte, error) { return sealed(c, token, timestamp, nonce, b) }
	}
	var m message
	if xml.Unmarshal(body, &m) != nil { // which expands no entities but XML's own
		return nil, channels.Ack{}, conversation.Refuse(conversation.CodeInvalid, "the body is not the XML of a message")
	}
	ack := channels.Ack{Answer: channels.Answer{Type: "text/plain", Body: []byte("success")}}
	events := m.events(body)
	if len(events) == 1 && events[0].Unreadable == nil && a.Value(settingPassive) != off {
		ack.Wait, ack.Compose = replyWait, m.composer(ack.Answer, seal)
	}
	return events, ack, nil
}

// open checks and decrypts what safe mode delivers.
func open(c *wxcrypt.Cipher, token string, r channels.Request, body []byte) ([]byte, error) {
	var m message
	if xml.Unmarshal(body, &m) != nil || m.Encrypt == "" {
		return nil, channels.NotSigned()
	}
	if !wxcrypt.Signed(r.Query.Get("msg_signature"), token, r.Query.Get("timestamp"), r.Query.Get("nonce"), m.Encrypt) {
		return nil, channels.NotSigned()
	}
	b, err := c.Decrypt(m.Encrypt)
	if err != nil {
		return nil, channels.NotSigned()
	}
	return b, nil
}

// events translates a message. Of the events only a press on the menu says
// something; followers that come and go are not visitors that write.
func (m *message) events(raw []byte) []channels.Event {
	switch {
	case m.From == "" && m.Type == "event":
		return nil
	case m.From == "": // somebody wrote something
		text, err := json.Marshal(string(raw))
		if err != nil {
			return nil // a string
		}
		return []channels.Event{{Unreadable: text}}
	}
	e := channels.Event{Peer: m.From, Ref: conversation.Ref(m.ID), Text: conversation.Text(m.Content)}
	switch {
	case m.Type == "text":
	case m.Type == "event" && m.Event == "CLICK" && m.EventKey != "":
		e.Text = conversation.Text(m.EventKey)
	case m.Type == "event":
		return nil
	default:
		e.Text, e.Files = conversation.Text(m.Recognition), m.files()
		if len(e.Files) > 0 {
			break
		}
		e.Keep(m.Type, raw)
		if m.Type == "" {
			e.Unsupported = "unknown"
		}
	}
	if m.ID == "" || len(m.ID) > conversation.MaxRefBytes { // of events: no two of one sender at one time
		sum := sha256.Sum256([]byte(strings.Join([]string{m.From, m.Created, m.Type, m.Event, m.EventKey}, "\x00")))
		e.Ref = conversation.Ref("evt-" + hex.EncodeToString(sum[:16]))
	}
	return []channels.Event{e}
}

type cdata struct {
	Text string `xml:",cdata"`
}

// composer makes the answer that carries the bot's replies. What does not fit in
// one message is cut: an answer holds one. Its time is that of the message, so
// that a repeated delivery gets the same answer.
func (m *message) composer(otherwise channels.Answer, seal func([]byte) ([]byte, error)) func([]channels.Outcome) channels.Answer {
	return func(outcomes []channels.Outcome) channels.Answer {
		var texts []string
		for _, reply := range outcomes[0].Receipt.Replies {
			texts = append(texts, string(reply.Text))
			for _, b := range reply.Buttons {
				texts = append(texts, "• "+b.Label)
			}
		}
		text := channels.DialectPlain(conversation.Text(strings.Join(texts, "\n")))
		if strings.TrimSpace(string(text)) == "" {
			return otherwise
		}
		b, err := xml.Marshal(struct {
			XMLName xml.Name `xml:"xml"`
			To      cdata    `xml:"ToUserName"`
			From    cdata    `xml:"FromUserName"`
			Created string   `xml:"CreateTime"`
			Type    cdata    `xml:"MsgType"`
			Content cdata    `xml:"Content"`
		}{
			To: cdata{m.From}, From: cdata{m.To}, Created: m.Created, Type: cdata{"text"},
			Content: cdata{string(channels.Split(text, maxText, channels.UnitBytes)[0])},
		})
		if err == nil {
			b, err = seal(b)
		}
		if err != nil {
			return otherwise
		}
		return channels.Answer{Type: "application/xml", Body: b}
	}
}

// sealed is an answer of safe mode.
func sealed(c *wxcrypt.Cipher, token, timestamp, nonce string, b []byte) ([]byte, error) {
	encrypted := c.Encrypt(b)
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil {
		return nil, err
	}
	return xml.Marshal(struct {
		XMLName   xml.Name `xml:"xml"`
		Encrypt   cdata    `xml:"Encrypt"`
		Signature cdata    `xml:"MsgSignature"`
		Time      int64    `xml:"TimeStamp"`
		Nonce     cdata    `xml:"Nonce"`
	}{Encrypt: cdata{encrypted}, Signature: cdata{wxcrypt.Signature(token, timestamp, nonce, encrypted)}, Time: seconds, Nonce: cdata{nonce}})
}
