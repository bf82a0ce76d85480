package telegram

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

// update is what happened in one chat; neither of the others is set when it is of
// a kind that no visitor causes.
type update struct {
	ID      int64           `json:"update_id"`
	Message json.RawMessage `json:"message"`
	Edited  json.RawMessage `json:"edited_message"`
}

type message struct {
	Chat struct {
		ID   int64  `json:"id"`
		Type string `json:"type"`
	} `json:"chat"`
	From struct {
		Bot       bool   `json:"is_bot"`
		FirstName string `json:"first_name"`
		Lang      string `json:"language_code"`
	} `json:"from"`
	Text    string `json:"text"`
	Caption string `json:"caption"`
}

// events translates an update. What other bots write is left out, lest two bots
// talk to each other for ever.
func (u *update) events() []channels.Event {
	raw, kind := u.Message, ""
	if raw == nil {
		raw, kind = u.Edited, "edited_message"
	}
	var m message
	switch err := json.Unmarshal(raw, &m); {
	case raw == nil, m.From.Bot:
		return nil
	case err != nil, m.Chat.ID == 0:
		return []channels.Event{{Unreadable: raw}}
	}
	e := channels.Event{
		Peer: strconv.FormatInt(m.Chat.ID, 10), Ref: conversation.Ref(strconv.FormatInt(u.ID, 10)), Text: conversation.Text(m.Text),
		Metadata: map[string]string{"chat_type": m.Chat.Type, "name": m.From.FirstName, "lang": m.From.Lang},
	}
	maps.DeleteFunc(e.Metadata, func(_, value string) bool { return value == "" })
	if m.Text == "" {
		e.Text = conversation.Text(m.Caption)
		if e.Files = filesOf(raw); len(e.Files) == 0 {
			kind = kindOf(raw)
		}
	}
	if kind != "" {
		e.Keep(kind, raw)
	}
	return []channels.Event{e}
}

// kindOf names a message without text by the field that holds what it has
// instead: photo, voice, location, and what Telegram will think of. Fields that
// say something about a message are no objects, except those that are listed.
func kindOf(raw json.RawMessage) string {
	var fields map[string]json.RawMessage
	_ = json.Unmarshal(raw, &fields) // was read before
	about := []string{"from", "chat", "sender_chat", "via_bot", "forward_origin", "reply_to_message", "quote", "caption_entities", "reply_markup"}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if v := fields[name]; (v[0] == '{' || v[0] == '[') && !slices.Contains(about, name) {
			return name
		}
	}
	return "unknown"
}
