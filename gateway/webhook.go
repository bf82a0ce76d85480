package gateway

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway/wire"
)

const (
	headerChannel  = "X-Channel-Type"
	headerReplayed = "Idempotency-Replayed"

	defaultWait = 4 * time.Second // below the 5 s of the strictest provider
	maxWait     = 25 * time.Second

	maxUserBytes = 256
	// replyEntries is how far behind a repeated message its reply is looked for.
	replyEntries = 64
)

// webhookBody is a message from any system that can post JSON.
type webhookBody struct {
	User        json.RawMessage            `json:"user"`
	Text        *string                    `json:"text"`
	Metadata    map[string]json.RawMessage `json:"metadata"`
	ID          json.RawMessage            `json:"id"`
	Timestamp   json.RawMessage            `json:"timestamp"`
	Attachments []LinkedFile               `json:"attachments"` // fetched behind the answer; the text may be empty then
}

// webhookAnswer is built from what is stored only, so that a repeated message
// is answered with the same bytes.
type webhookAnswer struct {
	Conversation conversation.ConversationID `json:"conversation_id"`
	MessageID    string                      `json:"message_id"`
	Seq          conversation.Seq            `json:"seq"`
	Reply        *webhookReply               `json:"reply,omitempty"`
}

type webhookReply struct {
	Text       string                `json:"text"`
	Intent     string                `json:"intent,omitempty"`
	Confidence float32               `json:"confidence,omitempty"`
	Buttons    []conversation.Button `json:"buttons,omitempty"`
}

// webhook is the one entrance for every system: POST {user, text, metadata}
// with the channel in a header.
func (g *Gateway) webhook(w http.ResponseWriter, r *http.Request, who caller) error {
	in, files, err := g.inboundOf(r, who)
	if err != nil {
		g.metrics.webhooks.WithLabelValues("refused").Inc()
		return err
	}
	if err := g.setWait(w, r, &in, who.inbox); err != nil {
		g.metrics.webhooks.WithLabelValues("refused").Inc()
		return err
	}
	receipt, err := g.deliverLinked(r.Context(), in, files)
	if err != nil {
		g.metrics.webhooks.WithLabelValues("refused").Inc()
		return err
	}
	if receipt.Duplicate {
		w.Header().Set(headerReplayed, "true")
		if len(receipt.Replies) == 0 {
			receipt.Replies = g.storedReplies(r.Context(), receipt)
		}
	}
	a := webhookAnswer{
		Conversation: receipt.Conversation, MessageID: conversation.MessageID(receipt.Conversation, receipt.Seq),
		Seq: receipt.Seq, Reply: replyOf(receipt.Replies),
	}
	status, outcome := http.StatusOK, "replied"
	if a.Reply == nil {
		status, outcome = http.StatusAccepted, "accepted"
	}
	if receipt.Duplicate {
		outcome = "duplicate"
	}
	g.metrics.webhooks.WithLabelValues(outcome).Inc()
	return answer(w, status, a)
}

// inboundOf reads and checks the message.
func (g *Gateway) inboundOf(r *http.Request, who caller) (conversation.Inbound, []LinkedFile, error) {
	var in conversation.Inbound
	kind := conversation.ChannelKind(r.Header.Get(headerChannel))
	if kind == "" {
		kind = conversation.ChannelWebhook
	}
	if !kind.Known() || len(r.Header.Values(headerChannel)) > 1 {
		return in, nil, &conversation.Error{
			Code: conversation.CodeUnknownChannel, Detail: headerChannel + " names no channel that is known", Hint: knownChannels(),
		}
	}
	if !who.inbox.Serves(kind) {
		return in, nil, conversation.Refusef(conversation.CodeUnknownChannel, "inbox %s does not serve channel %s", who.inbox.ID, kind)
	}
	var b webhookBody
	if err := decodeLoose(who.body, &b); err != nil {
		return in, nil, err
	}
	user, err := idText("user", b.User, maxUserBytes)
	if err != nil {
		return in, nil, err
	}
	if user == "" {
		return in, nil, conversation.Refuse(conversation.CodeInvalid, "user is missing: the provider's name of the visitor")
	}
	text, err := b.words()
	if err != nil {
		return in, nil, err
	}
	ref, err := refOf(r, b.ID)
	if err != nil {
		return in, nil, err
	}
	meta, err := metadataOf(b.Metadata, b.Timestamp)
	if err != nil {
		return in, nil, err
	}
	return conversation.Inbound{
		Inbox: who.inbox.ID, Channel: kind, Contact: g.contactOf(who.inbox.ID, kind, user), Peer: user,
		Ref: ref, Text: text, Metadata: meta,
	}, b.Attachments, nil
}

