package feishu

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

const (
	headerSignature = "X-Lark-Signature"
	headerTime      = "X-Lark-Request-Timestamp"
	headerNonce     = "X-Lark-Request-Nonce"
	typeReceive     = "im.message.receive_v1"
)

// delivery is what was encrypted: the check of the address, or an event.
type delivery struct {
	Type      string `json:"type"`
	Token     string `json:"token"`
	Challenge string `json:"challenge"`
	Header    struct {
		Type  string `json:"event_type"`
		Token string `json:"token"`
	} `json:"header"`
	Event struct {
		Sender struct {
			Type string `json:"sender_type"`
			ID   struct {
				Open string `json:"open_id"`
			} `json:"sender_id"`
		} `json:"sender"`
		Message json.RawMessage `json:"message"`
	} `json:"event"`
}

type message struct {
	ID       string `json:"message_id"`
	Chat     string `json:"chat_id"`
	Type     string `json:"message_type"`
	Content  string `json:"content"`
	Mentions []struct {
		Key  string `json:"key"`
		Name string `json:"name"`
	} `json:"mentions"`
}

// Receive implements [channels.Driver].
func (d *Driver) Receive(ctx context.Context, r channels.Request, body []byte) ([]channels.Event, channels.Ack, error) {
	a, err := d.Receiving(ctx, r.Account)
	if err != nil {
		return nil, channels.Ack{}, err
	}
	key, token := a.Value(settingKey), a.Value(settingToken)
	var envelope struct {
		Encrypt string `json:"encrypt"`
	}
	if key == "" || token == "" || json.Unmarshal(body, &envelope) != nil {
		return nil, channels.Ack{}, channels.NotSigned()
	}
	plain, ok := decrypt(key, envelope.Encrypt)
	var got delivery
	readable := ok && json.Unmarshal(plain, &got) == nil
	if readable && got.Type == "url_verification" && channels.Same(token, got.Token) {
		// Comes before the subscription exists, and need not be signed; only who has
		// the key can have encrypted the token.
		answer, err := channels.EncodeJSON(map[string]string{"challenge": got.Challenge})
		return nil, channels.Ack{Answer: channels.Answer{Type: "application/json", Body: answer}}, err
	}
	if !signed(key, r, body) {
		return nil, channels.Ack{}, channels.NotSigned()
	}
	if !readable {
		return nil, channels.Ack{}, conversation.Refuse(conversation.CodeBadJSON, "what was encrypted is no event")
	}
	if !channels.Same(token, got.Header.Token) {
		return nil, channels.Ack{}, channels.NotSigned()
	}
	return got.events(plain), channels.Ack{}, nil
}

func signed(key string, r channels.Request, body []byte) bool {
	sum := sha256.Sum256([]byte(r.Header.Get(headerTime) + r.Header.Get(headerNonce) + key + string(body)))
	return channels.Same(hex.EncodeToString(sum[:]), r.Header.Get(headerSignature))
}

// decrypt reads AES-256-CBC under the SHA-256 of the key, with the IV in front.
func decrypt(key, encrypted string) ([]byte, bool) {
	b, err := base64.StdEncoding.DecodeString(encrypted)
	if err != nil || len(b) < 2*aes.BlockSize || len(b)%aes.BlockSize != 0 {
		return nil, false
	}
	sum := sha256.Sum256([]byte(key))
	block, err := aes.NewCipher(sum[:])
	if err != nil {
		return nil, false
	}
	iv, b := b[:aes.BlockSize], b[aes.BlockSize:]
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(b, b)
	pad := int(b[len(b)-1])
	if pad < 1 || pad > aes.BlockSize {
		return nil, false
	}
	return b[:len(b)-pad], true
}

// events translates a message, of which plain is the whole delivery. What apps write
// is left out, our own among it.
func (d *delivery) events(plain []byte) []channels.Event {
	var m message
	if d.Header.Type != typeReceive || d.Event.Sender.Type == "app" {
		return nil
	}
	if json.Unmarshal(d.Event.Message, &m) != nil || m.Chat == "" || m.ID == "" || len(m.ID) > conversation.MaxRefBytes {
		return []channels.Event{{Unreadable: plain}}
	}
	e := channels.Event{Peer: m.Chat, Ref: conversation.Ref(m.ID), Metadata: map[string]string{"open_id": d.Event.Sender.ID.Open}}
	text, files, ok := m.read()
	if !ok {
		e.Keep(m.Type, d.Event.Message)
		if m.Type == "" {
			e.Unsupported = "unknown"
		}
		return []channels.Event{e}
	}
	for _, mention := range m.Mentions {
		if mention.Key != "" {
			text = strings.ReplaceAll(text, mention.Key, "@"+mention.Name)
		}
	}
	e.Text, e.Files = conversation.Text(text), files
	return []channels.Event{e}
}

// read gives text and files of a message; false for a kind that has neither.
func (m *message) read() (text string, files []channels.File, ok bool) {
	if m.Type == typePost {
		return readPost(m.Content, m.ID)
	}
	var content struct {
		Text string `json:"text"`
		enclosed
	}
	if json.Unmarshal([]byte(m.Content), &content) != nil {
		return "", nil, false
	}
	files = content.files(m.ID, m.Type)
	return content.Text, files, m.Type == "text" || len(files) > 0
}
