package gateway

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// conformCase is something that a client may send, and what RFC 6455 says of it.
type conformCase struct {
	name  string
	send  [][]byte // one write each
	code  int      // of the close frame; zero = the connection stays open
	pongs []string // payloads of the pongs that come first
	agent bool     // on the console's side, with its larger limit
}

const stillThere = `{"t":"ping","ref":"still"}`

// inModes runs a test on event loops and on goroutines.
func inModes(t *testing.T, test func(t *testing.T, mode func(*Options))) {
	t.Helper()
	for name, loops := range map[string]int{"loops": 2, "goroutines": -1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, func(o *Options) { o.Loops = loops })
		})
	}
}

// TestConformance holds the gateway to RFC 6455, one connection a case. Whatever
// one connection does, another that was open before goes on.
func TestConformance(t *testing.T) {
	t.Parallel()
	cases := conformCases()
	if len(cases) < 300 {
		t.Fatalf("%d cases, want at least 300", len(cases))
	}
	inModes(t, func(t *testing.T, mode func(*Options)) {
		h := start(t, mode, func(o *Options) {
			o.Limits.ConnectionsPerIP, o.Limits.HandshakesPerIP, o.Limits.HandshakesPerSecond = 10_000, 1e6, 1e6
			o.Limits.ConnectionsPerIdentity = 10_000
		})
		witness := h.visitor(conversation.ContactID{1}, hello)
		witness.expect("welcome")
		for _, tc := range cases {
			t.Run(tc.name, func(t *testing.T) { h.as(t).conform(tc) })
		}
		witness.say(stillThere)
		if m := witness.expect("pong"); m.str("ref") != "still" {
			t.Errorf("the witness got %v", m)
		}
	})
}

func (h *harness) conform(tc conformCase) {
	h.t.Helper()
	var c *rawClient
	if tc.agent {
		c = h.agent("ada")
	} else {
		c = h.visitor(conversation.ContactID{2}, hello)
		c.expect("welcome")
	}
	defer c.conn.Close()
	c.raw(tc.send...)
	for _, want := range tc.pongs {
		if f := c.nextOp(opPong); string(f.payload) != want {
			h.t.Errorf("pong %q, want %q", f.payload, want)
		}
	}
	if tc.code != 0 {
		if got := c.closeCode(); got != tc.code {
			h.t.Errorf("closed with %d, want %d", got, tc.code)
		}
		c.gone()
		return
	}
	c.say(stillThere)
	for c.expect("pong").str("ref") != "still" {
		continue
	}
}

// nextOp reads frames until one has the opcode.
func (c *rawClient) nextOp(op byte) rawFrame {
	c.t.Helper()
	for {
		f, err := c.frame()
		if err != nil || f.op == opClose && op != opClose {
			c.t.Fatalf("frame %+v, %v, want opcode %d", f, err, op)
		}
		if f.op == op {
			return f
		}
	}
}

func conformCases() []conformCase {
	return slices.Concat(lengthCases(), lengthFormCases(), controlCases(), headerBitCases(), fragmentCases(), utf8Cases(), closeCases(), streamCases())
}

func one(b []byte) [][]byte { return [][]byte{b} }

// quoted is JSON text of n bytes.
func quoted(n int) []byte {
	if n < 2 {
		return bytes.Repeat([]byte("7"), n)
	}
	return []byte(`"` + strings.Repeat("q", n-2) + `"`)
}

