package load

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// atOnce is how many questions that are due go out before answers are read again.
const atOnce = 64

// pingBytes is the most that a control frame may carry (RFC 6455, 5.5).
const pingBytes = 125

// asking is an [Ask] that is being carried out.
type asking struct {
	order    *Ask
	sockets  []*socket
	frame    []byte // of a question, masked, with a name to be overwritten
	nameAt   int    // in frame
	header   int    // bytes before the payload
	plain    []byte // the payload, to compare answers with
	scratch  []byte
	over     bool // no more questions
	took     Histogram
	answers  int
	interval float64 // ns between questions of an open loop
}

func newAsking(o *Ask, sockets []*socket) (*asking, error) {
	if o.To == 0 {
		o.To = len(sockets)
	}
	if o.From < 0 || o.From >= o.To || o.To > len(sockets) {
		return nil, fmt.Errorf("there are %d sockets, not %d to %d", len(sockets), o.From, o.To)
	}
	o.Burst = max(o.Burst, 1)
	if o.Burst > maxFlight {
		return nil, fmt.Errorf("a burst has at most %d questions", maxFlight)
	}
	a := &asking{order: o, sockets: sockets[o.From:o.To]}
	if o.Rate > 0 {
		a.interval = 1e9 / o.Rate
	}
	op, before, after := byte(opText), `{"t":"message.send","client_id":"`, `","text":"`
	if o.Kind == KindPing {
		op, before, after = opPing, "", ""
		o.Bytes = pingBytes
	}
	fill := o.Bytes - len(before) - nameBytes - len(after) - len(`"}`)
	if fill < 1 {
		return nil, errors.New("so few bytes have no room for a question")
	}
	text := before + strings.Repeat("0", nameBytes) + after + strings.Repeat("how long does shipping take? ", fill/29+1)[:fill] + `"}`
	a.plain = []byte(text)
	a.frame = clientFrame(op, a.plain)
	a.header = len(a.frame) - len(a.plain)
	a.nameAt = a.header + len(before)
	return a, nil
}

// payload is what a pong must carry. It is valid until the next call.
func (a *asking) payload(socket, number int) []byte {
	writeName(a.plain[a.nameAt-a.header:], socket, number)
	return a.plain
}

// question appends a frame.
func (a *asking) question(b []byte, socket, number int) []byte {
	start := len(b)
	b = append(b, a.frame...)
	name := b[start+a.nameAt : start+a.nameAt+nameBytes]
	writeName(name, socket, number)
	for i := range name {
		name[i] ^= mask[(a.nameAt-a.header+i)&3]
	}
	return b
}

// ask carries out an [Ask].
func (l *loop) ask(ctx context.Context, o *Ask, out *Answer) error {
	a, err := newAsking(o, l.sockets)
	if err != nil {
		return err
	}
	l.asking = a
	began := l.clock()
	l.now = began
	for _, s := range a.sockets {
		s.left = o.Each
	}
	if o.Rate > 0 {
		err = l.openLoop(ctx, a, out)
	} else {
		err = l.closedLoop(ctx, a)
	}
	a.over = true
	if err == nil && !o.Leave {
		err = l.until(ctx, orderTime, "answers", func() bool { return l.count.unanswered == 0 })
	}
	out.Seconds = time.Duration(l.clock() - began).Seconds()
	out.Answers = a.answers
	for _, s := range a.sockets {
		if s.asked > 0 && s.answered == s.asked {
			out.Answering++
		}
	}
	out.P50, out.P99, out.P999, out.Max = millis(a.took.Quantile(0.5)), millis(a.took.Quantile(0.99)), millis(a.took.Quantile(0.999)), millis(a.took.Max())
	if !o.Leave {
		l.asking = nil
	}
	return errors.Join(err, l.err)
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// closedLoop lets every socket ask again when it has its answers.
func (l *loop) closedLoop(ctx context.Context, a *asking) error {
	for _, s := range a.sockets {
		l.putQuestions(s, a.order.Burst, l.now)
	}
	if a.order.Each > 0 {
		if a.order.Leave {
			return l.err
		}
		return l.until(ctx, orderTime, "answers", func() bool { return l.count.unanswered == 0 })
	}
	end := l.now + int64(a.order.Duration)
	for l.now < end && l.err == nil && ctx.Err() == nil {
		l.poll(time.Millisecond)
	}
	return ctx.Err()
}

// flush lets a socket of a closed loop ask again.
func (l *loop) flush(s *socket) {
	a := l.asking
	if a == nil || a.over || a.order.Rate > 0 || s.flight.n > 0 || s.asked == 0 || s.index < a.order.From || s.index >= a.order.To {
		return
	}
	l.putQuestions(s, a.order.Burst, l.now)
}

// openLoop asks at the times of a schedule, whatever the answers do. A question
// that could not go out at its time is late, and its time counts all the same.
//
// It never sleeps: to fall asleep and wake up would take longer than the work of
// a message, and come late. So the process takes all of its core, and what of that
// was waiting is counted apart.
func (l *loop) openLoop(ctx context.Context, a *asking, out *Answer) error {
	began := l.now
	total := a.order.Each * len(a.sockets)
	if a.order.Each == 0 {
		total = int(a.order.Duration.Seconds() * a.order.Rate)
	}
	for i := 0; i < total && l.err == nil && ctx.Err() == nil; {
		for range atOnce {
			s, due := a.sockets[i%len(a.sockets)], began+int64(float64(i)*a.interval)
			now := l.clock()
			if due > now || s.flight.full() || s.phase != phaseOpen && !s.group.Return {
				break
			}
			l.putQuestions(s, 1, due)
			out.Late = max(out.Late, millis(time.Duration(now-due)))
			if i++; i == total {
				break
			}
		}
		looked := l.clock()
		if l.poll(0) == 0 {
			out.IdleMicros += float64(l.now-looked) / 1e3
		}
	}
	return ctx.Err()
}

// putQuestions writes n questions at once.
func (l *loop) putQuestions(s *socket, n int, due int64) {
	a := l.asking
	if a.order.Each > 0 {
		n = min(n, s.left)
		s.left -= n
	}
	b := a.scratch[:0]
	for range n {
		b = a.question(b, s.index, s.asked)
		s.asked++
		s.flight.push(due)
		l.count.unanswered++
	}
	a.scratch = b
	if s.phase == phaseOpen {
		l.write(s, b)
	}
}

// sendAgain sends what is open once more, with the same names.
func (l *loop) sendAgain(s *socket) {
	s.resend, s.flight = false, flight{}
	if l.asking == nil {
		return
	}
	var b []byte
	for n := s.answered; n < s.asked; n++ {
		b = l.asking.question(b, s.index, n)
		l.count.resent++
	}
	l.write(s, b)
}
