package gateway

import (
	"encoding/binary"

	"github.com/colloquyhq/colloquy/gateway/wire"
)

// frameRoom is the largest header of a frame that a server sends.
const frameRoom = 10

// textFrame encodes f as one whole frame. Server frames carry no mask, so the
// same bytes serve every connection.
func textFrame(f wire.ServerFrame) ([]byte, error) {
	buf := make([]byte, frameRoom, frameRoom+320)
	buf, err := wire.Encode(buf, f)
	if err != nil {
		return nil, err
	}
	return sealFrame(buf, opText), nil
}

// sealFrame writes the header in front of a payload that begins at frameRoom.
func sealFrame(buf []byte, op byte) []byte {
	n := len(buf) - frameRoom
	switch {
	case n < 126:
		buf = buf[frameRoom-2:]
		buf[1] = byte(n) //nolint:gosec // checked by the case
	case n < 1<<16:
		buf = buf[frameRoom-4:]
		buf[1] = 126
		binary.BigEndian.PutUint16(buf[2:], uint16(n))
	default:
		buf[1] = 127
		binary.BigEndian.PutUint64(buf[2:], uint64(n))
	}
	buf[0] = bitFin | op
	return buf
}

func controlFrame(op byte, payload []byte) []byte {
	buf := make([]byte, frameRoom, frameRoom+len(payload))
	return sealFrame(append(buf, payload...), op)
}

// closeFrame carries a code and its reason. Code zero is a close frame
// without one, the answer to such a frame.
func closeFrame(code wire.CloseCode) []byte {
	if code == 0 {
		return controlFrame(opClose, nil)
	}
	payload := binary.BigEndian.AppendUint16(nil, uint16(code))
	return controlFrame(opClose, append(payload, code.Row().Reason...))
}