// words gives the text, which only a message with files may lack.
func (b *webhookBody) words() (conversation.Text, error) {
	if n := len(b.Attachments); n > conversation.MaxAttachments {
		return "", conversation.Refusef(conversation.CodeBadAttachment, "%d attachments, the limit is %d", n, conversation.MaxAttachments)
	}
	var text conversation.Text
	if b.Text != nil {
		text = conversation.Text(*b.Text)
	}
	if len(b.Attachments) > 0 && strings.TrimSpace(string(text)) == "" {
		return "", nil
	}
	if b.Text == nil {
		return "", conversation.Refuse(conversation.CodeEmptyText, "text is missing")
	}
	return text, checkText(text)
}

func knownChannels() string {
	kinds := conversation.ChannelKinds()
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = string(k)
	}
	return "one of " + strings.Join(names, ", ")
}

// decodeLoose reads an object and lets fields pass that it does not know:
// providers send more than they say.
func decodeLoose(b []byte, v any) error {
	if err := wire.CheckJSON(b, maxBodyDepth); err != nil {
		return err
	}
	if trimmed := bytes.TrimSpace(b); len(trimmed) == 0 || trimmed[0] != '{' {
		return conversation.Refuse(conversation.CodeBadJSON, "the body is a JSON object")
	}
	if err := json.Unmarshal(b, v); err != nil {
		return conversation.Refuse(conversation.CodeBadJSON, "a field of the body has the wrong type: user and text are strings, metadata is an object, attachments a list of objects")
	}
	return nil
}

// idText takes an id that was sent as a string or as a whole number.
func idText(name string, raw json.RawMessage, limit int) (string, error) {
	s := string(raw)
	switch {
	case len(raw) == 0 || s == "null":
		return "", nil
	case raw[0] == '"':
		if err := json.Unmarshal(raw, &s); err != nil {
			return "", conversation.Refuse(conversation.CodeBadJSON, name+" is not a string")
		}
	case strings.Trim(s, "-0123456789") != "":
		return "", conversation.Refuse(conversation.CodeBadJSON, name+" is a string or a whole number")
	}
	if len(s) > limit {
		return "", conversation.Refusef(conversation.CodeTooLarge, "%s has %d bytes, the limit is %d", name, len(s), limit)
	}
	for _, c := range s {
		if c < ' ' || c == 0x7f || c == utf8.RuneError {
			return "", conversation.Refuse(conversation.CodeInvalid, name+" holds a control character")
		}
	}
	return s, nil
}

// refOf finds the sender's id of the message: in the body, else in the header
// Idempotency-Key.
func refOf(r *http.Request, raw json.RawMessage) (conversation.Ref, error) {
	s, err := idText("id", raw, conversation.MaxRefBytes)
	if err != nil || s != "" {
		return conversation.Ref(s), err
	}
	return idempotencyKey(r)
}

func idempotencyKey(r *http.Request) (conversation.Ref, error) {
	key := strings.Trim(r.Header.Get("Idempotency-Key"), `"`)
	if len(key) > conversation.MaxRefBytes || !utf8.ValidString(key) {
		return "", conversation.Refusef(conversation.CodeBadRef, "Idempotency-Key has at most %d bytes of UTF-8", conversation.MaxRefBytes)
	}
	return conversation.Ref(key), nil
}

// metadataOf turns values of any kind into strings; what is not a string keeps
// its JSON.
func metadataOf(raw map[string]json.RawMessage, at json.RawMessage) (map[string]string, error) {
	if len(raw) > conversation.MaxMetadataKeys {
		return nil, conversation.Refusef(conversation.CodeTooMuchMetadata, "%d keys, the limit is %d", len(raw), conversation.MaxMetadataKeys)
	}
	sent, err := sentAt(at)
	if err != nil {
		return nil, err
	}
	out := make(map[string]string, len(raw)+1)
	size := 0
	for k, v := range raw {
		s := string(v)
		if v[0] == '"' {
			if err := json.Unmarshal(v, &s); err != nil {
				return nil, conversation.Refuse(conversation.CodeBadJSON, "metadata holds a broken string")
			}
		}
		if s == "null" {
			continue
		}
		out[k] = s
		size += len(k) + len(s)
	}
	if size > conversation.MaxMetadataBytes {
		return nil, conversation.Refusef(conversation.CodeTooMuchMetadata, "%d bytes, the limit is %d", size, conversation.MaxMetadataBytes)
	}
	if _, taken := out["sent_at"]; sent != "" && !taken && len(out) < conversation.MaxMetadataKeys {
		out["sent_at"] = sent
	}
	if len(out) == 0 {
		return nil, nil //nolint:nilnil // no metadata is no map
	}
	return out, nil
}

