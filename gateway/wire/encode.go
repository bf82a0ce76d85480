package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/colloquyhq/colloquy/conversation"
)

// Encode appends f to dst.
//
// Errors: only for a value that JSON cannot hold, such as a time after the
// year 9999; dst is returned as it was then.
func Encode(dst []byte, f ServerFrame) ([]byte, error) {
	switch v := f.(type) {
	case *Ack:
		return appendAck(dst, v), nil
	case *Event:
		if m, ok := v.Data.(*Message); ok {
			return appendMessageEvent(dst, v, m), nil
		}
	case *Pong:
		dst = append(dst, `{"t":"pong"`...)
		return append(appendOptional(dst, `,"ref":`, v.Ref), '}'), nil
	case *Welcome, *Resumed, *Reset, *Done, *Error, *TypingNotice, *QueuePosition, *PresenceNotice, *Reconnect:
	}
	return encodeAny(dst, f)
}

// encodeAny is the way through encoding/json, and what the other ways are
// compared with.
func encodeAny(dst []byte, f ServerFrame) ([]byte, error) {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(f); err != nil {
		return dst, fmt.Errorf("encode %s: %w", f.Type(), err)
	}
	b := bytes.TrimSuffix(body.Bytes(), []byte("\n"))
	dst = append(dst, `{"t":"`...)
	dst = append(dst, f.Type()...)
	dst = append(dst, '"')
	if len(b) > 2 {
		dst = append(dst, ',')
	}
	return append(dst, b[1:]...), nil
}

func appendAck(dst []byte, a *Ack) []byte {
	dst = append(dst, `{"t":"ack","client_id":`...)
	dst = appendString(dst, string(a.ClientID))
	dst = append(dst, `,"conversation_id":"`...)
	dst = appendConversation(dst, a.Conversation)
	dst = append(dst, `","message_id":`...)
	dst = appendString(dst, a.MessageID)
	dst = append(dst, `,"seq":`...)
	dst = strconv.AppendUint(dst, uint64(a.Seq), 10)
	dst = append(dst, `,"at":"`...)
	dst = a.At.AppendFormat(dst, time.RFC3339Nano)
	dst = append(dst, `","durable":`...)
	dst = strconv.AppendBool(dst, a.Durable)
	dst = append(dst, `,"duplicate":`...)
	dst = strconv.AppendBool(dst, a.Duplicate)
	return append(dst, '}')
}

func appendMessageEvent(dst []byte, e *Event, m *Message) []byte {
	dst = append(dst, `{"t":"event","conversation_id":"`...)
	dst = appendConversation(dst, e.Conversation)
	dst = append(dst, `","seq":`...)
	dst = strconv.AppendUint(dst, uint64(e.Seq), 10)
	dst = append(dst, `,"at":"`...)
	dst = e.At.AppendFormat(dst, time.RFC3339Nano)
	dst = append(dst, `","type":`...)
	dst = appendString(dst, e.Kind)
	dst = append(dst, `,"data":`...)
	dst = appendMessage(dst, m)
	return append(dst, '}')
}

func appendMessage(dst []byte, m *Message) []byte {
	dst = append(dst, `{"id":`...)
	dst = appendString(dst, m.ID)
	dst = append(dst, `,"seq":`...)
	dst = strconv.AppendUint(dst, uint64(m.Seq), 10)
	dst = append(dst, `,"at":"`...)
	dst = m.At.AppendFormat(dst, time.RFC3339Nano)
	dst = append(dst, `","from":`...)
	dst = appendString(dst, string(m.From))
	dst = appendOptional(dst, `,"agent":`, string(m.Agent))
	dst = appendOptional(dst, `,"name":`, m.Name)
	dst = append(dst, `,"text":`...)
	dst = appendString(dst, string(m.Text))
	if m.Note {
		dst = append(dst, `,"note":true`...)
	}
	dst = appendOptional(dst, `,"client_id":`, string(m.ClientID))
	if m.InReplyTo != 0 {
		dst = append(dst, `,"in_reply_to_seq":`...)
		dst = strconv.AppendUint(dst, uint64(m.InReplyTo), 10)
	}
	dst = appendButtons(dst, m.Buttons)
	dst = appendProvenance(dst, m.Bot)
	dst = appendMetadata(dst, m.Metadata)
	dst = appendOptional(dst, `,"delivery":`, string(m.Delivery))
	dst = appendAttachments(dst, m.Attachments)
	return append(dst, '}')
}

