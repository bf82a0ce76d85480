package actors

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/telemetry/cpu"
)

// What grains say to each other across nodes starts with two bytes: the format
// and the kind of message. Deliver and its receipt are on every visitor's way
// and are laid out by hand; the others are JSON.
//
// A newer minor version may add fields at the end of a message, and kinds.
const formatOne = 1

// The kinds of messages on the way between nodes. They are never reused.
const (
	wireDeliver   = 1
	wireDo        = 2
	wireWake      = 3
	wireReceipt   = 4
	wirePresence  = 5
	wireViewQuery = 6
	wireView      = 7
	wireTold      = 8
	wireCostQuery = 9
	wireCost      = 10
)

// The bits of flags.
const (
	flagBot = 1 << iota
	flagReopenToHuman
	flagPrevious
	flagFiles // attachments follow the metadata
	flagTraced
)

const (
	flagDuplicate = 1 << iota
)

const (
	flagSampled = 1 << iota
)

const (
	flagNote = 1 << iota
	flagBotSays
)

// conversationCodec is the codec of conversation grains.
type conversationCodec struct{}

// Encode implements [cluster.Codec].
func (conversationCodec) Encode(msg any) ([]byte, error) {
	switch m := msg.(type) {
	case *deliver:
		return encodeDeliver(m), nil
	case *conversation.Receipt:
		return encodeReceipt(m), nil
	case *do:
		return encodeDo(m)
	case *wake:
		return []byte{formatOne, wireWake}, nil
	case *costQuery:
		return []byte{formatOne, wireCostQuery}, nil
	case *cpu.Session:
		return jsonMessage(wireCost, m)
	}
	return nil, conversation.Refuse(conversation.CodeInternal, fmt.Sprintf("%T does not leave its node", msg))
}

// Decode implements [cluster.Codec].
func (conversationCodec) Decode(data []byte) (any, error) {
	r, kind, err := openMessage(data)
	if err != nil {
		return nil, err
	}
	switch kind {
	case wireDeliver:
		return decodeDeliver(r)
	case wireReceipt:
		return decodeReceipt(r)
	case wireDo:
		return decodeDo(r)
	case wireWake:
		return &wake{}, nil
	case wireCostQuery:
		return &costQuery{}, nil
	case wireCost:
		return fromJSON[cpu.Session](r.rest)
	}
	return nil, unknownMessage(kind)
}

func openMessage(data []byte) (*reader, byte, error) {
	if len(data) < 2 {
		return nil, 0, errShort()
	}
	if data[0] != formatOne {
		return nil, 0, conversation.Refusef(conversation.CodeInvalid, "a message of format %d, this version knows %d", data[0], formatOne)
	}
	return &reader{rest: data[2:]}, data[1], nil
}

func unknownMessage(kind byte) error {
	return conversation.Refusef(conversation.CodeInvalid, "a message of kind %d is not known to this version", kind)
}

// encodeDeliver leaves out of the origin what the message says as well.
func encodeDeliver(m *deliver) []byte {
	in, o := &m.in, &m.origin
	w := make(writer, 0, 192+len(in.Text)+len(in.Peer))
	w = append(w, formatOne, wireDeliver)
	flags := byte(0)
	if o.Bot {
		flags |= flagBot
	}
	if o.ReopenToHuman {
		flags |= flagReopenToHuman
	}
	if !o.Previous.IsZero() {
		flags |= flagPrevious
	}
	if len(in.Attachments) > 0 {
		flags |= flagFiles
	}
	if !in.Trace.IsZero() {
		flags |= flagTraced
	}
	w = append(w, flags)
	w = append(w, o.ID[:]...)
	w = append(w, in.Contact[:]...)
	if flags&flagPrevious != 0 {
		w = append(w, o.Previous[:]...)
	}
	w.int(int64(o.ReopenWindow))
	w.int(int64(in.Wait))
	w.string(string(in.Inbox))
	w.string(string(in.Channel))
	w.string(in.Peer)
	w.string(string(in.Ref))
	w.string(string(in.Text))
	w.pairs(in.Metadata)
	if flags&flagFiles != 0 {
		w.attachments(in.Attachments)
	}
	if flags&flagTraced != 0 { // nodes that do not know the flag read no further
		w.trace(in.Trace)
		w.string(m.via)
	}
	return w
}

