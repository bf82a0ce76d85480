// Package wire is the client protocol: the frames that browsers and this
// server exchange over a WebSocket, one JSON object per text frame, told apart
// by the field "t".
//
// The Go structs are the source. The TypeScript types of the console and
// docs/protocol.md are generated from them (go run ./gateway/wire/gen), and
// the frames in testdata are golden for both sides.
//
// [Decode] is total: whatever bytes come in, the answer is a [ClientFrame] or
// an error with a code, never a panic, and nothing of the result points into
// the input. Fields that are not known are ignored, so that newer clients can
// talk to older servers; types that are not known are an error.
//
// [Encode] appends. The frames of the hot path, [Ack] and [Event] with a
// [Message], are written field by field; the others through encoding/json.
// Fuzz tests hold both ways to the same bytes.
//
// Agents and visitors see different things of the same entry: [AgentEvent] and
// [VisitorEvent] are the only two ways from a stored event to a frame.
package wire
