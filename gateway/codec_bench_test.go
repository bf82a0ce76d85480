package gateway

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway/loop"
)

// noLink is a link to nowhere.
type noLink struct{}

func (noLink) Start([]byte)  {}
func (noLink) Flush()        {}
func (noLink) Hold()         {}
func (noLink) Resume()       {}
func (noLink) Arm(loop.Time) {}
func (noLink) Remind()       {}
func (noLink) Abort()        {}

// offline makes a gateway that does not run, and a visitor's connection without
// a socket.
func offline(tb testing.TB) *conn {
	tb.Helper()
	store, dir := newMemoryStore(), newMemoryDirectory()
	g, err := New(Options{
		Conversations: store, Journal: store, Contacts: store, Inboxes: dir, Agents: dir, Credentials: dir, Secrets: dir,
		Limits: Limits{FramesPerSecond: 1e9}, Loops: -1,
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(g.codecs.endFree)
	c := newConn(g, visitorSide)
	c.link = noLink{}
	c.who.Store(&identity{visitorID: visitorID{inbox: "shop", contact: conversation.ContactID{1}, expires: time.Now().Add(time.Hour).Unix()}})
	return c
}

// BenchmarkMessages is the way of a 200-byte message from bytes to an answer in
// the queue and out of it: all but the socket. The frames of a batch come with
// one read.
func BenchmarkMessages(b *testing.B) {
	for _, batch := range []int{1, 8} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
			c := offline(b)
			in := bytes.Repeat(text(`{"t":"ping","ref":"x","pad":"`+strings.Repeat("p", 160)+`"}`), batch)
			out := make([]byte, 64<<10)
			turn := loop.Turn{Loop: -1}
			b.ReportAllocs()
			for b.Loop() {
				c.Input(turn, in)
				answer, _ := c.Output(out[:0])
				if len(answer) == 0 {
					b.Fatal("no answer")
				}
				c.Wrote(len(answer))
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch), "ns/msg")
		})
	}
}

// instant takes every message at once and keeps none.
type instant struct{ Conversations }

var answeredAt = time.Now().UTC()

func (instant) DeliverAsync(_ conversation.Inbound, done func(conversation.Receipt, error)) {
	done(conversation.Receipt{Conversation: conversation.ConversationID{1}, Seq: 7, At: answeredAt, Version: 7, Status: conversation.StatusPending}, nil)
}

// BenchmarkSends is BenchmarkMessages with a visitor's messages and their acks.
func BenchmarkSends(b *testing.B) {
	for _, batch := range []int{1, 8} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
			c := offline(b)
			c.gw.opts.Conversations = instant{}
			in := bytes.Repeat(text(`{"t":"message.send","client_id":"0192f0c1-7e3a-7c4d-9b1f-2a6d5e8c9f01","text":"`+strings.Repeat("p", 110)+`"}`), batch)
			out := make([]byte, 64<<10)
			turn := loop.Turn{Loop: -1}
			b.ReportAllocs()
			for b.Loop() {
				c.Input(turn, in)
				answer, _ := c.Output(out[:0])
				if len(answer) < 100*batch {
					b.Fatalf("the answer is %q", answer)
				}
				c.Wrote(len(answer))
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch), "ns/msg")
		})
	}
}

// BenchmarkFanOut is one event to many followers: encoded and framed once, then
// a place in each queue.
func BenchmarkFanOut(b *testing.B) {
	const followers = 1000
	c := offline(b)
	conns := make([]*conn, followers)
	for i := range conns {
		conns[i] = newConn(c.gw, visitorSide)
		conns[i].link = noLink{}
	}
	out := make([]byte, 64<<10)
	for b.Loop() {
		frame, err := textFrame(someEvent())
		if err != nil {
			b.Fatal(err)
		}
		for _, f := range conns {
			f.event(outFrame{bytes: frame})
			answer, _ := f.Output(out[:0])
			f.Wrote(len(answer))
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*followers), "ns/delivery")
}