func lengthCases() []conformCase {
	var out []conformCase
	for _, n := range []int{0, 1, 2, 124, 125, 126, 127, 128, 255, 256, 511, 512, 1023, 1024, 4096, 16 << 10, 32<<10 - 1, 32 << 10} {
		frame := maskedFrame(bitFin|opText, quoted(n))
		out = append(out, conformCase{name: fmt.Sprintf("length/text of %d", n), send: one(frame)},
			conformCase{name: fmt.Sprintf("length/text of %d in pieces of 997", n), send: chop(frame, 997)},
			conformCase{name: fmt.Sprintf("length/binary of %d", n), send: one(maskedFrame(bitFin|opBinary, quoted(n))), code: 1003})
		if n <= 512 {
			out = append(out, conformCase{name: fmt.Sprintf("length/text of %d in single bytes", n), send: chop(frame, 1)})
		}
	}
	for _, n := range []int{32<<10 + 1, 65535, 65536, 1 << 20} {
		out = append(out, conformCase{name: fmt.Sprintf("length/text of %d", n), send: one(maskedFrame(bitFin|opText, quoted(n))), code: 1009})
	}
	for _, n := range []int{65535, 65536} {
		out = append(out, conformCase{name: fmt.Sprintf("length/agent's text of %d", n), send: one(maskedFrame(bitFin|opText, quoted(n))), agent: true})
	}
	return append(out, conformCase{name: "length/agent's text of 65537", send: one(maskedFrame(bitFin|opText, quoted(65537))), agent: true, code: 1009})
}

// lengthFormCases are lengths that are not written in the shortest form, or lie.
func lengthFormCases() []conformCase {
	var out []conformCase
	mask := []byte{0, 0, 0, 0}
	for _, n := range []int{0, 1, 125} {
		b := slices.Concat([]byte{bitFin | opText, 0x80 | 126}, binary.BigEndian.AppendUint16(nil, uint16(n)), mask, quoted(n))
		out = append(out, conformCase{name: fmt.Sprintf("form/16 bits for %d", n), send: one(b), code: 1002})
	}
	for _, n := range []int{0, 1, 125, 126, 65535} {
		b := slices.Concat([]byte{bitFin | opText, 0xff}, binary.BigEndian.AppendUint64(nil, uint64(n)), mask, quoted(n))
		out = append(out, conformCase{name: fmt.Sprintf("form/64 bits for %d", n), send: one(b), code: 1002})
	}
	for _, op := range []byte{opText, opBinary, opPing, opPong, opClose, opContinuation} {
		code := map[byte]int{opBinary: 1003}[op]
		if code == 0 {
			code = 1002
		}
		for _, claim := range []uint64{1 << 63, 1<<64 - 1, 1<<63 + 5} {
			b := slices.Concat([]byte{bitFin | op, 0xff}, binary.BigEndian.AppendUint64(nil, claim), mask)
			out = append(out, conformCase{name: fmt.Sprintf("form/opcode %d claims %x", op, claim), send: one(b), code: code})
		}
	}
	for _, claim := range []uint64{1 << 20, 1 << 31, 1 << 32, 1<<63 - 1} {
		b := slices.Concat([]byte{bitFin | opText, 0xff}, binary.BigEndian.AppendUint64(nil, claim), mask)
		out = append(out, conformCase{name: fmt.Sprintf("form/text claims %x", claim), send: one(b), code: 1009})
	}
	return out
}

func controlCases() []conformCase {
	var out []conformCase
	ping := func(s string) []byte { return maskedFrame(bitFin|opPing, []byte(s)) }
	for _, n := range []int{0, 1, 2, 64, 124, 125} {
		s := strings.Repeat("p", n)
		out = append(out, conformCase{name: fmt.Sprintf("control/ping of %d", n), send: one(ping(s)), pongs: []string{s}},
			conformCase{name: fmt.Sprintf("control/ping of %d in single bytes", n), send: chop(ping(s), 1), pongs: []string{s}},
			conformCase{name: fmt.Sprintf("control/pong of %d that nobody asked for", n), send: one(maskedFrame(bitFin|opPong, []byte(s)))})
	}
	for _, op := range []byte{opPing, opPong, opClose} {
		for _, n := range []int{126, 127, 1000, 65536} {
			out = append(out, conformCase{name: fmt.Sprintf("control/opcode %d of %d", op, n), send: one(maskedFrame(bitFin|op, make([]byte, n))), code: 1002})
		}
		out = append(out, conformCase{name: fmt.Sprintf("control/opcode %d in fragments", op), send: one(maskedFrame(op, nil)), code: 1002},
			conformCase{name: fmt.Sprintf("control/opcode %d in fragments, with more", op), send: [][]byte{maskedFrame(op, []byte("ab")), maskedFrame(bitFin|opContinuation, []byte("c"))}, code: 1002},
			conformCase{name: fmt.Sprintf("control/opcode %d without a mask", op), send: one([]byte{bitFin | op, 0}), code: 1002})
	}
	var many []byte
	var pongs []string
	for i := range 10 {
		s := fmt.Sprintf("ping %d", i)
		many, pongs = append(many, ping(s)...), append(pongs, s)
	}
	return append(
		out,
		conformCase{name: "control/ten pings in a row", send: one(many), pongs: pongs},
		conformCase{name: "control/ten pings in single bytes", send: chop(many, 1), pongs: pongs},
		conformCase{name: "control/ping that is not UTF-8", send: one(ping("\x00\xff\xfe\xc0")), pongs: []string{"\x00\xff\xfe\xc0"}},
	)
}

