package sockets

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/cmd/colloquy/sockets/load"
)

// TestMain is also the workers: the benchmarks start this program again.
func TestMain(m *testing.M) {
	if len(os.Args) < 2 {
		os.Exit(m.Run())
	}
	var err error
	switch os.Args[1] {
	case "socket-server":
		err = Serve(context.Background(), &ServerOptions{Known: len(os.Args) > 2}, os.Stdin, os.Stdout)
	case "socket-load":
		err = load.Serve(context.Background(), os.Stdin, os.Stdout)
	default:
		os.Exit(m.Run())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func testOptions(t *testing.T) *Options {
	t.Helper()
	if err := load.Supported(); err != nil {
		t.Skip(err)
	}
	return &Options{
		Connections: 20, Duration: 100 * time.Millisecond, Burst: 1, Bytes: 200, Kind: load.KindSend, Processes: 1, Queued: 3, Rounds: 4, Stalled: 2, Messages: 1,
		ServerWorker: []string{"socket-server"}, LoadWorker: []string{"socket-load"}, Version: "test",
	}
}

func TestMessagesAreAllAnswered(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Options){
		"acks":                func(*Options) {},
		"pongs":               func(o *Options) { o.Kind = load.KindPing },
		"several in a write":  func(o *Options) { o.Burst = 8 },
		"by a schedule":       func(o *Options) { o.Rate = 500 },
		"with a conversation": func(o *Options) { o.Known = true },
		"large frames":        func(o *Options) { o.Bytes = 16 << 10 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := testOptions(t)
			change(o)
			r, err := Messages(t.Context(), "test", o)
			if err != nil {
				t.Fatal(err)
			}
			if r.Messages == 0 || r.Answering != o.Connections || r.CPUMicros <= 0 {
				t.Errorf("%d messages, %d of %d connections answered in full, %v µs each", r.Messages, r.Answering, o.Connections, r.CPUMicros)
			}
			if o.Rate > 0 && r.Messages != int(o.Rate*o.Duration.Seconds()) {
				t.Errorf("%d messages, and the schedule has %v", r.Messages, o.Rate*o.Duration.Seconds())
			}
			if r.P50 > r.P99 || r.P99 > r.P999 || r.P999 > r.MaxMS {
				t.Errorf("quantiles %v, %v, %v, %v do not rise", r.P50, r.P99, r.P999, r.MaxMS)
			}
		})
	}
}

func TestIdleWeighsSeveralServers(t *testing.T) {
	t.Parallel()
	o := testOptions(t)
	o.Processes = 2
	r, err := Idle(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Connections != 40 || r.Answering != 40 || r.RSSBefore == 0 || r.RSSAfterGC == 0 || r.AnonAfterGC == 0 || r.AnonAfterGC >= r.RSSAfterGC {
		t.Errorf("result %+v", r)
	}
}

func TestFanoutReachesEverybody(t *testing.T) {
	t.Parallel()
	o := testOptions(t)
	r, err := Fanout(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Deliveries != o.Connections*o.Queued*o.Rounds || r.DeliverMicros <= 0 {
		t.Errorf("result %+v", r)
	}
}

func TestStalledClientsAreClosed(t *testing.T) {
	t.Parallel()
	o := testOptions(t)
	o.Rate = 200
	r, err := Slow(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if r.ClosedSlow != o.Stalled || r.Messages == 0 || r.Answering != o.Connections || r.AloneP99 <= 0 || r.ReadingP99 <= 0 {
		t.Errorf("result %+v", r)
	}
}

func TestServerThatEndsIsAnError(t *testing.T) {
	t.Parallel()
	o := testOptions(t)
	o.Against = "false"
	if _, err := Messages(t.Context(), "test", o); err == nil || !strings.Contains(err.Error(), "the server ended") {
		t.Errorf("Messages = %v", err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	err := (&Options{Connections: 20_000, Burst: 33, Bytes: 1, Rate: -1}).Validate()
	for _, flag := range []string{"--connections", "--duration", "--rate", "--burst", "--bytes", "--processes", "--queued", "--rounds", "--stalled", "--messages"} {
		if err == nil || !strings.Contains(err.Error(), flag) {
			t.Errorf("Validate does not complain about %s: %v", flag, err)
		}
	}
}
