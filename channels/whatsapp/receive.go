package whatsapp

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

// notification is what WhatsApp delivers: lists in lists, each of which may hold
// several.
type notification struct {
	Entries []struct {
		Changes []struct {
			Value value `json:"value"`
		} `json:"changes"`
	} `json:"entry"`
}

type value struct {
	Metadata struct {
		Number string `json:"phone_number_id"`
	} `json:"metadata"`
	Contacts []struct {
		ID      string `json:"wa_id"`
		Profile struct {
			Name string `json:"name"`
		} `json:"profile"`
	} `json:"contacts"`
	Messages []json.RawMessage `json:"messages"`
	Statuses []json.RawMessage `json:"statuses"`
}

type message struct {
	From string `json:"from"`
	ID   string `json:"id"`
	At   string `json:"timestamp"` // seconds
	Type string `json:"type"`
	Text struct {
		Body string `json:"body"`
	} `json:"text"`
	Button struct {
		Text string `json:"text"`
	} `json:"button"`
	Image       *media `json:"image"`
	Document    *media `json:"document"`
	Audio       *media `json:"audio"`
	Video       *media `json:"video"`
	Sticker     *media `json:"sticker"`
	Interactive struct {
		Button struct {
			Title string `json:"title"`
		} `json:"button_reply"`
		List struct {
			Title string `json:"title"`
		} `json:"list_reply"`
	} `json:"interactive"`
}

type status struct {
	Status string `json:"status"`
	Key    string `json:"biz_opaque_callback_data"`
	Errors []struct {
		Code int `json:"code"`
	} `json:"errors"`
}

// parse gives the events of one number, and how many messages are for others; those
// belong to other accounts. WhatsApp promises no order, so messages that come
// together stand in the order of their times.
func parse(body []byte, number string) (events []channels.Event, elsewhere int, err error) {
	var n notification
	if json.Unmarshal(body, &n) != nil {
		return nil, 0, conversation.Refuse(conversation.CodeBadJSON, "the body is no notification")
	}
	var messages []timed
	var receipts []channels.Event
	for _, entry := range n.Entries {
		for i := range entry.Changes {
			v := &entry.Changes[i].Value
			if v.Metadata.Number != number {
				elsewhere += len(v.Messages)
				continue
			}
			messages = v.appendMessages(messages)
			receipts = append(receipts, v.receipts()...)
		}
	}
	slices.SortStableFunc(messages, func(a, b timed) int { return cmp.Compare(a.at, b.at) })
	for i := range messages {
		events = append(events, messages[i].Event)
	}
	return append(events, receipts...), elsewhere, nil
}

// timed is a message with the time at which it was written.
type timed struct {
	channels.Event

	at int64 // Unix seconds
}

// appendMessages translates the messages. One whose time cannot be read stays behind
// the one before it.
func (v *value) appendMessages(to []timed) []timed {
	for _, raw := range v.Messages {
		e, at, err := v.event(raw)
		if err != nil && len(to) > 0 {
			at = to[len(to)-1].at
		}
		to = append(to, timed{e, at})
	}
	return to
}

func (v *value) receipts() []channels.Event {
	var out []channels.Event
	for _, raw := range v.Statuses {
		var s status
		if json.Unmarshal(raw, &s) != nil {
			out = append(out, channels.Event{Unreadable: raw})
		} else if r := s.receipt(); r != nil {
			out = append(out, channels.Event{Receipt: r})
		}
	}
	return out
}

// event translates a message. The error says that its time cannot be read, and
// nothing else: the event is good all the same.
func (v *value) event(raw json.RawMessage) (e channels.Event, at int64, noTime error) {
	var m message
	err := json.Unmarshal(raw, &m)
	at, noTime = strconv.ParseInt(m.At, 10, 64)
	if err != nil || m.From == "" || m.ID == "" || len(m.ID) > conversation.MaxRefBytes {
		return channels.Event{Unreadable: raw}, at, noTime
	}
	return v.translate(&m, raw), at, noTime
}

func (v *value) translate(m *message, raw json.RawMessage) channels.Event {
	e := channels.Event{Peer: m.From, Ref: conversation.Ref(m.ID)}
	for _, c := range v.Contacts {
		if c.ID == m.From && c.Profile.Name != "" {
			e.Metadata = map[string]string{"name": c.Profile.Name}
		}
	}
	text := m.Text.Body
	switch m.Type {
	case "button":
		text = m.Button.Text
	case "interactive":
		text = m.Interactive.Button.Title + m.Interactive.List.Title
	}
	if f := m.file(); f != nil {
		e.Text = conversation.Text(f.Caption)
		e.Files = []channels.File{{Name: f.Name, Type: f.Type, Source: f.ID}}
		return e
	}
	e.Text = conversation.Text(text)
	if text == "" {
		e.Keep(m.Type, raw)
		if m.Type == "" {
			e.Unsupported = "unknown"
		}
	}
	return e
}

// receipt gives the news of a message of ours; nil for news of none, or of no
// interest.
func (s *status) receipt() *channels.Receipt {
	r := &channels.Receipt{Key: s.Key, Status: channels.ReceiptStatus(s.Status)}
	if s.Key == "" {
		return nil
	}
	switch r.Status {
	case channels.ReceiptDelivered, channels.ReceiptRead:
	case channels.ReceiptFailed:
		r.Detail = string(channels.Permanent)
		if len(s.Errors) > 0 {
			class, _ := classOf(s.Errors[0].Code)
			r.Detail = string(class) + ": code_" + strconv.Itoa(s.Errors[0].Code)
		}
	default: // sent, deleted, warning
		return nil
	}
	return r
}