// headerBitCases are reserved bits and reserved opcodes.
func headerBitCases() []conformCase {
	var out []conformCase
	for rsv := byte(0x10); rsv <= bitsRSV; rsv += 0x10 {
		for _, op := range []byte{opContinuation, opText, opBinary, opClose, opPing, opPong} {
			out = append(out, conformCase{name: fmt.Sprintf("bits/rsv %x on opcode %d", rsv>>4, op), send: one(maskedFrame(bitFin|rsv|op, nil)), code: 1002})
		}
	}
	for _, op := range []byte{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		out = append(out, conformCase{name: fmt.Sprintf("bits/opcode %d", op), send: one(maskedFrame(bitFin|op, nil)), code: 1002},
			conformCase{name: fmt.Sprintf("bits/opcode %d with payload", op), send: one(maskedFrame(bitFin|op, []byte("payload"))), code: 1002},
			conformCase{name: fmt.Sprintf("bits/opcode %d in fragments", op), send: one(maskedFrame(op, []byte("a"))), code: 1002},
			conformCase{name: fmt.Sprintf("bits/opcode %d after a message", op), send: one(append(text(`{"t":"ping"}`), maskedFrame(bitFin|op, nil)...)), code: 1002})
	}
	for _, s := range []string{"", "x"} {
		out = append(out, conformCase{name: fmt.Sprintf("bits/text %q without a mask", s), send: one(append([]byte{bitFin | opText, byte(len(s))}, s...)), code: 1002})
	}
	return out
}

