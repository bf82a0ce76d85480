package telegram

import (
	"strings"

	"github.com/colloquyhq/colloquy/channels"
)

// entity says how a piece of a text is set. Telegram counts in UTF-16 units.
type entity struct {
	Type   string `json:"type"`
	Offset int    `json:"offset"`
	Length int    `json:"length"`
	URL    string `json:"url,omitempty"`
}

// maxEntities are what Telegram shows of a message; it drops those beyond.
const maxEntities = 100

// entitiesOf takes the marks out of a text and says what they mean.
func entitiesOf(text string) (plain string, list []entity) {
	var b strings.Builder
	at := 0
	for _, s := range channels.Markdown(text) {
		n := channels.UnitUTF16.Measure(s.Text)
		for _, t := range typesOf(s) {
			if len(list) < maxEntities {
				list = append(list, entity{Type: t, Offset: at, Length: n, URL: urlOf(s, t)})
			}
		}
		b.WriteString(s.Text)
		at += n
	}
	return b.String(), list
}

const typeLink = "text_link"

// typesOf names the styles of a piece. Code goes with nothing else.
func typesOf(s channels.Span) []string {
	if s.Style&channels.Code != 0 {
		return []string{"code"}
	}
	var out []string
	for _, t := range []struct {
		style channels.Style
		name  string
	}{{channels.Bold, "bold"}, {channels.Italic, "italic"}, {channels.Strike, "strikethrough"}} {
		if s.Style&t.style != 0 {
			out = append(out, t.name)
		}
	}
	if s.URL != "" {
		out = append(out, typeLink)
	}
	return out
}

func urlOf(s channels.Span, entityType string) string {
	if entityType == typeLink {
		return s.URL
	}
	return ""
}
