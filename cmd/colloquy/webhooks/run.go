package webhooks

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"time"

	"github.com/colloquyhq/colloquy/cmd/colloquy/lab"
	"github.com/colloquyhq/colloquy/cmd/colloquy/sockets"
)

// The cores that the two sides run on with Options.Apart, where there are two.
const (
	nodeCore = 0
	loadCore = 1
)

// Options say what is measured.
type Options struct {
	Connections int
	People      int
	Bytes       int
	Warmup      time.Duration
	Duration    time.Duration
	Apart       bool                                          // the node on one core, the load on another
	Profile     func(context.Context, *lab.Node) <-chan error // takes a profile while it is measured; nil = nobody
	Dir         string                                        // for the data, which is removed
	Worker      []string
	Version     string
}

// Validate reports everything that is wrong.
func (o *Options) Validate() error {
	if o.Connections < 1 || o.People < o.Connections || o.Bytes < 1 || o.Bytes > 8000 || o.Duration <= 0 || o.Warmup < 0 {
		return errors.New("--connections, --bytes (at most 8,000) and --duration must be above zero, --people at least as many as --connections")
	}
	return nil
}

// Result is what came of it.
type Result struct {
	Bench        string  `json:"bench"`
	Connections  int     `json:"connections"`
	People       int     `json:"people"`
	Bytes        int     `json:"bytes"`
	Apart        bool    `json:"apart"`
	Seconds      float64 `json:"seconds"`
	Deliveries   int64   `json:"deliveries"`
	DeliveriesPS float64 `json:"deliveries_per_s"`
	CPUMicros    float64 `json:"cpu_us_per_delivery"` // of the node
	P50          float64 `json:"p50_ms"`
	P99          float64 `json:"p99_ms"`
	Errors       int64   `json:"errors"`
	FirstError   string  `json:"first_error,omitempty"`
	NodeBusy     float64 `json:"node_busy"` // cores
	LoadBusy     float64 `json:"load_busy"`
	CPUs         int     `json:"cpus"`
	Version      string  `json:"version"`
}

// Run measures.
func Run(ctx context.Context, o *Options) (*Result, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(o.Dir, "colloquy-webhook-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	keys, err := lab.Furnish(ctx, dir, lab.House{})
	if err != nil {
		return nil, err
	}
	spec := &lab.Spec{Dir: dir}
	if o.Profile != nil {
		spec.Settings = append(spec.Settings, "ops_pprof=true")
	}
	if o.Apart {
		spec.Spawn = func(cmd *exec.Cmd) error { return sockets.StartOn(cmd, nodeCore) }
	}
	n, err := lab.Start(ctx, spec)
	if err != nil {
		return nil, err
	}
	r, err := o.measure(ctx, n, keys.Ingress)
	if err != nil {
		err = fmt.Errorf("%w\nthe node's log:\n%s", err, n.Log())
	}
	return r, errors.Join(err, n.Stop())
}

// measure lets the load process ask, and looks at the node's time around it.
func (o *Options) measure(ctx context.Context, n *lab.Node, token string) (*Result, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, o.Worker...) //nolint:gosec // this program
	cmd.Env, cmd.Stderr = lab.CleanEnviron(os.Environ()), os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	start := (*exec.Cmd).Start
	if o.Apart {
		start = func(cmd *exec.Cmd) error { return sockets.StartOn(cmd, loadCore) }
	}
	if err := start(cmd); err != nil {
		return nil, err
	}
	r, err := o.lead(ctx, n, order{
		Addr: n.Addr(), Token: token, Connections: o.Connections, People: o.People, Bytes: o.Bytes, Warmup: o.Warmup, Duration: o.Duration,
	}, in, bufio.NewReader(out))
	_ = in.Close()
	return r, errors.Join(err, cmd.Wait())
}

func (o *Options) lead(ctx context.Context, n *lab.Node, what order, in io.Writer, out *bufio.Reader) (*Result, error) {
	if err := json.NewEncoder(in).Encode(what); err != nil {
		return nil, err
	}
	dec := json.NewDecoder(out)
	var warm, a answer
	if err := dec.Decode(&warm); err != nil {
		return nil, fmt.Errorf("the load: %w", err)
	}
	var profiled <-chan error
	if o.Profile != nil {
		profiled = o.Profile(ctx, n)
	}
	before := sockets.CPUTime(n.PID())
	if err := dec.Decode(&a); err != nil {
		return nil, fmt.Errorf("the load: %w", err)
	}
	used := sockets.CPUTime(n.PID()) - before
	r := &Result{
		Bench: "webhook", Connections: o.Connections, People: o.People, Bytes: o.Bytes, Apart: o.Apart, Seconds: a.Seconds,
		Deliveries: a.Deliveries, DeliveriesPS: float64(a.Deliveries) / a.Seconds, P50: a.P50, P99: a.P99, Errors: a.Errors, FirstError: a.FirstError,
		NodeBusy: used.Seconds() / a.Seconds, LoadBusy: a.BusySecs / a.Seconds, CPUs: runtime.NumCPU(), Version: o.Version,
	}
	if a.Deliveries > 0 {
		r.CPUMicros = float64(used.Microseconds()) / float64(a.Deliveries)
	}
	if o.Profile == nil {
		return r, nil
	}
	return r, <-profiled
}
