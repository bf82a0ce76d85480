package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/colloquyhq/colloquy/cmd/colloquy/sockets"
	"github.com/colloquyhq/colloquy/cmd/colloquy/sockets/load"
)

// socketServerCmd and socketLoadCmd are the workers of the socket benchmarks.
type socketServerCmd struct {
	Known bool `help:"Every visitor has a conversation already."`
}

// Run implements the subcommand.
func (c *socketServerCmd) Run(t *tool) error {
	return sockets.Serve(t.ctx, &sockets.ServerOptions{Known: c.Known}, os.Stdin, t.stdout)
}

type socketLoadCmd struct{}

// Run implements the subcommand.
func (*socketLoadCmd) Run(t *tool) error { return load.Serve(t.ctx, os.Stdin, t.stdout) }

// socketFlags are what all socket benchmarks have.
type socketFlags struct {
	Bytes int  `help:"Bytes of a message's frame." default:"200"`
	JSON  bool `help:"Print JSON."`
}

func (f *socketFlags) options(t *tool) *sockets.Options {
	return &sockets.Options{
		Bytes: f.Bytes, Connections: 1, Duration: time.Second, Burst: 1, Processes: 1, Queued: 1, Rounds: 1, Stalled: 1, Messages: 1,
		ServerWorker: []string{"bench", "socket-server"}, LoadWorker: []string{"bench", "socket-load"}, Version: buildVersion(), Progress: t.stderr,
	}
}

// print writes the result, as JSON or by the words of the command.
func (f *socketFlags) print(t *tool, r *sockets.Result, words string) error {
	if f.JSON {
		return writeJSON(t.stdout, r)
	}
	_, err := fmt.Fprintln(t.stdout, words)
	return err
}

// benchIdleCmd is `colloquy bench idle`.
type benchIdleCmd struct {
	socketFlags

	Connections int    `help:"Connections of each process." default:"18000"`
	Processes   int    `help:"Servers, each with a load of its own: a process may have 20,000 files open." default:"1"`
	Known       bool   `help:"Visitors who have a conversation already."`
	Against     string `help:"Another server: a command that speaks the protocol of bench/peers." placeholder:"COMMAND"`
}

func (c *benchIdleCmd) options(t *tool) *sockets.Options {
	o := c.socketFlags.options(t)
	o.Connections, o.Processes, o.Known, o.Against = c.Connections, c.Processes, c.Known, c.Against
	return o
}

// Validate implements kong's check of flags.
func (c *benchIdleCmd) Validate() error { return c.options(&tool{}).Validate() }

// Run implements the subcommand.
func (c *benchIdleCmd) Run(t *tool) error {
	r, err := sockets.Idle(t.ctx, c.options(t))
	if err != nil {
		return err
	}
	return c.print(t, r, fmt.Sprintf("%d connections, %d answering: %.0f bytes each after collecting garbage (heap %.0f, stacks %.0f), %.1f MB resident before, %.1f after; %.0f µs CPU to connect",
		r.Connections, r.Answering, r.BytesPerConn, r.HeapPerConn, r.StackPerConn, float64(r.RSSBefore)/1e6, float64(r.RSSAfterGC)/1e6, r.ConnectUS))
}

// messageFlags are what the benchmarks of single messages have.
type messageFlags struct {
	socketFlags

	Connections int           `help:"Connections." default:"1000"`
	Rate        float64       `help:"Open loop: messages a second over all connections, each timed from the moment at which it was due. 0 = closed loop: a connection asks again when it has its answer."`
	Duration    time.Duration `help:"How long to measure, after the warm-up." default:"10s"`
	Warmup      time.Duration `help:"How long to run before." default:"2s"`
	Against     string        `help:"Another server: a ws:// address, or a command that speaks the protocol of bench/peers." placeholder:"URL|COMMAND"`
}

func (f *messageFlags) options(t *tool) *sockets.Options {
	o := f.socketFlags.options(t)
	o.Connections, o.Rate, o.Duration, o.Warmup, o.Against = f.Connections, f.Rate, f.Duration, f.Warmup, f.Against
	o.Kind = load.KindSend
	return o
}

func (f *messageFlags) run(t *tool, bench string, o *sockets.Options) error {
	r, err := sockets.Messages(t.ctx, bench, o)
	if err != nil {
		return err
	}
	cost := "the server's CPU is not known"
	if r.CPUMicros > 0 {
		cost = fmt.Sprintf("%.2f µs CPU each (%.2f in user space)", r.CPUMicros, r.UserMicros)
	}
	return f.print(t, r, fmt.Sprintf("%d connections, %.1f s: %.0f messages/s, %s, p50 %.2f ms, p99 %.2f ms, p99.9 %.2f ms; server %.0f %% busy, load %.0f %%",
		r.Connections, r.Seconds, r.MsgsPerS, cost, r.P50, r.P99, r.P999, 100*r.Busy, 100*r.LoadBusy))
}

// benchEchoCmd is `colloquy bench echo`.
type benchEchoCmd struct{ messageFlags }

func (c *benchEchoCmd) options(t *tool) *sockets.Options {
	o := c.messageFlags.options(t)
	o.Kind = load.KindPing
	return o
}

// Validate implements kong's check of flags.
func (c *benchEchoCmd) Validate() error { return c.options(&tool{}).Validate() }

// Run implements the subcommand.
func (c *benchEchoCmd) Run(t *tool) error { return c.run(t, "echo", c.options(t)) }

