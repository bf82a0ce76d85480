package engine

import (
	"encoding/json"
	"reflect"

	"github.com/colloquyhq/colloquy/conversation"
)

const grainFormat = 1

// jsonCodec is the codec of grains whose messages are rare: a version, which of these
// it is counted from one, JSON. A message keeps its place in the list for good.
type jsonCodec []func() any

// Encode implements [cluster.Codec].
func (c jsonCodec) Encode(msg any) ([]byte, error) {
	for i, fresh := range c {
		if reflect.TypeOf(fresh()) != reflect.TypeOf(msg) {
			continue
		}
		data, err := json.Marshal(msg)
		if err != nil {
			return nil, &conversation.Error{Code: conversation.CodeInvalid, Detail: "message between nodes", Err: err}
		}
		return append([]byte{grainFormat, byte(i + 1)}, data...), nil
	}
	return nil, conversation.Refusef(conversation.CodeInternal, "%T does not leave its node", msg)
}

// Decode implements [cluster.Codec].
func (c jsonCodec) Decode(data []byte) (any, error) {
	if len(data) >= 2 && data[0] == grainFormat && data[1] >= 1 && int(data[1]) <= len(c) {
		if msg := c[data[1]-1](); json.Unmarshal(data[2:], msg) == nil {
			return msg, nil
		}
	}
	return nil, conversation.Refuse(conversation.CodeInvalid, "not a message of such a grain")
}