func fragmentCases() []conformCase {
	first := func(s string) []byte { return maskedFrame(opText, []byte(s)) }
	middle := func(s string) []byte { return maskedFrame(opContinuation, []byte(s)) }
	last := func(s string) []byte { return maskedFrame(bitFin|opContinuation, []byte(s)) }
	ping := func(s string) []byte { return maskedFrame(bitFin|opPing, []byte(s)) }
	const m = `{"t":"ping","ref":"x"}`
	var single [][]byte
	for i := range m {
		switch i {
		case 0:
			single = append(single, first(m[:1]))
		case len(m) - 1:
			single = append(single, last(m[i:]))
		default:
			single = append(single, middle(m[i:i+1]))
		}
	}
	big := strings.Repeat("x", 16<<10)
	cases := []conformCase{
		{name: "two", send: [][]byte{first(m[:5]), last(m[5:])}},
		{name: "three", send: [][]byte{first(m[:5]), middle(m[5:9]), last(m[9:])}},
		{name: "three in one write", send: one(slices.Concat(first(m[:5]), middle(m[5:9]), last(m[9:])))},
		{name: "of one byte", send: single},
		{name: "of one byte in one write", send: one(slices.Concat(single...))},
		{name: "in single bytes", send: chop(slices.Concat(first(m[:5]), middle(m[5:9]), last(m[9:])), 1)},
		{name: "all empty", send: [][]byte{first(""), middle(""), last("")}},
		{name: "empty first", send: [][]byte{first(""), last(m)}},
		{name: "empty middle", send: [][]byte{first(m[:5]), middle(""), last(m[5:])}},
		{name: "empty last", send: [][]byte{first(m), last("")}},
		{name: "ping inside", send: [][]byte{first(m[:5]), ping("in"), last(m[5:])}, pongs: []string{"in"}},
		{name: "ping inside, one write", send: one(slices.Concat(first(m[:5]), ping("in"), last(m[5:]))), pongs: []string{"in"}},
		{name: "ping inside, single bytes", send: chop(slices.Concat(first(m[:5]), ping("in"), last(m[5:])), 1), pongs: []string{"in"}},
		{name: "ping is answered before the message ends", send: [][]byte{first(m[:5]), ping("in")}, pongs: []string{"in"}, code: -1},
		{name: "pings in every gap", send: [][]byte{first(m[:5]), ping("1"), middle(m[5:9]), ping("2"), ping("3"), last(m[9:])}, pongs: []string{"1", "2", "3"}},
		{name: "pong inside", send: [][]byte{first(m[:5]), maskedFrame(bitFin|opPong, nil), last(m[5:])}},
		{name: "ping too long inside", send: [][]byte{first(m[:5]), maskedFrame(bitFin|opPing, make([]byte, 126))}, code: 1002},
		{name: "close inside", send: [][]byte{first(m[:5]), maskedFrame(bitFin|opClose, []byte{3, 232})}, code: 1000},
		{name: "rsv inside", send: [][]byte{first(m[:5]), maskedFrame(0x40|opContinuation, nil)}, code: 1002},
		{name: "no mask inside", send: [][]byte{first(m[:5]), {opContinuation, 0}}, code: 1002},
		{name: "continuation without a beginning", send: one(last("x")), code: 1002},
		{name: "continuation without beginning or end", send: one(middle("x")), code: 1002},
		{name: "continuation after a whole message", send: [][]byte{text(m), last("x")}, code: 1002},
		{name: "continuation after a fragmented message", send: [][]byte{first(m[:5]), last(m[5:]), last("x")}, code: 1002},
		{name: "text inside", send: [][]byte{first("x"), text(m)}, code: 1002},
		{name: "fragmented text inside", send: [][]byte{first("x"), first("y")}, code: 1002},
		{name: "binary inside", send: [][]byte{first("x"), maskedFrame(bitFin|opBinary, nil)}, code: 1003},
		{name: "fragmented binary", send: [][]byte{maskedFrame(opBinary, nil)}, code: 1003},
		{name: "together at the limit", send: [][]byte{first(big), last(big)}},
		{name: "together over the limit", send: [][]byte{first(big), middle(big), last("x")}, code: 1009},
		{name: "first over the limit", send: [][]byte{first(big + big + "x")}, code: 1009},
		{name: "two messages", send: [][]byte{first(m[:5]), last(m[5:]), first(m[:6]), last(m[6:])}},
	}
	for i := range cases {
		cases[i].name = "fragments/" + cases[i].name
		if cases[i].code == -1 { // finish the message, or the next one would be wrong
			cases[i].code = 0
			cases[i].send = append(cases[i].send, last(m[5:]))
		}
	}
	return cases
}

