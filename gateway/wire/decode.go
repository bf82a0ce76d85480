package wire

import (
	"errors"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// MaxRefBytes bounds the ref of a command.
const MaxRefBytes = conversation.MaxRefBytes

// FrameError is why [Decode] refused a frame.
type FrameError struct {
	Ref string // of the frame, as far as it could be read
	Err error  // a [conversation.Error]
}

// Error implements error.
func (e *FrameError) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *FrameError) Unwrap() error { return e.Err }

// Decode reads one frame.
//
// The result shares no memory with data. Errors: [*FrameError] with
// [conversation.CodeBadFrame], or the code of the field that is wrong.
func Decode(data []byte) (ClientFrame, error) {
	s := scanner{b: data, depth: maxDepth}
	s.space()
	if s.i >= len(data) || data[s.i] != '{' {
		return nil, &FrameError{Err: conversation.Refuse(conversation.CodeBadFrame, "a frame is a JSON object")}
	}
	start := s.i
	var h head
	if err := h.read(&s); err != nil {
		return nil, &FrameError{Ref: h.reference(), Err: badFrame(err)}
	}
	frame := newClientFrame(h.kind)
	if frame == nil {
		return nil, &FrameError{Ref: h.reference(), Err: unknownType(h.kind)}
	}
	s.i = start
	err := h.fill(frame, &s)
	if err == nil {
		err = check(frame)
	}
	if err != nil {
		return nil, &FrameError{Ref: h.reference(), Err: badFrame(err)}
	}
	return frame, nil
}

// keptMembers is how many members of a frame are remembered from the first look.
// No frame of ours has more.
const keptMembers = 8

// head is what is known of a frame after one pass over it: that its grammar is
// good, its type and its ref, and where its first members are.
type head struct {
	kind    string
	ref     []byte // as it stands; nil = there is none
	members [keptMembers]struct {
		key   string
		value []byte
	}
	n int // of members, remembered or not
}