func appendButtons(dst []byte, buttons []conversation.Button) []byte {
	if len(buttons) == 0 {
		return dst
	}
	dst = append(dst, `,"buttons":[`...)
	for i, b := range buttons {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"label":`...)
		dst = appendString(dst, b.Label)
		dst = append(dst, `,"text":`...)
		dst = appendString(dst, b.Text)
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

func appendAttachments(dst []byte, all []Attachment) []byte {
	for i := range all {
		a := &all[i]
		if i == 0 {
			dst = append(dst, `,"attachments":[{"id":"`...)
		} else {
			dst = append(dst, `,{"id":"`...)
		}
		dst = append(dst, a.ID.String()...)
		dst = append(dst, `","name":`...)
		dst = appendString(dst, a.Name)
		dst = appendOptional(dst, `,"type":`, a.Type)
		if a.Size != 0 {
			dst = append(dst, `,"size":`...)
			dst = strconv.AppendInt(dst, a.Size, 10)
		}
		dst = append(dst, `,"state":`...)
		dst = appendString(dst, string(a.State))
		dst = append(appendOptional(dst, `,"reason":`, a.Reason), '}')
	}
	if len(all) > 0 {
		dst = append(dst, ']')
	}
	return dst
}

func appendProvenance(dst []byte, p *conversation.Provenance) []byte {
	if p == nil {
		return dst
	}
	dst = append(dst, `,"bot":{`...)
	start := len(dst)
	dst = appendOptional(dst, `,"intent":`, p.Intent)
	if p.Confidence != 0 {
		dst = append(dst, `,"confidence":`...)
		dst = appendFloat32(dst, p.Confidence)
	}
	dst = appendOptional(dst, `,"model":`, p.Model)
	dst = appendOptional(dst, `,"behavior":`, p.Behavior)
	if len(dst) > start { // the first member's comma is one too many
		dst = append(dst[:start], dst[start+1:]...)
	}
	return append(dst, '}')
}

func appendMetadata(dst []byte, m map[string]string) []byte {
	if len(m) == 0 {
		return dst
	}
	dst = append(dst, `,"metadata":{`...)
	for i, k := range sortedKeys(m) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, k)
		dst = append(dst, ':')
		dst = appendString(dst, m[k])
	}
	return append(dst, '}')
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	for i := 1; i < len(keys); i++ { // few keys: insertion is enough
		for j := i; j > 0 && keys[j] < keys[j-1]; j-- {
			keys[j], keys[j-1] = keys[j-1], keys[j]
		}
	}
	return keys
}

func appendOptional(dst []byte, key, value string) []byte {
	if value == "" {
		return dst
	}
	return appendString(append(dst, key...), value)
}

func appendConversation(dst []byte, id conversation.ConversationID) []byte {
	if id.IsZero() {
		return dst
	}
	dst, _ = id.AppendText(dst) // never fails
	return dst
}

// appendFloat32 writes numbers as encoding/json does: the shortest form that
// reads back, with an exponent only far from 1.
func appendFloat32(dst []byte, f float32) []byte {
	abs := math.Abs(float64(f))
	if math.IsNaN(abs) || math.IsInf(abs, 0) {
		return append(dst, '0') // not JSON; a confidence is never this
	}
	if abs != 0 && (float32(abs) < 1e-6 || float32(abs) >= 1e21) {
		dst = strconv.AppendFloat(dst, float64(f), 'e', -1, 32)
		if n := len(dst); n >= 4 && dst[n-4] == 'e' && dst[n-3] == '-' && dst[n-2] == '0' {
			dst[n-2] = dst[n-1] // e-09 becomes e-9
			dst = dst[:n-1]
		}
		return dst
	}
	return strconv.AppendFloat(dst, float64(f), 'f', -1, 32)
}

const hexDigits = "0123456789abcdef"

// appendString writes a JSON string as encoding/json does without HTML
// escaping.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := plainBytes(s); i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' {
				i += plainBytes(s[i:])
				continue
			}
			dst = append(dst, s[start:i]...)
			dst = appendEscape(dst, c)
			i++
			start = i
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			dst = append(append(dst, s[start:i]...), `\ufffd`...)
			start = i + n
		case r == '\u2028' || r == '\u2029': // line ends to JavaScript
			dst = append(append(dst, s[start:i]...), `\u202`...)
			dst = append(dst, hexDigits[r&0xf])
			start = i + n
		}
		i += n
	}
	return append(append(dst, s[start:]...), '"')
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, '\\', 'b')
	case '\f':
		return append(dst, '\\', 'f')
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
}
