package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

// maxBatch bounds the messages of one delivery.
const maxBatch = 100

// kindText is the type of a message that is text; it may be left out.
const kindText = "text"

// message is what a sender posts: the same body as the unified entrance takes.
type message struct {
	ID          string                     `json:"id"`   // the sender's name of the message; empty = the webhook-id
	User        string                     `json:"user"` // the sender's name of the visitor
	Type        string                     `json:"type"` // empty = text
	Text        string                     `json:"text"`
	Metadata    map[string]json.RawMessage `json:"metadata"`
	Attachments []Link                     `json:"attachments"` // fetched behind the answer; the text may be empty then
	Channel     conversation.ChannelKind   `json:"channel"`     // where the visitor really writes, when the sender is a bridge
	WaitMS      *int64                     `json:"wait_ms"`     // how long the answer may wait for the bot's reply
}

// delivery is the body of one request.
type delivery struct {
	events []channels.Event
	wait   time.Duration
	stated bool // wait was in the body
	batch  bool
}

// parse reads one message, or an array of them. id is the delivery's webhook-id.
// Errors: class [conversation.ErrInvalid] or [conversation.ErrTooLarge]; they
// name fields, never their content.
func parse(body []byte, id string) (delivery, error) {
	if !utf8.Valid(body) {
		return delivery{}, conversation.Refuse(conversation.CodeBadText, "the body is not valid UTF-8")
	}
	body = bytes.TrimSpace(body)
	if len(body) > 0 && body[0] == '[' {
		return parseBatch(body, id)
	}
	var m message
	if err := unmarshal(body, &m); err != nil {
		return delivery{}, err
	}
	event, err := m.event(id, body)
	if err != nil {
		return delivery{}, err
	}
	d := delivery{events: []channels.Event{event}}
	if m.WaitMS != nil {
		if *m.WaitMS < 0 {
			return delivery{}, conversation.Refuse(conversation.CodeInvalid, "wait_ms is negative")
		}
		d.wait, d.stated = time.Duration(min(*m.WaitMS, ackWithin.Milliseconds()))*time.Millisecond, true
	}
	return d, nil
}

func parseBatch(body []byte, id string) (delivery, error) {
	var all []json.RawMessage
	if err := unmarshal(body, &all); err != nil {
		return delivery{}, err
	}
	if len(all) == 0 || len(all) > maxBatch {
		return delivery{}, conversation.Refusef(
			conversation.CodeInvalid, "a batch holds 1 to %d messages, this one %d", maxBatch, len(all))
	}
	d := delivery{events: make([]channels.Event, len(all)), batch: true}
	for i := range all {
		var m message
		err := unmarshal(all[i], &m)
		var event channels.Event
		if err == nil {
			event, err = m.event(id+"/"+strconv.Itoa(i), all[i])
		}
		if err != nil {
			return delivery{}, fmt.Errorf("message %d of the batch: %w", i, err)
		}
		d.events[i] = event
	}
	return d, nil
}

// unmarshal gives an error that does not quote the input.
func unmarshal(body []byte, v any) error {
	if err := json.Unmarshal(body, v); err != nil {
		return conversation.Refuse(conversation.CodeBadJSON, jsonDetail(err))
	}
	return nil
}

// event translates a message; ref is used when the message has no id. Of a kind
// that is not known here the message is kept as it was written.
func (m *message) event(ref string, raw []byte) (channels.Event, error) {
	e := channels.Event{
		Channel: m.Channel, Peer: m.User, Ref: conversation.Ref(ref), Text: conversation.Text(m.Text),
	}
	if e.Channel != "" && !e.Channel.Known() {
		return e, conversation.Refuse(conversation.CodeUnknownChannel, "channel is not one of the known kinds")
	}
	if m.User == "" {
		return e, conversation.Refuse(conversation.CodeInvalid, "user is required: the sender's name of the visitor")
	}
	if m.ID != "" {
		e.Ref = conversation.Ref(m.ID)
	}
	if len(e.Ref) > conversation.MaxRefBytes {
		return e, conversation.Refusef(
			conversation.CodeBadRef, "id has %d bytes, the limit is %d", len(e.Ref), conversation.MaxRefBytes)
	}
	files, err := Files(m.Attachments)
	if err != nil {
		return e, err
	}
	e.Files = files
	if e.Metadata, err = scalars(m.Metadata); err != nil {
		return e, err
	}
	if m.Type != "" && m.Type != kindText && len(files) == 0 {
		e.Keep(m.Type, raw)
	}
	return e, nil
}

// scalars turns metadata into text: strings as they are, numbers and booleans
// as they are written. Null counts as absent.
func scalars(raw map[string]json.RawMessage) (map[string]string, error) {
	if len(raw) > conversation.MaxMetadataKeys {
		return nil, conversation.Refusef(
			conversation.CodeTooMuchMetadata, "%d keys, the limit is %d", len(raw), conversation.MaxMetadataKeys)
	}
	var out map[string]string
	for key, value := range raw {
		s, ok := scalar(value)
		if !ok {
			return nil, conversation.Refuse(
				conversation.CodeInvalid, "metadata holds a list or an object; its values are strings, numbers and booleans")
		}
		if string(value) == "null" {
			continue
		}
		if out == nil {
			out = make(map[string]string, len(raw))
		}
		out[key] = s
	}
	return out, nil
}

func scalar(value json.RawMessage) (string, bool) {
	switch {
	case len(value) == 0 || value[0] == '{' || value[0] == '[':
		return "", false
	case value[0] == '"':
		var s string
		err := json.Unmarshal(value, &s)
		return s, err == nil
	}
	return string(value), true
}

// jsonDetail says where the JSON is wrong without quoting it.
func jsonDetail(err error) string {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Sprintf("the body is not JSON at byte %d", syntax.Offset)
	}
	var typed *json.UnmarshalTypeError
	if errors.As(err, &typed) {
		return fmt.Sprintf("a value of the body has the wrong type at byte %d", typed.Offset)
	}
	return "the body is not a message object or a list of them"
}
