package dingtalk

import (
	"encoding/json"

	"github.com/colloquyhq/colloquy/channels"
)

// The words of the stream's frames.
const (
	typeSystem   = "SYSTEM"
	typeCallback = "CALLBACK"
	typeEvent    = "EVENT"

	topicRobot      = "/v1.0/im/bot/messages/get"
	topicPing       = "ping"
	topicDisconnect = "disconnect"
)

// frame is what DingTalk sends through the stream.
type frame struct {
	Type    string `json:"type"`
	Headers struct {
		Topic     string `json:"topic"`
		MessageID string `json:"messageId"`
	} `json:"headers"`
	Data string `json:"data"` // JSON in a string
}

// answer is what is said to a frame. One that is not answered comes again after a
// minute, on whichever connection the app has then.
type answer struct {
	Code    int               `json:"code"`
	Headers map[string]string `json:"headers"`
	Message string            `json:"message"`
	Data    string            `json:"data"`
}

// taken answers a frame that has been dealt with. data is what the kind of frame
// wants to hear.
func taken(id, data string) []byte {
	b, err := channels.EncodeJSON(answer{
		Code: 200, Message: "OK", Data: data, Headers: map[string]string{"contentType": "application/json", "messageId": id},
	})
	if err != nil {
		return nil // strings can be encoded
	}
	return b
}

// What the kinds of frames want to hear.
const (
	heardCallback = `{"response":null}`
	heardEvent    = `{"status":"SUCCESS"}`
)

// readFrame gives nil for what is none.
func readFrame(b []byte) *frame {
	var f frame
	if json.Unmarshal(b, &f) != nil || f.Headers.MessageID == "" {
		return nil
	}
	return &f
}
