package engine

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"strconv"
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
	b.ReportAllocs()
	b.ResetTimer()
	before := processorTime(b)
	var all sync.WaitGroup
	for who := range visitors {
		all.Go(func() { talk(who, (b.N+visitors-1-who)/visitors) })
	}
	all.Wait()
	b.ReportMetric(float64((processorTime(b)-before).Nanoseconds())/1000/float64(b.N), "cpu-µs/turn")
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
