package gateway

import (
	"strings"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/gateway/wire"
)

func someEvent() wire.ServerFrame {
	return &wire.Event{Kind: "message.accepted", Seq: 7, At: time.Unix(1_700_000_000, 0).UTC(), Data: &wire.Message{ID: "msg", Seq: 7, Text: "hello"}}
}

// TestPatienceDiffers: connections are pinged a fifth around the heartbeat, not
// all at once.
func TestPatienceDiffers(t *testing.T) {
	t.Parallel()
	c := offline(t)
	base := c.gw.limits.Heartbeat
	seen := map[time.Duration]bool{}
	for range 200 {
		c.name = newConnName()
		p := c.patience()
		if p < base*4/5 || p > base*6/5 {
			t.Fatalf("patience %v is not within a fifth of %v", p, base)
		}
		seen[p] = true
		if s := c.session(); len(s) != len("ws_")+12 || !strings.HasPrefix(s, "ws_") {
			t.Fatalf("session %q", s)
		}
	}
	if len(seen) < 50 {
		t.Errorf("200 connections have %d patiences", len(seen))
	}
}

// TestPingedOnce: who is silent gets one ping and the time to answer it, however
// late somebody looks; any byte counts as an answer.
func TestPingedOnce(t *testing.T) {
	t.Parallel()
	c := offline(t)
	l := &c.gw.limits
	heard := c.opened
	late := heard.Add(10 * l.Heartbeat)
	written := func() int { // and gone: what waits would be too old
		b, _ := c.Output(nil)
		c.Wrote(len(b))
		return len(b)
	}
	c.Due(late, heard)
	if n := written(); n != 2 || c.isClosing() {
		t.Fatalf("%d bytes were written and closing is %v, want a ping", n, c.isClosing())
	}
	c.Due(late.Add(l.PongTimeout/2), heard)
	if n := written(); n != 0 || c.isClosing() {
		t.Fatal("not one ping, or no time to answer it")
	}
	answered := late.Add(l.PongTimeout - time.Second)
	c.Due(answered.Add(l.PongTimeout/2), answered)
	if n := written(); n != 0 || c.isClosing() {
		t.Fatal("closed, or pinged again, although it has answered")
	}
	for now := answered; now.Sub(answered) <= 2*l.Heartbeat+l.PongTimeout && !c.isClosing(); {
		now = c.Due(now, answered)
		if !c.isClosing() {
			written()
		}
	}
	if code := wire.CloseCode(c.closing.Load()); code != wire.CloseNoPong {
		t.Errorf("closed with %d, want %d", code, wire.CloseNoPong)
	}
}
