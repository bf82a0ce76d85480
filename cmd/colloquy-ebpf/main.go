// Command colloquy-ebpf looks at a node from outside, through the kernel, and tells
// which of its conversations are in trouble: also while the node hangs or is
// stopped. See docs/ebpf.md.
package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/colloquyhq/colloquy/cmd/colloquy-ebpf/kernel"
	"github.com/colloquyhq/colloquy/cmd/colloquy-ebpf/observer"
	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/telemetry"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// version is set by the build.
var version = ""

const (
	defaultExe   = "/usr/local/bin/colloquy"
	requestLimit = 10 * time.Second
)

// flags are the command line; each is also a variable, COLLOQUY_EBPF_….
type flags struct {
	Exe string `help:"Program file; every process that runs it is observed, also after a restart. ${exe} when neither this nor --pid is given." placeholder:"FILE" xor:"target"`
	PID int    `name:"pid" help:"One process instead; the observer ends with it." placeholder:"NUMBER" xor:"target"`

	Ops      []string      `help:"Operations addresses of the nodes, which are asked to watch what is found; none = they are not." default:"http://127.0.0.1:9090" placeholder:"URL"`
	WatchFor time.Duration `help:"For how long." default:"24h"`
	Listen   string        `help:"Address of the observer's own metrics; none = not served. Keep it private." default:"127.0.0.1:9191" placeholder:"HOST:PORT"`
	LogLevel string        `help:"debug, info, warn or error." default:"info"`

	Stuck      time.Duration `help:"Tell of turns that are open for so long; 0 = never, as below." default:"30s"`
	Slow       time.Duration `help:"Tell of turns that took so long." default:"10s"`
	Flood      uint32        `help:"Tell of so many turns of a conversation within 10 seconds." default:"20"`
	Errors     uint32        `help:"Tell of so many failed turns of a conversation within a minute." default:"3"`
	ErrorBurst uint32        `help:"Tell of so many failed turns of a process within a minute." default:"10"`
	Lossy      uint32        `help:"Tell of connections of which so many percent of the segments were sent again." default:"5"`
	LossyLeast uint32        `help:"If at least so many were." default:"10"`
	Far        time.Duration `help:"Tell of connections with so long a round trip. All TCP sockets are looked at for it, every 10 seconds." default:"0"`
	Scan       time.Duration `help:"How often open turns are looked at." default:"1s"`
	Cooldown   time.Duration `help:"How long the same is not told again of a conversation." default:"10m"`

	Name    string `help:"Print the id of the conversation that bpftrace shows as these 32 hexadecimal digits." env:"-" placeholder:"DIGITS"`
	Version bool   `help:"Print the version." env:"-"`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main without the process.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var f flags
	ended := -1
	parser, err := kong.New(&f, kong.Name("colloquy-ebpf"), kong.DefaultEnvars("COLLOQUY_EBPF"), kong.Vars{"exe": defaultExe},
		kong.Description("Looks at a node of colloquy from outside and tells which conversations are in trouble: one line of JSON each."),
		kong.Writers(stdout, stderr), kong.Exit(func(code int) { ended = code }))
	if err == nil {
		_, err = parser.Parse(args)
	}
	switch {
	case ended >= 0: // --help
		return ended
	case err != nil:
		return told(stderr, exitUsage, err)
	case f.Version:
		_, _ = fmt.Fprintln(stdout, buildVersion())
		return exitOK
	case f.Name != "":
		return name(f.Name, stdout, stderr)
	}
	log, err := telemetry.NewLogger(stderr, telemetry.LogJSON, f.LogLevel)
	if err != nil {
		return told(stderr, exitUsage, err)
	}
	reg := telemetry.NewRegistry(buildVersion())
	o := f.options()
	o.Findings, o.Log, o.Registry = stdout, log, reg
	if err := o.Validate(); err != nil {
		return told(stderr, exitUsage, err)
	}
	if err := observe(ctx, o, f.Listen, reg); err != nil {
		return told(stderr, exitFailed, err)
	}
	return exitOK
}

// name says what a conversation is called.
func name(digits string, stdout, stderr io.Writer) int {
	var id conversation.ConversationID
	if n, err := hex.Decode(id[:], []byte(digits[:min(len(digits), 2*len(id))])); err != nil || n != len(id) || len(digits) != 2*len(id) {
		return told(stderr, exitUsage, fmt.Errorf("--name: %q is not 32 hexadecimal digits", digits))
	}
	_, _ = fmt.Fprintln(stdout, id)
	return exitOK
}

func told(stderr io.Writer, code int, err error) int {
	_, _ = fmt.Fprintln(stderr, "colloquy-ebpf:", err)
	return code
}

func buildVersion() string { return telemetry.Version(version) }

func (f *flags) options() observer.Options {
	o := observer.Options{
		Exe: f.Exe, PID: f.PID, Ops: f.Ops, WatchFor: f.WatchFor, Scan: f.Scan, Cooldown: f.Cooldown,
		Limits: observer.Limits{
			Stuck: f.Stuck, Slow: f.Slow, Flood: f.Flood, Errors: f.Errors, ErrorBurst: f.ErrorBurst,
			Lossy: f.Lossy, LossyLeast: f.LossyLeast, Far: f.Far,
		},
	}
	if o.Exe == "" && o.PID == 0 {
		o.Exe = defaultExe
	}
	return o
}

// observe loads, attaches and serves until ctx ends.
func observe(ctx context.Context, o observer.Options, listen string, reg *prometheus.Registry) (err error) {
	eyes, err := kernel.Load(o.Limits.Kernel())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, eyes.Close()) }()
	if o.Limits.Lossy > 0 {
		if err := eyes.WatchLosses(); err != nil {
			o.Log.Warn("lossy connections are not found", "err", err)
		}
	}
	if o.Limits.Far > 0 {
		if err := eyes.WatchDistances(); err != nil {
			return err
		}
	}
	watching, err := observer.New(o, eyes)
	if err != nil {
		return err
	}
	if err := watching.Attach(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, watching.Detach()) }()
	stop, err := serve(ctx, listen, pages(eyes, reg), o.Log)
	if err != nil {
		return err
	}
	defer stop()
	return watching.Run(ctx)
}

// serve answers on an address until it is stopped.
func serve(ctx context.Context, address string, h http.Handler, log *slog.Logger) (stop func(), err error) {
	if address == "" {
		return func() {}, nil
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	srv := &http.Server{Handler: h, ReadTimeout: requestLimit, WriteTimeout: requestLimit, MaxHeaderBytes: 16 << 10}
	var running sync.WaitGroup
	running.Go(func() {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			log.Error("metrics not served", "err", err)
		}
	})
	log.Info("serving", "address", l.Addr().String())
	return func() { _ = srv.Close(); running.Wait() }, nil
}
