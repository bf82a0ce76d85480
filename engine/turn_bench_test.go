package engine

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// BenchmarkTurn is a whole turn of a whole node, all but its sockets: a visitor's
// message, understood by a pack that ships, durable, its reply on the response.
// What counts is the processor time of the process: most of the rest is waiting
// for the disk.
func BenchmarkTurn(b *testing.B) {
	for _, visitors := range []int{1, 64} {
		b.Run(fmt.Sprintf("visitors=%d", visitors), func(b *testing.B) { benchTurns(b, visitors) })
	}
}

func benchTurns(b *testing.B, visitors int) {
	c := DefaultConfig()
	c.DataDir, c.Listen, c.OpsListen = filepath.Join(b.TempDir(), "data"), "127.0.0.1:0", "127.0.0.1:0"
	e, _ := serving(b, Options{Config: c, Logger: slog.New(slog.DiscardHandler)})
	packs := []string{"ecommerce"}
	putInbox(b, e, conversation.Inbox{ID: "shop", Packs: packs})
	if err := e.Library().Prepare(b.Context(), packs); err != nil {
		b.Fatal(err)
	}
	texts := []string{"运费怎么算", "how much is shipping", "支持哪些付款方式", "how do I return an item"}
	talk := func(who, turns int) {
		in := visitor("shop", "")
		for n := range turns {
			in.Text, in.Ref = conversation.Text(texts[(who+n)%len(texts)]), conversation.Ref(strconv.Itoa(n))
			r, err := e.Actors().Deliver(b.Context(), in)
			if err != nil || len(r.Replies) == 0 {
				b.Errorf("Deliver(%q) = %+v, %v; want a reply", in.Text, r, err)
				return
			}
		}
	}
	share(b, visitors, "cpu-µs/turn", talk)
}

// share has b.N things done by so many at a time, and reports the processor time
// of each.
func share(b *testing.B, among int, unit string, do func(who, n int)) {
	b.Helper()
	b.ReportAllocs()
	b.ResetTimer()
	before := processorTime(b)
	var all sync.WaitGroup
	for who := range among {
		all.Go(func() { do(who, (b.N+among-1-who)/among) })
	}
	all.Wait()
	b.ReportMetric(float64((processorTime(b)-before).Nanoseconds())/1000/float64(b.N), unit)
}

// processorTime is what the process has used of the processors.
func processorTime(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkWebhook is a message through POST /webhook of a whole node to an inbox
// without a bot, durable before it is answered, on 64 connections. The little that
// asks is in the figure.
func BenchmarkWebhook(b *testing.B) {
	const connections = 64
	c := DefaultConfig()
	c.DataDir, c.Listen, c.OpsListen = filepath.Join(b.TempDir(), "data"), "127.0.0.1:0", "127.0.0.1:0"
	c.Gateway.InsecureIngress = "shop"
	e, _ := serving(b, Options{Config: c, Logger: slog.New(slog.DiscardHandler)})
	putInbox(b, e, conversation.Inbox{ID: "shop"})
	post := func(who, messages int) {
		conn, err := net.Dial("tcp", e.Addr()) //nolint:noctx // ends with the benchmark
		if err != nil {
			b.Error(err)
			return
		}
		defer func() { _ = conn.Close() }()
		answers := bufio.NewReader(conn)
		for n := range messages {
			body := fmt.Sprintf(`{"user":"visitor-%d","id":"m-%d","text":%q,"metadata":{"page":"/orders","lang":"en"}}`, who, n, strings.Repeat("where is my order? ", 11))
			if _, err := fmt.Fprintf(conn, "POST /webhook HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", len(body), body); err != nil {
				b.Error(err)
				return
			}
			resp, err := http.ReadResponse(answers, nil)
			if err != nil || resp.StatusCode != http.StatusAccepted {
				b.Errorf("POST /webhook = %+v, %v", resp, err)
				return
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
	}
	share(b, connections, "cpu-µs/delivery", post)
}
