// Command otlp is the OpenTelemetry Collector's own receiver of OTLP over HTTP,
// which prints the traces that it gets as JSON, a line for each request. It is a
// module of its own, so that none of the Collector's packages is in ours.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync"

	"go.opentelemetry.io/collector/pdata/ptrace"
)

func main() {
	address := flag.String("listen", "127.0.0.1:4318", "address to receive at")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	if err := run(ctx, *address); err != nil {
		fmt.Fprintln(os.Stderr, "otlp:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, address string) error {
	var out sync.Mutex
	stop, err := listen(ctx, address, func(t ptrace.Traces) error {
		line, err := (&ptrace.JSONMarshaler{}).MarshalTraces(t)
		if err != nil {
			return err
		}
		out.Lock()
		defer out.Unlock()
		_, err = fmt.Printf("%s\n", line)
		return err
	})
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "otlp: receiving at", address)
	<-ctx.Done()
	return stop(context.WithoutCancel(ctx))
}
