package whatsapp

import (
	"encoding/json"
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
	Statuses []status          `json:"statuses"`
}

type message struct {
	From string `json:"from"`
	ID   string `json:"id"`
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

// parse gives the events of one number; those of others belong to other accounts.
func parse(body []byte, number string) ([]channels.Event, error) {
	var n notification
	if json.Unmarshal(body, &n) != nil {
		return nil, conversation.Refuse(conversation.CodeBadJSON, "the body is no notification")
	}
	var out []channels.Event
	for _, entry := range n.Entries {
		for i := range entry.Changes {
			if v := &entry.Changes[i].Value; v.Metadata.Number == number {
				out = append(out, v.events()...)
			}
		}
	}
	return out, nil
}

func (v *value) events() []channels.Event {
	var out []channels.Event
	for _, raw := range v.Messages {
		if e, ok := v.event(raw); ok {
			out = append(out, e)
		}
	}
	for i := range v.Statuses {
		if r := v.Statuses[i].receipt(); r != nil {
			out = append(out, channels.Event{Receipt: r})
		}
	}
	return out
}

func (v *value) event(raw json.RawMessage) (channels.Event, bool) {
	var m message
	if json.Unmarshal(raw, &m) != nil || m.From == "" || m.ID == "" || len(m.ID) > conversation.MaxRefBytes {
		return channels.Event{}, false
	}
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
		return e, true
	}
	e.Text = conversation.Text(text)
	if text == "" {
		e.Keep(m.Type, raw)
		if m.Type == "" {
			e.Unsupported = "unknown"
		}
	}
	return e, true
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