func decodeDeliver(r *reader) (*deliver, error) {
	m := &deliver{}
	flags := r.byte()
	m.origin.ID = conversation.ConversationID(r.id())
	m.in.Contact = conversation.ContactID(r.id())
	if flags&flagPrevious != 0 {
		m.origin.Previous = conversation.ConversationID(r.id())
	}
	m.origin.ReopenWindow, m.in.Wait = time.Duration(r.int()), time.Duration(r.int())
	m.in.Inbox = conversation.InboxID(r.string())
	m.in.Channel = conversation.ChannelKind(r.string())
	m.in.Peer = r.string()
	m.in.Ref = conversation.Ref(r.string())
	m.in.Text = conversation.Text(r.string())
	m.in.Metadata = r.pairs()
	if flags&flagFiles != 0 {
		m.in.Attachments = r.attachments()
	}
	if flags&flagTraced != 0 {
		m.in.Trace, m.via = r.trace(), r.string()
	}
	if r.failed {
		return nil, errShort()
	}
	o := &m.origin
	o.Inbox, o.Channel, o.Contact, o.Peer = m.in.Inbox, m.in.Channel, m.in.Contact, m.in.Peer
	o.Bot, o.ReopenToHuman = flags&flagBot != 0, flags&flagReopenToHuman != 0
	return m, nil
}

// attachments writes what few messages have as JSON.
func (w *writer) attachments(all []conversation.Attachment) {
	data, err := json.Marshal(all)
	if err != nil {
		panic("attachments have no JSON: " + err.Error()) // they are strings and numbers
	}
	w.string(string(data))
}

func (r *reader) attachments() []conversation.Attachment {
	var all []conversation.Attachment
	if data := r.bytes(); !r.failed && json.Unmarshal(data, &all) != nil {
		r.failed = true
	}
	return all
}

func encodeReceipt(m *conversation.Receipt) []byte {
	size := 64
	for i := range m.Replies {
		size += 64 + len(m.Replies[i].Text)
	}
	w := make(writer, 0, size)
	w = append(w, formatOne, wireReceipt)
	flags := byte(0)
	if m.Duplicate {
		flags |= flagDuplicate
	}
	w = append(w, flags)
	w = append(w, m.Conversation[:]...)
	w.uint(uint64(m.Seq))
	w.uint(uint64(m.Version))
	w.int(m.At.UnixMilli())
	w.string(string(m.Status))
	w.uint(uint64(len(m.Replies)))
	for i := range m.Replies {
		w.message(&m.Replies[i])
	}
	return w
}

func decodeReceipt(r *reader) (*conversation.Receipt, error) {
	m := &conversation.Receipt{}
	m.Duplicate = r.byte()&flagDuplicate != 0
	m.Conversation = conversation.ConversationID(r.id())
	m.Seq, m.Version = conversation.Seq(r.uint()), conversation.Seq(r.uint())
	m.At = time.UnixMilli(r.int()).UTC()
	m.Status = conversation.Status(r.string())
	for n := r.count(); n > 0 && !r.failed; n-- {
		m.Replies = append(m.Replies, r.message())
	}
	if r.failed {
		return nil, errShort()
	}
	return m, nil
}

