package feishu

import (
	"encoding/json"
	"strings"

	"github.com/colloquyhq/colloquy/channels"
)

// post is a message with text, pictures and films between each other.
//
// Source: https://open.feishu.cn/document/server-docs/im-v1/message-content-description/message_content, post.
type post struct {
	Title string      `json:"title"`
	Lines [][]element `json:"content"`
}

// element is a piece of a line.
type element struct {
	Tag    string `json:"tag"`
	Text   string `json:"text"`
	Link   string `json:"href"`
	Person string `json:"user_name"`
	Emoji  string `json:"emoji_type"`
	enclosed
}

// readPost gives text and files of a post; false for what is none.
func readPost(content, message string) (text string, files []channels.File, ok bool) {
	var p post
	if json.Unmarshal([]byte(content), &p) != nil {
		return "", nil, false
	}
	var lines []string
	if p.Title != "" {
		lines = append(lines, p.Title)
	}
	for _, line := range p.Lines {
		var b strings.Builder
		for i := range line {
			b.WriteString(line[i].words())
			files = append(files, line[i].file(message)...)
		}
		lines = append(lines, b.String())
	}
	text = strings.TrimSpace(strings.Join(lines, "\n"))
	return text, files, text != "" || len(files) > 0
}

// words gives what a piece says.
func (e *element) words() string {
	switch e.Tag {
	case "text", "code_block", "md":
		return e.Text
	case "a":
		if e.Link == "" || e.Link == e.Text {
			return e.Text
		}
		return e.Text + " (" + e.Link + ")"
	case "at":
		return "@" + e.Person
	case "emotion":
		return "[" + e.Emoji + "]"
	}
	return ""
}

// file gives the file of a piece, if it is one.
func (e *element) file(message string) []channels.File {
	switch e.Tag {
	case "img":
		return e.files(message, typeImage)
	case "media":
		return e.files(message, typeMedia)
	}
	return nil
}