// benchJSONCmd is `colloquy bench json`.
type benchJSONCmd struct{ messageFlags }

// Validate implements kong's check of flags.
func (c *benchJSONCmd) Validate() error { return c.options(&tool{}).Validate() }

// Run implements the subcommand.
func (c *benchJSONCmd) Run(t *tool) error { return c.run(t, "json", c.options(t)) }

// benchBurstCmd is `colloquy bench burst`.
type benchBurstCmd struct {
	messageFlags

	Burst int  `help:"Messages in one write of a client." default:"8"`
	Pings bool `help:"Pings instead of messages, as bench echo sends them: what reading, framing and writing cost without a message's own work."`
}

func (c *benchBurstCmd) options(t *tool) *sockets.Options {
	o := c.messageFlags.options(t)
	o.Burst = c.Burst
	if c.Pings {
		o.Kind = load.KindPing
	}
	return o
}

// Validate implements kong's check of flags.
func (c *benchBurstCmd) Validate() error {
	if c.Rate != 0 {
		return errors.New("a burst runs in a closed loop: leave --rate out")
	}
	return c.options(&tool{}).Validate()
}

// Run implements the subcommand.
func (c *benchBurstCmd) Run(t *tool) error { return c.run(t, "burst", c.options(t)) }

// benchFanoutCmd is `colloquy bench fanout`.
type benchFanoutCmd struct {
	socketFlags

	Followers int `help:"Connections that follow the conversation." default:"1000"`
	Queued    int `help:"Events given at once." default:"4"`
	Rounds    int `help:"How often, each time when everybody has everything." default:"100"`
}

func (c *benchFanoutCmd) options(t *tool) *sockets.Options {
	o := c.socketFlags.options(t)
	o.Connections, o.Queued, o.Rounds = c.Followers, c.Queued, c.Rounds
	return o
}

// Validate implements kong's check of flags.
func (c *benchFanoutCmd) Validate() error { return c.options(&tool{}).Validate() }

// Run implements the subcommand.
func (c *benchFanoutCmd) Run(t *tool) error {
	r, err := sockets.Fanout(t.ctx, c.options(t))
	if err != nil {
		return err
	}
	return c.print(t, r, fmt.Sprintf("%d followers, %d events at once: %.0f deliveries/s, %.2f µs CPU each (%.2f in user space)",
		r.Connections, r.Queued, r.DeliveriesPS, r.DeliverMicros, r.UserMicros))
}

// benchSlowCmd is `colloquy bench slow`.
type benchSlowCmd struct {
	socketFlags

	Stalled     int           `help:"Clients that do not read." default:"50"`
	Connections int           `help:"Clients that do." default:"500"`
	Rate        float64       `help:"Messages a second of those." default:"2000"`
	Duration    time.Duration `help:"How long to measure, with and without the others being offered too much." default:"5s"`
}

func (c *benchSlowCmd) options(t *tool) *sockets.Options {
	o := c.socketFlags.options(t)
	o.Stalled, o.Connections, o.Rate, o.Duration = c.Stalled, c.Connections, c.Rate, c.Duration
	return o
}

// Validate implements kong's check of flags.
func (c *benchSlowCmd) Validate() error {
	if c.Rate == 0 {
		return errors.New("--rate must be above zero")
	}
	return c.options(&tool{}).Validate()
}

// Run implements the subcommand.
func (c *benchSlowCmd) Run(t *tool) error {
	r, err := sockets.Slow(t.ctx, c.options(t))
	if err != nil {
		return err
	}
	return c.print(t, r, fmt.Sprintf("%d stalled clients hold %.0f KB each in the server and %.0f KB in both kernels; %d were closed as slow; the others' p99 is %.2f ms, %.2f ms while as many that read are offered the same, %.2f ms without either",
		r.Stalled, r.UserPerStalled/1e3, r.KernPerStalled/1e3, r.ClosedSlow, r.P99, r.ReadingP99, r.AloneP99))
}

// benchStormCmd is `colloquy bench storm`.
type benchStormCmd struct {
	socketFlags

	Connections int     `help:"Visitors." default:"18000"`
	Messages    int     `help:"Messages of each before the storm." default:"1"`
	Rate        float64 `help:"Of them a second, before the storm." default:"3000"`
	Sigterm     bool    `help:"Tell the node to end instead of killing it."`
	Dir         string  `help:"Where to put the data, which is removed afterwards; default: the system's temporary folder." type:"path"`
}

func (c *benchStormCmd) options(t *tool) *sockets.Options {
	o := c.socketFlags.options(t)
	o.Connections, o.Messages, o.Rate, o.Sigterm, o.Dir = c.Connections, c.Messages, c.Rate, c.Sigterm, c.Dir
	return o
}

// Validate implements kong's check of flags.
func (c *benchStormCmd) Validate() error { return c.options(&tool{}).Validate() }

// Run implements the subcommand.
func (c *benchStormCmd) Run(t *tool) error {
	r, err := sockets.Storm(t.ctx, c.options(t))
	if err != nil {
		return err
	}
	return c.print(t, r, fmt.Sprintf("%d clients: away for %.1f s, all resumed %.1f s after the node was back and settled after %.1f s; %d events missed, %d twice, %d messages sent again, %d attempts refused",
		r.Connections, r.Outage, r.ResumeS, r.SettledS, *r.Missed, *r.Twice, r.Resent, r.Refused))
}