// sentAt reads a timestamp: RFC 3339, or Unix seconds or milliseconds.
func sentAt(raw json.RawMessage) (string, error) {
	s := strings.Trim(string(raw), `"`)
	if s == "" || s == "null" {
		return "", nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t.UTC().Format(time.RFC3339Nano), nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > 1<<43 {
		return "", conversation.Refuse(conversation.CodeBadTime, "timestamp is RFC 3339, or Unix seconds or milliseconds")
	}
	if n < 1<<35 { // seconds until the year 3058
		n *= 1000
	}
	return time.UnixMilli(n).UTC().Format(time.RFC3339Nano), nil
}

// contactOf derives the contact of a provider's user: the same user is the
// same contact, and nobody can tell one from the other's id.
func (g *Gateway) contactOf(inbox conversation.InboxID, kind conversation.ChannelKind, user string) conversation.ContactID {
	mac := hmac.New(sha256.New, g.contactKey)
	for _, part := range []string{string(inbox), string(kind), user} {
		mac.Write([]byte(part))
		mac.Write([]byte{0})
	}
	return conversation.ContactID(mac.Sum(nil)[:16])
}

// ContactOf derives the contact of a provider's user, for entrances that live
// outside of this package.
func (g *Gateway) ContactOf(inbox conversation.InboxID, kind conversation.ChannelKind, user string) conversation.ContactID {
	return g.contactOf(inbox, kind, user)
}

// setWait decides how long the caller wants to wait for the bot: ?wait_ms, or
// Prefer: wait=seconds (RFC 7240).
func (g *Gateway) setWait(w http.ResponseWriter, r *http.Request, in *conversation.Inbound, inbox conversation.Inbox) error {
	wait := defaultWait
	if s := r.URL.Query().Get("wait_ms"); s != "" {
		n, err := strconv.ParseUint(s, 10, 32)
		if err != nil {
			return conversation.Refuse(conversation.CodeInvalid, "wait_ms is a number of milliseconds")
		}
		wait = time.Duration(n) * time.Millisecond
	} else if n, ok := preferredWait(r); ok {
		wait = n
		w.Header().Set("Preference-Applied", "wait="+strconv.Itoa(int(min(n, maxWait).Seconds())))
	}
	if inbox.ServesBot() {
		in.Wait = min(wait, maxWait)
	}
	return nil
}

func preferredWait(r *http.Request) (time.Duration, bool) {
	for _, line := range r.Header.Values("Prefer") {
		for p := range strings.SplitSeq(line, ",") {
			k, v, _ := strings.Cut(strings.TrimSpace(p), "=")
			if n, err := strconv.ParseUint(strings.Trim(v, `" `), 10, 16); strings.EqualFold(k, "wait") && err == nil {
				return time.Duration(n) * time.Second, true
			}
		}
	}
	return 0, false
}

// storedReplies finds the bot's replies to a message in the journal.
func (g *Gateway) storedReplies(ctx context.Context, r conversation.Receipt) []conversation.Message {
	entries, err := g.opts.Journal.Entries(ctx, r.Conversation, r.Seq, replyEntries)
	if err != nil {
		return nil
	}
	var out []conversation.Message
	for _, e := range entries {
		if v, ok := e.Event.(conversation.ReplyComposed); ok && v.InReplyTo == r.Seq {
			bot := v.Bot
			out = append(out, conversation.Message{Seq: e.Seq, At: e.At, From: conversation.PartyBot, Text: v.Text, Buttons: v.Buttons, Bot: &bot})
		}
	}
	return out
}

// replyOf makes one reply of all: what is said to one message belongs
// together.
func replyOf(messages []conversation.Message) *webhookReply {
	if len(messages) == 0 {
		return nil
	}
	var a webhookReply
	texts := make([]string, len(messages))
	for i, m := range messages {
		texts[i] = string(m.Text)
		if m.Bot != nil && a.Intent == "" {
			a.Intent, a.Confidence = m.Bot.Intent, m.Bot.Confidence
		}
		a.Buttons = append(a.Buttons, m.Buttons...)
	}
	a.Text = strings.Join(texts, "\n\n")
	return &a
}