func utf8Cases() []conformCase {
	var out []conformCase
	valid := []string{
		"\x00", "\x7f", "\u0080", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\ufffd", "\uffff", "\U00010000", "\U0010ffff", "κόσμε", "你好，客服", "🙂🙃",
	}
	for _, s := range valid {
		frame := maskedFrame(bitFin|opText, []byte(s))
		out = append(out, conformCase{name: fmt.Sprintf("utf8/valid %+q", s), send: one(frame)}, conformCase{name: fmt.Sprintf("utf8/valid %+q in single bytes", s), send: chop(frame, 1)})
		var parts [][]byte
		for i := range len(s) {
			op := byte(opContinuation)
			if i == 0 {
				op = opText
			}
			parts = append(parts, maskedFrame(op, []byte{s[i]}))
		}
		out = append(out, conformCase{name: fmt.Sprintf("utf8/valid %+q in fragments of a byte", s), send: append(parts, maskedFrame(bitFin|opContinuation, nil))})
	}
	invalid := []string{
		"\x80", "\xbf", "\x80\xbf", "\xc0", "\xc1", "\xf5", "\xfe", "\xff", "\xfe\xfe\xff\xff", "\xc3", "\xe4\xbd", "\xf0\x9f\x99", "\xc3 ", "\xe4\xbd ",
		"\xc0\xaf", "\xe0\x80\xaf", "\xf0\x80\x80\xaf", "\xf8\x80\x80\x80\xaf", "\xfc\x80\x80\x80\x80\xaf", "\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf", "\xc0\x80",
		"\xed\xa0\x80", "\xed\xad\xbf", "\xed\xae\x80", "\xed\xaf\xbf", "\xed\xb0\x80", "\xed\xbf\xbf", "\xed\xa0\x80\xed\xb0\x80",
		"\xf4\x90\x80\x80", "\xf7\xbf\xbf\xbf", "\xf8\x88\x80\x80\x80", "\xfc\x84\x80\x80\x80\x80",
	}
	for _, s := range invalid {
		out = append(out, conformCase{name: fmt.Sprintf("utf8/invalid % x", s), send: one(maskedFrame(bitFin|opText, []byte("κ"+s))), code: 1007})
	}
	for _, s := range invalid[:8] {
		out = append(out, conformCase{name: fmt.Sprintf("utf8/invalid % x in fragments", s), send: [][]byte{maskedFrame(opText, []byte("a")), maskedFrame(bitFin|opContinuation, []byte(s))}, code: 1007})
	}
	return out
}

func closeCases() []conformCase {
	var out []conformCase
	closing := func(p ...byte) []byte { return maskedFrame(bitFin|opClose, p) }
	coded := func(n int, reason string) []byte {
		return closing(append(binary.BigEndian.AppendUint16(nil, uint16(n)), reason...)...)
	}
	for _, n := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011} {
		out = append(out, conformCase{name: fmt.Sprintf("close/%d", n), send: one(coded(n, "")), code: 1000})
	}
	for _, n := range []int{3000, 3001, 3999, 4000, 4001, 4999} {
		out = append(out, conformCase{name: fmt.Sprintf("close/%d", n), send: one(coded(n, "reason")), code: n})
	}
	for _, n := range []int{0, 1, 999, 1004, 1005, 1006, 1014, 1015, 1016, 1100, 1999, 2000, 2999, 5000, 65535} {
		out = append(out, conformCase{name: fmt.Sprintf("close/%d", n), send: one(coded(n, "")), code: 1002})
	}
	for _, n := range []int{1, 2, 122, 123} {
		out = append(out, conformCase{name: fmt.Sprintf("close/reason of %d", n), send: one(coded(1000, strings.Repeat("r", n))), code: 1000})
	}
	for _, s := range []string{"\xff", "\xc3", "ok\xed\xa0\x80", "\xf4\x90\x80\x80"} {
		out = append(out, conformCase{name: fmt.Sprintf("close/reason % x", s), send: one(coded(1000, s)), code: 1007})
	}
	return append(
		out,
		conformCase{name: "close/empty", send: one(closing()), code: 1005},
		conformCase{name: "close/one byte", send: one(closing(3)), code: 1002},
		conformCase{name: "close/reason of 124", send: one(coded(1000, strings.Repeat("r", 124))), code: 1002},
		conformCase{name: "close/reason κόσμε", send: one(coded(1000, "κόσμε")), code: 1000},
		conformCase{name: "close/in single bytes", send: chop(coded(3000, "slow"), 1), code: 3000},
		conformCase{name: "close/twice", send: [][]byte{coded(3000, ""), coded(3001, "")}, code: 3000},
		conformCase{name: "close/twice in one write", send: one(slices.Concat(coded(3000, ""), coded(3001, ""))), code: 3000},
		conformCase{name: "close/text behind it", send: one(slices.Concat(coded(3000, ""), text(stillThere))), code: 3000},
		conformCase{name: "close/rubbish behind it", send: one(slices.Concat(coded(3000, ""), bytes.Repeat([]byte{0xff}, 100<<10))), code: 3000},
		conformCase{name: "close/answers come before it", send: one(slices.Concat(maskedFrame(bitFin|opPing, []byte("a")), coded(3000, ""))), pongs: []string{"a"}, code: 3000},
	)
}

