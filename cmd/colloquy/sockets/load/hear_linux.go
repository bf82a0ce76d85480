package load

import (
	"bytes"
	"time"

	"golang.org/x/sys/unix"
)

// checkOneIn is how many acknowledgments there are for each that a whole JSON
// parser looks at; all others are read by their keys.
const checkOneIn = 64

// resendPause is how long a message waits that was refused for the moment.
const resendPause = time.Second

func (l *loop) onFrame(s *socket, f frame) {
	switch f.op {
	case opText:
		l.onText(s, f.payload)
	case opPing:
		l.write(s, clientFrame(opPong, f.payload))
	case opPong:
		l.onPong(s, f.payload)
	case opClose:
		s.code = closeCode(f.payload)
		l.lose(s, nil)
	default:
		l.fail(s, "a frame with the opcode %d", f.op)
	}
}

func (l *loop) onText(s *socket, payload []byte) {
	t, ok := typeOf(payload)
	if !ok {
		l.fail(s, "the frame %q is no object that begins with its type", payload)
		return
	}
	switch t {
	case "ack":
		l.onAck(s, payload)
	case "event":
		l.onEvent(s, payload)
	case "welcome":
		if e := stringField(payload, keyEpoch); string(e) != l.epoch {
			l.epoch = string(e)
		}
	case "resumed", "done":
		l.opened(s)
	case "error":
		l.onError(s, payload)
	case "reset":
		l.fail(s, "events were lost: %s", payload)
	case "reconnect", "presence", "pong", "queue.position", "typing":
	default:
		l.fail(s, "a frame of the unknown type %q", t)
	}
}

func (l *loop) onAck(s *socket, payload []byte) {
	name, seq := stringField(payload, keyClientID), numberField(payload, keySeq)
	n, ok := numberOf(name)
	switch {
	case !ok || n != s.answered:
		l.fail(s, "an ack for %q, awaited was number %d", name, s.answered)
		return
	case s.answered >= s.asked:
		l.fail(s, "an ack for what was not sent: %s", payload)
		return
	case !bytes.Contains(payload, []byte(keyDurable)):
		l.fail(s, "an ack that is not durable: %s", payload)
		return
	case !s.group.Return && seq != uint64(n)+1: //nolint:gosec // not negative
		l.fail(s, "the ack for number %d has seq %d", n, seq)
		return
	}
	if l.checks++; l.checks%checkOneIn == 1 {
		if err := checkAck(payload, name, seq); err != nil {
			l.fail(s, "%w", err)
			return
		}
	}
	if s.group.Return {
		l.mark(s, &s.acked, n)
		if s.conversation == "" {
			s.conversation = string(stringField(payload, keyConversation))
		}
	}
	l.answeredOne(s)
}

// mark notes that a message is acknowledged, or seen, and counts those of which
// only the first is true.
func (l *loop) mark(s *socket, set *uint64, number int) {
	before := s.acked &^ s.seen
	*set |= 1 << (uint(number) & 63) // sockets that return ask less than 64
	after := s.acked &^ s.seen
	switch {
	case after > before:
		l.count.missing++
	case after < before:
		l.count.missing--
	}
}

func (l *loop) onEvent(s *socket, payload []byte) {
	seq := numberField(payload, keySeq)
	if s.conversation == "" || s.cursor == 0 {
		s.conversation = string(stringField(payload, keyConversation))
	}
	switch {
	case seq <= s.cursor:
		l.count.twice++
		return
	case s.group.Subscribe != "" && seq != s.cursor+1:
		l.fail(s, "event %d follows event %d", seq, s.cursor)
		return
	}
	s.cursor = seq
	s.events++
	l.count.events++
	if s.group.Return {
		if n, ok := numberOf(stringField(payload, keyClientID)); ok {
			l.mark(s, &s.seen, n)
		}
	}
}

// onError takes a refusal. Only who returns may be refused: then the same
// messages go out again.
func (l *loop) onError(s *socket, payload []byte) {
	if !s.group.Return {
		l.fail(s, "refused: %s", payload)
		return
	}
	if !s.resend {
		s.resend, s.at = true, l.now+int64(resendPause)
	}
}

func (l *loop) onPong(s *socket, payload []byte) {
	if l.asking == nil || l.asking.order.Kind != KindPing {
		return
	}
	want := l.asking.payload(s.index, s.answered)
	if s.answered >= s.asked || !bytes.Equal(payload, want) {
		l.fail(s, "the pong %q does not answer the ping %q", payload, want)
		return
	}
	l.answeredOne(s)
}

// answeredOne takes the oldest open question off the books.
func (l *loop) answeredOne(s *socket) {
	s.answered++
	l.count.unanswered--
	if s.flight.n == 0 {
		return // asked on an earlier connection
	}
	due := s.flight.pop()
	if l.asking != nil {
		l.asking.took.Add(time.Duration(l.now - due))
		l.asking.answers++
	}
}

// stallAt stops reading: epoll must not tell of the socket either, because it
// always tells of ends.
func (l *loop) stallAt(s *socket) {
	s.stalled = true
	_ = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_DEL, s.fd, nil)
}
