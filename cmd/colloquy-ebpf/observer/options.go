package observer

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/colloquyhq/colloquy/cmd/colloquy-ebpf/kernel"
)

const (
	// floodWindow is what [Limits.Flood] is counted in.
	floodWindow = 10 * time.Second
	// errorWindow is what [Limits.Errors] and [Limits.ErrorBurst] are counted in.
	errorWindow = time.Minute
	// walkEvery is how often distances are looked at.
	walkEvery = 10 * time.Second
	maxWatch  = 7 * 24 * time.Hour // as the node has it
)

// Limits say what is out of the ordinary. Zero turns a kind off.
type Limits struct {
	Stuck      time.Duration
	Slow       time.Duration
	Flood      uint32 // turns of a conversation in 10 s
	Errors     uint32 // failed turns of a conversation in a minute
	ErrorBurst uint32 // failed turns of a process in a minute
	Lossy      uint32 // retransmissions, in percent of a connection's segments with data
	LossyLeast uint32 // and so many of them
	Far        time.Duration
}

// Kernel gives the limits that are judged in the kernel.
func (l Limits) Kernel() kernel.Limits {
	k := kernel.Limits{Slow: l.Slow, FloodTurns: l.Flood, FloodWindow: floodWindow, Far: l.Far}
	if l.Lossy > 0 {
		k.LossyPercent, k.LossyLeast = l.Lossy, max(l.LossyLeast, 1)
	}
	return k
}

// Options of an [Observer].
type Options struct {
	Exe      string        // program file; all processes that run it
	PID      int           // in the place of Exe: one process
	Limits   Limits        //
	Scan     time.Duration // how often open turns are looked at
	Cooldown time.Duration // how long the same kind is not told again of a conversation
	Ops      []string      // operations addresses of the nodes, which are asked to watch; none = they are not
	WatchFor time.Duration

	Findings io.Writer
	Log      *slog.Logger
	Registry prometheus.Registerer
}

// Validate says everything that is wrong.
func (o *Options) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) { //nolint:revive // a claim
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	l := o.Limits
	check((o.Exe != "") != (o.PID != 0), "either a program (--exe) or a process (--pid) is observed")
	check(o.PID >= 0, "--pid: %d is no process", o.PID)
	check(l.Stuck >= 0 && l.Slow >= 0 && l.Far >= 0, "--stuck, --slow, --far: not negative")
	check(l.Lossy <= 100, "--lossy: %d is more than 100 percent", l.Lossy)
	check(o.Scan >= 100*time.Millisecond && o.Scan <= time.Minute, "--scan: %v is not between 100ms and 1m", o.Scan)
	check(o.Cooldown >= 0, "--cooldown: not negative")
	check(o.WatchFor > 0 && o.WatchFor <= maxWatch, "--watch-for: %v is not between 0 and %v", o.WatchFor, maxWatch)
	for _, address := range o.Ops {
		u, err := url.Parse(address)
		check(err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "", "--ops: %q is no address such as http://127.0.0.1:9090", address)
	}
	return errors.Join(errs...)
}