// streamCases are about how frames lie in the stream.
func streamCases() []conformCase {
	var many []byte
	for range 500 {
		many = append(many, text(`{"t":"ping","ref":"many"}`)...)
	}
	ping := maskedFrame(bitFin|opPing, []byte("p"))
	frame := text(`{"t":"ping","ref":"split"}`)
	return []conformCase{
		{name: "stream/500 in one write", send: one(many)},
		{name: "stream/100 in pieces of 7", send: chop(many[:len(many)/5], 7)},
		{name: "stream/500 in pieces of 1000", send: chop(many, 1000)},
		{name: "stream/end of one and beginning of the next", send: [][]byte{frame[:4], append(slices.Clone(frame[4:]), ping[:3]...), ping[3:]}, pongs: []string{"p"}},
		{name: "stream/header alone", send: [][]byte{frame[:1], frame[1:2], frame[2:6], frame[6:]}},
		{name: "stream/HTTP", send: one([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")), code: 1002},
		{name: "stream/zeros", send: one(make([]byte, 4096)), code: 1002},
		{name: "stream/ones", send: one(bytes.Repeat([]byte{0xff}, 4096)), code: 1002},
		{name: "stream/TLS", send: one([]byte{0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03}), code: 1002},
	}
}

// TestOrderIsKept: answers come in the order of the frames, also when some of
// them have to wait for the journal.
func TestOrderIsKept(t *testing.T) {
	t.Parallel()
	inModes(t, func(t *testing.T, mode func(*Options)) {
		h := start(t, mode)
		c := h.visitor(conversation.ContactID{1}, hello)
		c.expect("welcome")
		var all []byte
		const n = 60
		for i := range n {
			frame := fmt.Sprintf(`{"t":"ping","ref":"%d"}`, i)
			if i%3 == 1 { // of somebody else: the journal has to be asked
				frame = fmt.Sprintf(`{"t":"read","ref":"%d","seq":1,"conversation_id":"%s"}`, i, conversation.ConversationID{9, byte(i)})
			}
			all = append(all, text(frame)...)
		}
		c.raw(chop(all, 501)...)
		for i := range n {
			m := c.next()
			if m.str("ref") != fmt.Sprint(i) {
				t.Fatalf("answer %v, want that to %d", m, i)
			}
		}
	})
}

// TestUnfinishedIsClosed: what has begun must become whole in time, and bytes
// that trickle in do not put that off.
func TestUnfinishedIsClosed(t *testing.T) {
	t.Parallel()
	inModes(t, func(t *testing.T, mode func(*Options)) {
		h := start(t, mode, func(o *Options) { o.Limits.PartTimeout = 300 * time.Millisecond })
		whole := text(`{"t":"ping","pad":"` + strings.Repeat("x", 30_000) + `"}`)
		for name, begin := range map[string][]byte{
			"frame": whole[:100], "header": whole[:1], "message": maskedFrame(opText, []byte("x")),
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				c := h.as(t).visitor(conversation.ContactID{1}, hello)
				c.expect("welcome")
				c.raw(begin)
				if got := c.closeCode(); got != 1002 {
					t.Errorf("closed with %d, want 1002", got)
				}
			})
		}
		t.Run("trickle", func(t *testing.T) {
			t.Parallel()
			c := h.as(t).visitor(conversation.ContactID{2}, hello)
			c.expect("welcome")
			done := make(chan struct{})
			go func() {
				defer close(done)
				for _, b := range whole {
					if _, err := c.conn.Write([]byte{b}); err != nil {
						return
					}
					<-time.After(time.Millisecond) // a pace, not a wait
				}
			}()
			if got := c.closeCode(); got != 1002 {
				t.Errorf("closed with %d, want 1002", got)
			}
			_ = c.conn.Close()
			<-done
		})
	})
}
