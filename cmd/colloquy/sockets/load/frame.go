package load

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// The parts of RFC 6455, section 5.2, that a client needs.
const (
	opText  = 0x1
	opClose = 0x8
	opPing  = 0x9
	opPong  = 0xa

	bitFin  = 0x80
	bitMask = 0x80
	length2 = 126 // in the length's place: two bytes follow with it
	length8 = 127 // eight bytes

	// maxFrame is larger than anything a server here sends.
	maxFrame = 1 << 20
)

// mask is the same for every frame: what it costs the server does not depend on
// its value, and frames that are alike can be copied.
var mask = [4]byte{0x37, 0xfa, 0x21, 0x3d} //nolint:gochecknoglobals // a constant that Go cannot write as one

// errShort says that a frame is not all there yet.
var errShort = errors.New("more bytes are needed")

// clientFrame makes a client's frame: masked, whole, with the shortest length.
func clientFrame(op byte, payload []byte) []byte {
	b := []byte{bitFin | op}
	switch n := len(payload); {
	case n < length2:
		b = append(b, bitMask|byte(n))
	case n < 1<<16:
		b = append(b, bitMask|length2)
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	default:
		b = append(b, bitMask|length8)
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	b = append(b, mask[:]...)
	start := len(b)
	b = append(b, payload...)
	for i := range payload {
		b[start+i] ^= mask[i&3]
	}
	return b
}

// frame is a server's frame; the payload belongs to the buffer that was read.
type frame struct {
	op      byte
	payload []byte
}

// nextFrame takes the frame at the front of b and says how long it was. Errors:
// [errShort]; anything else is a violation of the protocol.
func nextFrame(b []byte) (frame, int, error) {
	if len(b) < 2 {
		return frame{}, 0, errShort
	}
	if b[0]&0xf0 != bitFin {
		return frame{}, 0, fmt.Errorf("a frame begins with %#x: fragmented, or with reserved bits", b[0])
	}
	if b[1]&bitMask != 0 {
		return frame{}, 0, errors.New("a server's frame is masked")
	}
	header, n := 2, uint64(b[1])
	switch n {
	case length2:
		if len(b) < 4 {
			return frame{}, 0, errShort
		}
		if header, n = 4, uint64(binary.BigEndian.Uint16(b[2:])); n < length2 {
			return frame{}, 0, errors.New("a length of two bytes that fits into one")
		}
	case length8:
		if len(b) < 10 {
			return frame{}, 0, errShort
		}
		if header, n = 10, binary.BigEndian.Uint64(b[2:]); n < 1<<16 {
			return frame{}, 0, errors.New("a length of eight bytes that fits into two")
		}
	}
	if n > maxFrame {
		return frame{}, 0, fmt.Errorf("a frame of %d bytes", n)
	}
	end := header + int(n)
	if len(b) < end {
		return frame{}, 0, errShort
	}
	return frame{b[0] & 0x0f, b[header:end]}, end, nil
}

// closeCode reads a close frame; 1005 when it carries none.
func closeCode(payload []byte) int {
	const none = 1005
	if len(payload) < 2 {
		return none
	}
	return int(binary.BigEndian.Uint16(payload))
}

// typeOf is the value of the field t, which servers write first.
func typeOf(payload []byte) (string, bool) {
	rest, ok := bytes.CutPrefix(payload, []byte(`{"t":"`))
	if !ok {
		return "", false
	}
	t, _, ok := bytes.Cut(rest, []byte{'"'})
	return string(t), ok && payload[len(payload)-1] == '}'
}

// stringField finds the value of a string without escapes by its key.
func stringField(payload []byte, key string) []byte {
	_, rest, ok := bytes.Cut(payload, []byte(key))
	if !ok {
		return nil
	}
	v, _, _ := bytes.Cut(rest, []byte{'"'})
	return v
}

// numberField finds the value of a whole number by its key.
func numberField(payload []byte, key string) uint64 {
	_, rest, ok := bytes.Cut(payload, []byte(key))
	if !ok {
		return 0
	}
	var n uint64
	for _, c := range rest {
		if c < '0' || c > '9' {
			break
		}
		n = n*10 + uint64(c-'0')
	}
	return n
}

// The keys of what is read of a frame.
const (
	keyClientID     = `"client_id":"`
	keyConversation = `"conversation_id":"`
	keySeq          = `"seq":`
	keyEpoch        = `"epoch":"`
	keyDurable      = `"durable":true`
)

// ack is an acknowledgment as far as it is checked.
type ack struct {
	T            string `json:"t"`
	ClientID     string `json:"client_id"`
	Conversation string `json:"conversation_id"`
	Seq          uint64 `json:"seq"`
	Durable      bool   `json:"durable"`
}

// checkAck compares what was found by its keys with what a whole parser says.
func checkAck(payload, clientID []byte, seq uint64) error {
	var a ack
	if err := json.Unmarshal(payload, &a); err != nil {
		return fmt.Errorf("ack %q: %w", payload, err)
	}
	if a.T != "ack" || a.ClientID != string(clientID) || a.Seq != seq || !a.Durable || a.Conversation == "" {
		return fmt.Errorf("ack %q is not for %s with seq %d", payload, clientID, seq)
	}
	return nil
}

// The parts of the id of a socket's message: the socket, a dash, the number. Its
// length does not change, so that all questions are equally long.
const (
	socketDigits = 6
	nameBytes    = 16
)

// writeName writes an id over the first bytes of b.
func writeName(b []byte, socket, number int) {
	writeDigits(b[:socketDigits], socket)
	b[socketDigits] = '-'
	writeDigits(b[socketDigits+1:nameBytes], number)
}

func writeDigits(b []byte, n int) {
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
}

// numberOf reads the number at the end of a name.
func numberOf(name []byte) (int, bool) {
	if len(name) != nameBytes {
		return 0, false
	}
	n, err := strconv.Atoi(string(name[socketDigits+1:]))
	return n, err == nil
}