// read passes over the whole frame.
func (h *head) read(s *scanner) error {
	err := s.object(func(key string, value []byte) error {
		if h.n < keptMembers {
			h.members[h.n].key, h.members[h.n].value = key, value
		}
		h.n++
		if value[0] != '"' {
			return nil
		}
		switch key {
		case "t":
			h.kind = kindOf(value)
		case "ref", "client_id":
			h.ref = value
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.end()
}

// reference gives what an answer to the frame can refer to; empty when the frame
// says nothing, or too much.
func (h *head) reference() string {
	if h.ref == nil {
		return ""
	}
	if r := unquote(h.ref); len(r) <= MaxRefBytes {
		return r
	}
	return ""
}

// kindOf is unquote for types; the frequent ones need not be copied.
func kindOf(q []byte) string {
	switch string(q) {
	case `"message.send"`:
		return "message.send"
	case `"ping"`:
		return "ping"
	case `"read"`:
		return "read"
	case `"delivered"`:
		return "delivered"
	case `"typing"`:
		return "typing"
	}
	return unquote(q)
}

// fill gives a frame its members. Only one with more members than are known is
// passed over again.
func (h *head) fill(frame ClientFrame, s *scanner) error {
	one := func(key string, value []byte) error {
		if isNull(value) {
			return nil
		}
		return set(frame, key, value)
	}
	if h.n > keptMembers {
		return s.object(one)
	}
	for i := range h.members[:h.n] {
		if err := one(h.members[i].key, h.members[i].value); err != nil {
			return err
		}
	}
	return nil
}

// badFrame gives an error the code of a bad frame, unless it has a better one.
func badFrame(err error) error {
	var e *conversation.Error
	if errors.As(err, &e) && e.Code == conversation.CodeBadJSON {
		return conversation.Refuse(conversation.CodeBadFrame, e.Detail)
	}
	return err
}

func unknownType(kind string) error {
	if kind == "" {
		return conversation.Refuse(conversation.CodeBadFrame, `the field "t" with the type is missing`)
	}
	if len(kind) > 40 {
		kind = kind[:40] + "…"
	}
	return conversation.Refusef(conversation.CodeBadFrame, "type %q is not known", kind)
}

func newClientFrame(kind string) ClientFrame {
	switch kind {
	case "hello":
		return &Hello{}
	case "message.send":
		return &Send{}
	case "note.add":
		return &Note{}
	case "read":
		return &Read{}
	case "delivered":
		return &Delivered{}
	case "typing":
		return &Typing{}
	case "claim":
		return &Claim{}
	case "assign":
		return &Assign{}
	case "resolve":
		return &Resolve{}
	case "reopen":
		return &Reopen{}
	case "snooze":
		return &Snooze{}
	case "handover":
		return &Handover{}
	case "subscribe":
		return &Subscribe{}
	case "unsubscribe":
		return &Unsubscribe{}
	case "presence":
		return &SetPresence{}
	case "ping":
		return &Ping{}
	}
	return nil
}

// set gives one field of a frame its value; fields that are not known pass.
func set(frame ClientFrame, key string, v []byte) error {
	switch f := frame.(type) {
	case *Hello:
		return setHello(f, key, v)
	case *Send:
		if key == "attachments" {
			return setAttachments(f, v)
		}
		return setMessage(&f.ClientID, &f.Conversation, &f.Text, key, v)
	case *Note:
		return setMessage(&f.ClientID, &f.Conversation, &f.Text, key, v)
	case *Read:
		return setMark(&f.Ref, &f.Conversation, &f.Seq, key, v)
	case *Delivered:
		return setMark(&f.Ref, &f.Conversation, &f.Seq, key, v)
	case *Typing:
		if key == "on" {
			return setBool(&f.On, key, v)
		}
		return setCommand(nil, &f.Conversation, key, v)
	case *Claim:
		return setCommand(&f.Ref, &f.Conversation, key, v)
	case *Reopen:
		return setCommand(&f.Ref, &f.Conversation, key, v)
	case *Assign:
		if key == "to" {
			return setSlug(&f.To, conversation.ParseAgentID, key, v)
		}
		return setCommand(&f.Ref, &f.Conversation, key, v)
	case *Resolve:
		if key == "reason" {
			return setString(&f.Reason, MaxReasonBytes, key, v)
		}
		return setCommand(&f.Ref, &f.Conversation, key, v)
	case *Snooze:
		if key == "until" {
			return setTime(&f.Until, key, v)
		}
		return setCommand(&f.Ref, &f.Conversation, key, v)
	case *Handover:
		if key == "detail" {
			return setString(&f.Detail, MaxReasonBytes, key, v)
		}
		return setCommand(&f.Ref, &f.Conversation, key, v)
	case *Subscribe:
		return setSubscribe(f, key, v)
	case *Unsubscribe:
		if key == "inbox" {
			return setSlug(&f.Inbox, conversation.ParseInboxID, key, v)
		}
		return setCommand(&f.Ref, &f.Conversation, key, v)
	case *SetPresence:
		if key == "state" {
			return setString(&f.State, MaxRefBytes, key, v)
		}
		return setCommand(&f.Ref, nil, key, v)
	case *Ping:
		return setCommand(&f.Ref, nil, key, v)
	}
	return nil
}

func setHello(f *Hello, key string, v []byte) error {
	switch key {
	case "v":
		n, ok := uintOf(v)
		if !ok || n > 1<<16 {
			return wrong(key, "a small number")
		}
		f.V = int(n)
	case "token":
		return setString(&f.Token, MaxTokenBytes, key, v)
	case "resume":
		if v[0] != '{' {
			return wrong(key, "an object")
		}
		f.Resume = &Resume{}
		s := scanner{b: v, depth: maxDepth}
		return s.object(func(key string, v []byte) error { return setResume(f.Resume, key, v) })
	}
	return nil
}

func setResume(r *Resume, key string, v []byte) error {
	switch key {
	case "epoch":
		return setString(&r.Epoch, MaxRefBytes, key, v)
	case "cursors":
		if v[0] != '{' {
			return wrong(key, "an object")
		}
		s := scanner{b: v, depth: maxDepth}
		return s.object(func(key string, v []byte) error { return addCursor(r, key, v) })
	}
	return nil
}

func addCursor(r *Resume, key string, v []byte) error {
	id, err := conversation.ParseConversationID(key)
	if err != nil {
		return err
	}
	n, ok := uintOf(v)
	if !ok {
		return wrong("cursors", "an object of whole numbers")
	}
	if r.Cursors == nil {
		r.Cursors = make(map[conversation.ConversationID]conversation.Seq)
	}
	if r.Cursors[id] = conversation.Seq(n); len(r.Cursors) > MaxCursors {
		return conversation.Refusef(conversation.CodeTooLarge, "more than %d cursors", MaxCursors)
	}
	return nil
}

func setSubscribe(f *Subscribe, key string, v []byte) error {
	switch key {
	case "after":
		f.After = new(conversation.Seq)
		return setSeq(f.After, key, v)
	case "inbox":
		return setSlug(&f.Inbox, conversation.ParseInboxID, key, v)
	}
	return setCommand(&f.Ref, &f.Conversation, key, v)
}

func setMessage(ref *conversation.Ref, id *conversation.ConversationID, text *conversation.Text, key string, v []byte) error {
	switch key {
	case "client_id":
		return setString(ref, conversation.MaxRefBytes, key, v)
	case "text":
		if len(v) < 2 || v[0] != '"' {
			return wrong(key, "a string")
		}
		*text = conversation.Text(unquote(v))
		if len(*text) > conversation.MaxTextBytes {
			return conversation.Refusef(conversation.CodeTextTooLong, "%d bytes, the limit is %d", len(*text), conversation.MaxTextBytes)
		}
		return nil
	}
	return setCommand(nil, id, key, v)
}

func setAttachments(f *Send, v []byte) error {
	if v[0] != '[' {
		return wrong("attachments", "a list")
	}
	f.Attachments = nil
	s := scanner{b: v, depth: maxDepth}
	return s.list(func(item []byte) error {
		if item[0] != '"' {
			return wrong("attachments", "a list of ids")
		}
		if len(f.Attachments) >= conversation.MaxAttachments {
			return conversation.Refusef(conversation.CodeBadAttachment, "more than %d attachments", conversation.MaxAttachments)
		}
		id, err := conversation.ParseAttachmentID(unquote(item))
		f.Attachments = append(f.Attachments, id)
		return err
	})
}

func setMark(ref *string, id *conversation.ConversationID, seq *conversation.Seq, key string, v []byte) error {
	if key == "seq" {
		return setSeq(seq, key, v)
	}
	return setCommand(ref, id, key, v)
}

// setCommand sets what most commands share; nil means that the frame has no
// such field.
func setCommand(ref *string, id *conversation.ConversationID, key string, v []byte) error {
	switch {
	case key == "ref" && ref != nil:
		return setString(ref, MaxRefBytes, key, v)
	case key == "conversation_id" && id != nil:
		if v[0] != '"' {
			return wrong(key, "a string")
		}
		return id.UnmarshalText([]byte(unquote(v)))
	}
	return nil
}

func setString[S ~string](dst *S, limit int, key string, v []byte) error {
	if v[0] != '"' {
		return wrong(key, "a string")
	}
	if *dst = S(unquote(v)); len(*dst) > limit {
		return conversation.Refusef(conversation.CodeTooLarge, "%s has %d bytes, the limit is %d", key, len(*dst), limit)
	}
	return nil
}

func setSlug[S ~string](dst *S, parse func(string) (S, error), key string, v []byte) error {
	if v[0] != '"' {
		return wrong(key, "a string")
	}
	var err error
	*dst, err = parse(unquote(v))
	return err
}

func setSeq(dst *conversation.Seq, key string, v []byte) error {
	n, ok := uintOf(v)
	if !ok {
		return wrong(key, "a whole number")
	}
	*dst = conversation.Seq(n)
	return nil
}

func setBool(dst *bool, key string, v []byte) error {
	if v[0] != 't' && v[0] != 'f' {
		return wrong(key, "true or false")
	}
	*dst = v[0] == 't'
	return nil
}

func setTime(dst *time.Time, key string, v []byte) error {
	if v[0] != '"' {
		return wrong(key, "a time as RFC 3339 writes it")
	}
	t, err := time.Parse(time.RFC3339, unquote(v))
	if err != nil {
		return conversation.Refusef(conversation.CodeBadTime, "%s must be a time as RFC 3339 writes it", key)
	}
	*dst = t.UTC()
	return nil
}

func wrong(key, want string) error {
	return conversation.Refusef(conversation.CodeBadFrame, "%s must be %s", key, want)
}

// check refuses frames that lack what they cannot do without.
func check(frame ClientFrame) error {
	switch f := frame.(type) {
	case *Send:
		if len(f.Attachments) > 0 && f.Text == "" {
			return checkRef(f.ClientID)
		}
		return checkMessage(f.ClientID, f.Text)
	case *Note:
		return errors.Join(checkMessage(f.ClientID, f.Text), need(f.Conversation))
	case *Read:
		return need(f.Conversation)
	case *Delivered:
		return need(f.Conversation)
	case *Claim:
		return need(f.Conversation)
	case *Assign:
		if f.To == "" {
			return missing("to")
		}
		return need(f.Conversation)
	case *Resolve:
		return need(f.Conversation)
	case *Reopen:
		return need(f.Conversation)
	case *Snooze:
		return need(f.Conversation)
	case *Subscribe:
		return needOne(f.Conversation, f.Inbox)
	case *Unsubscribe:
		return needOne(f.Conversation, f.Inbox)
	case *SetPresence:
		return checkPresence(f.State)
	case *Hello, *Typing, *Handover, *Ping:
		return nil
	}
	return nil
}

func checkMessage(ref conversation.Ref, text conversation.Text) error {
	if err := checkRef(ref); err != nil {
		return err
	}
	if text == "" {
		return conversation.Refuse(conversation.CodeEmptyText, "text is missing")
	}
	return nil
}

func checkRef(ref conversation.Ref) error {
	if ref == "" {
		return conversation.Refuse(conversation.CodeBadRef, "client_id is missing")
	}
	return nil
}

func checkPresence(p conversation.Presence) error {
	switch p {
	case conversation.PresenceOnline, conversation.PresenceAway, conversation.PresenceOffline:
		return nil
	}
	return wrong("state", "online, away or offline")
}

func need(id conversation.ConversationID) error {
	if id.IsZero() {
		return missing("conversation_id")
	}
	return nil
}

func needOne(id conversation.ConversationID, inbox conversation.InboxID) error {
	if id.IsZero() == (inbox == "") {
		return conversation.Refuse(conversation.CodeBadFrame, "either conversation_id or inbox is needed")
	}
	return nil
}

func missing(key string) error {
	return conversation.Refusef(conversation.CodeBadFrame, "%s is missing", key)
}
