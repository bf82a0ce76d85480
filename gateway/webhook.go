package gateway

import (
	"context"
	"encoding/json"
	"hash"
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

// webhookBody is a message from any system that can post JSON. Its members are
// the values as they came, nil for those that did not.
type webhookBody struct {
	user, text, metadata, id, timestamp []byte

	attachments []LinkedFile // fetched behind the answer; the text may be empty then
}

// member gives the place of a value by its key. Capitals do not matter; null is as
// if it had not come.
func (b *webhookBody) member(key string) *[]byte {
	for _, m := range []struct {
		key string
		at  *[]byte
	}{{"user", &b.user}, {"text", &b.text}, {"metadata", &b.metadata}, {"id", &b.id}, {"timestamp", &b.timestamp}} {
		if key == m.key || strings.EqualFold(key, m.key) {
			return m.at
		}
	}
	return nil
}

// read takes a body apart. It lets fields pass that it does not know: providers
// send more than they say.
func (b *webhookBody) read(body []byte) error {
	return wire.Members(body, maxBodyDepth, func(key string, value []byte) error {
		switch at := b.member(key); {
		case string(value) == "null":
		case at != nil:
			*at = value
		case strings.EqualFold(key, "attachments"):
			if json.Unmarshal(value, &b.attachments) != nil {
				return errWebhookType()
			}
		}
		return nil
	})
}

func errWebhookType() error {
	return conversation.Refuse(conversation.CodeBadJSON, "a field of the body has the wrong type: user and text are strings, metadata is an object, attachments a list of objects")
}

// webhookAnswer is built from what is stored only, so that a repeated message
// is answered with the same bytes.
type webhookAnswer struct {
	Conversation conversation.ConversationID `json:"conversation_id"`
	MessageID    string                      `json:"message_id"`
	Seq          conversation.Seq            `json:"seq"`
	Reply        *webhookReply               `json:"reply,omitempty"`
}

// webhookReply is what the bot said, and why: the caller is the inbox's own system, which may
// know. Model is the hash of the model that understood the message.
type webhookReply struct {
	Text       string                `json:"text"`
	Intent     string                `json:"intent,omitempty"`
	Confidence float32               `json:"confidence,omitempty"`
	Model      string                `json:"model,omitempty"`
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
	if err := b.read(who.body); err != nil {
		return in, nil, err
	}
	user, err := idText("user", b.user, maxUserBytes)
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
	ref, err := refOf(r, b.id)
	if err != nil {
		return in, nil, err
	}
	meta, err := metadataOf(b.metadata, b.timestamp)
	if err != nil {
		return in, nil, err
	}
	return conversation.Inbound{
		Inbox: who.inbox.ID, Channel: kind, Contact: g.contactOf(who.inbox.ID, kind, user), Peer: user,
		Ref: ref, Text: text, Metadata: meta,
	}, b.attachments, nil
}

// words gives the text, which only a message with files may lack.
func (b *webhookBody) words() (conversation.Text, error) {
	if n := len(b.attachments); n > conversation.MaxAttachments {
		return "", conversation.Refusef(conversation.CodeBadAttachment, "%d attachments, the limit is %d", n, conversation.MaxAttachments)
	}
	text, ok := wire.StringOf(b.text)
	switch {
	case !ok && b.text != nil:
		return "", errWebhookType()
	case len(b.attachments) > 0 && strings.TrimSpace(text) == "":
		return "", nil
	case !ok:
		return "", conversation.Refuse(conversation.CodeEmptyText, "text is missing")
	}
	return conversation.Text(text), checkText(conversation.Text(text))
}

func knownChannels() string {
	kinds := conversation.ChannelKinds()
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = string(k)
	}
	return "one of " + strings.Join(names, ", ")
}

// idText takes an id that was sent as a string or as a whole number.
func idText(name string, raw []byte, limit int) (string, error) {
	if raw == nil {
		return "", nil
	}
	s, ok := wire.StringOf(raw)
	if !ok {
		if s = string(raw); strings.Trim(s, "-0123456789") != "" {
			return "", conversation.Refuse(conversation.CodeBadJSON, name+" is a string or a whole number")
		}
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
func refOf(r *http.Request, raw []byte) (conversation.Ref, error) {
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
func metadataOf(raw, at []byte) (map[string]string, error) {
	sent, err := sentAt(at)
	if err != nil {
		return nil, err
	}
	var out map[string]string
	size := 0
	add := func(k, v string) {
		if out == nil {
			out = make(map[string]string)
		}
		out[k] = v
		size += len(k) + len(v)
	}
	keys := 0
	each := func(k string, v []byte) error {
		if keys++; keys > conversation.MaxMetadataKeys {
			return conversation.Refusef(conversation.CodeTooMuchMetadata, "more than %d keys", conversation.MaxMetadataKeys)
		}
		s, ok := wire.StringOf(v)
		if !ok {
			s = string(v)
		}
		if s != "null" {
			add(k, s)
		}
		return nil
	}
	if raw != nil {
		if raw[0] != '{' {
			return nil, errWebhookType()
		}
		if err := wire.Members(raw, maxBodyDepth, each); err != nil {
			return nil, err
		}
	}
	if size > conversation.MaxMetadataBytes {
		return nil, conversation.Refusef(conversation.CodeTooMuchMetadata, "%d bytes, the limit is %d", size, conversation.MaxMetadataBytes)
	}
	if _, taken := out["sent_at"]; sent != "" && !taken && len(out) < conversation.MaxMetadataKeys {
		add("sent_at", sent)
	}
	return out, nil
}

// sentAt reads a timestamp: RFC 3339, or Unix seconds or milliseconds.
func sentAt(raw []byte) (string, error) {
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
	mac, ok := g.contacts.Get().(hash.Hash)
	if !ok {
		panic("pool of another type")
	}
	defer g.contacts.Put(mac)
	mac.Reset()
	var buf [128]byte // a user's name has at most 256 bytes and mostly few
	b := buf[:0]
	for _, part := range [...]string{string(inbox), string(kind), user} {
		b = append(append(b, part...), 0)
	}
	mac.Write(b)
	return conversation.ContactID(mac.Sum(b[:0])[:16])
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
		if m.Bot != nil && a.Model == "" {
			a.Model = m.Bot.Model // also of a question back, which has no intent
		}
		a.Buttons = append(a.Buttons, m.Buttons...)
	}
	a.Text = strings.Join(texts, "\n\n")
	return &a
}