// message writes a reply with its length, so that later versions can add to it.
func (w *writer) message(m *conversation.Message) {
	var b writer
	flags := byte(0)
	if m.Note {
		flags |= flagNote
	}
	if m.Bot != nil {
		flags |= flagBotSays
	}
	b = append(b, flags)
	b.uint(uint64(m.Seq))
	b.uint(uint64(m.InReplyTo))
	b.int(m.At.UnixMilli())
	b.string(string(m.From))
	b.string(string(m.Agent))
	b.string(string(m.Delivery))
	b.string(string(m.Text))
	b.uint(uint64(len(m.Buttons)))
	for _, button := range m.Buttons {
		b.string(button.Label)
		b.string(button.Text)
	}
	b.pairs(m.Metadata)
	if m.Bot != nil {
		b.string(m.Bot.Intent)
		b.float(m.Bot.Confidence)
		b.string(m.Bot.Model)
		b.string(m.Bot.Behavior)
	}
	w.string(string(b))
}

func (r *reader) message() conversation.Message {
	in := reader{rest: r.bytes(), failed: r.failed}
	var m conversation.Message
	flags := in.byte()
	m.Note = flags&flagNote != 0
	m.Seq, m.InReplyTo = conversation.Seq(in.uint()), conversation.Seq(in.uint())
	m.At = time.UnixMilli(in.int()).UTC()
	m.From, m.Agent = conversation.Party(in.string()), conversation.AgentID(in.string())
	m.Delivery = conversation.Delivery(in.string())
	m.Text = conversation.Text(in.string())
	for n := in.count(); n > 0 && !in.failed; n-- {
		m.Buttons = append(m.Buttons, conversation.Button{Label: in.string(), Text: in.string()})
	}
	m.Metadata = in.pairs()
	if flags&flagBotSays != 0 {
		m.Bot = &conversation.Provenance{Intent: in.string(), Confidence: in.float(), Model: in.string(), Behavior: in.string()}
	}
	r.failed = r.failed || in.failed
	return m
}

func encodeDo(m *do) ([]byte, error) {
	kind, data, err := conversation.EncodeCommand(m.cmd)
	if err != nil {
		return nil, err
	}
	w := make(writer, 0, 8+len(kind)+len(data))
	w = append(w, formatOne, wireDo)
	w.string(kind)
	w.string(string(data))
	return w, nil
}

func decodeDo(r *reader) (*do, error) {
	kind, data := r.string(), r.bytes()
	if r.failed {
		return nil, errShort()
	}
	cmd, err := conversation.DecodeCommand(kind, data)
	if err != nil {
		return nil, err
	}
	return &do{cmd: cmd}, nil
}

// queueCodec is the codec of queue grains. Their messages between nodes are
// rare.
type queueCodec struct{}

// Encode implements [cluster.Codec].
func (queueCodec) Encode(msg any) ([]byte, error) {
	switch m := msg.(type) {
	case *presence:
		return jsonMessage(wirePresence, m)
	case *viewQuery:
		return []byte{formatOne, wireViewQuery}, nil
	case *told:
		return []byte{formatOne, wireTold}, nil
	case *QueueView:
		return jsonMessage(wireView, m)
	}
	return nil, conversation.Refuse(conversation.CodeInternal, fmt.Sprintf("%T does not leave its node", msg))
}

// Decode implements [cluster.Codec].
func (queueCodec) Decode(data []byte) (any, error) {
	r, kind, err := openMessage(data)
	if err != nil {
		return nil, err
	}
	switch kind {
	case wirePresence:
		return fromJSON[presence](r.rest)
	case wireViewQuery:
		return &viewQuery{}, nil
	case wireTold:
		return &told{}, nil
	case wireView:
		return fromJSON[QueueView](r.rest)
	}
	return nil, unknownMessage(kind)
}

func jsonMessage(kind byte, m any) ([]byte, error) {
	data, err := json.Marshal(m)
	if err != nil {
		return nil, &conversation.Error{Code: conversation.CodeInvalid, Detail: "message between nodes", Err: err}
	}
	return slices.Concat([]byte{formatOne, kind}, data), nil
}

func fromJSON[M any](data []byte) (*M, error) {
	m := new(M)
	if err := json.Unmarshal(data, m); err != nil {
		return nil, conversation.Refuse(conversation.CodeInvalid, "a message between nodes is not the JSON it should be")
	}
	return m, nil
}
