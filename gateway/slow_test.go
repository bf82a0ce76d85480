package gateway

import (
	"encoding/binary"
	"encoding/json"
	"strings"
	"testing"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway/wire"
)

// TestSlowClientComesBack: who does not read is closed with 3008 behind what had
// left for it, and gets the rest from the journal when it comes back.
func TestSlowClientComesBack(t *testing.T) {
	t.Parallel()
	inModes(t, func(t *testing.T, mode func(*Options)) {
		const most = 900
		h := start(t, mode, func(o *Options) { o.Limits.Linger, o.Limits.Missed = patience, most })
		me := conversation.ContactID{1}
		c := h.visitor(me, hello)
		c.expect("welcome")
		served := h.gw.snapshot()[0]
		id, last := h.store.start("shop", me), 1
		if m := c.expect("event"); m.num("seq") != last {
			t.Fatalf("event %d, want %d", m.num("seq"), last)
		}
		body := conversation.Text(strings.Repeat("x", 16<<10))
		for ; !served.isClosing() && last < most; last++ {
			h.store.append(id, conversation.MessageAccepted{Text: body})
		}
		eventually(t, "it is closed", served.isClosing)

		had, code := c.eventsUntilClosed(1)
		if code != wire.CloseSlow || had >= last {
			t.Fatalf("closed with %d after event %d of %d, want %d before the last", code, had, last, wire.CloseSlow)
		}
		c = h.visitor(me, resumeFrom(id, conversation.Seq(had)))
		c.expect("welcome")
		for want := had + 1; want <= last; want++ {
			if m := c.expect("event"); m.num("seq") != want {
				t.Fatalf("event %d, want %d", m.num("seq"), want)
			}
		}
		if m := c.expect("resumed"); m.at("complete") != true {
			t.Errorf("resumed %v", m)
		}
	})
}

// eventsUntilClosed reads the events that follow one without a gap, and gives the
// seq of the last one and the code of the close frame.
func (c *rawClient) eventsUntilClosed(last int) (int, wire.CloseCode) {
	c.t.Helper()
	for {
		f, err := c.frame()
		if err != nil {
			c.t.Fatalf("after event %d: %v", last, err)
		}
		if f.op == opClose {
			return last, wire.CloseCode(binary.BigEndian.Uint16(f.payload))
		}
		m := message{}
		if err := json.Unmarshal(f.payload, &m); err != nil {
			c.t.Fatal(err)
		}
		if m.str("t") != "event" {
			continue
		}
		if m.num("seq") != last+1 {
			c.t.Fatalf("event %d after event %d", m.num("seq"), last)
		}
		last++
	}
}
